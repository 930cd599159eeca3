"""A release is immutable: one changed byte, one file too many or too few, and it is refused by name."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from kdsl import release, taxonomy
from kdsl.config import ReaderSettings
from kdsl.errors import ReleaseError
from kdsl.fusion.fusion import equal
from kdsl.fusion.held_out import held_out
from kdsl.manifest import MANIFEST, Manifest, Score, id_of, now
from kdsl.release import Release


class Weights:
    """A voter as far as a release sees one."""

    labels = ("a", "b")

    def __init__(self, name: str = "weights.npz") -> None:
        self.name = name

    def log_probs(self, items: object) -> np.ndarray:
        return np.zeros((0, 2))

    def save(self, folder: Path) -> None:
        (folder / self.name).write_bytes(b"weights")


def _write(root: Path, voter: Weights | None = None) -> Release:
    known = taxonomy.load("conf/taxonomies/demo.yaml")
    manifest = Manifest(
        release_id="rel-test",
        created_at=now(),
        libraries={},
        taxonomy=known.name,
        taxonomy_digest=known.digest,
        reader=ReaderSettings(),
        reader_version="r1",
        table_versions={"gold_labels": 3},
        settings={},
        voters={"intent": ("linear",)},
        scores={"intent": {"fused": Score(value=0.8, low=0.7, high=0.9, n=40)}},
    )
    labels = known.task("intent").label_names
    fusion = equal(labels, ("linear",))
    held = held_out(
        labels, ["c-1"], labels[:1], ["c-1"], {"linear": np.log(np.full((1, len(labels)), 1 / len(labels)))}
    )
    voters = {"intent": {"linear": voter or Weights()}}
    return release.write(root, manifest, known, voters, learned={"intent": ["c-1"]}, fused={"intent": (fusion, held)})


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    written = _write(tmp_path)
    opened = Release.open(tmp_path / "rel-test")
    assert opened == written
    assert opened.learned() == {"intent": ["c-1"]}
    assert opened.folder("intent", "linear").joinpath("weights.npz").read_bytes() == b"weights"
    assert [folder.name for folder in tmp_path.iterdir()] == ["rel-test"]  # no draft left


def test_of_two_that_learn_the_same_at_once_the_second_takes_what_the_first_wrote(tmp_path: Path) -> None:
    """It ended in an OSError, after all that it had learned."""

    class Slow(Weights):
        def save(self, folder: Path) -> None:
            super().save(folder)
            shutil.copytree(first.path, tmp_path / "rel-test")  # another process was faster

    first = _write(tmp_path / "elsewhere")
    assert _write(tmp_path, Slow()) == Release.open(tmp_path / "rel-test")
    assert not list(tmp_path.glob(".rel-test*"))


@pytest.mark.parametrize("name", ["voters/intent/linear/weights.npz", "taxonomy.json", "learned.json"])
def test_one_changed_byte_is_found(tmp_path: Path, name: str) -> None:
    file = _write(tmp_path).path / name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(ReleaseError, match=f"{name} was altered"):
        Release.open(tmp_path / "rel-test")


def test_a_missing_or_added_file_is_found(tmp_path: Path) -> None:
    path = _write(tmp_path).path
    (path / "extra.json").write_text("{}")
    with pytest.raises(ReleaseError, match=r"extra\.json"):
        Release.open(path)
    (path / "extra.json").unlink()
    (path / "learned.json").unlink()
    with pytest.raises(ReleaseError, match=r"learned\.json is missing"):
        Release.open(path)


@pytest.mark.parametrize("damage", ["{", '{"format": 4}', "[]", ""])
def test_a_broken_manifest_is_refused(tmp_path: Path, damage: str) -> None:
    path = _write(tmp_path).path
    (path / "manifest.json").write_text(damage)
    with pytest.raises(ReleaseError, match=r"manifest\.json was altered"):
        Release.open(path)


def test_a_folder_without_manifest_is_no_release(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match=r"holds no manifest\.json"):
        Release.open(tmp_path)


def test_pickles_never_enter_a_release(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match=r"weights\.pkl"):
        _write(tmp_path, Weights("weights.pkl"))
    assert list(tmp_path.iterdir()) == []


def test_another_taxonomy_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="was learned for taxonomy 'demo'"):
        _write(tmp_path).must_fit(taxonomy.load("conf/taxonomies/mire.yaml"))


def test_the_id_names_the_inputs() -> None:
    assert id_of({"a": 1, "b": [2]}) == id_of({"b": [2], "a": 1})
    assert id_of({"a": 1}) != id_of({"a": 2})
    assert json.dumps(id_of({"a": 1})).startswith('"rel-')


def test_a_release_of_another_format_is_refused_by_it(tmp_path: Path) -> None:
    file = _write(tmp_path).path / MANIFEST
    file.write_text(json.dumps({"format": 1, "a key of then": True}))
    with pytest.raises(ReleaseError, match="it has format 1, this version reads 4; run fit again"):
        Release.open(tmp_path / "rel-test")
