"""The example notebook, from its first cell to its last."""

import pathlib

import pytest

BOOK = pathlib.Path(__file__).parents[1] / "docs" / "quickstart.ipynb"


def test_the_notebook_runs(tmp_path):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    for needed in ("torch", "matplotlib", "PIL", "ipykernel"):
        pytest.importorskip(needed)
    book = nbformat.read(BOOK, as_version=4)
    sizes = book.cells[1]
    assert "SECONDS = 300" in sizes.source and "EPOCHS = 40" in sizes.source
    # The same, shorter.
    sizes.source = sizes.source.replace("SECONDS = 300", "SECONDS = 5").replace("EPOCHS = 40", "EPOCHS = 2")
    sizes.source = sizes.source.replace("SEEDS = 3", "SEEDS = 1")
    nbclient.NotebookClient(book, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    printed = "".join(output.get("text", "") for cell in book.cells if cell.cell_type == "code" for output in cell.outputs)
    assert "without augmentation" in printed
    pictures = [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == 3, "the images, the search and the policy"
