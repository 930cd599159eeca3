"""Copies of what lies on a store, one a machine: made under a lock beside their place, and put there by one rename."""

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path


def kept(final: Path, fetch: Callable[[Path], None], check: Callable[[Path], object]) -> Path:
    """The folder `final`, which is there whole or not at all, whoever else wants it or is killed while making it.

    Args:
        final: where the copy belongs; the same name always means the same content.
        fetch: fills a folder that is not there yet.
        check: raises where that folder is not what it should be; then nothing is kept.
    """
    if final.is_dir():
        return final
    final.parent.mkdir(parents=True, exist_ok=True)
    with (final.parent / f".{final.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # gone with the process that holds it
        if final.is_dir():
            return final
        draft = final.parent / f".{final.name}.{os.getpid()}"
        shutil.rmtree(draft, ignore_errors=True)
        try:
            fetch(draft)
            check(draft)
            draft.rename(final)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return final
