//! Arrays that are computed when they are needed, so that what follows a convolution can join it: a pool and dropout
//! in the forward pass, the mask of the activation before it in the backward pass. Nothing here outlives a training
//! step without being computed, so parameters may change in place.

use std::cell::RefCell;
use std::rc::Rc;

use super::Gpu;
use super::buffer::Buffer;
use super::direct::{self, Gradient};
use super::elementwise::Dropout;
use super::{elementwise, pool, product, weight_gradient};
use crate::engine::{Batch, Gradients};
use crate::geometry::{Activation, Conv, Window};

/// An array of the engine. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Array(Rc<Node>);

#[derive(Debug)]
struct Node {
    length: usize,
    state: RefCell<State>,
}

#[derive(Debug)]
enum State {
    Ready(Buffer),
    Convolution(Rc<Convolution>),
    /// A convolution that was computed together with the pool and dropout that follow it. It can still be computed
    /// by itself.
    Joined {
        convolution: Rc<Convolution>,
        codes: Buffer,
        dropout: Option<Dropout>,
    },
    MaxPool(MaxPool),
    Dropout {
        x: Array,
        dropout: Dropout,
        children: usize,
    },
    /// The gradient before a max pool whose result was `y`.
    Unpool {
        pool: MaxPool,
        y: Array,
        dy: Array,
    },
    /// The gradient of a convolution's input.
    Input {
        weights: Buffer,
        gradient: Gradient,
        conv: Conv,
        batch: Batch,
    },
}

#[derive(Debug)]
struct Convolution {
    x: Buffer,
    weights: Buffer,
    bias: Option<Buffer>,
    conv: Conv,
    activation: Activation,
    batch: Batch,
}

#[derive(Debug, Clone)]
struct MaxPool {
    x: Array,
    window: Window,
    channels: usize,
    batch: Batch,
}

impl MaxPool {
    /// Whether it can join the convolution before it.
    fn joins(&self) -> bool {
        let Window { kernel, stride, before, image, out } = self.window;
        kernel == [2, 2] && stride == 2 && before == [0, 0] && out == image.map(|side| side / 2)
    }
}

impl Array {
    pub(super) fn ready(buffer: Buffer) -> Self {
        Self(Rc::new(Node { length: buffer.length, state: State::Ready(buffer).into() }))
    }

    fn later(length: usize, state: State) -> Self {
        Self(Rc::new(Node { length, state: state.into() }))
    }

    pub(super) fn length(&self) -> usize {
        self.0.length
    }

    fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// Whether nobody else can ask for its numbers.
    pub(super) fn is_last(&self) -> bool {
        Rc::strong_count(&self.0) == 1
    }

    /// Returns the pool that it is the result of, if that is still to be computed.
    fn pool(&self) -> Option<MaxPool> {
        match &*self.0.state.borrow() {
            State::MaxPool(pool) => Some(pool.clone()),
            _ => None,
        }
    }

    /// Returns its numbers, computed now if they were not before.
    pub(super) fn buffer(&self, gpu: &Gpu) -> Buffer {
        let buffer = match &*self.0.state.borrow() {
            State::Ready(buffer) => return buffer.clone(),
            // Its numbers are not kept: usually nobody asks for them.
            State::Joined { convolution, .. } => return convolution.alone(gpu),
            State::Convolution(convolution) => convolution.alone(gpu),
            State::MaxPool(pool) => pool.compute(gpu, None),
            State::Dropout { x, dropout, children } => match x.pool() {
                Some(pool) => pool.compute(gpu, Some((dropout, *children))),
                None => elementwise::dropout(&gpu.client, &x.buffer(gpu), dropout, *children),
            },
            State::Unpool { pool, y, dy } => {
                let mut y = y.buffer(gpu);
                if y.origins.is_none() {
                    y = pool.alone(gpu);
                }
                pool::max_pool_backward(&gpu.client, &y, &dy.buffer(gpu), &pool.window, pool.channels, pool.batch)
            }
            State::Input { weights, gradient, conv, batch } => {
                direct::backward_input(gpu.place(), weights, gradient, None, conv, *batch)
            }
        };
        *self.0.state.borrow_mut() = State::Ready(buffer.clone());
        buffer
    }
}

impl Convolution {
    fn alone(&self, gpu: &Gpu) -> Buffer {
        let Self { x, weights, bias, conv, activation, batch } = self;
        direct::forward(gpu.place(), [x, weights], bias.as_ref(), conv, *activation, *batch)
    }
}

impl MaxPool {
    /// Computes the pool, and dropout after it, together with the convolution before it if that is still to be
    /// computed.
    fn compute(&self, gpu: &Gpu, dropout: Option<(&Dropout, usize)>) -> Buffer {
        let convolution = match &*self.x.0.state.borrow() {
            State::Convolution(convolution) if self.joins() => Some(convolution.clone()),
            _ => None,
        };
        let Some(convolution) = convolution else {
            let y = self.alone(gpu);
            return dropout.map_or_else(
                || y.clone(),
                |(dropout, children)| elementwise::dropout(&gpu.client, &y, dropout, children),
            );
        };
        let dropout = dropout.map(|(dropout, _)| dropout);
        let Convolution { x, weights, bias, conv, activation, batch } = &*convolution;
        let [y, codes] =
            direct::forward_pooled(gpu.place(), [x, weights], bias.as_ref(), conv, *activation, dropout, *batch);
        let dropout = dropout.cloned();
        *self.x.0.state.borrow_mut() = State::Joined { convolution, codes, dropout };
        y
    }

    fn alone(&self, gpu: &Gpu) -> Buffer {
        pool::max_pool(&gpu.client, &self.x.buffer(gpu), &self.window, self.channels, self.batch)
    }
}

pub(super) fn convolution(
    gpu: &Gpu,
    [x, weights]: [&Array; 2],
    bias: Option<&Array>,
    conv: &Conv,
    activation: Activation,
    batch: Batch,
) -> Array {
    let [x, weights] = [x, weights].map(|array| array.buffer(gpu));
    let bias = bias.map(|bias| bias.buffer(gpu));
    if !direct::fits(gpu.place(), conv, batch) {
        let bias = bias.as_ref();
        return Array::ready(product::forward(&gpu.client, [&x, &weights], bias, conv, activation, batch));
    }
    let length = batch.children * batch.images * conv.window.out_pixels() * conv.output;
    Array::later(length, State::Convolution(Rc::new(Convolution { x, weights, bias, conv: *conv, activation, batch })))
}

pub(super) fn convolution_backward(
    gpu: &Gpu,
    [x, weights, y]: [&Array; 3],
    dy: Array,
    conv: &Conv,
    activation: Activation,
    wants_x: bool,
    batch: Batch,
) -> Gradients<Array> {
    let [x, weights] = [x, weights].map(|array| array.buffer(gpu));
    let gradient = joined_gradient(gpu, y, &dy).unwrap_or_else(|| Gradient::Map(masked(gpu, y, dy, activation)));
    if !direct::fits(gpu.place(), conv, batch) {
        let Gradient::Map(dy) = gradient else { unreachable!("only what fits is joined") };
        let found = product::backward(&gpu.client, [&x, &weights, &dy], conv, wants_x, batch);
        return Gradients {
            x: found.x.map(Array::ready),
            weights: Array::ready(found.weights),
            bias: found.bias.map(Array::ready),
        };
    }
    let [dw, db] = weight_gradient::weight_gradient(&gpu.client, &x, &gradient, conv, batch);
    let length = batch.children * batch.images * conv.window.in_pixels() * conv.input;
    let dx = wants_x.then(|| Array::later(length, State::Input { weights, gradient, conv: *conv, batch }));
    Gradients { x: dx, weights: Array::ready(dw), bias: Some(Array::ready(db)) }
}

/// Returns the gradient of a convolution that was computed with what follows it; nothing if it was not.
fn joined_gradient(gpu: &Gpu, y: &Array, dy: &Array) -> Option<Gradient> {
    let (y_state, dy_state) = (y.0.state.borrow(), dy.0.state.borrow());
    let (State::Joined { codes, dropout, .. }, State::Unpool { pool, dy, .. }) = (&*y_state, &*dy_state) else {
        return None;
    };
    if !pool.x.is(y) {
        return None;
    }
    let codes = codes.clone();
    let Some(dropout) = dropout else {
        return Some(Gradient::Pooled { dy: dy.buffer(gpu), codes, scale: 1.0 });
    };
    // The codes know what was dropped.
    let inner = match &*dy.0.state.borrow() {
        State::Dropout { x, dropout: same, .. } if same.first == dropout.first => x.clone(),
        _ => return None,
    };
    Some(Gradient::Pooled { dy: inner.buffer(gpu), codes, scale: dropout.scale() })
}

/// Returns the gradient before an activation whose result was `y`.
fn masked(gpu: &Gpu, y: &Array, dy: Array, activation: Activation) -> Buffer {
    if activation == Activation::None {
        return dy.buffer(gpu);
    }
    let y = y.buffer(gpu);
    if dy.is_last()
        && let State::Input { weights, gradient, conv, batch } = &*dy.0.state.borrow()
    {
        return direct::backward_input(gpu.place(), weights, gradient, Some((&y, activation)), conv, *batch);
    }
    elementwise::masked(&gpu.client, &y, &dy.buffer(gpu), activation)
}

pub(super) fn max_pool(x: &Array, window: &Window, channels: usize, batch: Batch) -> Array {
    let length = batch.children * batch.images * window.out_pixels() * channels;
    Array::later(length, State::MaxPool(MaxPool { x: x.clone(), window: *window, channels, batch }))
}

pub(super) fn max_pool_backward(
    [x, y]: [&Array; 2],
    dy: Array,
    window: &Window,
    channels: usize,
    batch: Batch,
) -> Array {
    let pool = MaxPool { x: x.clone(), window: *window, channels, batch };
    Array::later(x.length(), State::Unpool { pool, y: y.clone(), dy })
}

pub(super) fn dropout(x: Array, dropout: Dropout, children: usize) -> Array {
    Array::later(x.length(), State::Dropout { x, dropout, children })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Engine;
    use crate::geometry::Padding;

    #[test]
    #[cfg_attr(no_adapter, ignore = "no Vulkan driver on this machine (Debian: apt-get install mesa-vulkan-drivers)")]
    fn a_pool_joins_the_convolution_before_it() {
        let gpu = crate::device::gpu_engine();
        let batch = Batch { children: 1, images: 1 };
        let window = Window::new([8; 2], [3; 2], 1, Padding::Same).unwrap();
        let conv = Conv { window, input: 4, output: 4 };
        let array = |length: usize| gpu.upload(vec![0.5; length]);
        let (x, weights) = (array(64 * 4), array(9 * 16));
        let pool = Window::new([8; 2], [2; 2], 2, Padding::Valid).unwrap();
        let y = gpu.conv(&x, &weights, None, &conv, Activation::Relu, batch);
        let p = gpu.max_pool(&y, &pool, 4, batch);
        p.buffer(&gpu);
        assert!(matches!(&*y.0.state.borrow(), State::Joined { .. }));
        let dy = gpu.max_pool_backward(&y, &p, array(16 * 4), &pool, 4, batch);
        assert!(matches!(joined_gradient(&gpu, &y, &dy), Some(Gradient::Pooled { .. })));
    }
}
