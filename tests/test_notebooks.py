"""Every notebook runs from top to bottom on a small labelled lake, and shows figures and tables that are not empty."""

import ast
import os
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from nbclient import NotebookClient

from jobs import session
from tests.night import Shop

FILLED = {"labels": ("counts", "quality"), "quality": ("nights", "likeness", "parts"), "rules": ("fired", "record")}
"""By notebook the frames that must have rows."""
NOTEBOOKS = sorted(Path("notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=str)
def test_notebook_shows_what_is_there(path: Path, night: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    at_work_on(night, monkeypatch)
    # A session of its own would cost each notebook a JVM; its options would stay in the tests' session.
    monkeypatch.setattr(session, "build", lambda settings, name: night.spark)
    plt.switch_backend("agg")
    plt.close("all")
    names = run(path)
    assert len(plt.get_fignums()) >= 2
    plt.close("all")
    assert all(len(names[frame]) for frame in FILLED[path.stem]), {f: names[f] for f in FILLED[path.stem]}


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=str)
def test_notebook_runs_in_a_kernel_of_its_own(path: Path, night: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    at_work_on(night, monkeypatch)
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": os.getcwd()}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources).execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in shown) >= 2


def at_work_on(night: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KDSL_LAKE", night.settings.lake)
    monkeypatch.setenv("KDSL_RELEASES", night.settings.releases)
    monkeypatch.setenv("PYTHONPATH", os.getcwd())


def run(path: Path) -> dict[str, Any]:
    """Run the cells of a notebook as a kernel would, and give its names; what ends a cell must be printable."""
    notebook = nbformat.read(path, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "commit notebooks without outputs"
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, cell in enumerate(cell for cell in notebook.cells if cell.cell_type == "code"):
        tree = ast.parse(cell.source, f"{path}, code cell {number}")
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, f"{path}, code cell {number}", "exec"), names)
        if last is not None:
            shown = eval(compile(ast.Expression(last.value), f"{path}, code cell {number}", "eval"), names)
            assert not isinstance(shown, pd.DataFrame) or shown.to_html()
    return names
