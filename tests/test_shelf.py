"""Releases on a store: copied once, verified, never half, and brought to machines that see no file of the driver's."""

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from jobs import registry
from jobs.shelf import Shelf
from kdsl.copies import kept
from kdsl.errors import ReleaseError
from kdsl.manifest import MANIFEST
from tests.night import Shop


def _copy(source: Path, final: Path, log: Path) -> str:
    """A slow copy, as a process of its own makes it."""

    def fetch(draft: Path) -> None:
        with log.open("a") as lines:
            lines.write(f"{draft.name}\n")
        time.sleep(0.5)
        shutil.copytree(source, draft)

    return (kept(final, fetch, lambda draft: (draft / "whole").read_text()) / "whole").read_text()


def test_two_processes_that_want_the_same_copy_make_one(tmp_path: Path) -> None:
    source, final, log = tmp_path / "source", tmp_path / "cache" / "rel", tmp_path / "log"
    source.mkdir()
    (source / "whole").write_text("all of it")
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        running = [pool.submit(_copy, source, final, log) for _ in range(2)]
        assert [one.result() for one in running] == ["all of it"] * 2
    assert len(log.read_text().splitlines()) == 1
    assert [one.name for one in final.parent.iterdir() if one.is_dir()] == ["rel"]


def test_a_copy_that_breaks_off_or_is_wrong_leaves_nothing(tmp_path: Path) -> None:
    final = tmp_path / "rel"

    def half(draft: Path) -> None:
        draft.mkdir()
        (draft / "half").write_text("of it")
        raise OSError("the store went away")

    with pytest.raises(OSError, match="went away"):
        kept(final, half, lambda _: None)
    with pytest.raises(FileNotFoundError):
        kept(final, Path.mkdir, lambda draft: (draft / "whole").read_text())
    assert not [one for one in tmp_path.iterdir() if one.is_dir()]


@pytest.fixture
def stored(night: Shop, tmp_path: Path) -> tuple[Shop, Path]:
    """The shop with its release on a store, and where that is on this disk."""
    store = tmp_path / "store"
    changed = {"releases": store.as_uri(), "release_cache": str(tmp_path / "cache")}
    shop = replace(night, settings=night.settings.model_copy(update=changed))
    shelf, release_id = Shelf(night.spark, shop.settings), night.release.manifest.release_id
    assert shelf.found(release_id) is None
    written = shelf.fresh / release_id
    shutil.copytree(night.release.path, written)
    found = shelf.found(release_id)
    assert found is not None
    assert not written.exists()
    shop.release = found
    return shop, store / written.name


def _said(rows: list[Any]) -> dict[tuple[str, str, date], tuple[str | None, float | None]]:
    return {(row["item_id"], row["task"], row["event_date"]): (row["label"], row["score"]) for row in rows}


def test_a_release_on_a_store_labels_as_one_in_a_folder(stored: tuple[Shop, Path], night: Shop) -> None:
    shop, place = stored
    release = registry.find(shop.lake, shop.settings, None)
    assert release.manifest == night.release.manifest
    assert release.origin == f"{shop.settings.releases}/{place.name}"
    assert shop.settings.release_cache in str(release.path)
    assert Shelf(shop.spark, shop.settings).ids() == [place.name]
    run = shop.label(into="shadow_labels")
    shadows = shop.rows("shadow_labels", f"run_id = '{run.run_id}'")
    given = night.rows("labels", f"event_date BETWEEN '{night.days.start}' AND '{night.days.end}'")
    assert len(shadows) > 18
    assert _said(shadows) == _said(given)
    with pytest.raises(ReleaseError, match=rf"there is no file:.*rel-none; known in --releases: {place.name}"):
        registry.find(shop.lake, shop.settings, "rel-none")


def test_one_changed_byte_on_the_store_or_in_the_copy_is_refused(stored: tuple[Shop, Path]) -> None:
    shop, place = stored
    shelf = Shelf(shop.spark, shop.settings)
    copy = shelf.open(place.name).path
    voter = "voters/intent/linear/linear.npz"
    for folder in (copy, place):
        content = (folder / voter).read_bytes()
        (folder / voter).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        (folder / voter).with_name(".linear.npz.crc").unlink(missing_ok=True)  # Hadoop's own, on local disks alone
    with pytest.raises(ReleaseError, match=rf"linear\.npz was altered.*delete {copy} to have it made anew"):
        shelf.open(place.name)
    shutil.rmtree(copy)
    with pytest.raises(ReleaseError, match=r"linear\.npz was altered"):
        shelf.open(place.name)
    assert not copy.exists()
    (place / MANIFEST).unlink()  # as of an upload that was killed
    assert not shelf.ids()


ON_A_CLUSTER = """
import json
import sys
from pathlib import Path
from pyspark.sql import SparkSession
from jobs.ship import ship
from kdsl.release import Release
from udfs.placed import placed
spark = SparkSession.builder.master("local-cluster[2,1,512]").config("spark.executor.memory", "512m").getOrCreate()
release = Release.open(Path(sys.argv[1]))
ship(spark, release)
ship(spark, release)
elsewhere = "/no/such/folder/" + release.path.name
def opened(_):
    found = Release.open(Path(placed(elsewhere)))
    return found.manifest.release_id, str(found.path)
print(json.dumps(spark.sparkContext.parallelize(range(8), 8).map(opened).collect()))
"""


@pytest.mark.slow  # a cluster of its own
def test_spark_brings_a_release_to_executors_that_do_not_see_it(night: Shop, spark_home: Path) -> None:
    command = [sys.executable, "-c", ON_A_CLUSTER, str(night.release.path)]
    environment = {**os.environ, "PYSPARK_PYTHON": sys.executable}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert {release_id for release_id, _ in found} == {night.release.manifest.release_id}
    assert len({folder for _, folder in found}) == 2  # one an executor
    assert str(night.release.path) not in {folder for _, folder in found}
    assert list((spark_home / "work").iterdir())
