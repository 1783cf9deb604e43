//! A 3x3 convolution with bias and ReLU, forwards and backwards.

use super::{LANES, im2col, winograd};

/// The sizes of a 3x3 convolution of stride 1. Images are `[batch, height, width, input]`, weights
/// `[3 * 3 * input, output]`, in the order row, column, channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) batch: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) input: usize,
    pub(crate) output: usize,
    /// Zeros around the image: 1 keeps its size, 0 takes 2 from it.
    pub(crate) pad: usize,
}

impl Shape {
    pub(crate) fn out_height(&self) -> usize {
        self.height + 2 * self.pad - 2
    }

    pub(crate) fn out_width(&self) -> usize {
        self.width + 2 * self.pad - 2
    }

    pub(crate) fn inputs(&self) -> usize {
        self.batch * self.height * self.width * self.input
    }

    pub(crate) fn outputs(&self) -> usize {
        self.batch * self.out_height() * self.out_width() * self.output
    }

    pub(crate) fn weights(&self) -> usize {
        9 * self.input * self.output
    }

    /// Winograd's way needs whole vectors of channels; with few channels its transforms cost more than they save.
    fn suits_winograd(&self) -> bool {
        self.input.is_multiple_of(LANES) && self.output.is_multiple_of(LANES)
    }
}

/// `relu(conv(x, w) + b)`, `[batch, out_height, out_width, output]`.
pub(crate) fn forward(shape: &Shape, x: &[f32], w: &[f32], b: &[f32]) -> Vec<f32> {
    let mut y = vec![0.0; shape.outputs()];
    if shape.suits_winograd() {
        winograd::forward(shape, x, w, b, &mut y)
    } else {
        im2col::forward(shape, x, w, b, &mut y)
    }
    y
}

/// What [`backward`] returns.
pub(crate) struct Gradients {
    /// By the input; absent when it was not asked for.
    pub(crate) x: Option<Vec<f32>>,
    pub(crate) w: Vec<f32>,
    pub(crate) b: Vec<f32>,
}

/// The gradients of [`forward`] whose output was `y`, given the gradient by the output.
pub(crate) fn backward(shape: &Shape, x: &[f32], w: &[f32], y: &[f32], dy: &[f32], wants_x: bool) -> Gradients {
    let mut gradients = Gradients {
        x: wants_x.then(|| vec![0.0; shape.inputs()]),
        w: vec![0.0; shape.weights()],
        b: vec![0.0; shape.output],
    };
    if shape.suits_winograd() {
        winograd::backward(shape, x, w, y, dy, &mut gradients);
    } else {
        im2col::backward(shape, x, w, y, dy, &mut gradients);
    }
    gradients
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seven loops, in f64.
    fn naive(shape: &Shape, x: &[f32], w: &[f32], b: &[f32]) -> Vec<f64> {
        let (oh, ow) = (shape.out_height(), shape.out_width());
        let mut y = vec![0.0; shape.outputs()];
        for_each_product(shape, |xi, wi, yi| y[yi] += f64::from(x[xi]) * f64::from(w[wi]));
        for (i, value) in y.iter_mut().enumerate() {
            *value = (*value + f64::from(b[i % shape.output])).max(0.0);
        }
        assert_eq!(y.len(), shape.batch * oh * ow * shape.output);
        y
    }

    fn for_each_product(shape: &Shape, mut visit: impl FnMut(usize, usize, usize)) {
        let (oh, ow) = (shape.out_height(), shape.out_width());
        for n in 0..shape.batch {
            for i in 0..oh {
                for j in 0..ow {
                    for (r, s) in (0..9).map(|t| (t / 3, t % 3)) {
                        let (row, column) = ((i + r).wrapping_sub(shape.pad), (j + s).wrapping_sub(shape.pad));
                        if row >= shape.height || column >= shape.width {
                            continue;
                        }
                        for c in 0..shape.input {
                            for o in 0..shape.output {
                                visit(
                                    ((n * shape.height + row) * shape.width + column) * shape.input + c,
                                    ((r * 3 + s) * shape.input + c) * shape.output + o,
                                    ((n * oh + i) * ow + j) * shape.output + o,
                                );
                            }
                        }
                    }
                }
            }
        }
    }

    /// Numbers in -0.5..0.5 without a pattern.
    fn numbers(count: usize, salt: u32) -> Vec<f32> {
        let mut state = salt.wrapping_mul(2_654_435_761).max(1);
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as f32 / u32::MAX as f32 - 0.5
        };
        (0..count).map(|_| next()).collect()
    }

    fn close(found: &[f32], expected: &[f64], what: &str) {
        let scale = expected.iter().fold(1.0f64, |largest, value| largest.max(value.abs()));
        for (i, (&found, &expected)) in found.iter().zip(expected).enumerate() {
            assert!((f64::from(found) - expected).abs() < 2e-5 * scale, "{what} {i}: {found} {expected}");
        }
        assert_eq!(found.len(), expected.len(), "{what}");
    }

    #[test]
    fn both_ways_agree_with_plain_loops() {
        for (height, width, pad) in [(8, 8, 1), (7, 9, 1), (9, 6, 0), (3, 3, 0), (5, 4, 0), (2, 3, 1), (20, 21, 1)] {
            for (input, output) in [(1, 16), (3, 32), (16, 32), (32, 16), (5, 7), (48, 16)] {
                let shape = Shape { batch: 3, height, width, input, output, pad };
                let (x, w) = (numbers(shape.inputs(), 1), numbers(shape.weights(), 2));
                let (b, dy) = (numbers(output, 3), numbers(shape.outputs(), 4));
                let y = forward(&shape, &x, &w, &b);
                close(&y, &naive(&shape, &x, &w, &b), &format!("{shape:?} y"));

                let mut dx = vec![0.0; x.len()];
                let mut dw = vec![0.0; w.len()];
                let mut db = vec![0.0; output];
                let masked: Vec<f64> =
                    y.iter().zip(&dy).map(|(&y, &dy)| if y > 0.0 { f64::from(dy) } else { 0.0 }).collect();
                for_each_product(&shape, |xi, wi, yi| {
                    dx[xi] += f64::from(w[wi]) * masked[yi];
                    dw[wi] += f64::from(x[xi]) * masked[yi];
                });
                masked.iter().enumerate().for_each(|(i, value)| db[i % output] += value);
                let found = backward(&shape, &x, &w, &y, &dy, true);
                close(found.x.as_deref().unwrap(), &dx, &format!("{shape:?} dx"));
                close(&found.w, &dw, &format!("{shape:?} dw"));
                close(&found.b, &db, &format!("{shape:?} db"));
                assert!(backward(&shape, &x, &w, &y, &dy, false).x.is_none());
            }
        }
    }
}
