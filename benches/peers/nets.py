"""The child nets in PyTorch, for the scripts beside this file.

Padding is TensorFlow's "same"; batch norm has Keras's epsilon and, being PyTorch's 1 - momentum, Keras's momentum.
Modules are registered in the order in which the Rust nets number their tensors.
"""

from torch import nn
from torch.nn import functional as F


class Halving(nn.Conv2d):
    """A 3x3 convolution with stride 2; on even sizes, "same" pads after the image only."""

    def __init__(self, inputs, outputs, groups=1):
        super().__init__(inputs, outputs, 3, 2, groups=groups, bias=False)

    def forward(self, x):
        return super().forward(F.pad(x, (0, 1, 0, 1)))


def conv3x3(inputs, outputs, stride=1, groups=1):
    if stride == 2:
        return Halving(inputs, outputs, groups)
    return nn.Conv2d(inputs, outputs, 3, padding=1, groups=groups, bias=False)


class BasicCnn(nn.Module):
    def __init__(self, side, channels, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 32, 3, padding=1)
        self.conv2 = nn.Conv2d(32, 32, 3)
        self.conv3 = nn.Conv2d(32, 64, 3, padding=1)
        self.conv4 = nn.Conv2d(64, 64, 3)
        self.hidden = nn.Linear(64 * (((side - 2) // 2 - 2) // 2) ** 2, 512)
        self.output = nn.Linear(512, classes)
        self.dropouts = nn.ModuleList([nn.Dropout(0.6), nn.Dropout(0.6), nn.Dropout(0.5)])

    def forward(self, x):
        x = self.dropouts[0](F.max_pool2d(F.relu(self.conv2(F.relu(self.conv1(x)))), 2))
        x = self.dropouts[1](F.max_pool2d(F.relu(self.conv4(F.relu(self.conv3(x)))), 2))
        return self.output(self.dropouts[2](F.relu(self.hidden(x.flatten(1)))))


class SimpleCnn(nn.Module):
    def __init__(self, side, channels, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 32, 3, padding=1)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1)
        self.conv3 = nn.Conv2d(64, 128, 3, padding=1)
        self.hidden = nn.Linear(128 * (side // 8) ** 2, 256)
        self.output = nn.Linear(256, classes)
        self.dropout = nn.Dropout(0.3)

    def forward(self, x):
        for conv in (self.conv1, self.conv2, self.conv3):
            x = F.max_pool2d(F.relu(conv(x)), 2)
        return self.output(self.dropout(F.relu(self.hidden(x.flatten(1)))))


class WideBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs, 1e-3, 0.01)
        self.conv1 = conv3x3(inputs, outputs, stride)
        self.bn2 = nn.BatchNorm2d(outputs, 1e-3, 0.01)
        self.conv2 = conv3x3(outputs, outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if inputs != outputs else None

    def forward(self, x):
        o = F.relu(self.bn1(x))
        y = self.conv2(F.relu(self.bn2(self.conv1(o))))
        return y + (self.shortcut(o) if self.shortcut else x)


class WideResNet(nn.Module):
    """WRN-16-2 unless depth and width say otherwise (Zagoruyko and Komodakis)."""

    def __init__(self, side, channels, classes, depth=16, width=2):
        super().__init__()
        self.conv = conv3x3(channels, 16)
        blocks, inputs = [], 16
        for outputs, stride in ((16 * width, 1), (32 * width, 2), (64 * width, 2)):
            for number in range((depth - 4) // 6):
                blocks.append(WideBlock(inputs, outputs, stride if number == 0 else 1))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.bn = nn.BatchNorm2d(inputs, 1e-3, 0.01)
        self.output = nn.Linear(inputs, classes)

    def forward(self, x):
        return self.output(F.relu(self.bn(self.blocks(self.conv(x)))).mean((2, 3)))


class InvertedResidual(nn.Module):
    def __init__(self, inputs, outputs, stride, expansion):
        super().__init__()
        inner = inputs * expansion
        norm = lambda width: nn.BatchNorm2d(width, 1e-3, 1e-3)
        expand = [nn.Conv2d(inputs, inner, 1, bias=False), norm(inner), nn.ReLU6()] if expansion > 1 else []
        self.layers = nn.Sequential(*expand, conv3x3(inner, inner, stride, inner), norm(inner), nn.ReLU6(),
                                    nn.Conv2d(inner, outputs, 1, bias=False), norm(outputs))
        self.adds = inputs == outputs and stride == 1

    def forward(self, x):
        return x + self.layers(x) if self.adds else self.layers(x)


class MobileNetV2(nn.Module):
    """keras.applications.MobileNetV2 without its top, then global average pooling and two dense layers."""

    def __init__(self, side, channels, classes):
        super().__init__()
        layers, width = [conv3x3(channels, 32, 2), nn.BatchNorm2d(32, 1e-3, 1e-3), nn.ReLU6()], 32
        for expansion, outputs, repeats, stride in [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2),
                                                    (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]:
            for index in range(repeats):
                layers.append(InvertedResidual(width, outputs, stride if index == 0 else 1, expansion))
                width = outputs
        layers += [nn.Conv2d(320, 1280, 1, bias=False), nn.BatchNorm2d(1280, 1e-3, 1e-3), nn.ReLU6()]
        self.features = nn.Sequential(*layers)
        self.hidden = nn.Linear(1280, 256)
        self.output = nn.Linear(256, classes)

    def forward(self, x):
        return self.output(F.relu(self.hidden(self.features(x).mean((2, 3)))))


NETS = {"basiccnn": BasicCnn, "simplecnn": SimpleCnn, "wrn_16_2": WideResNet, "mobilenetv2": MobileNetV2}


def make(name, side=32, channels=3, classes=10):
    """The net with Keras's first weights: glorot uniform kernels, no biases."""
    model = WideResNet(side, channels, classes, 28, 10) if name == "wrn_28_10" else NETS[name](side, channels, classes)
    for layer in model.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return model
