"""A taxonomy: the tasks of a shop, the labels of each task, and what each label means.

One YAML file a shop. A task is asked of a conversation or of an image; nothing else in the code knows its name.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from kdsl.errors import TaxonomyError

MAX_BYTES = 4_000_000
# What reading YAML raises, an odd date, number or depth of it among them.
UNREADABLE = (yaml.YAMLError, ValueError, IndexError, RecursionError)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class Label(_Frozen):
    """One label: its exact name, what it means, and other words people use for it."""

    name: str = Field(min_length=1, max_length=200)
    description: str = Field(default="", max_length=2_000)
    aliases: tuple[str, ...] = ()


class Task(_Frozen):
    """One labelling question with its label set."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")
    asked_of: Literal["conversation", "image"]
    question: str = Field(min_length=1, max_length=2_000)
    labels: tuple[Label, ...] = Field(min_length=2)

    @field_validator("labels")
    @classmethod
    def _names_differ(cls, labels: tuple[Label, ...]) -> tuple[Label, ...]:
        names = [label.name for label in labels]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"label names stand twice: {', '.join(twice)}")
        return labels

    @property
    def label_names(self) -> tuple[str, ...]:
        """The label names in file order; every array over labels has this order."""
        return tuple(label.name for label in self.labels)


class Taxonomy(_Frozen):
    """The tasks of one shop."""

    name: str = Field(min_length=1, max_length=80)
    language: str = Field(default="en", min_length=2, max_length=20)
    tasks: tuple[Task, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _task_names_differ(self) -> Self:
        names = [task.name for task in self.tasks]
        if len(set(names)) < len(names):
            raise ValueError(f"task names stand twice: {', '.join(names)}")
        return self

    def task(self, name: str) -> Task:
        """The task of that name.

        Raises:
            TaxonomyError: there is none.
        """
        for task in self.tasks:
            if task.name == name:
                return task
        known = ", ".join(task.name for task in self.tasks)
        raise TaxonomyError(f"task {name!r} is not in taxonomy {self.name!r}; its tasks are {known}.")

    def asked_of(self, unit: Literal["conversation", "image"]) -> tuple[Task, ...]:
        """The tasks asked of that unit."""
        return tuple(task for task in self.tasks if task.asked_of == unit)

    @property
    def digest(self) -> str:
        """SHA-256 over everything in it, the same for the same content in any spelling of the YAML."""
        canonical = json.dumps(self.model_dump(mode="json"), ensure_ascii=False, sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def to_yaml(self) -> str:
        """YAML that `parse` reads back to an equal taxonomy."""
        return yaml.safe_dump(self.model_dump(mode="json"), allow_unicode=True, sort_keys=False, width=110)


def parse(data: Mapping[str, Any], source: str) -> Taxonomy:
    """Validate a taxonomy, all faults in one message.

    Raises:
        TaxonomyError: naming the source and each faulty key.
    """
    try:
        return Taxonomy.model_validate(data)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise TaxonomyError(f"taxonomy {source} cannot be used: {faults}.") from error


def load(path: str | Path) -> Taxonomy:
    """Read a taxonomy file.

    Raises:
        TaxonomyError: no such file, too large, no YAML, or not a taxonomy.
    """
    path = Path(path)
    if not path.is_file():
        raise TaxonomyError(f"taxonomy: {path} is no file; name one with --taxonomy, as conf/taxonomies/demo.yaml.")
    if path.stat().st_size > MAX_BYTES:
        raise TaxonomyError(f"taxonomy: {path} is larger than {MAX_BYTES:,} bytes; is it the right file?")
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except UNREADABLE as error:
        raise TaxonomyError(f"taxonomy: {path} is no YAML in UTF-8 ({error}).") from error
    if not isinstance(data, dict):
        raise TaxonomyError(f"taxonomy: {path} holds {type(data).__name__}; a mapping with name and tasks is wanted.")
    return parse(data, str(path))
