"""A child of a release that encloses one more file: what was measured of it later, its voters being the same."""

import shutil
from pathlib import Path

from kdsl import release
from kdsl.manifest import MANIFEST, id_of, now
from kdsl.release import Release


def enclosing(parent: Release, name: str, content: str, root: Path) -> Release:
    """A child of a release that holds one more file; found and not written again where it is in `root` already.

    Args:
        parent: the release, whose voters and figures the child has.
        name: of the file, in place of the parent's file of that name.
        content: of the file.
        root: the folder of the child's folder.
    """
    release_id = id_of({"parent": parent.manifest.release_id, name: content})
    if (final := root / release_id).is_dir():
        return Release.open(final)
    told = {"release_id": release_id, "parent": parent.manifest.release_id, "created_at": now()}
    with release.drafted(root, parent.manifest.model_copy(update=told)) as draft:
        shutil.copytree(parent.path, draft, ignore=shutil.ignore_patterns(MANIFEST), dirs_exist_ok=True)
        (draft / name).write_text(content, encoding="utf-8")
    return Release.open(final)
