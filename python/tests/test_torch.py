"""PyTorch, torchvision and albumentations."""

import multiprocessing

import numpy as np
import pytest

import deepaug
from deepaug import Policy

POLICY = Policy.published("trivialaugment")


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def test_tensors_come_back_as_they_went(torch, pictures):
    expected = POLICY(pictures, seed=4)
    batch = torch.from_numpy(pictures.transpose(0, 3, 1, 2).copy())
    for images in (batch, batch.contiguous(memory_format=torch.channels_last)):
        made = POLICY(images, seed=4)
        assert made.shape == batch.shape and made.dtype == torch.uint8
        assert (made.permute(0, 2, 3, 1).numpy() == expected).all()
    one = POLICY(batch[3], seed=9)
    assert one.shape == (3, 32, 32) and (one.permute(1, 2, 0).numpy() == POLICY(pictures[3], seed=9)).all()
    with pytest.raises(TypeError, match="torch.float32.*ToDtype"):
        POLICY(batch.float())
    with pytest.raises(ValueError, match="2 axes"):
        POLICY(batch[0, 0])
    with pytest.raises(ValueError, match="1 or 3 channels"):
        POLICY(batch[:, :2])
    with pytest.raises(TypeError, match="on the CPU"):
        POLICY(batch.to("meta"))


def test_seeds_follow_the_generator_of_pytorch(torch, pictures):
    def drawn():
        torch.manual_seed(3)
        return [POLICY(pictures) for _ in range(3)]

    first, again = drawn(), drawn()
    assert all((a == b).all() for a, b in zip(first, again))
    assert (first[0] != first[1]).any()


def test_pipelines_of_torchvision(torch, pictures):
    v2 = pytest.importorskip("torchvision.transforms.v2")
    from torchvision import tv_tensors

    transform = POLICY.transform(chance=1.0)
    assert "trivialaugment" in repr(transform)
    pipeline = v2.Compose([transform, v2.ToDtype(torch.float32, scale=True)])
    image = tv_tensors.Image(torch.from_numpy(pictures[0].transpose(2, 0, 1).copy()))
    made, label = pipeline(image, 7)
    assert isinstance(made, tv_tensors.Image) and made.dtype == torch.float32 and label == 7
    with pytest.raises(TypeError, match="images alone, not Mask"):
        POLICY(tv_tensors.Mask(torch.zeros((1, 8, 8), dtype=torch.uint8)))
    with pytest.raises(TypeError, match="images alone"):
        POLICY({"image": image})
    pil = pytest.importorskip("PIL.Image").fromarray(pictures[0])
    assert POLICY(pil, seed=2).mode == "RGB" and (np.asarray(POLICY(pil, seed=2)) == POLICY(pictures[0], seed=2)).all()
    with pytest.raises(TypeError, match='mode "RGB" or "L", not \'P\''):
        POLICY(pil.convert("P"))
    own = Policy([[("rotate", 0.5)]]).to_torchvision()
    assert v2.Compose([own])(image).shape == (3, 32, 32)
    assert transform.batch(torch.from_numpy(pictures.transpose(0, 3, 1, 2).copy())).shape == (40, 3, 32, 32)


def test_schedules_follow_set_epoch(torch, pictures):
    invert, fog = Policy([[("invert", 1.0)]]), Policy([[("fog", 1.0)]])
    text = fog.to_json()[:-1].replace('"format":1', '"format":3')
    schedule = Policy.from_json(text + f',"earlier":[{{"epochs":1,"policy":{invert.to_json()}}}],"epochs":1}}')
    transform = schedule.transform(chance=1.0)
    batch = torch.from_numpy(pictures.transpose(0, 3, 1, 2).copy())
    transform.set_epoch(0, 2)
    assert (transform(batch) == 255 - batch).all()
    transform.set_epoch(1, 2)
    assert (transform(batch) != 255 - batch).any()


class Images:
    """A dataset whose images say which they are."""

    def __init__(self, images, policy):
        self.images, self.policy = images, policy

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.policy(self.images[index]), index


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_of_a_data_loader(torch, pictures, method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} on this system")
    same = np.repeat(pictures[:1], 24, axis=0)
    POLICY(np.repeat(pictures, 2, axis=0), seed=0)  # starts the threads that a fork lacks
    loader = torch.utils.data.DataLoader(
        Images(same, POLICY), batch_size=4, num_workers=2, multiprocessing_context=method, timeout=120
    )

    def epochs():
        torch.manual_seed(11)
        return [torch.cat([images for images, _ in loader]).numpy() for _ in range(2)]

    first, second = epochs()
    again = epochs()
    assert (first == again[0]).all() and (second == again[1]).all(), "repeated by the seed"
    drawn = {image.tobytes() for image in np.concatenate([first, second])}
    # Images of one op at one of 31 magnitudes: some are equal by chance.
    assert len(drawn) > 30, "workers and epochs draw anew"


def test_batches_in_collate(torch, pictures):
    transform = POLICY.transform()

    def collate(samples):
        images, labels = zip(*samples)
        return transform.batch(torch.stack(images)), torch.tensor(labels)

    pairs = [(torch.from_numpy(image.transpose(2, 0, 1).copy()), index) for index, image in enumerate(pictures)]
    loader = torch.utils.data.DataLoader(pairs, batch_size=20, collate_fn=collate, num_workers=2)
    assert [labels.tolist() for _, labels in loader] == [list(range(20)), list(range(20, 40))]


def test_a_trained_net_is_loaded(torch, finished, tmp_path):
    pytest.importorskip("safetensors")
    import deepaug.torch

    trained = finished.train(model="tinycnn", epochs=2, out=tmp_path / "net.safetensors", device="cpu")
    dataset = deepaug.Dataset.read(finished.path / "images.npz")
    test = dataset.split(finished.config)["test"]
    images = torch.from_numpy(dataset.images[test].transpose(0, 3, 1, 2).copy()).float() / 255
    for path in (trained.weights, trained.model):
        net = deepaug.torch.load_model(path)
        with torch.no_grad():
            found = net(images).argmax(1).numpy()
        accuracy = (found == dataset.labels[test]).mean()
        assert accuracy == pytest.approx(trained.accuracy, abs=0.011), "one image may be undecided"
    with pytest.raises(FileNotFoundError):
        deepaug.torch.load_model(tmp_path / "none.safetensors")
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    deepaug.torch.export_onnx(trained.weights, tmp_path / "net.onnx", (1, 28, 28))
    session = runtime.InferenceSession(str(tmp_path / "net.onnx"))
    [logits] = session.run(None, {"images": images[:7].numpy()})
    with torch.no_grad():
        assert np.allclose(logits, net(images[:7]).numpy(), atol=1e-4)


def test_data_sets_of_pytorch(torch, clothes):
    images, labels = clothes
    tensors = torch.utils.data.TensorDataset(
        torch.from_numpy(images.transpose(0, 3, 1, 2).copy()).float() / 255, torch.from_numpy(labels)
    )
    dataset = deepaug.Dataset.read(tensors)
    assert (dataset.images == images).all() and (dataset.labels == labels).all()
    part = torch.utils.data.Subset(tensors, range(0, 400, 2))
    assert (deepaug.Dataset.read(part).images == images[::2]).all()
    both = deepaug.Dataset.read((torch.from_numpy(images), torch.from_numpy(labels)))
    assert (both.labels == labels).all()


def test_pipelines_of_albumentations(pictures):
    albumentations = pytest.importorskip("albumentations")
    from deepaug.albumentations import PolicyTransform

    def made():
        pipeline = albumentations.Compose([PolicyTransform(POLICY)], seed=3)
        return [pipeline(image=pictures[0])["image"] for _ in range(4)]

    first, again = made(), made()
    assert all((a == b).all() for a, b in zip(first, again)), "the seed of Compose decides"
    assert len({image.tobytes() for image in first}) > 1
    own = Policy([[("invert", 1.0)]]).to_albumentations()
    assert own(image=pictures[0])["image"].shape == (32, 32, 3)
