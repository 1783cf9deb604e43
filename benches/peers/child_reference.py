#!/usr/bin/env python3
"""Writes reference values for the child nets, computed in float64 by PyTorch and by Keras.

    pip install torch keras numpy
    python3 child_reference.py ../../crates/child-model/tests/reference

For each net: one forward and one backward pass in training mode (batch statistics, no dropout), with weights and images
at fixed values that any language can make again, then one forward pass in inference mode. Where both a PyTorch and a
Keras version exist they must agree, and gradients must agree with finite differences.

Trainable tensors are numbered t = 0, 1, .. as the layers are created in the source: kernel, bias; gamma, beta. With
lowbias32 and u as below, element i (row-major; kernels [kh, kw, in, out], depthwise [kh, kw, channels], dense [in, out]
with features in the order height, width, channels) is

    kernel       u(t, i) * sqrt(6 / (fan_in + fan_out)); kh * kw * in and kh * kw * out, depthwise kh * kw each
    bias, beta   0.1 * u(t, i)
    gamma        1 + 0.1 * u(t, i)
    images       (u(1000, i) + 1) / 2 over [batch, height, width, channels]; labels i mod 10

and a gradient's "dot" is the sum of gradient_i * u(5000 + t, i). In inference mode the moving statistics are those that
start at 0 and 1 and have been updated once, with the biased variance, as Keras does: momentum 0.999 in MobileNetV2,
0.99 elsewhere.
"""

import argparse
import json
import os
import pathlib
import platform

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
import torch
from keras import layers as L
from keras.src.backend.common import dtypes
from torch import nn
from torch.nn import functional as F

import nets

CLASSES = 10
INPUTS = {"basiccnn": (4, 32, 32, 3), "simplecnn": (4, 32, 32, 3), "wrn_16_2": (4, 32, 32, 3),
          "mobilenetv2": (4, 64, 64, 3), "inceptionv3": (2, 139, 139, 3)}
FLATTENED = {"basiccnn": (64, 6, 6), "simplecnn": (128, 4, 4)}


def lowbias32(x):
    x = x ^ (x >> 16)
    x = x * np.uint32(0x7feb352d)
    x = x ^ (x >> 15)
    x = x * np.uint32(0x846ca68b)
    return x ^ (x >> 16)


def u(t, count):
    return lowbias32(np.arange(count, dtype=np.uint32) ^ lowbias32(np.array([t + 1], np.uint32))) / 2**31 - 1


class Tensor:
    """A trainable tensor in our layout: `view` of a PyTorch parameter."""

    def __init__(self, kind, parameter, view=lambda p: p, shape=None):
        self.kind, self.parameter, self.view = kind, parameter, view
        self.shape = list(shape or view(parameter).shape)
        self.count = parameter.numel()

    def first(self, t):
        values = u(t, self.count)
        if self.kind == "kernel":
            receptive = int(np.prod(self.shape[:-2])) if len(self.shape) != 3 else 9
            fans = 2 * receptive if len(self.shape) == 3 else receptive * sum(self.shape[-2:])
            return values * np.sqrt(6 / fans)
        return 1 + 0.1 * values if self.kind == "gamma" else 0.1 * values

    def set(self, values):
        with torch.no_grad():
            view = self.view(self.parameter)
            view.copy_(torch.from_numpy(values).reshape(view.shape))

    def get(self):
        return self.view(self.parameter.detach()).reshape(-1).numpy().copy()

    def gradient(self):
        return self.view(self.parameter.grad).reshape(-1).numpy()


class TorchNet:
    def __init__(self, name):
        self.model = nets.make(name, INPUTS[name][1]).double()
        self.tensors = []
        for path, layer in self.model.named_modules():
            if isinstance(layer, nn.Dropout):
                layer.p = 0.0
            elif isinstance(layer, nn.BatchNorm2d):
                layer.register_forward_hook(self.biased)
                self.tensors += [Tensor("gamma", layer.weight), Tensor("beta", layer.bias)]
            elif isinstance(layer, nn.Conv2d) and layer.groups > 1:
                self.tensors.append(Tensor("kernel", layer.weight, lambda p: p.permute(2, 3, 0, 1)[..., 0]))
            elif isinstance(layer, nn.Conv2d):
                self.tensors.append(Tensor("kernel", layer.weight, lambda p: p.permute(2, 3, 1, 0)))
            elif path == "hidden" and name in FLATTENED:
                shape = FLATTENED[name]
                self.tensors.append(Tensor("kernel", layer.weight, lambda p: p.unflatten(1, shape).permute(2, 3, 1, 0),
                                           layer.weight.T.shape))
            elif isinstance(layer, nn.Linear):
                self.tensors.append(Tensor("kernel", layer.weight, lambda p: p.T))
            if isinstance(layer, (nn.Conv2d, nn.Linear)) and layer.bias is not None:
                self.tensors.append(Tensor("bias", layer.bias))
        self.non_trainable = sum(b.numel() for b in self.model.buffers() if b.dim())

    @staticmethod
    def biased(layer, inputs, _):
        """PyTorch updates with the unbiased variance: replace that by Keras's."""
        if layer.training:
            variance = inputs[0].detach().var((0, 2, 3), correction=0)
            layer.running_var = 1 - layer.momentum + layer.momentum * variance

    def logits(self, images, training):
        return self.model.train(training)(images.permute(0, 3, 1, 2))


class KerasNet:
    def __init__(self, name):
        made, init = [], L.Layer.__init__

        def record(layer, *arguments, **options):
            made.append(layer)
            init(layer, *arguments, **options)

        # model.layers would be ordered by depth.
        L.Layer.__init__ = record
        try:
            self.model = globals()[f"keras_{name}"](INPUTS[name][1:])
        finally:
            L.Layer.__init__ = init
        self.tensors = []
        for layer in made:
            # Keras makes depthwise kernels [kh, kw, channels, 1].
            flat = (lambda p: p[..., 0]) if isinstance(layer, L.DepthwiseConv2D) else (lambda p: p)
            if not isinstance(layer, keras.Model):
                self.tensors += [Tensor(v.name, v.value, flat) for v in layer.trainable_variables]
        self.non_trainable = sum(v.value.numel() for v in self.model.non_trainable_variables)

    def logits(self, images, training):
        return self.model(images, training=training)


def keras_basiccnn(shape):
    conv = lambda width, padding: L.Conv2D(width, 3, padding=padding, activation="relu")
    return keras.Sequential([keras.Input(shape), conv(32, "same"), conv(32, "valid"), L.MaxPooling2D(),
                             conv(64, "same"), conv(64, "valid"), L.MaxPooling2D(), L.Flatten(),
                             L.Dense(512, activation="relu"), L.Dense(CLASSES)])


def keras_simplecnn(shape):
    pairs = [(L.Conv2D(w, 3, padding="same", activation="relu"), L.MaxPooling2D()) for w in (32, 64, 128)]
    return keras.Sequential([keras.Input(shape), *sum(pairs, ()), L.Flatten(), L.Dense(256, activation="relu"),
                             L.Dense(CLASSES)])


def keras_wrn_16_2(shape):
    conv = lambda x, width, size, stride=1: L.Conv2D(width, size, stride, padding="same", use_bias=False)(x)
    norm = lambda x: L.ReLU()(L.BatchNormalization()(x))
    inputs = keras.Input(shape)
    x = conv(inputs, 16, 3)
    for width, strides in [(32, (1, 1)), (64, (2, 1)), (128, (2, 1))]:
        for stride in strides:
            o = norm(x)
            y = conv(norm(conv(o, width, 3, stride)), width, 3)
            x = L.Add()([y, conv(o, width, 1, stride) if x.shape[-1] != width else x])
    x = L.GlobalAveragePooling2D()(norm(x))
    return keras.Model(inputs, L.Dense(CLASSES)(x))


def keras_mobilenetv2(shape):
    return topped(keras.applications.MobileNetV2(input_shape=shape, alpha=1.0, include_top=False, weights=None))


def keras_inceptionv3(shape):
    return topped(keras.applications.InceptionV3(input_shape=shape, include_top=False, weights=None))


def topped(base):
    x = L.Dense(256, activation="relu")(L.GlobalAveragePooling2D()(base.output))
    return keras.Model(base.input, L.Dense(CLASSES)(x))


def evaluate(net, name):
    shape = INPUTS[name]
    images = torch.from_numpy((u(1000, int(np.prod(shape))) + 1) / 2).reshape(shape)
    labels = torch.arange(shape[0]) % CLASSES
    for t, tensor in enumerate(net.tensors):
        tensor.set(tensor.first(t))
    logits = net.logits(images, True)
    assert logits.dtype == torch.float64
    loss = F.cross_entropy(logits, labels)
    loss.backward()
    with torch.no_grad():
        inference = net.logits(images, False)
    gradients = [{"shape": tensor.shape, "norm": float(np.linalg.norm(tensor.gradient())),
                  "dot": float(tensor.gradient() @ u(5000 + t, tensor.count))} for t, tensor in enumerate(net.tensors)]

    def loss_at(steps):
        for t, step in steps.items():
            net.tensors[t].set(net.tensors[t].first(t) + step)
        with torch.no_grad():
            value = F.cross_entropy(net.logits(images, True), labels).item()
        for t in steps:
            net.tensors[t].set(net.tensors[t].first(t))
        return value

    def check(direction, expected, h):
        slope = (loss_at({t: h * d for t, d in direction.items()})
                 - loss_at({t: -h * d for t, d in direction.items()})) / (2 * h)
        assert abs(slope - expected) <= 1e-5 * abs(expected) + 1e-6, (name, list(direction), slope, expected)

    # The steepest element of some tensors, then all tensors at once.
    for t in np.linspace(0, len(net.tensors) - 1, 8).astype(int):
        gradient = net.tensors[t].gradient()
        steepest = np.abs(gradient).argmax()
        check({t: np.eye(1, len(gradient), steepest)[0]}, gradient[steepest], 1e-8)
    check({t: u(5000 + t, tensor.count) for t, tensor in enumerate(net.tensors)}, sum(g["dot"] for g in gradients),
          1e-9)
    return {"model": name,
            "made_with": {"python": platform.python_version(), "numpy": np.__version__, "torch": torch.__version__,
                          "keras": keras.__version__},
            "input": list(shape), "classes": CLASSES, "trainable": sum(tensor.count for tensor in net.tensors),
            "non_trainable": net.non_trainable, "loss": loss.item(), "logits": logits.tolist(),
            "logits_inference": inference.tolist(), "gradients": gradients}


def agree(a, b):
    for key in ("input", "classes", "trainable", "non_trainable"):
        assert a[key] == b[key], (a["model"], key, a[key], b[key])
    assert [g["shape"] for g in a["gradients"]] == [g["shape"] for g in b["gradients"]]
    for key in ("loss", "logits", "logits_inference"):
        np.testing.assert_allclose(a[key], b[key], rtol=1e-9, atol=1e-12)
    for key in ("norm", "dot"):
        x, y, scale = (np.array([g[k] for g in v["gradients"]]) for v, k in ((a, key), (b, key), (a, "norm")))
        assert (np.abs(x - y) <= 1e-9 * scale + 1e-13).all(), (a["model"], key, np.abs(x - y) / scale)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--model", choices=INPUTS, action="append", help="only these")
    arguments = parser.parse_args()
    keras.config.set_floatx("float64")
    # Outside TensorFlow, Keras would still do part of its arithmetic in float32.
    dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"
    torch.set_default_dtype(torch.float64)
    for name in arguments.model or INPUTS:
        values = evaluate(KerasNet(name), name)
        if name in nets.NETS:
            agree(values, evaluate(TorchNet(name), name))
        gradients = ",\n  ".join(map(json.dumps, values.pop("gradients")))
        head = ",\n".join(f" {json.dumps(key)}: {json.dumps(value)}" for key, value in values.items())
        (arguments.folder / f"{name}.json").write_text(f'{{\n{head},\n "gradients": [\n  {gradients}\n ]\n}}\n')
        print(name, values["trainable"], values["non_trainable"], values["loss"], flush=True)


if __name__ == "__main__":
    main()
