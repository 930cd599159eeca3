"""A child of a release that encloses one more file: what was measured of it later, its voters being the same."""

import os
import shutil
from pathlib import Path

from kdsl import release
from kdsl.release import Release


def enclosing(parent: Release, name: str, content: str, root: Path) -> Release:
    """A child of a release that holds one more file; found and not written again where it is in `root` already.

    Args:
        parent: the release, whose voters and figures the child has.
        name: of the file, in place of the parent's file of that name.
        content: of the file.
        root: the folder of the child's folder.
    """
    release_id = release.id_of({"parent": parent.manifest.release_id, name: content})
    final, draft = root / release_id, root / f".{release_id}.{os.getpid()}"
    if final.is_dir():
        return Release.open(final)
    told = {"release_id": release_id, "parent": parent.manifest.release_id, "created_at": release.now()}
    root.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copytree(parent.path, draft, ignore=shutil.ignore_patterns(release.MANIFEST), dirs_exist_ok=True)
        (draft / name).write_text(content, encoding="utf-8")
        release.seal(draft, final, parent.manifest.model_copy(update=told))
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return Release.open(final)
