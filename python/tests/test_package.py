"""The package as a whole."""

import doctest
import inspect
import pathlib
import subprocess
import sys

import pytest

import deepaug
import deepaug.callbacks
import deepaug.compat
import deepaug.plot

CHECKOUT = pathlib.Path(__file__).parents[2]


def test_everything_public_says_what_it_does():
    missing = []
    for module in (deepaug, deepaug.callbacks, deepaug.compat, deepaug.plot):
        for name in getattr(module, "__all__", [n for n in vars(module) if not n.startswith("_")]):
            thing = getattr(module, name)
            if not (inspect.isclass(thing) or callable(thing)):
                continue
            if not getattr(thing, "__module__", "").startswith("deepaug") and thing not in (deepaug.ops, deepaug.set_threads):
                continue
            if not inspect.getdoc(thing):
                missing.append(name)
            if inspect.isclass(thing):
                members = {n: m for n, m in vars(thing).items() if not n.startswith("_")}
                described = {n: m for n, m in members.items() if callable(m) or inspect.isdatadescriptor(m)}
                missing += [f"{name}.{n}" for n, m in described.items() if not inspect.getdoc(m)]
    assert missing == []


def test_the_command_is_in_the_package():
    done = subprocess.run([sys.executable, "-m", "deepaug", "--version"], capture_output=True, text=True)
    assert done.stdout.strip().endswith(deepaug.__version__) and done.returncode == 0
    wrong = subprocess.run([sys.executable, "-m", "deepaug", "optimise"], capture_output=True, text=True)
    assert wrong.returncode == 2 and "optimize" in wrong.stderr


def test_nothing_heavy_is_imported():
    code = "import sys, deepaug; print([m for m in ('torch', 'pandas', 'matplotlib', 'PIL', 'tqdm', 'mlflow') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_the_readme_runs(tmp_path, monkeypatch, clothes):
    readme = CHECKOUT / "python" / "README.md"
    if not readme.is_file():
        pytest.skip("the checkout is not here")
    image = pytest.importorskip("PIL.Image")
    monkeypatch.chdir(tmp_path)
    for index, (pixels, label) in enumerate(zip(*(part[:160] for part in clothes))):
        folder = tmp_path / "my-images" / f"class {label}"
        folder.mkdir(parents=True, exist_ok=True)
        image.fromarray(pixels[..., 0]).save(folder / f"{index}.png")
    # The same, shorter.
    text = readme.read_text().replace("time=600", "time=5").replace("epochs=30, seeds=5", "epochs=1, seeds=2")
    text = text.replace("epochs=30", "epochs=1")
    example = doctest.DocTestParser().get_doctest(text, {}, "README.md", str(readme), 0)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    runner.run(example)
    tried = runner.summarize()
    assert tried.attempted > 15 and tried.failed == 0
