"""Compares exported policies with the pixels of the Rust side.

    python exported_policies.py FOLDER torchvision|albumentations|imgaug

`crates/augmenter/tests/exported.rs` writes the folder and runs this. This is checked:

- the ops of the modules with given numbers, and ops of which nothing is drawn: equal pixels (see `tolerance`);
- all other ops, at two magnitudes under every table: the means of six measures over some hundred draws agree within five
  standard errors of their difference, the standard deviations within 15 %;
- that the class augments the share of the images that `chance` says, and steps the share of their probability;
- that counts are budgets, and that a schedule has the policy of its epoch;
- that what finishes every image shifts, mirrors and covers as evenly as it says;
- that images of every kind come back as they came, or are refused in words.
"""

import importlib.util
import json
import pathlib
import sys
import warnings

import numpy as np

warnings.simplefilter("ignore")
FOLDER, TARGET = pathlib.Path(sys.argv[1]), sys.argv[2]
REPEATS = 20
FAILURES = []


def check(condition, message):
    if not condition:
        FAILURES.append(message)


def refuses(kind, words, call):
    try:
        call()
    except kind as error:
        check(words in str(error), f"{error} does not say {words}")
    except Exception as error:
        check(False, f"{type(error).__name__} instead of {kind.__name__} for {words}: {error}")
    else:
        check(False, f"nothing said about {words}")


def load(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}_{TARGET}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def policy_of(module, epoch=None, **arguments):
    policy = module.DeepaugPolicy(**arguments)
    if epoch:
        policy.set_epoch(*epoch)
    return policy


class Torchvision:
    def __init__(self):
        import torch

        torch.set_num_threads(1)
        self.torch = torch

    def given(self, image):
        return self.torch.from_numpy(image).permute(2, 0, 1)

    def taken(self, image):
        assert image.dtype == self.torch.uint8
        return image.permute(1, 2, 0).numpy()

    def augmented(self, module, images, **arguments):
        from torchvision.transforms import v2

        self.torch.manual_seed(2)
        transform = v2.Compose([policy_of(module, **arguments)])
        return [self.taken(transform(self.given(image))) for image in images]

    def extras(self, module, image):
        from PIL import Image
        from torchvision import tv_tensors

        torch, policy = self.torch, module.DeepaugPolicy(chance=1.0)

        def seeded(given):
            torch.manual_seed(5)
            return policy(given)

        whole = self.given(image)
        expected = seeded(whole)
        for mode in ("L", "RGB"):
            given = Image.fromarray(image).convert(mode)
            made = policy(given)
            check(isinstance(made, Image.Image) and (made.mode, made.size) == (mode, given.size), f"a PIL {mode} comes back")
        for mode in ("1", "LA", "P", "RGBA", "CMYK", "F", "I"):
            refuses(ValueError, mode, lambda: policy(Image.fromarray(image).convert(mode)))
        for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
            made = seeded(whole.to(dtype) / 255)
            check(made.dtype == dtype and ((made * 255).round() == expected).all(), f"{dtype} as uint8")
        for dtype in (torch.bool, torch.int32, torch.int64):
            refuses(TypeError, str(dtype), lambda: policy(whole.to(dtype)))
        refuses(ValueError, "before v2.Normalize", lambda: policy((whole / 255 - 0.5) / 0.25))
        refuses(ValueError, "before v2.Normalize", lambda: policy(whole * float("nan")))
        check(policy((whole / 255 - 0.5) * 1.5 + 0.5).max() <= 1, "what a resize overshoots is cut")
        refuses(ValueError, "before v2.Normalize", lambda: policy(whole.float()))
        refuses(ValueError, "[32, 32, 3]" if image.shape[0] == 32 else "shape", lambda: policy(torch.from_numpy(image)))
        refuses(ValueError, "shape", lambda: policy(whole[0]))
        refuses(ValueError, "shape", lambda: policy(torch.cat([whole, whole[:1]])))
        refuses(TypeError, "v2.ToImage()", lambda: policy(image))
        mask = tv_tensors.Mask(whole[0])
        refuses(TypeError, "Mask", lambda: policy(tv_tensors.Image(whole), mask))
        batch = torch.stack([whole] * 24).to(memory_format=torch.channels_last)
        made = policy(batch)
        check(made.shape == batch.shape and len({each.numpy().tobytes() for each in made}) > 1, "a batch, each by itself")
        check(policy(batch[None]).shape == batch[None].shape and policy(batch[:0]).shape == batch[:0].shape, "any batch")
        video = policy(tv_tensors.Video(batch))
        check(isinstance(video, tv_tensors.Video) and (video == video[0]).all(), "frames of a video alike")
        made, label = seeded((tv_tensors.Image(whole), torch.tensor(7)))
        check(isinstance(made, tv_tensors.Image) and (made == expected).all() and label == 7, "labels come back")
        made = seeded({"image": whole, "label": 7})
        check((made["image"] == expected).all() and made["label"] == 7, "dicts come back")
        generators = [torch.Generator().manual_seed(5) for _ in range(2)]
        twice = [module.DeepaugPolicy(generator=generator)(whole) for generator in generators]
        check((twice[0] == twice[1]).all(), "a generator makes it reproducible")


class Albumentations:
    def given(self, image):
        return image

    def taken(self, image):
        assert image.dtype == np.uint8
        return image

    def augmented(self, module, images, **arguments):
        import albumentations as A

        transform = A.Compose([policy_of(module, **arguments)], seed=2)
        return [self.taken(transform(image=image)["image"]) for image in images]

    def extras(self, module, image):
        import albumentations as A

        def seeded(image, **arguments):
            return A.Compose([module.DeepaugPolicy(**arguments)], seed=5)(image=image)["image"]

        expected = seeded(image, chance=1.0)
        check((expected == seeded(image, chance=1.0)).all(), "a seed makes it reproducible")
        for given in (image[..., 0], image[..., :1]):
            check(seeded(given, chance=1.0).shape == given.shape, "images of one channel come back")
        made = seeded(image.astype(np.float32) / 255, chance=1.0)
        check(made.dtype == np.float32 and (np.rint(made * 255) == expected).all(), "float32 as uint8")
        over = (image.astype(np.float32) / 255 - 0.5) * 1.5 + 0.5
        check(seeded(over, chance=1.0).dtype == np.float32, "what a resize overshoots is cut")
        policy = A.Compose([module.DeepaugPolicy()])
        refuses(TypeError, "would not follow", lambda: policy(image=image, mask=image[..., 0]))
        refuses(ValueError, "before A.Normalize", lambda: seeded((image / np.float32(255) - 0.5) / 0.25))
        refuses(ValueError, "before A.Normalize", lambda: seeded(image.astype(np.float32)))
        for dtype in (np.uint16, np.int32, np.float64, bool):
            refuses(TypeError, np.dtype(dtype).name, lambda: module.DeepaugPolicy().apply(image.astype(dtype)))
        rgba = np.concatenate([image, image[..., :1]], axis=-1)
        for wrong in (rgba, image.transpose(2, 0, 1), image[None]):
            refuses(ValueError, "shape", lambda: module.DeepaugPolicy().apply(wrong))
        if hasattr(A, "ToTensor3D"):  # albumentations 2
            made = A.Compose([module.DeepaugPolicy(chance=1.0)])(images=np.stack([image] * 3))["images"]
            check(np.shape(made) == (3,) + image.shape, "batches come back")


class Imgaug:
    def given(self, image):
        return image

    def taken(self, image):
        assert image.dtype == np.uint8
        return image

    def augmented(self, module, images, **arguments):
        return policy_of(module, seed=2, **arguments)(images=images)

    def extras(self, module, image):
        import pickle

        from imgaug.augmentables import BoundingBox

        twice = [module.DeepaugPolicy(seed=5)(image=image[..., 0]) for _ in range(2)]
        check(twice[0].shape == image.shape[:2], "images without a channel axis come back")
        check((twice[0] == twice[1]).all(), "a seed makes it reproducible")
        policy = module.DeepaugPolicy(chance=1.0)
        made = policy(images=np.stack([image] * 3))
        check(np.shape(made) == (3,) + image.shape, "batches come back")
        made = policy(images=[image, image[:9]])
        check([each.shape for each in made] == [image.shape, image[:9].shape], "images of several sizes come back")
        boxes = [BoundingBox(1, 1, 5, 5)]
        refuses(TypeError, "would not follow", lambda: policy(image=image, bounding_boxes=boxes))
        refuses(TypeError, "would not follow", lambda: policy(image=image, heatmaps=[np.zeros((8, 8, 1), np.float32)]))
        sys.modules[module.__name__] = module
        check(pickle.loads(pickle.dumps(policy))(image=image).shape == image.shape, "workers can be given it")
        for dtype in (np.uint16, np.int32, np.float32, bool):
            refuses(TypeError, np.dtype(dtype).name, lambda: policy(image=image.astype(dtype)))
        rgba = np.concatenate([image, image[..., :1]], axis=-1)
        refuses(ValueError, "shape", lambda: policy(image=rgba))
        refuses(ValueError, "shape", lambda: policy(image=image.transpose(2, 0, 1)))


LIBRARY = {"torchvision": Torchvision, "albumentations": Albumentations, "imgaug": Imgaug}[TARGET]()


def tolerance(text):
    """How far values may be from ours. OpenCV itself gives two results here, depending on the processor and on the width of
    the image: `filter2D` with or without fused multiply-add, HSV to RGB rounded (as ours) or truncated."""
    return 1 if TARGET != "torchvision" and ("sharpen" in text or "hue" in text) else 0


def differs(ours, theirs):
    if ours.shape != theirs.shape:
        return f"shape {theirs.shape} instead of {ours.shape}"
    off = np.abs(ours.astype(int) - theirs)
    return f"{(off > 0).mean():.2%} of the values differ, by up to {off.max()}"


def measures(before, after):
    before, after = before.astype(np.float64), after.astype(np.float64)
    change = after - before
    return [
        change.mean(),
        np.abs(change).mean(),
        after.std(),
        (after == 0).mean(),
        np.abs(np.diff(after, axis=1)).mean(),
        np.abs(after[..., 0] - after[..., 2]).mean(),
    ]


def spread(values):
    """The standard deviation, and its standard error."""
    deviations = values - values.mean()
    sd = deviations.std()
    return sd, np.sqrt(max((deviations**4).mean() - sd**4, 0) / len(values)) / (2 * sd or 1)


def draws(module, images):
    """Each image with the module's only sub-policy."""
    (steps,) = module.POLICIES[0]["sub_policies"]
    rng = np.random.default_rng(1)
    return [module.run(image, steps, rng) for image in images]


MEASURES = ["change", "distortion", "sd", "zeros", "roughness", "colour"]


def check_functions(cases, images):
    module, expected, count = load("every_function"), np.fromfile(FOLDER / "kernels.bin", np.uint8), 0
    for case in cases:
        image = images[case["images"]][case["index"]]
        ours = expected[case["at"] :][: image.size].reshape(image.shape)
        height, width, _ = image.shape
        call = f"OPS['{case['op']}'](image, rng, {case['numbers']})"
        arguments = {"image": image.copy(), "rng": np.random.default_rng(1), "height": height, "width": width}
        theirs = eval(call, {**vars(module), **arguments})
        same = ours.shape == theirs.shape and np.abs(ours.astype(int) - theirs).max() <= tolerance(case["op"])
        check(same, f"{call} of {case['images']} images: {differs(ours, theirs)}")
        count += 1
    return count


def check_draws(cases, images, grey):
    fixed, counts = np.fromfile(FOLDER / "fixed.bin", np.uint8), [0, 0]
    for case in cases:
        name, module = f"{case['op']} {case['magnitude']} ({case['ranges']})", load(case["module"])
        if "at" in case:
            ours = fixed[case["at"] :][: images.size].reshape(images.shape)
            theirs = np.stack(draws(module, list(images)))
            check(np.abs(ours.astype(int) - theirs).max() <= tolerance(case["op"]), f"{name}: {differs(ours, theirs)}")
            ours = fixed[case["grey_at"] :][: grey.size].reshape(grey.shape)
            theirs = np.stack(draws(module, list(grey)))
            check((ours == theirs).all(), f"{name}, grey: {differs(ours, theirs)}")
            counts[0] += 1
            continue
        check(np.shape(draws(module, list(grey[:3]))) == grey[:3].shape, f"{name}: grey images come back")
        befores = [image for _ in range(REPEATS) for image in images]
        rows = np.array([measures(*pair) for pair in zip(befores, draws(module, befores))])
        ours = np.array(case["measures"])
        for i, measure in enumerate(MEASURES):
            (a, b), zeros = (rows[:, i].mean(), ours[:, i].mean()), measure == "zeros"
            (sd_a, error_a), (sd_b, error_b) = spread(rows[:, i]), spread(ours[:, i])
            error, slack = 5 * np.hypot(sd_a / len(rows) ** 0.5, sd_b / len(ours) ** 0.5), 0.0005 if zeros else 0.02
            sd_error = max(0.15 * sd_b, 5 * np.hypot(error_a, error_b) if zeros else 0)
            agree = abs(a - b) <= error + slack and abs(sd_a - sd_b) <= sd_error + slack
            check(agree, f"{name}: {measure} {a:.4f} ± {sd_a:.4f}, ours {b:.4f} ± {sd_b:.4f}")
        counts[1] += 1
    return counts


def check_chances(image):
    """`image` has no symmetry, so that what happened can be read off the result."""
    outcomes = {
        "unchanged": image,
        "inverted": 255 - image,
        "upside down": image[::-1],
        "turned": image[::-1, ::-1],
        "mirrored": image[:, ::-1],
    }

    def expect(module, expected, n=2000, **arguments):
        made = LIBRARY.augmented(module, [image] * n, **arguments)
        found = {name: np.mean([np.array_equal(one, outcome) for one in made]) for name, outcome in outcomes.items()}
        for name, share in found.items():
            p = expected.get(name, 0.0)
            error = 5 * np.sqrt(p * (1 - p) / n)
            check(abs(share - p) <= error, f"{module.__name__} {arguments}: {share:.3f} {name}, expected {p:.3f}")

    module, chance = load("chance"), 1.6 / 2.6
    augmented = {"inverted": 0.5, "upside down": 0.375, "turned": 0.125}
    expect(module, {"unchanged": 1 - chance, **{name: chance * p for name, p in augmented.items()}})
    expect(module, augmented, chance=1.0)
    expect(module, {"unchanged": 1.0}, n=100, chance=0.0)
    expect(load("several"), {"unchanged": 1 - 0.7 / 3, "inverted": 0.5 / 3, "mirrored": 0.2 / 3})
    counted = {"unchanged": 0.5, "upside down": 0.31875, "mirrored": 0.11875, "turned": 0.0625}
    expect(load("counted"), counted)
    schedule = load("scheduled")
    for epoch, expected in [(None, {"unchanged": 1.0}), ((1,), counted), ((1, 4), {"unchanged": 1.0}), ((2, 4), counted)]:
        expect(schedule, expected, n=1000, epoch=epoch)
    LIBRARY.extras(module, image)


def check_finish(image, n=2000):
    """Where each image has been shifted to, whether it is mirrored, and whether inverted before, is read off its middle."""
    rows, columns = image.shape[:2]
    margin = int(0.1 * min(rows, columns) + 0.5)
    middle = np.s_[margin : rows - margin, margin : columns - margin]
    found = []
    for made in LIBRARY.augmented(load("finished"), [image] * n):
        for inverted in (False, True):
            before = 255 - image if inverted else image
            for mirrored in (False, True):
                back = made[:, ::-1] if mirrored else made
                # A margin that came in is black, and a mirror image of what was shifted.
                for x in range(-margin, margin + 1):
                    for y in range(-margin, margin + 1):
                        there = before[margin - y : rows - margin - y, margin - x : columns - margin - x]
                        if np.array_equal(back[middle], there):
                            found.append((inverted, mirrored, x, y))
    check(len(found) == n, f"finished: {len(found)} of {n} images are what they should be")
    if len(found) != n:
        return
    inverted, mirrored, x, y = np.array(found).T
    for name, share, p in [("inverted", inverted.mean(), 0.25), ("mirrored", mirrored.mean(), 0.5)]:
        check(abs(share - p) < 5 * np.sqrt(p * (1 - p) / n), f"finished: {share:.3f} {name}, expected {p}")
    for name, shifts in [("x", x), ("y", y)]:
        shares = np.bincount(shifts + margin, minlength=2 * margin + 1) / n
        p = 1 / (2 * margin + 1)
        check(np.all(np.abs(shares - p) < 5 * np.sqrt(p * (1 - p) / n)), f"finished: shifts along {name} {shares}")
    side = int(0.25 * min(rows, columns) + 0.5)
    for made in LIBRARY.augmented(load("covered"), [image] * 200):
        rows_off, columns_off = np.nonzero((made != image).any(-1))
        height, width = np.ptp(rows_off) + 1, np.ptp(columns_off) + 1
        check(side // 2 <= height <= side and side // 2 <= width <= side, f"covered: a square of {height} x {width}")
        check((made[rows_off, columns_off] == 128).all(), "covered: grey")


def main():
    cases = json.loads((FOLDER / "cases.json").read_text())
    images = {
        name: np.fromfile(FOLDER / f"{name}.bin", np.uint8).reshape(shape) for name, shape in cases["images"].items()
    }
    functions = check_functions(cases["kernels"], images)
    fixed, drawn = check_draws(cases["draws"], images["colour"], images["grey"])
    check_chances(images["colour"][3])
    check_finish(images["colour"][3])
    print(f"{functions} calls of functions, {fixed} fixed and {drawn} random cases, {len(FAILURES)} failures")
    print("\n".join(FAILURES))
    sys.exit(1 if FAILURES else 0)


main()
