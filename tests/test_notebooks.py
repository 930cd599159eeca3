"""Every notebook runs from top to bottom on a small labelled lake, and what it shows has no error in it."""

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.night import Shop


@pytest.mark.parametrize("path", sorted(Path("notebooks").glob("*.ipynb")), ids=str)
@pytest.mark.timeout(600)
def test_notebook_runs(path: Path, night: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = nbformat.read(path, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "commit notebooks without outputs"
    monkeypatch.setenv("KDSL_LAKE", night.settings.lake)
    monkeypatch.setenv("PYTHONPATH", os.getcwd())
    client = NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": os.getcwd()}})
    client.execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in shown) >= 2
    assert not any(output["output_type"] == "error" for output in shown)
