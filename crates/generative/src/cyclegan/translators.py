"""Translations of images between two subgroups, learnt by deepaug, for PyTorch.

    from translators import load, translate
    nets = load()
    changed = translate(nets, images, into=SUBGROUPS[1])  # uint8 [N, H, W, C] in, the same out

`Translated` is an augmentation for torchvision's transforms: with a probability, an image becomes what it would look like in
one of the subgroups.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

WEIGHTS = <weights>
SUBGROUPS = <names>
SHAPE = (<height>, <width>, <channels>)


class Block(nn.Module):
    def __init__(self, conv, channels, has_norm):
        super().__init__()
        self.conv = conv
        self.norm = nn.GroupNorm(<groups>, channels) if has_norm else None

    def forward(self, x):
        x = self.conv(x)
        return x if self.norm is None else self.norm(x)


class Generator(nn.Module):
    """A U-Net that says what to add to images from -1 to 1."""

    def __init__(self, channels=<channels>, first=<first>, levels=<levels>):
        super().__init__()
        widths = [first << level for level in range(levels)]
        before, down, up = channels, [], []
        for level, after in enumerate(widths):
            down.append(Block(nn.Conv2d(before, after, 4, 2, 1), after, level > 0))
            before = after
        for level, after in enumerate(widths[-2::-1] + [channels]):
            up.append(Block(nn.ConvTranspose2d(before, after, 4, 2, 1), after, level < levels - 1))
            before = 2 * after
        self.down, self.up = nn.ModuleList(down), nn.ModuleList(up)

    def forward(self, images):
        height, width = images.shape[2:]
        whole = 1 << len(self.down)
        below, beside = -height % whole, -width % whole
        above, left = below // 2, beside // 2
        x, maps = F.pad(images, (left, beside - left, above, below - above), value=-1.0), []
        for block in self.down:
            x = F.leaky_relu(block(x), <slope>)
            maps.append(x)
        maps.pop()
        for block in self.up:
            x = block(x)
            if block.norm is not None:
                x = F.relu(x)
            if maps:
                x = torch.cat([x, maps.pop()], 1)
        return images + 2 * torch.tanh(x[:, :, above : above + height, left : left + width])


def load(weights=Path(__file__).with_name(WEIGHTS)):
    """Returns the nets that translate into the first and into the second subgroup."""
    nets = nn.ModuleDict({"into": nn.ModuleList([Generator(), Generator()])})
    nets.load_state_dict(load_file(weights))
    return nets.eval().requires_grad_(False)


def translate(nets, images, into):
    """Makes images, uint8 `[N, H, W, C]`, look like those of a subgroup, given by name."""
    planes = images.permute(0, 3, 1, 2).float() / 127.5 - 1
    changed = nets["into"][SUBGROUPS.index(into)](planes).clamp(-1, 1)
    return ((changed + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1)


class Translated(nn.Module):
    """Replaces a uint8 image tensor `[C, H, W]` by one of its translations, with a probability."""

    def __init__(self, p=1.0):
        super().__init__()
        self.p, self.nets = p, load()

    def forward(self, image):
        if torch.rand(()) >= self.p:
            return image
        into = SUBGROUPS[int(torch.randint(2, ()))]
        return translate(self.nets, image.permute(1, 2, 0)[None], into)[0].permute(2, 0, 1)
