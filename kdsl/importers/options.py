"""What `ingest` is asked for, checked as a whole before anything is read."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from kdsl.config import IngestSettings
from kdsl.errors import ConfigError
from kdsl.importers import mire
from kdsl.importers.admit import Intake
from kdsl.importers.record import TextLimits
from kdsl.taxonomy import Taxonomy

FORMATS = ("jsonl", "csv", "delta", "mire")
SUFFIXES = {
    "jsonl": (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz"),
    "csv": (".csv", ".csv.gz"),
}
_DATELESS = ("csv", "mire")  # formats whose records have no date


@dataclass(frozen=True)
class Options:
    """One request; the command line's options by name."""

    format: str
    path: str
    split: str = "train"
    date_from: date | None = None
    date_to: date | None = None
    text_column: str | None = None
    label_column: str | None = None
    task: str | None = None
    id_column: str | None = None

    def checked(self, settings: IngestSettings, taxonomy: Taxonomy) -> "Options":
        """These options, the path made absolute.

        Raises:
            ConfigError: every fault at once, each with the option, the value given, what is allowed, the next step.
        """
        faults = list(self._faults(settings, taxonomy))
        try:
            found = self._found()
        except ConfigError as error:
            faults.append(str(error))
        if faults:
            raise ConfigError("\n".join(faults))
        return found

    def _faults(self, settings: IngestSettings, taxonomy: Taxonomy) -> Iterator[str]:
        if self.format not in FORMATS:
            yield f"--format: {self.format!r} is none of {', '.join(FORMATS)}; see docs/formats.md."
        if self.split not in ("train", "test"):
            yield f"--split: {self.split!r} is neither train nor test; another is named in the records themselves."
        yield from self._range_faults()
        if self.format == "csv":
            yield from self._csv_faults(taxonomy)
        if self.format == "mire":
            yield from _lacking(taxonomy, mire.INTENT, "conversation", "--format mire")
            yield from _lacking(taxonomy, mire.SCENE, "image", "--format mire")
        if self.format == "delta":
            for task in settings.columns.labels:
                yield from _lacking(taxonomy, task, "conversation", "ingest.columns.labels")
            if settings.columns.images and not settings.image_root:
                yield (
                    "ingest.image_root is empty, but ingest.columns.images names a column of picture paths; "
                    "set the folder they are relative to: --set ingest.image_root=/data/pictures."
                )
        if settings.store_images == "path" and not settings.image_root:
            yield (
                "ingest.store_images is 'path', but ingest.image_root is empty; labelling reads the pictures later "
                "from that folder: --set ingest.image_root=/data/pictures, or store them inline."
            )

    def intake(self, settings: IngestSettings, taxonomy: Taxonomy) -> Intake:
        """What decides how a record goes in, for checked options."""
        return Intake(
            taxonomy=taxonomy,
            limits=TextLimits(settings.max_turn_chars, settings.max_turns),
            max_image_bytes=settings.max_image_bytes,
            max_image_pixels=settings.max_image_pixels,
            root=self._image_root(settings),
            inline=settings.store_images == "inline",
            split=self.split,
            first=self.date_from,
            last=self.date_to,
        )

    def is_folder(self) -> bool:
        """Whether the path is a folder of files; a URI is one where it does not end as a file of the format does."""
        if "://" in self.path:
            return not self.path.endswith(SUFFIXES.get(self.format, ()))
        return Path(self.path).is_dir()

    def folder(self) -> str:
        """The folder in which the input lies, or that it is; absolute unless it is a URI."""
        path = self.path if "://" in self.path else str(Path(self.path).absolute())
        whole = self.format != "delta" and self.is_folder()
        return (path.rstrip("/") if whole else path.rstrip("/").rpartition("/")[0]) or "/"

    def summary(self) -> Mapping[str, Any]:
        """For the table `runs`: what was given."""
        return {key: value for key, value in self.__dict__.items() if value is not None}

    def _range_faults(self) -> Iterator[str]:
        first, last = self.date_from, self.date_to
        if (first is None) != (last is None):
            missing = "--from" if first is None else "--to"
            yield f"{missing} is missing: records without a date are spread over --from to --to, both."
        if first is not None and last is not None and first > last:
            yield f"--from {first} is after --to {last}; swap them."
        if first is None and last is None and self.format in _DATELESS:
            yield (
                f"--from and --to are missing: records of --format {self.format} have no date and are spread over "
                "a range, as --from 2026-01-01 --to 2026-01-14."
            )

    def _csv_faults(self, taxonomy: Taxonomy) -> Iterator[str]:
        if not self.text_column:
            yield "--text-column is missing: name the column of the CSV file that holds the shopper's words."
        if bool(self.label_column) != bool(self.task):
            missing, given = ("--task", "--label-column") if self.label_column else ("--label-column", "--task")
            yield f"{missing} is missing: {given} was given, and a gold label needs both."
        if self.task:
            yield from _lacking(taxonomy, self.task, "conversation", "--task")

    def _image_root(self, settings: IngestSettings) -> str:
        if settings.image_root:
            if "://" in settings.image_root:
                raise ConfigError(
                    f"ingest.image_root: {settings.image_root} is a URI; name a folder that every worker can open."
                )
            return str(Path(settings.image_root).resolve())
        if "://" in self.path:
            return ""
        path = Path(self.path)
        return str(path if path.is_dir() else path.parent)

    def _found(self) -> "Options":
        if "://" in self.path:
            return self
        path = Path(self.path).absolute()
        if not path.exists():
            raise ConfigError(f"--input: {self.path} is not there; name a file or a folder with files of --format.")
        if self.format == "mire" and path.is_dir():
            path = path / "train.json"
            if not path.is_file():
                raise ConfigError(f"--input: {self.path} holds no train.json; name the challenge's JSON file itself.")
        if path.is_file() and path.name.startswith(("_", ".")):
            raise ConfigError(
                f"--input: Spark passes over {path.name}, as over all names that begin with _ or a dot; rename it."
            )
        try:
            next(path.iterdir(), None) if path.is_dir() else path.open("rb").close()
        except OSError as error:
            raise ConfigError(f"--input: {self.path} cannot be read ({error.strerror}); check its rights.") from error
        suffixes = SUFFIXES.get(self.format)
        if suffixes and path.is_dir() and not any(name.endswith(suffixes) for name in _read_by_spark(path)):
            raise ConfigError(
                f"--input: the folder {self.path} and those in it hold no file of --format {self.format} "
                f"({', '.join(suffixes)}); name another folder, or a file itself."
            )
        return Options(**{**self.__dict__, "path": str(path)})


def _read_by_spark(folder: Path) -> Iterator[str]:
    """Names of the files in a folder and in those below it, links followed, but for what Spark passes over."""
    passed: set[str] = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        passed.add(os.path.realpath(place))
        folders[:] = [
            name for name in folders if _seen(name) and os.path.realpath(os.path.join(place, name)) not in passed
        ]
        yield from filter(_seen, files)


def _seen(name: str) -> bool:
    return not name.startswith(".") and (not name.startswith("_") or "=" in name)


def _lacking(taxonomy: Taxonomy, task: str, unit: str, option: str) -> Iterator[str]:
    known = [known.name for known in taxonomy.tasks if known.asked_of == unit]
    if task not in known:
        asked = ", ".join(known) or "none"
        yield (
            f"{option}: taxonomy {taxonomy.name} asks no task {task!r} of a {unit} (it asks: {asked}); "
            "name one of these, or another taxonomy with --taxonomy."
        )
