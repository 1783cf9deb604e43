"""Policies as values, and on arrays."""

import copy
import hashlib
import os
import pickle
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import deepaug
from deepaug import Application, Policy, Step

ROTATE = Policy([[("rotate", 0.31), ("gaussian-blur", 0.1)], [("fog", 1.0, 0.5)]], portion=0.8)


def test_a_policy_is_a_value():
    assert ROTATE.sub_policies[1] == (Step("fog", 1.0, 0.5),)
    assert Policy(ROTATE.sub_policies, portion=0.8) == ROTATE
    assert Policy.from_json(ROTATE.to_json()) == ROTATE
    assert Policy.from_json(ROTATE.to_json(indent=2)) == ROTATE
    assert pickle.loads(pickle.dumps(ROTATE)) == ROTATE == copy.deepcopy(ROTATE)
    assert len({ROTATE, Policy.from_json(ROTATE.to_json()), Policy.none()}) == 2
    assert str(ROTATE) == "rotate 0.31 + gaussian-blur 0.10 | fog 1.00 (p 0.50) on 80 %"
    online = ROTATE.with_application(Application.online(chance=0.5, flip=False))
    assert online != ROTATE and online.application.kind == "online"
    assert online.application == eval(repr(online.application), {"Application": Application})
    assert pickle.loads(pickle.dumps(online)).application == online.application
    with pytest.raises(AttributeError):
        ROTATE.portion = 0.1


def test_files(tmp_path):
    ROTATE.save(tmp_path / "policy.json")
    assert Policy.from_file(tmp_path / "policy.json") == ROTATE
    with pytest.raises(FileNotFoundError):
        Policy.from_file(tmp_path / "none.json")
    with pytest.raises(OSError, match="policy.json"):
        ROTATE.save(tmp_path / "no folder" / "policy.json")


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: Policy([[("rotat", 0.1)]]), "rotate"),
        (lambda: Policy([[("rotate", 1.5)]]), "magnitude 1.5 of rotate"),
        (lambda: Policy([[("rotate", 0.5)]], portion=2.0), "portion 2 is not between 0 and 1"),
        (lambda: Policy([[("rotate", 0.5)]], ranges="wide"), "ranges"),
        (lambda: Policy.from_json("{"), "not a policy"),
        (lambda: Policy.published("best"), "trivialaugment"),
        (lambda: Policy([[("sample-pairing", 0.5)]]).to_code("torchvision"), "blends with a second image"),
        (lambda: Application.online(chance=2.0), "chance 2"),
    ],
)
def test_what_cannot_be_a_policy_is_refused_by_name(make, words):
    with pytest.raises(deepaug.PolicyError, match=words) as error:
        make()
    assert isinstance(error.value, ValueError) and error.value.code == 3


def test_wrong_types_are_type_errors(pictures):
    with pytest.raises(TypeError, match="a step is"):
        Policy([["rotate"]])
    with pytest.raises(TypeError, match="float32.*ToDtype"):
        ROTATE(pictures.astype(np.float32))
    with pytest.raises(TypeError, match="builtins.list"):
        ROTATE([1, 2])
    with pytest.raises(ValueError, match=r"1 or 3 channels.*\[40, 32, 32, 2\]"):
        ROTATE(pictures[..., :2])
    with pytest.raises(ValueError, match="5 axes"):
        ROTATE(pictures[None])


def test_images_are_augmented_in_place_and_repeat_with_a_seed(pictures):
    policy = Policy.published("trivialaugment")
    first, second = policy(pictures, seed=1), policy(pictures, seed=2)
    assert first.shape == pictures.shape and first.dtype == np.uint8
    assert (first == policy(pictures, seed=1)).all()
    assert (first != second).any() and (first != pictures).any()
    assert (policy(pictures) != policy(pictures)).any(), "afresh at each call"
    one = policy(pictures[3], seed=9)
    assert one.shape == (32, 32, 3)
    grey = policy(pictures[..., :1], seed=3)
    assert grey.shape == (40, 32, 32, 1)
    assert policy(pictures[0, :, :, 0], seed=3).shape == (32, 32)
    assert policy(pictures[:0]).shape == (0, 32, 32, 3)
    assert (Policy.none()(pictures) == pictures).all()


def test_layouts_do_not_matter(pictures):
    policy = Policy.published("randaugment-2-9")
    expected = policy(pictures, seed=5)
    reversed_twice = pictures[:, ::-1][:, ::-1]
    strided = np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1)
    frozen = pictures.copy()
    frozen.flags.writeable = False
    for other in (reversed_twice, strided, frozen, np.asfortranarray(pictures)):
        assert (policy(other, seed=5) == expected).all()


def test_a_share_of_images_is_augmented_as_by_copies():
    images = np.full((4000, 4, 4, 1), 10, np.uint8)
    policy = Policy([[("invert", 1.0)], [("invert", 1.0)]], portion=0.5)
    # Two sub-policies that copy half of the images each: half of all are copies.
    assert policy.chance == 0.5
    share = (policy(images, seed=1) != 10).any(axis=(1, 2, 3)).mean()
    assert abs(share - 0.5) < 0.04
    sure = policy.with_chance(1.0)
    assert (sure(images, seed=1) == 245).all()


def test_copies_name_their_sources(pictures):
    copies, sources = ROTATE.copies(pictures, seed=4)
    assert copies.shape == (64, 32, 32, 3) and sources.shape == (64,)
    assert sources.max() < 40 and (np.diff(sources[:32]) > 0).all()
    invert = Policy([[("invert", 1.0)]], portion=0.5)
    copies, sources = invert.copies(pictures, seed=4)
    assert (copies == 255 - pictures[sources]).all()


def test_schedules_are_followed(pictures):
    pieces = '{"epochs":1,"policy":%s}' % Policy([[("invert", 1.0)]]).to_json()
    last = Policy([[("fog", 1.0)]]).to_json()
    schedule = Policy.from_json(last[:-1].replace('"format":1', '"format":3') + f',"earlier":[{pieces}],"epochs":3}}')
    assert schedule.is_schedule and not schedule.at(0, 8).is_schedule
    assert [schedule.at(epoch, 8).sub_policies[0][0].op for epoch in range(8)] == ["invert"] * 2 + ["fog"] * 6


def test_pictures_and_words(pictures, tmp_path):
    sheet = ROTATE.preview(pictures[:4], draws=1)
    assert sheet.to_numpy().ndim == 3 and sheet._repr_png_().startswith(b"\x89PNG")
    sheet.save(tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").stat().st_size > 1000
    assert "data:image/png" in ROTATE._repr_html_()
    assert Policy.published("trivialaugment").preview(pictures[:2], draws=1).to_numpy().shape[0] < 3000, "a selection"
    assert "rotate" in deepaug.ops() and deepaug.ops(category="occlusion")
    with pytest.raises(ValueError, match="draws must be between 1 and 64"):
        ROTATE.preview(pictures, draws=2**40)
    with pytest.raises(deepaug.PolicyError, match="occlusion"):
        deepaug.ops(category="oclusion")


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="the peak of memory is not known here")
def test_one_result_is_all_that_is_allocated():
    """512 MiB of images: the growth of the peak is one result, not two."""
    code = """
import numpy as np, deepaug
images = np.zeros((512, 1024, 1024, 1), np.uint8)
policy = deepaug.Policy([[("invert", 1.0)]]).with_chance(1.0)
policy(images[:1])
def peak():
    return next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
before = peak()
assert (policy(images)[::100, ::100, ::100] == 255).all()
print(peak() - before)
"""
    grown = float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert 500 < grown < 700, grown


def test_other_threads_go_on():
    images = np.zeros((2000, 64, 64, 3), np.uint8)
    policy = Policy([[("gaussian-blur", 1.0)]]).with_chance(1.0)
    ticks, done = [0], threading.Event()

    def tick():
        while not done.is_set():
            ticks[0] += 1
            time.sleep(0.001)

    thread = threading.Thread(target=tick)
    thread.start()
    policy(images)
    during = ticks[0]
    done.set()
    thread.join()
    assert during > 3, "the interpreter stood still while images were augmented"


FORKED = """
import hashlib, os, sys
import numpy as np, deepaug
images = np.random.default_rng(1).integers(0, 256, (200, 32, 32, 3), dtype=np.uint8)
policy = deepaug.Policy.published("trivialaugment")
digest = lambda: hashlib.sha256(policy(images, seed=5).tobytes() + policy.copies(images, seed=3)[0].tobytes()).hexdigest()
parent = digest()
free = policy(images)
read, write = os.pipe()
if os.fork() == 0:
    os.write(write, digest().encode() + (b"same" if (policy(images) == free).all() else b"other"))
    try:
        deepaug.optimize("fashion-mnist-sample", deepaug.Config(device="cpu"))
    except RuntimeError as error:
        os.write(write, b" spawn" if "spawn" in str(error) else b" what?")
    os._exit(0)
os.close(write)
os.wait()
print(os.read(read, 1000).decode() == parent + "other spawn")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_forks_do_not_wait_for_threads_that_they_lack():
    run = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=60)
    assert run.stdout.strip() == "True", run.stderr


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_get_policies(method, pictures):
    import multiprocessing

    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} on this system")
    with multiprocessing.get_context(method).Pool(2) as pool:
        digests = pool.starmap(_digest, [(ROTATE, pictures)] * 2)
    assert set(digests) == {_digest(ROTATE, pictures)}


def _digest(policy, images):
    return hashlib.sha256(policy(images, seed=5).tobytes()).hexdigest()
