//! The kernels as ops of burn's CPU backend, with their gradients.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::nn::conv::Conv2d;
use burn::tensor::{Bytes, DType, Shape, Tensor};
use burn_flex::{FlexTensor, Layout};

use super::{conv, pool};

/// `relu(conv(x) + bias)` for a 3x3 convolution with `pad` zeros around the image; `[B, H, W, C]` in and out. On the CPU
/// only.
pub(crate) fn conv_relu(x: Tensor<4>, layer: &Conv2d, pad: usize) -> Tensor<4> {
    let [output, input, ..] = layer.weight.dims();
    let weights = layer.weight.val().permute([2, 3, 1, 0]).reshape([9 * input, output]);
    let bias = layer.bias.as_ref().map_or_else(|| Tensor::zeros([output], &x.device()), |bias| bias.val());
    Tensor::from_dispatch(Dispatch::conv_relu(x.into_dispatch(), weights.into_dispatch(), bias.into_dispatch(), pad))
}

/// 2x2 max-pooling; `[B, H, W, C]` in and out. On the CPU only.
pub(crate) fn max_pool(x: Tensor<4>) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::max_pool(x.into_dispatch()))
}

#[backend_extension(Flex, Autodiff)]
trait Kernels: Backend {
    fn conv_relu(
        x: FloatTensor<Self>,
        weights: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        pad: usize,
    ) -> FloatTensor<Self>;

    fn max_pool(x: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl Kernels for Flex {
    fn conv_relu(x: FlexTensor, weights: FlexTensor, bias: FlexTensor, pad: usize) -> FlexTensor {
        let [x, weights, bias] = [x, weights, bias].map(|tensor| tensor.to_contiguous());
        let shape = conv_shape(&x, &bias, pad);
        let y = conv::forward(&shape, values(&x), values(&weights), values(&bias));
        tensor(y, [shape.batch, shape.out_height(), shape.out_width(), shape.output])
    }

    fn max_pool(x: FlexTensor) -> FlexTensor {
        let x = x.to_contiguous();
        let shape = pool_shape(&x);
        tensor(pool::forward(&shape, values(&x)), [shape.batch, shape.height / 2, shape.width / 2, shape.channels])
    }
}

impl<C: CheckpointStrategy> Kernels for Autodiff<Flex, C> {
    fn conv_relu(
        x: FloatTensor<Self>,
        weights: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        pad: usize,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct ConvRelu;

        impl Backward<Flex, 3> for ConvRelu {
            /// Input, weights, output; padding.
            type State = ([FlexTensor; 3], usize);

            fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
                let dy = gradients.consume::<Flex>(&ops.node).to_contiguous();
                let ([x, weights, y], pad) = &ops.state;
                let [of_x, of_weights, of_bias] = ops.parents;
                let shape = conv_shape(x, y, *pad);
                let [xs, ws, ys, dys] = [x, weights, y, &dy].map(values);
                let found = conv::backward(&shape, xs, ws, ys, dys, of_x.is_some());
                if let (Some(node), Some(dx)) = (of_x, found.x) {
                    gradients.register::<Flex>(node.id, tensor(dx, x.shape()));
                }
                if let Some(node) = of_weights {
                    gradients.register::<Flex>(node.id, tensor(found.w, weights.shape()));
                }
                if let Some(node) = of_bias {
                    gradients.register::<Flex>(node.id, tensor(found.b, [shape.output]));
                }
            }
        }

        let nodes = [x.node(), weights.node(), bias.node()];
        let [x, weights, bias] = [x, weights, bias].map(|tensor| tensor.into_primitive().to_contiguous());
        let y = Flex::conv_relu(x.clone(), weights.clone(), bias, pad);
        match ConvRelu.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish(([x, weights, y.clone()], pad), y),
            OpsKind::UnTracked(step) => step.finish(y),
        }
    }

    fn max_pool(x: FloatTensor<Self>) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct MaxPool;

        impl Backward<Flex, 1> for MaxPool {
            type State = FlexTensor;

            fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
                let dy = gradients.consume::<Flex>(&ops.node).to_contiguous();
                let [of_x] = ops.parents;
                if let Some(node) = of_x {
                    let x = &ops.state;
                    let dx = pool::backward(&pool_shape(x), values(x), values(&dy));
                    gradients.register::<Flex>(node.id, tensor(dx, x.shape()));
                }
            }
        }

        let nodes = [x.node()];
        let x = x.into_primitive().to_contiguous();
        let y = Flex::max_pool(x.clone());
        match MaxPool.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish(x, y),
            OpsKind::UnTracked(step) => step.finish(y),
        }
    }
}

/// The sizes of a convolution of `x` to as many channels as the last dimension of `like` has.
fn conv_shape(x: &FlexTensor, like: &FlexTensor, pad: usize) -> conv::Shape {
    let [batch, height, width, input] = x.shape().dims();
    let output = like.shape().last().copied().expect("a bias or an output has a dimension");
    conv::Shape { batch, height, width, input, output, pad }
}

fn pool_shape(x: &FlexTensor) -> pool::Shape {
    let [batch, height, width, channels] = x.shape().dims();
    pool::Shape { batch, height, width, channels }
}

fn values(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().expect("every tensor here was made contiguous")
}

fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(shape.into()), DType::F32)
}
