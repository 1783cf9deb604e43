//! Wide residual networks (Zagoruyko & Komodakis 2016): three groups of pre-activated blocks.

use crate::geometry::Activation;
use crate::network::Layer;

/// Two halvings reduce eight pixels to two.
pub(super) const MIN_SIDE: usize = 8;

/// Parses depth and width from `<depth>_<width>`.
pub(super) fn parse(sizes: &str) -> Result<(usize, usize), String> {
    let (depth, width) = sizes.split_once('_').ok_or("it is written wrn_<depth>_<width>, such as wrn_28_10")?;
    let number = |text: &str| text.parse::<usize>().map_err(|_| format!("{text:?} is not a number"));
    let (depth, width) = (number(depth)?, number(width)?);
    // 1,000 layers and a hundred times the channels exceed any memory.
    if depth < 10 || (depth - 4) % 6 != 0 || depth > 1000 {
        return Err(format!("its depth must be 4 more than a multiple of 6, from 10 to 1000, not {depth}"));
    }
    if width == 0 || width > 100 {
        return Err(format!("its width must lie in 1..100, not {width}"));
    }
    Ok((depth, width))
}

pub(super) fn layers(depth: usize, width: usize) -> Vec<Layer> {
    let mut layers = vec![Layer::bare_conv(16, [3, 3], 1)];
    let mut channels = 16;
    for (group, filters) in [16, 32, 64].into_iter().enumerate() {
        for block in 0..(depth - 4) / 6 {
            let stride = if group > 0 && block == 0 { 2 } else { 1 };
            layers.extend(self::block(channels, filters * width, stride));
            channels = filters * width;
        }
    }
    layers.push(Layer::batch_norm(Activation::Relu));
    layers.push(Layer::GlobalAverage {});
    layers
}

/// A block; where its shape changes, the shortcut starts after the first normalisation.
fn block(input: usize, output: usize, stride: usize) -> Vec<Layer> {
    let first = Layer::batch_norm(Activation::Relu);
    let rest = vec![
        Layer::bare_conv(output, [3, 3], stride),
        Layer::batch_norm(Activation::Relu),
        Layer::bare_conv(output, [3, 3], 1),
    ];
    if input == output {
        let layers = [vec![first], rest].concat();
        vec![Layer::Residual { layers, shortcut: Vec::new() }]
    } else {
        let shortcut = vec![Layer::bare_conv(output, [1, 1], stride)];
        vec![first, Layer::Residual { layers: rest, shortcut }]
    }
}
