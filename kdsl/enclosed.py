"""A child of a release that encloses more files: what was measured of it later, its voters being the same."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from kdsl import release
from kdsl.manifest import MANIFEST, id_of, now
from kdsl.release import Release


def enclosing(parent: Release, files: Mapping[str, str], root: Path) -> Release:
    """A child of a release that holds more files; found and not written again where it is in `root` already.

    Args:
        parent: the release, whose voters and figures the child has.
        files: texts by name, in place of the parent's files of those names.
        root: the folder of the child's folder.
    """
    release_id = id_of({"parent": parent.manifest.release_id, **files})
    if (final := root / release_id).is_dir():
        return Release.open(final)
    told = {"release_id": release_id, "parent": parent.manifest.release_id, "created_at": now()}
    with release.drafted(root, parent.manifest.model_copy(update=told)) as draft:
        shutil.copytree(parent.path, draft, ignore=shutil.ignore_patterns(MANIFEST), dirs_exist_ok=True)
        for name, content in files.items():
            (draft / name).write_text(content, encoding="utf-8")
    return Release.open(final)
