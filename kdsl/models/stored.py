"""How a voter of one JSON file and one file of arrays lies in a release; read with every check, never unpickled."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from kdsl.errors import ReleaseError
from kdsl.taxonomy import Task

V = TypeVar("V")


def save(folder: Path, voter: str, data: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    """Write `<voter>.json` and `<voter>.npz` into the folder."""
    (folder / f"{voter}.json").write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
    np.savez_compressed(folder / f"{voter}.npz", **arrays)


def load(
    folder: Path,
    voter: str,
    task: Task,
    restore: Callable[[Mapping[str, Any], Mapping[str, Any], Task], V],
    *,
    version: int,
) -> V:
    """What `restore` makes of the two files; it may raise what broken data raise.

    Raises:
        ReleaseError: a file is missing or broken, or it was made for another task, other labels, in another format, or
            whatever `restore` refuses.
    """
    try:
        data = json.loads((folder / f"{voter}.json").read_text(encoding="utf-8"))
        with np.load(folder / f"{voter}.npz", allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        if data["format"] != version:
            raise ValueError(f"format {data['format']!r}, this version reads {version}")
        if data["task"] != task.name or tuple(data["labels"]) != task.label_names:
            raise ValueError(f"made for task {data['task']!r} with {len(data['labels'])} labels")
        return restore(data, arrays, task)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReleaseError(
            f"voter {voter} in {folder} cannot be used for task {task.name!r} ({type(error).__name__}: {error}); "
            "was the release made for another taxonomy? Run fit again."
        ) from error
