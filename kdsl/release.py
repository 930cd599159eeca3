"""A release: an immutable directory with all that labelling needs, and a manifest that can prove it.

manifest.json                 hashes of every file, versions, scores
taxonomy.json
learned.json                  ids of the items it learned from, by task
voters/<task>/<voter>/...     npz, safetensors and JSON; never pickle
fusion/<task>.json            calibrations and weights of the voters, and when `large` is asked
held_out/<task>.npz           what each voter said of examples that it did not learn from
reference/<task>.npz          what a release of this kind says of examples that no part of it learned from
inputs/<task>.npz             what the examples are made of, to tell a night of other kind
reliability/<task>.json       how far the confidence of each voter and of the whole can be believed on them
seesaw.json, seesaw.svg       what tasks lose by sharing an adapter, where `seesaw --release` measured it, and drawn
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, Self

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from kdsl import estimate, inputs, seesaw
from kdsl.errors import ReleaseError
from kdsl.estimate import Reference
from kdsl.fusion import fusion as fusions
from kdsl.fusion import held_out
from kdsl.fusion.fusion import Fusion
from kdsl.fusion.held_out import HeldOut
from kdsl.fusion.nested import reference
from kdsl.inputs import Inputs
from kdsl.manifest import MANIFEST, Manifest, file_sha256, read_manifest, verify
from kdsl.models.reliability import Reliability
from kdsl.seesaw import SeeSaw
from kdsl.taxonomy import Taxonomy
from kdsl.taxonomy import load as load_taxonomy

SUFFIXES = (".json", ".npz", ".safetensors", ".svg")  # a drawing is for people: nothing here opens it
_CURVES = TypeAdapter(dict[str, Reliability])


class Saves(Protocol):
    """A voter as far as a release is concerned."""

    def save(self, folder: Path) -> None:
        """Write it into an empty directory."""
        ...


class Release(BaseModel):
    """A release on disk that was verified when it was opened."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)
    path: Path
    manifest: Manifest
    taxonomy: Taxonomy
    origin: str = ""
    """The URI that `path` is a copy of; empty: `path` is where it lies."""

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open and verify: every file there, of the recorded hash, and none besides.

        Raises:
            ReleaseError: missing, no manifest, or altered; names the file.
        """
        manifest = read_manifest(path)
        verify(path, manifest)
        return cls(path=path, manifest=manifest, taxonomy=load_taxonomy(path / "taxonomy.json"))

    def folder(self, task: str, voter: str) -> Path:
        """Where a voter's files lie."""
        return self.path / "voters" / task / voter

    def fusion(self, task: str) -> Fusion:
        """How the task's voters are fused.

        Raises:
            ReleaseError: the file is missing or broken, or belongs to other labels or voters.
        """
        labels = self.taxonomy.task(task).label_names
        return fusions.load(self.path / "fusion" / f"{task}.json", labels, self.manifest.voters[task])

    def held_out(self, task: str) -> HeldOut:
        """What the task's voters said of examples held out.

        Raises:
            ReleaseError: the file is missing or broken.
        """
        return held_out.load(self.path / "held_out" / f"{task}.npz")

    def reference(self, task: str) -> Reference:
        """What a release of this kind says of examples that no part of it learned from.

        Raises:
            ReleaseError: the file is missing or broken.
        """
        return estimate.load(self.path / "reference" / f"{task}.npz")

    def reliability(self, task: str) -> dict[str, Reliability]:
        """By voter, and of `fused`, how far confidence can be believed; empty in a release of an earlier version.

        Raises:
            ReleaseError: the file is broken.
        """
        name = f"reliability/{task}.json"
        if name not in self.manifest.files:
            return {}
        try:
            return _CURVES.validate_json((self.path / name).read_bytes())
        except (OSError, ValidationError) as error:
            raise ReleaseError(f"{name} in {self.path} cannot be read ({type(error).__name__}); fit again.") from error

    def inputs(self, task: str) -> Inputs | None:
        """What the task's examples are made of; None in a release of an earlier version.

        Raises:
            ReleaseError: the file is broken.
        """
        name = f"inputs/{task}.npz"
        return inputs.load(self.path / name) if name in self.manifest.files else None

    def seesaw(self) -> SeeSaw | None:
        """What tasks lose by sharing an adapter; None where nobody measured it.

        Raises:
            ReleaseError: the file is broken.
        """
        return seesaw.read(self.path / seesaw.FILE) if seesaw.FILE in self.manifest.files else None

    def learned(self) -> dict[str, list[str]]:
        """Ids of the items that the release learned from, by task."""
        data: dict[str, list[str]] = json.loads((self.path / "learned.json").read_text(encoding="utf-8"))
        return data

    def must_fit(self, taxonomy: Taxonomy) -> None:
        """Check that the release was learned for this taxonomy.

        Raises:
            ReleaseError: it was not.
        """
        if taxonomy.digest != self.manifest.taxonomy_digest:
            raise ReleaseError(
                f"release {self.manifest.release_id} was learned for taxonomy {self.manifest.taxonomy!r} "
                f"(digest {self.manifest.taxonomy_digest[:12]}), --taxonomy names {taxonomy.name!r} "
                f"({taxonomy.digest[:12]}); name the taxonomy that it was learned for, or learn a release with `fit`."
            )


def write(
    root: Path,
    manifest: Manifest,
    taxonomy: Taxonomy,
    voters: Mapping[str, Mapping[str, Saves]],
    *,
    learned: Mapping[str, list[str]],
    fused: Mapping[str, tuple[Fusion, HeldOut]],
    seen: Mapping[str, Inputs] | None = None,
) -> Release:
    """Write a release as `root/<release_id>`: all of it or nothing, by one rename.

    Raises:
        ReleaseError: a voter wrote a kind of file that a release may not hold.
    """
    with drafted(root, manifest) as draft:
        (draft / "taxonomy.json").write_text(taxonomy.model_dump_json(indent=1), encoding="utf-8")
        (draft / "learned.json").write_text(json.dumps(learned, ensure_ascii=False, indent=0), encoding="utf-8")
        for task, by_name in voters.items():
            for name, voter in by_name.items():
                folder = draft / "voters" / task / name
                folder.mkdir(parents=True)
                voter.save(folder)
        for name in ("fusion", "held_out", "reference", "reliability", "inputs"):
            (draft / name).mkdir()
        for task, (fusion, held) in fused.items():
            fusion.save(draft / "fusion" / f"{task}.json")
            held.save(draft / "held_out" / f"{task}.npz")
            known, curves = reference(held, fusion)
            known.save(draft / "reference" / f"{task}.npz")
            (draft / "reliability" / f"{task}.json").write_bytes(_CURVES.dump_json(curves, indent=1))
        for task, examples in (seen or {}).items():
            examples.save(draft / "inputs" / f"{task}.npz")
    return Release.open(root / manifest.release_id)


@contextmanager
def drafted(root: Path, manifest: Manifest) -> Iterator[Path]:
    """A folder to fill. At the end it gets its manifest, with the hash of every file, and by one rename its place.

    Raises:
        ReleaseError: there is a kind of file in it that a release may not hold.
    """
    root.mkdir(parents=True, exist_ok=True)
    draft = root / f".{manifest.release_id}.{os.getpid()}"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    try:
        yield draft
        files = sorted(str(file.relative_to(draft)) for file in draft.rglob("*") if file.is_file())
        odd = [name for name in files if not name.endswith(SUFFIXES)]
        if odd:
            raise ReleaseError(
                f"release {manifest.release_id}: {odd[0]} is none of {', '.join(SUFFIXES)}; not written."
            )
        whole = manifest.model_copy(update={"files": {name: file_sha256(draft / name) for name in files}})
        (draft / MANIFEST).write_text(whole.model_dump_json(indent=2), encoding="utf-8")
        place = root / manifest.release_id
        try:
            draft.rename(place)
        except OSError:
            if not (place / MANIFEST).is_file():  # else another process learned the same and was first
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
