//! Nets for PyTorch: a module as code, and weights under the names and in the layout of its `state_dict`.

use std::path::Path;

use crate::geometry::{Activation, Window};
use crate::network::{LayerStep, Norm, Plan, Tensor, save};
use crate::{Model, TrainError};

/// A trained net, to be written for PyTorch.
#[derive(Debug, Clone, Copy)]
pub struct PyTorch<'a> {
    /// The net.
    pub model: &'a Model,
    /// `[height, width, channels]` of its images.
    pub image: [usize; 3],
    /// The names of its classes.
    pub classes: &'a [String],
    /// Mean and deviation that standardise values from 0 to 1, if it was trained so.
    pub standard: Option<[f64; 2]>,
    /// Whether its images were padded to size, and not the central square of larger ones.
    pub padded: bool,
    /// The colour behind transparent images, and beside padded ones.
    pub background: [u8; 3],
}

impl PyTorch<'_> {
    /// What every module that [`write`](Self::write) returns contains.
    pub const MARK: &'static str = ", trained by deepaug, for PyTorch.";

    /// Converts weights that [`ChildModel::pretrain`](crate::ChildModel::pretrain) saved, and returns the code of a
    /// module that loads them: convolutions become `[output, input, rows, columns]`, dense layers
    /// `[output, input]`, with inputs in PyTorch's order, channels first.
    ///
    /// # Errors
    /// [`TrainError::Weights`] if the file cannot be read, is of another net, or cannot be written.
    pub fn write(&self, weights: &Path, to: &Path) -> Result<String, TrainError> {
        let plan = self.model.plan(self.image, self.classes.len())?;
        let failed = |path: &Path| {
            let path = path.to_path_buf();
            move |why| TrainError::Weights { path, why }
        };
        let values = plan.load(weights).map_err(failed(weights))?;
        let mut writer = Writer { plan: &plan, values, tensors: Vec::new(), helpers: Vec::new() };
        let mut state = Shape { image: self.image, is_flat: false };
        let layers = writer.sequence(&plan.steps, "layers", &mut state, false);
        let tensors = writer.tensors.iter().map(|(name, shape, values)| Tensor { name: name.clone(), shape, values });
        save(tensors, to, ["format", "pt"]).map_err(failed(to))?;
        let name = to.file_name().unwrap_or_default().to_string_lossy();
        Ok(self.code(&layers, &writer.helpers, &name))
    }

    fn code(&self, layers: &[String], helpers: &[&str], weights: &str) -> String {
        let [height, width, channels] = self.image;
        let [mean, deviation] = self.standard.unwrap_or([0.0, 1.0]);
        let classes: String = self.classes.iter().map(|name| format!("    {},\n", quoted(name))).collect();
        let parts: String = helpers.iter().map(|helper| format!("{helper}\n\n")).collect();
        let functional = if parts.contains("F.") { "import torch.nn.functional as F\n" } else { "" };
        include_str!("pytorch.py")
            .replace("<name>", &self.model.name())
            .replace("<weights>", &quoted(weights))
            .replace("<height>", &height.to_string())
            .replace("<width>", &width.to_string())
            .replace("<channels>", &channels.to_string())
            .replace("<mode>", if channels == 1 { "L" } else { "RGB" })
            .replace("<fit>", if self.padded { "pad" } else { "fit" })
            .replace("<beside>", if self.padded { ", color=BACKGROUND" } else { "" })
            .replace("<background>", &format!("{:?}", self.background).replace('[', "(").replace(']', ")"))
            .replace("<mean>", &format!("{mean:?}"))
            .replace("<deviation>", &format!("{deviation:?}"))
            .replace("    <classes>\n", &classes)
            .replace("<functional>\n", functional)
            .replace("<parts>\n\n\n", &parts)
            .replace("<layers>", &list(layers, 8))
    }
}

/// The shape of what reaches a layer.
struct Shape {
    image: [usize; 3],
    /// Whether it has no height and width any more.
    is_flat: bool,
}

struct Writer<'a> {
    plan: &'a Plan,
    values: Vec<Vec<f32>>,
    /// Name, shape and values.
    tensors: Vec<(String, Vec<usize>, Vec<f32>)>,
    helpers: Vec<&'static str>,
}

const RESIDUAL: &str = "\
class Residual(nn.Module):
    \"\"\"The sum of two paths.\"\"\"

    def __init__(self, main, shortcut):
        super().__init__()
        self.main, self.shortcut = main, shortcut

    def forward(self, x):
        return self.main(x) + self.shortcut(x)
";

const BRANCHES: &str = "\
class Branches(nn.ModuleList):
    \"\"\"Several paths, whose channels are concatenated.\"\"\"

    def forward(self, x):
        return torch.cat([branch(x) for branch in self], 1)
";

const AVERAGE: &str = "\
class PaddedAverage(nn.Module):
    \"\"\"The mean of each window over the pixels inside the image; `pad`: left, right, top, bottom.\"\"\"

    def __init__(self, kernel, stride, pad):
        super().__init__()
        self.kernel, self.stride, self.pad = kernel, stride, pad

    def forward(self, x):
        total, inside = (F.pad(each, self.pad) for each in (x, torch.ones_like(x)))
        return F.avg_pool2d(total, self.kernel, self.stride) / F.avg_pool2d(inside, self.kernel, self.stride)
";

impl Writer<'_> {
    /// Writes the modules of a sequence. `ends_as_image`: what comes out must have a height and a width.
    fn sequence(&mut self, steps: &[LayerStep], name: &str, shape: &mut Shape, ends_as_image: bool) -> Vec<String> {
        let mut modules = Vec::new();
        for step in steps {
            self.step(step, name, shape, &mut modules);
        }
        if ends_as_image {
            unflatten(shape, &mut modules);
        }
        modules
    }

    fn step(&mut self, step: &LayerStep, name: &str, shape: &mut Shape, modules: &mut Vec<String>) {
        match step {
            LayerStep::Conv { conv, weights, bias, activation } => {
                let has_bias = bias.is_some();
                if self.plan.parameters[*weights].shape.len() == 2 {
                    if !shape.is_flat {
                        modules.push("nn.Flatten()".into());
                    }
                    let name = format!("{name}.{}", modules.len());
                    modules.push(format!("nn.Linear({}, {})", conv.input, conv.output));
                    let inputs = shape.image;
                    self.dense(&format!("{name}.weight"), *weights, inputs, conv.output);
                    (shape.image, shape.is_flat) = ([1, 1, conv.output], true);
                    self.vector(&name, "bias", *bias);
                } else {
                    unflatten(shape, modules);
                    let padding = pad(&conv.window, modules);
                    let name = format!("{name}.{}", modules.len());
                    modules.push(format!(
                        "nn.Conv2d({}, {}, {}, stride={}{padding}{})",
                        conv.input,
                        conv.output,
                        pair(conv.window.kernel),
                        conv.window.stride,
                        if has_bias { "" } else { ", bias=False" },
                    ));
                    self.kernel(&format!("{name}.weight"), *weights, conv.window.kernel, conv.input, conv.output);
                    let [rows, columns] = conv.window.out;
                    shape.image = [rows, columns, conv.output];
                    self.vector(&name, "bias", *bias);
                }
                activate(*activation, modules);
            }
            LayerStep::Depthwise { window, channels, weights } => {
                unflatten(shape, modules);
                let padding = pad(window, modules);
                let name = format!("{name}.{}", modules.len());
                modules.push(format!(
                    "nn.Conv2d({channels}, {channels}, {}, stride={}{padding}, groups={channels}, bias=False)",
                    pair(window.kernel),
                    window.stride
                ));
                self.kernel(&format!("{name}.weight"), *weights, window.kernel, 1, *channels);
                shape.image = [window.out[0], window.out[1], *channels];
            }
            LayerStep::BatchNorm { norm, activation } => {
                let name = format!("{name}.{}", modules.len());
                let kind = if shape.is_flat { "BatchNorm1d" } else { "BatchNorm2d" };
                let (epsilon, momentum) = (norm.epsilon, 1.0 - norm.momentum);
                modules.push(format!("nn.{kind}({}, eps={epsilon:?}, momentum={momentum:?})", norm.channels));
                self.norm(&name, norm);
                activate(*activation, modules);
            }
            LayerStep::MaxPool { window, channels } => {
                unflatten(shape, modules);
                modules.push(format!("nn.MaxPool2d({}, {})", pair(window.kernel), window.stride));
                shape.image = [window.out[0], window.out[1], *channels];
            }
            LayerStep::AveragePool { window, channels } => {
                unflatten(shape, modules);
                modules.push(match sides(window) {
                    [0, 0, 0, 0] => format!("nn.AvgPool2d({}, {})", pair(window.kernel), window.stride),
                    [left, right, top, bottom] => {
                        self.need(AVERAGE);
                        let (kernel, stride) = (pair(window.kernel), window.stride);
                        format!("PaddedAverage({kernel}, {stride}, ({left}, {right}, {top}, {bottom}))")
                    }
                });
                shape.image = [window.out[0], window.out[1], *channels];
            }
            LayerStep::GlobalAverage { channels, .. } => {
                unflatten(shape, modules);
                modules.push("nn.AdaptiveAvgPool2d(1)".into());
                shape.image = [1, 1, *channels];
            }
            LayerStep::Dropout { rate, .. } => modules.push(format!("nn.Dropout({rate:?})")),
            LayerStep::Residual { main, shortcut } => {
                unflatten(shape, modules);
                self.need(RESIDUAL);
                let name = format!("{name}.{}", modules.len());
                let before = shape.image;
                let mut ways = Vec::new();
                for (way, steps) in [("main", main), ("shortcut", shortcut)] {
                    shape.image = before;
                    ways.push(sequential(&self.sequence(steps, &format!("{name}.{way}"), shape, true)));
                }
                modules.push(format!("Residual({})", list(&ways, 0)));
            }
            LayerStep::Branches { branches, .. } => {
                unflatten(shape, modules);
                self.need(BRANCHES);
                let name = format!("{name}.{}", modules.len());
                let (before, mut channels, mut ways) = (shape.image, 0, Vec::new());
                for (number, steps) in branches.iter().enumerate() {
                    shape.image = before;
                    ways.push(sequential(&self.sequence(steps, &format!("{name}.{number}"), shape, true)));
                    channels += shape.image[2];
                }
                shape.image[2] = channels;
                modules.push(format!("Branches([{}])", list(&ways, 0)));
            }
        }
    }

    fn need(&mut self, helper: &'static str) {
        if !self.helpers.contains(&helper) {
            self.helpers.push(helper);
        }
    }

    /// Adds `[rows, columns, input, output]` as `[output, input, rows, columns]`.
    fn kernel(&mut self, name: &str, number: usize, [rows, columns]: [usize; 2], input: usize, output: usize) {
        let from = &self.values[number];
        let mut values = Vec::with_capacity(from.len());
        for o in 0..output {
            for i in 0..input {
                values.extend((0..rows * columns).map(|tap| from[(tap * input + i) * output + o]));
            }
        }
        self.tensors.push((name.into(), vec![output, input, rows, columns], values));
    }

    /// Adds `[row, column and channel, output]` as `[output, channel, row and column]`.
    fn dense(&mut self, name: &str, number: usize, [rows, columns, channels]: [usize; 3], output: usize) {
        let from = &self.values[number];
        let mut values = Vec::with_capacity(from.len());
        for o in 0..output {
            for c in 0..channels {
                values.extend((0..rows * columns).map(|pixel| from[(pixel * channels + c) * output + o]));
            }
        }
        self.tensors.push((name.into(), vec![output, rows * columns * channels], values));
    }

    fn vector(&mut self, name: &str, what: &str, number: Option<usize>) {
        if let Some(number) = number {
            let values = self.values[number].clone();
            self.tensors.push((format!("{name}.{what}"), vec![values.len()], values));
        }
    }

    fn norm(&mut self, name: &str, norm: &Norm) {
        match norm.gamma {
            Some(_) => self.vector(name, "weight", norm.gamma),
            None => self.tensors.push((format!("{name}.weight"), vec![norm.channels], vec![1.0; norm.channels])),
        }
        let others = [("bias", norm.beta), ("running_mean", norm.mean), ("running_var", norm.variance)];
        others.into_iter().for_each(|(what, number)| self.vector(name, what, Some(number)));
    }
}

/// Gives a flat shape height and width again.
fn unflatten(shape: &mut Shape, modules: &mut Vec<String>) {
    if shape.is_flat {
        modules.push(format!("nn.Unflatten(1, ({}, 1, 1))", shape.image[2]));
        shape.is_flat = false;
    }
}

/// Returns the padding to the left, right, top and bottom.
fn sides(window: &Window) -> [usize; 4] {
    let after = |d: usize| usize::try_from(window.after(d)).unwrap_or(0);
    [window.before[1], after(1), window.before[0], after(0)]
}

/// Returns a convolution's padding argument; padding that differs between sides is a module before it.
fn pad(window: &Window, modules: &mut Vec<String>) -> String {
    match sides(window) {
        [0, 0, 0, 0] => String::new(),
        [left, right, top, bottom] if left == right && top == bottom => format!(", padding={}", pair([top, left])),
        [left, right, top, bottom] => {
            modules.push(format!("nn.ZeroPad2d(({left}, {right}, {top}, {bottom}))"));
            String::new()
        }
    }
}

fn activate(activation: Activation, modules: &mut Vec<String>) {
    match activation {
        Activation::None => {}
        Activation::Relu => modules.push("nn.ReLU()".into()),
        Activation::Relu6 => modules.push("nn.ReLU6()".into()),
    }
}

fn pair([rows, columns]: [usize; 2]) -> String {
    if rows == columns { rows.to_string() } else { format!("({rows}, {columns})") }
}

fn sequential(modules: &[String]) -> String {
    match modules {
        [] => "nn.Sequential()".into(),
        modules => format!("nn.Sequential({})", list(modules, 0)),
    }
}

/// Writes arguments, one to a line, whose closing bracket is at a column.
fn list(items: &[String], column: usize) -> String {
    let indent = |item: &String| item.replace('\n', &format!("\n{:column$}    ", ""));
    let items: String = items.iter().map(|item| format!("{:column$}    {},\n", "", indent(item))).collect();
    format!("\n{items}{:column$}", "")
}

/// Writes a string literal, which Python reads as JSON does.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
