"""Where a lake lies: what can be told of a local place before Spark is asked, whose own errors name no cause."""

import os
from pathlib import Path

from kdsl.errors import LakeError


def resolved(root: str) -> str:
    """The root of a lake as Spark is told of it: a URI as it is, a local folder from the root of the disk.

    Raises:
        LakeError: it is a file, or lies below one.
    """
    whole = root if _is_uri(root) else str(Path(root).resolve())
    folder = local(whole)
    for place in (folder, *folder.parents) if folder else ():
        if os.path.exists(place) and not os.path.isdir(place):  # Path's own raise where one may not look
            below = "" if place == folder else f", and {root} lies below it"
            raise LakeError(f"--lake: {place} is a file{below}; name a folder, there already or not.")
    return whole


def must_be_writable(root: str) -> None:
    """Make the folder where it is missing.

    Raises:
        LakeError: it cannot be made, or nothing can be written in it.
    """
    folder = local(root)
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LakeError(
            f"--lake: the folder {folder} cannot be made ({error.strerror}); name one where you may write."
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise LakeError(f"--lake: nothing can be written in {folder}; name a folder where you may write.")


def _is_uri(root: str) -> bool:
    return "://" in root or root.startswith("file:/")


def local(whole: str) -> Path | None:
    """The folder that a root on this machine's disk names; None of one on a store."""
    if whole.startswith("file:"):
        return Path(whole.removeprefix("file:").removeprefix("//"))
    return None if _is_uri(whole) else Path(whole)
