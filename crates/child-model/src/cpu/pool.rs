//! 2x2 max-pooling of stride 2.

use super::for_every_instruction_set;

/// The sizes of the input, `[batch, height, width, channels]`; an odd last row or column is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) batch: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) channels: usize,
}

impl Shape {
    pub(crate) fn inputs(&self) -> usize {
        self.batch * self.height * self.width * self.channels
    }

    pub(crate) fn outputs(&self) -> usize {
        self.batch * (self.height / 2) * (self.width / 2) * self.channels
    }

    /// Where the four inputs of an output pixel start.
    #[inline(always)]
    fn window(&self, pixel: usize) -> [usize; 4] {
        let (height, width) = (self.height / 2, self.width / 2);
        let (image, i, j) = (pixel / (height * width), pixel / width % height, pixel % width);
        let first = ((image * self.height + 2 * i) * self.width + 2 * j) * self.channels;
        let below = first + self.width * self.channels;
        [first, first + self.channels, below, below + self.channels]
    }
}

/// The maximum over each window.
pub(crate) fn forward(shape: &Shape, x: &[f32]) -> Vec<f32> {
    let mut y = vec![0.0; shape.outputs()];
    maxima(shape, x, &mut y);
    y
}

/// The gradient of [`forward`] by `x`; of equal maxima the first has it.
pub(crate) fn backward(shape: &Shape, x: &[f32], dy: &[f32]) -> Vec<f32> {
    let mut dx = vec![0.0; shape.inputs()];
    scatter(shape, x, dy, &mut dx);
    dx
}

for_every_instruction_set! {
    fn maxima(shape: &Shape, x: &[f32], y: &mut [f32]) {
        for (pixel, y) in y.chunks_exact_mut(shape.channels).enumerate() {
            let [a, b, c, d] = shape.window(pixel).map(|start| &x[start..start + y.len()]);
            for i in 0..y.len() {
                y[i] = a[i].max(b[i]).max(c[i].max(d[i]));
            }
        }
    }
}

for_every_instruction_set! {
    fn scatter(shape: &Shape, x: &[f32], dy: &[f32], dx: &mut [f32]) {
        for (pixel, dy) in dy.chunks_exact(shape.channels).enumerate() {
            let starts = shape.window(pixel);
            let [a, b, c, d] = starts.map(|start| &x[start..start + dy.len()]);
            let (above, below) = dx[starts[0]..].split_at_mut(starts[2] - starts[0]);
            let (da, db) = above[..2 * dy.len()].split_at_mut(dy.len());
            let (dc, dd) = below[..2 * dy.len()].split_at_mut(dy.len());
            for i in 0..dy.len() {
                let most = a[i].max(b[i]).max(c[i].max(d[i]));
                let (in_a, in_b, in_c) = (a[i] == most, b[i] == most, c[i] == most);
                da[i] = if in_a { dy[i] } else { 0.0 };
                db[i] = if !in_a & in_b { dy[i] } else { 0.0 };
                dc[i] = if !in_a & !in_b & in_c { dy[i] } else { 0.0 };
                dd[i] = if !in_a & !in_b & !in_c { dy[i] } else { 0.0 };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_maximum_of_each_window_has_the_gradient() {
        // Two windows of two channels; the last row and column are left out.
        let shape = Shape { batch: 1, height: 3, width: 5, channels: 1 };
        let x = [1.0, 5.0, 7.0, 7.0, 9.0, 2.0, 3.0, 7.0, 0.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0];
        assert_eq!(forward(&shape, &x), [5.0, 7.0]);
        let dx = backward(&shape, &x, &[20.0, 300.0]);
        let mut expected = vec![0.0; 15];
        (expected[1], expected[2]) = (20.0, 300.0);
        assert_eq!(dx, expected);
    }

    #[test]
    fn channels_and_images_do_not_mix() {
        let shape = Shape { batch: 2, height: 4, width: 2, channels: 3 };
        let x: Vec<f32> = (0..shape.inputs()).map(|i| ((i * 37) % 101) as f32).collect();
        let dy: Vec<f32> = (0..shape.outputs()).map(|i| i as f32 + 1.0).collect();
        let (y, dx) = (forward(&shape, &x), backward(&shape, &x, &dy));
        for image in 0..2 {
            for row in 0..2 {
                for channel in 0..3 {
                    let at = |r: usize, c: usize| ((image * 4 + 2 * row + r) * 2 + c) * 3 + channel;
                    let window = [at(0, 0), at(0, 1), at(1, 0), at(1, 1)];
                    let output = (image * 2 + row) * 3 + channel;
                    let most = window.iter().map(|&i| x[i]).fold(0.0, f32::max);
                    assert_eq!(y[output], most);
                    for i in window {
                        assert_eq!(dx[i], if x[i] == most { dy[output] } else { 0.0 });
                    }
                }
            }
        }
    }
}
