"""A taxonomy file says what is wrong with it, all at once, and means the same in any spelling."""

from pathlib import Path

import pytest

from kdsl import taxonomy
from kdsl.errors import TaxonomyError

TASK = {"name": "intent", "asked_of": "conversation", "question": "What?", "labels": [{"name": "a"}, {"name": "b"}]}


@pytest.mark.parametrize("file", sorted(Path("conf/taxonomies").glob("*.yaml")), ids=str)
def test_shipped_taxonomies_load_and_describe_every_label(file: Path) -> None:
    loaded = taxonomy.load(file)
    assert {task.asked_of for task in loaded.tasks} == {"conversation", "image"}
    assert all(label.description and label.aliases for task in loaded.tasks for label in task.labels)


def test_yaml_round_trip_keeps_the_digest(tmp_path: Path) -> None:
    first = taxonomy.load("conf/taxonomies/demo.yaml")
    file = tmp_path / "copy.yaml"
    file.write_text(first.to_yaml(), encoding="utf-8")
    assert taxonomy.load(file) == first
    assert taxonomy.load(file).digest == first.digest


def test_another_description_is_another_digest() -> None:
    one = taxonomy.parse({"name": "x", "tasks": [TASK]}, "here")
    described = [{"name": "a", "description": "first"}, {"name": "b"}]
    two = taxonomy.parse({"name": "x", "tasks": [{**TASK, "labels": described}]}, "here")
    assert one.digest != two.digest


def test_all_faults_are_named() -> None:
    broken = {**TASK, "asked_of": "shop", "labels": [{"name": "a"}, {"name": "a"}], "colour": "red"}
    with pytest.raises(TaxonomyError) as caught:
        taxonomy.parse({"name": "x", "tasks": [broken]}, "shop.yaml")
    message = str(caught.value)
    for part in ("shop.yaml", "tasks.0.asked_of", "label names stand twice: a", "tasks.0.colour"):
        assert part in message


@pytest.mark.parametrize(
    "content", ["- x\n", "name: [\n", "\x00", "name: 2026-02-30\n", 'name: !!int ""\n', "[" * 9_000]
)
def test_what_is_no_taxonomy_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "odd.yaml"
    file.write_text(content)
    with pytest.raises(TaxonomyError, match=r"odd\.yaml"):
        taxonomy.load(file)


def test_a_missing_file_or_task_is_named() -> None:
    with pytest.raises(TaxonomyError, match="nowhere"):
        taxonomy.load("nowhere.yaml")
    with pytest.raises(TaxonomyError, match="its tasks are intent"):
        taxonomy.parse({"name": "x", "tasks": [TASK]}, "here").task("scene")
