//! Turns a list of layers and the shape of the images into the steps that run, with every shape known and every
//! parameter numbered.

use super::layers::Layer;
use crate::geometry::{Activation, Conv, Padding, Window};

/// Limits on the channels or units of a layer, on its window size and stride in pixels, and on the values of a
/// net, its own and those it makes of one image. All are far beyond practical use: a typo must not exhaust memory.
const MAX_CHANNELS: usize = 1 << 16;
const MAX_PIXELS: usize = 1 << 10;
const MAX_VALUES: usize = 1 << 30;

/// One step of a net. Numbers identify parameters.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum LayerStep {
    Conv {
        conv: Conv,
        weights: usize,
        bias: Option<usize>,
        activation: Activation,
    },
    Depthwise {
        window: Window,
        channels: usize,
        weights: usize,
    },
    BatchNorm {
        norm: Norm,
        activation: Activation,
    },
    MaxPool {
        window: Window,
        channels: usize,
    },
    AveragePool {
        window: Window,
        channels: usize,
    },
    GlobalAverage {
        pixels: usize,
        channels: usize,
    },
    /// The layer is counted from 0 among the dropout layers of the net.
    Dropout {
        rate: f32,
        layer: usize,
    },
    Residual {
        main: Vec<LayerStep>,
        shortcut: Vec<LayerStep>,
    },
    Branches {
        branches: Vec<Vec<LayerStep>>,
        pixels: usize,
        channels: Vec<usize>,
    },
}

/// A batch normalisation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Norm {
    pub(crate) pixels: usize,
    pub(crate) channels: usize,
    pub(crate) gamma: Option<usize>,
    pub(crate) beta: usize,
    pub(crate) mean: usize,
    pub(crate) variance: usize,
    pub(crate) momentum: f32,
    pub(crate) epsilon: f32,
}

/// How a parameter is initialised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// Uniform in ±sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio 2010, equation 16).
    Glorot {
        fan_in: usize,
        fan_out: usize,
    },
    Zeros,
    Ones,
}

/// A parameter of the net, for one child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parameter {
    /// Unique in its net: `3.conv.weights`.
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) start: Start,
    /// Whether it is learnt; the moving statistics of a batch normalisation are not.
    pub(crate) trainable: bool,
}

impl Parameter {
    pub(crate) fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Returns the fans of randomly initialised weights.
    #[cfg(test)]
    pub(super) fn fans(&self) -> (usize, usize) {
        match self.start {
            Start::Glorot { fan_in, fan_out } => (fan_in, fan_out),
            Start::Zeros | Start::Ones => (0, 0),
        }
    }

    /// Whether weight decay applies: to factors, not to offsets and the like.
    pub(crate) fn decays(&self) -> bool {
        matches!(self.start, Start::Glorot { .. })
    }
}

/// A net for images of one shape.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    pub(crate) steps: Vec<LayerStep>,
    pub(crate) parameters: Vec<Parameter>,
    /// `[height, width, channels]` of an image.
    pub(crate) image: [usize; 3],
    pub(crate) classes: usize,
    pub(crate) dropouts: usize,
    /// Maximum number of floats that one image leaves behind for the backward pass.
    pub(crate) activations: usize,
    /// Number of floats of the largest map of an image.
    pub(crate) largest: usize,
}

impl Plan {
    /// Plans a net of these layers and a last dense one with one logit per class.
    ///
    /// # Errors
    /// A sentence that names the layer and what is wrong with it.
    pub(crate) fn new(layers: &[Layer], image: [usize; 3], classes: usize) -> Result<Self, String> {
        let mut planner =
            Planner { activations: image.iter().product(), largest: image.iter().product(), ..Planner::default() };
        let (mut steps, shape) = planner.sequence(layers, image)?;
        steps.extend(planner.layer(&Layer::Dense { units: classes, activation: Activation::None }, shape)?.0);
        let Planner { parameters, dropouts, activations, largest, .. } = planner;
        Ok(Self { steps, parameters, image, classes, dropouts, activations, largest })
    }

    /// Plans a single layer, and returns the shape of its output.
    pub(crate) fn of_layer(layer: &Layer, image: [usize; 3]) -> Result<(Self, [usize; 3]), String> {
        let mut planner = Planner::default();
        let (step, out) = planner.layer(layer, image)?;
        let Planner { parameters, dropouts, activations, largest, .. } = planner;
        let steps = step.into_iter().collect();
        Ok((Self { steps, parameters, image, classes: out[2], dropouts, activations, largest }, out))
    }

    /// Returns the number of learnt values.
    pub(crate) fn trainable(&self) -> usize {
        self.parameters.iter().filter(|p| p.trainable).map(Parameter::len).sum()
    }
}

#[derive(Default)]
struct Planner {
    parameters: Vec<Parameter>,
    layers: usize,
    dropouts: usize,
    activations: usize,
    largest: usize,
}

impl Planner {
    fn sequence(&mut self, layers: &[Layer], mut shape: [usize; 3]) -> Result<(Vec<LayerStep>, [usize; 3]), String> {
        let mut steps = Vec::with_capacity(layers.len());
        for layer in layers {
            let (step, after) = self.layer(layer, shape)?;
            steps.extend(step);
            shape = after;
        }
        Ok((steps, shape))
    }

    fn parameter(&mut self, name: &str, shape: &[usize], start: Start, trainable: bool) -> usize {
        let name = format!("{}.{name}", self.layers - 1);
        self.parameters.push(Parameter { name, shape: shape.into(), start, trainable });
        self.parameters.len() - 1
    }

    fn layer(&mut self, layer: &Layer, shape: [usize; 3]) -> Result<(Option<LayerStep>, [usize; 3]), String> {
        let [height, width, channels] = shape;
        self.layers += 1;
        let number = self.layers;
        let wrong = |why: String| Err(format!("layer {number} ({}): {why}", kind(layer)));
        let moved = |kernel: [usize; 2], stride: usize, padding: Padding| {
            if kernel.iter().chain([&stride]).any(|&pixels| pixels > MAX_PIXELS) {
                let why = format!("sizes and strides must be at most {MAX_PIXELS}");
                return Err(format!("layer {number} ({}): {why}", kind(layer)));
            }
            if kernel.contains(&0) || stride == 0 {
                return Err(format!("layer {number} ({}): sizes and strides must be at least 1", kind(layer)));
            }
            Window::new([height, width], kernel, stride, padding).ok_or_else(|| {
                let [rows, columns] = kernel;
                let why = format!("its {rows}x{columns} window does not fit the {height}x{width} pixels that reach it");
                format!("layer {number} ({}): {why}", kind(layer))
            })
        };
        let (step, after, kept) = match layer {
            Layer::Conv { filters, kernel, stride, padding, bias, activation } => {
                if *filters == 0 || *filters > MAX_CHANNELS {
                    return wrong(format!("its filters must be in 1..{MAX_CHANNELS}, not {filters}"));
                }
                let window = moved(kernel.pair(), *stride, *padding)?;
                let [rows, columns] = window.kernel;
                let start = Start::Glorot { fan_in: window.taps() * channels, fan_out: window.taps() * filters };
                let weights = self.parameter("conv.weights", &[rows, columns, channels, *filters], start, true);
                let bias = bias.then(|| self.parameter("conv.bias", &[*filters], Start::Zeros, true));
                let conv = Conv { window, input: channels, output: *filters };
                let [rows, columns] = window.out;
                let step = LayerStep::Conv { conv, weights, bias, activation: *activation };
                (step, [rows, columns, *filters], 1)
            }
            Layer::Depthwise { kernel, stride, padding } => {
                let window = moved(kernel.pair(), *stride, *padding)?;
                let [rows, columns] = window.kernel;
                // As in Keras: each channel is an input, with one output per channel.
                let start = Start::Glorot { fan_in: window.taps() * channels, fan_out: window.taps() };
                let weights = self.parameter("depthwise.weights", &[rows, columns, channels], start, true);
                (LayerStep::Depthwise { window, channels, weights }, [window.out[0], window.out[1], channels], 1)
            }
            Layer::BatchNorm { momentum, epsilon, scale, activation } => {
                if !((0.0..1.0).contains(momentum) && *epsilon > 0.0 && epsilon.is_finite()) {
                    return wrong("momentum must be in 0..1 and epsilon above 0".into());
                }
                let gamma = scale.then(|| self.parameter("batch-norm.gamma", &[channels], Start::Ones, true));
                let beta = self.parameter("batch-norm.beta", &[channels], Start::Zeros, true);
                let mean = self.parameter("batch-norm.mean", &[channels], Start::Zeros, false);
                let variance = self.parameter("batch-norm.variance", &[channels], Start::Ones, false);
                let (momentum, epsilon) = (*momentum, *epsilon);
                let norm = Norm { pixels: height * width, channels, gamma, beta, mean, variance, momentum, epsilon };
                (LayerStep::BatchNorm { norm, activation: *activation }, shape, 1)
            }
            Layer::MaxPool { size, stride } => {
                let window = moved([*size; 2], *stride, Padding::Valid)?;
                (LayerStep::MaxPool { window, channels }, [window.out[0], window.out[1], channels], 1)
            }
            Layer::AveragePool { size, stride, padding } => {
                let window = moved([*size; 2], *stride, *padding)?;
                (LayerStep::AveragePool { window, channels }, [window.out[0], window.out[1], channels], 0)
            }
            Layer::GlobalAverage {} => {
                (LayerStep::GlobalAverage { pixels: height * width, channels }, [1, 1, channels], 0)
            }
            Layer::Dropout { rate } => {
                if !(0.0..1.0).contains(rate) {
                    return wrong(format!("rate must be at least 0 and below 1, not {rate}"));
                }
                if *rate == 0.0 {
                    return Ok((None, shape));
                }
                self.dropouts += 1;
                (LayerStep::Dropout { rate: *rate, layer: self.dropouts - 1 }, shape, 1)
            }
            Layer::Dense { units, activation } => {
                if *units == 0 || *units > MAX_CHANNELS {
                    return wrong(format!("its units must be in 1..{MAX_CHANNELS}, not {units}"));
                }
                let input = height * width * channels;
                let start = Start::Glorot { fan_in: input, fan_out: *units };
                let weights = self.parameter("dense.weights", &[input, *units], start, true);
                let bias = Some(self.parameter("dense.bias", &[*units], Start::Zeros, true));
                let conv = Conv { window: Window::point(), input, output: *units };
                (LayerStep::Conv { conv, weights, bias, activation: *activation }, [1, 1, *units], 1)
            }
            Layer::Residual { layers, shortcut } => {
                let (main, after) = self.sequence(layers, shape)?;
                let (shortcut, other) = self.sequence(shortcut, shape)?;
                if after != other {
                    return wrong(format!("its two paths end in {after:?} and {other:?}, which cannot be added"));
                }
                (LayerStep::Residual { main, shortcut }, after, 1)
            }
            Layer::Branches { branches } => {
                let ways: Vec<_> = branches.iter().map(|way| self.sequence(way, shape)).collect::<Result<_, _>>()?;
                let Some(&(_, [rows, columns, _])) = ways.first() else {
                    return wrong("it has no branches".into());
                };
                if let Some((_, other)) = ways.iter().find(|(_, other)| other[..2] != [rows, columns]) {
                    return wrong(format!(
                        "its branches end in {:?} and {other:?}, which do not fit together",
                        ways[0].1
                    ));
                }
                let channels: Vec<usize> = ways.iter().map(|(_, shape)| shape[2]).collect();
                let total = channels.iter().sum();
                let branches = ways.into_iter().map(|(steps, _)| steps).collect();
                (LayerStep::Branches { branches, pixels: rows * columns, channels }, [rows, columns, total], 1)
            }
        };
        let map = after.iter().product::<usize>();
        self.activations += kept * map;
        self.largest = self.largest.max(map);
        let values = self.parameters.iter().map(Parameter::len).sum::<usize>().saturating_add(self.activations);
        if values > MAX_VALUES {
            return wrong(format!("with it the net has {values} values, too many for memory"));
        }
        Ok((Some(step), after))
    }
}

fn kind(layer: &Layer) -> &'static str {
    match layer {
        Layer::Conv { .. } => "conv",
        Layer::Depthwise { .. } => "depthwise",
        Layer::BatchNorm { .. } => "batch-norm",
        Layer::MaxPool { .. } => "max-pool",
        Layer::AveragePool { .. } => "average-pool",
        Layer::GlobalAverage {} => "global-average",
        Layer::Dropout { .. } => "dropout",
        Layer::Dense { .. } => "dense",
        Layer::Residual { .. } => "residual",
        Layer::Branches { .. } => "branches",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_padding_is_tensorflows() {
        let window = |side, kernel, stride| Window::new([side; 2], [kernel; 2], stride, Padding::Same).unwrap();
        let found = |w: Window| (w.before[0], w.after(0), w.out[0]);
        assert_eq!(found(window(32, 3, 1)), (1, 1, 32));
        assert_eq!(found(window(32, 3, 2)), (0, 1, 16));
        assert_eq!(found(window(33, 3, 2)), (1, 1, 17));
        assert_eq!(found(window(32, 1, 2)), (0, -1, 16));
        assert_eq!(Window::new([2, 9], [3, 3], 1, Padding::Valid), None);
    }

    #[test]
    fn a_wrong_layer_is_named() {
        let error = |text: &str| {
            #[derive(serde::Deserialize)]
            struct File {
                layers: Vec<Layer>,
            }
            let file: File = toml::from_str(text).unwrap();
            Plan::new(&file.layers, [8, 8, 3], 10).unwrap_err()
        };
        assert_eq!(
            error(
                r#"layers = [{ kind = "max-pool", size = 4, stride = 4 }, { kind = "conv", filters = 4, padding = "valid" }]"#
            ),
            "layer 2 (conv): its 3x3 window does not fit the 2x2 pixels that reach it"
        );
        assert!(
            error(r#"layers = [{ kind = "residual", layers = [{ kind = "conv", filters = 4 }] }]"#)
                .starts_with("layer 1 (residual): its two paths end in [8, 8, 4] and [8, 8, 3]")
        );
        assert!(error(r#"layers = [{ kind = "conv", filters = 100000000 }]"#).contains("filters must be in 1..65536"));
        let wide = r#"layers = [{ kind = "conv", filters = 65536, kernel = 9 }, { kind = "conv", filters = 65536, kernel = 9 }]"#;
        assert!(error(wide).starts_with("layer 2 (conv): with it the net has"));
        assert!(error(r#"layers = [{ kind = "dropout", rate = 1.0 }]"#).contains("rate"));
        assert!(error(r#"layers = [{ kind = "conv", filters = 4, stride = 0 }]"#).contains("at least 1"));
    }
}
