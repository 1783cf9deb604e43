"""The net <name>, trained by deepaug, for PyTorch.

    python THIS.py picture.png ...         the most likely class of each picture
    python THIS.py --onnx model.onnx       the same net for ONNX; needs onnx and onnxscript

Takes floats from 0 to 1, as torchvision's ToTensor gives them, of shape [images, <channels>, <height>, <width>];
gives logits of shape [images, classes]. Needs torch and safetensors.
"""

import pathlib
import sys

<functional>
import torch
from safetensors.torch import load_file
from torch import nn

CLASSES = [
    <classes>
]
MODE, HEIGHT, WIDTH = "<mode>", <height>, <width>


<parts>


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(<layers>)

    def forward(self, x):
        return self.layers((x - <mean>) / <deviation>)


def load(weights=pathlib.Path(__file__).with_name(<weights>)):
    """The net with its weights, ready to predict."""
    net = Net()
    missing, unexpected = net.load_state_dict(load_file(weights), strict=False)
    # PyTorch counts batches, which no prediction needs.
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise ValueError(f"{weights}: not the weights of this net: missing {missing}, unexpected {unexpected}")
    return net.eval()


def read(picture):
    """A picture as a batch of one, resized if need be."""
    import numpy
    from PIL import Image

    image = Image.open(picture).convert(MODE)
    if image.size != (WIDTH, HEIGHT):
        image = image.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR)
    pixels = numpy.atleast_3d(numpy.array(image))
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255


def main():
    net = load()
    if len(sys.argv) == 3 and sys.argv[1] == "--onnx":
        example = torch.rand(2, <channels>, HEIGHT, WIDTH)
        batch = torch.export.Dim("images")
        torch.onnx.export(net, (example,), sys.argv[2], input_names=["images"], output_names=["logits"],
                          dynamic_shapes=({0: batch},), dynamo=True)
        return
    for picture in sys.argv[1:]:
        with torch.no_grad():
            chances = net(read(picture)).softmax(1)[0]
        best = int(chances.argmax())
        print(f"{picture}: {CLASSES[best]} ({100 * chances[best]:.1f} %)")


if __name__ == "__main__":
    main()
