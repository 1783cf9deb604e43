"""The net <name>, trained by deepaug, for PyTorch.

    python THIS.py picture.png ...         the most likely class of each picture
    python THIS.py --onnx model.onnx       the same net for ONNX; needs onnx and onnxscript

Takes floats from 0 to 1, as torchvision's ToTensor gives them, of shape [images, <channels>, <height>, <width>];
gives logits of shape [images, classes]. Needs torch and safetensors.
"""

import argparse
import pathlib
import sys

<functional>
import torch
from safetensors.torch import load_file
from torch import nn

CLASSES = [
    <classes>
]
MODE, HEIGHT, WIDTH, BACKGROUND = "<mode>", <height>, <width>, <background>


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
    """A picture as a batch of one, brought to size as in training: upright, transparent parts over the background."""
    import numpy
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(Image.open(picture))
    if image.mode.startswith("I"):
        # 16 bits.
        image = Image.fromarray((numpy.array(image) / 257).round().clip(0, 255).astype(numpy.uint8))
    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        image = Image.alpha_composite(Image.new("RGBA", image.size, BACKGROUND + (255,)), image.convert("RGBA"))
    image = ImageOps.<fit>(image.convert("RGB"), (WIDTH, HEIGHT), Image.Resampling.BILINEAR<beside>).convert(MODE)
    pixels = numpy.array(image).reshape(HEIGHT, WIDTH, -1)
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255


def main():
    parser = argparse.ArgumentParser(description="Classifies pictures, or writes the net for ONNX.")
    parser.add_argument("pictures", nargs="*", help="picture files")
    parser.add_argument("--onnx", metavar="FILE", help="write the net for ONNX; needs onnx and onnxscript")
    arguments = parser.parse_args()
    if not arguments.pictures and not arguments.onnx:
        parser.error("name pictures, or --onnx FILE")
    net = load()
    if arguments.onnx:
        example, shapes = torch.rand(2, <channels>, HEIGHT, WIDTH), ({0: torch.export.Dim("images")},)
        torch.onnx.export(net, (example,), arguments.onnx, input_names=["images"], output_names=["logits"],
                          dynamic_shapes=shapes, dynamo=True, external_data=False)
    for picture in arguments.pictures:
        try:
            batch = read(picture)
        except OSError as error:
            sys.exit(f"{picture}: {error}")
        with torch.no_grad():
            chances = net(batch).softmax(1)[0]
        best = int(chances.argmax())
        print(f"{picture}: {CLASSES[best]} ({100 * chances[best]:.1f} %)")


if __name__ == "__main__":
    main()
