"""The schemas in `jobs/tables.py` are those of the live tables, and their constraints hold."""

import os
import time
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jobs import ledger, session
from jobs.lake import Lake
from jobs.tables import TABLES
from kdsl.errors import LakeError, LostToConcurrentWriter

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

NOW = datetime(2026, 1, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def lake(spark: "SparkSession", tmp_path_factory: pytest.TempPathFactory) -> Lake:
    made = Lake(spark, str(tmp_path_factory.mktemp("tables")), retries=2)
    for name in TABLES:
        made.ensure(name)
    return made


@pytest.mark.parametrize("name", TABLES)
def test_live_schema_is_the_declared_one(lake: Lake, name: str) -> None:
    from pyspark.sql.types import StructType

    table = TABLES[name]
    declared = StructType.fromDDL(table.columns)
    assert lake.df(name).schema.simpleString() == declared.simpleString()
    detail = lake.delta(name).detail().collect()[0]
    assert tuple(detail["partitionColumns"]) == table.partitioned_by
    assert detail["properties"]["delta.enableChangeDataFeed"] == "true"
    assert {f"delta.constraints.{key}" for key in table.constraints} <= set(detail["properties"])
    assert {*table.key, *table.stamps, *table.partitioned_by} <= {field.name for field in declared}


def test_a_lake_made_before_a_column_was_added_reads_it_as_null(spark: "SparkSession", tmp_path: Path) -> None:
    older = Lake(spark, str(tmp_path))
    columns = TABLES["image_features"].columns.replace(" thumbnail BINARY,", "")
    spark.sql(f"CREATE TABLE delta.`{older.path('image_features')}` ({columns}) USING DELTA")
    row = ("sha", "v", 1, 1, [], None, 0.1, "run")
    spark.createDataFrame([row], columns).write.format("delta").mode("append").save(older.path("image_features"))
    older.append(
        "image_features", spark.createDataFrame([(*row[:6], b"8", *row[6:])], TABLES["image_features"].columns)
    )
    older.append("image_features", spark.createDataFrame([row], columns))
    assert sorted(r["thumbnail"] or b"" for r in Lake(spark, str(tmp_path)).df("image_features").collect()) == [
        b"",
        b"",
        b"8",
    ]


def _labels(lake: Lake, **changes: Any) -> "DataFrame":
    row = {
        "item_id": "c",
        "task": "intent",
        "event_date": date(2026, 1, 5),
        "label": "a",
        "score": 0.5,
        "abstained": False,
        "decided_by": "linear",
        "votes": [],
        "rules_fired": None,
        "release_id": "r",
        "ruleset_fingerprint": None,
        "input_hash": "h",
        "run_id": "run",
        "labelled_at": NOW,
        "error_code": None,
    } | changes
    return lake.spark.createDataFrame([tuple(row.values())], TABLES["labels"].columns.replace(" NOT NULL", ""))


@pytest.mark.parametrize("bad", [{"score": 1.5}, {"item_id": ""}, {"label": None}, {"item_id": None}], ids=str)
def test_constraints_refuse_what_may_not_be(lake: Lake, bad: dict[str, Any]) -> None:
    before = lake.version("labels")
    with pytest.raises(Exception, match=r"(?i)constraint|not.null"):
        _labels(lake, **bad).write.format("delta").mode("append").save(lake.path("labels"))
    assert lake.version("labels") == before


def test_upsert_into_a_lake_made_before_a_column_was_added(spark: "SparkSession", tmp_path: Path) -> None:
    """`sample` failed for good where `draws` had no days yet."""
    older = Lake(spark, str(tmp_path))
    now = TABLES["draws"].columns
    before = now.partition(",\n    first_day")[0]
    spark.sql(f"CREATE TABLE delta.`{older.path('draws')}` ({before}) USING DELTA")
    day = date(2026, 1, 5)
    old, new = ("old", "t", day, "random", 0.5, "why", "rel", NOW), ("new", "t", day, "random", 0.5, "why", "rel", NOW)
    spark.createDataFrame([old], before).write.format("delta").mode("append").save(older.path("draws"))
    older.upsert("draws", spark.createDataFrame([(*new, day, day, 0.25), (*old, None, None, None)], now))
    found = {row["item_id"]: (row["first_day"], row["own_inclusion"]) for row in older.df("draws").collect()}
    assert found == {"old": (None, None), "new": (day, 0.25)}


def test_a_table_that_several_create_at_once_is_there_for_all(spark: "SparkSession", tmp_path: Path) -> None:
    """All but one failed, as two backfills begun on a lake that had no labels yet."""
    from concurrent.futures import ThreadPoolExecutor
    from threading import Barrier

    together = Barrier(4)

    def create(name: str) -> str:
        own = Lake(spark, str(tmp_path))
        together.wait()
        return own.ensure(name)

    with ThreadPoolExecutor(4) as pool:
        for name in ("labels", "votes"):
            assert set(pool.map(create, [name] * 4)) == {str(tmp_path / name)}


def test_upsert_adds_a_version_only_where_rows_differ(lake: Lake) -> None:
    lake.upsert("labels", _labels(lake))
    first = lake.version("labels")
    lake.upsert("labels", _labels(lake, run_id="another", labelled_at=datetime(2027, 1, 1, tzinfo=UTC)))
    assert lake.version("labels") == first
    lake.upsert("labels", _labels(lake, label="b"), [date(2026, 1, 5)])
    assert lake.version("labels") == first + 1
    assert [row["label"] for row in lake.df("labels").collect()] == ["b"]


def test_upsert_sees_a_change_to_and_from_null(lake: Lake) -> None:
    lake.upsert("labels", _labels(lake, item_id="n", label=None, error_code="image_empty"))
    lake.upsert("labels", _labels(lake, item_id="n", label="a", error_code=None))
    rows = lake.df("labels").where("item_id = 'n'").collect()
    assert [(row["label"], row["error_code"]) for row in rows] == [("a", None)]


def test_two_writers_on_the_same_rows_both_end_well(lake: Lake) -> None:
    from concurrent.futures import ThreadPoolExecutor

    patient = Lake(lake.spark, lake.root, retries=8)
    frames = [_labels(lake, item_id=f"race-{n}", label=str(n)) for n in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda frame: patient.upsert("labels", frame), frames))
    stored = {row["item_id"] for row in lake.df("labels").where("item_id LIKE 'race-%'").collect()}
    assert stored == {f"race-{n}" for n in range(4)}


def test_a_race_lost_every_time_ends_with_its_own_error(lake: Lake) -> None:
    from delta.exceptions import ConcurrentAppendException

    tries = []

    def lose() -> None:  # a fake commit: a real one loses every time only against a writer that never rests
        tries.append(1)
        raise ConcurrentAppendException("files were added")

    with pytest.raises(LostToConcurrentWriter, match="won 3 times in a row") as caught:
        lake.retry("labels", lose)
    assert (len(tries), caught.value.exit_status) == (3, 4)


def test_staging_is_gone_at_the_end_and_after_a_failure(lake: Lake) -> None:
    with pytest.raises(RuntimeError), lake.staged("run-1") as folder:
        lake.spark.range(3).write.format("delta").save(folder)
        assert Path(folder).is_dir()
        raise RuntimeError
    assert not Path(folder).exists()


def test_what_a_killed_run_left_a_week_ago_is_swept_whatever_the_store_says_of_folders(lake: Lake) -> None:
    root, day = Path(lake.root, "_staging"), 24 * 3600
    old, recent = (root / f"label-1.{time.time() - days * day:.0f}" for days in (8, 6))
    for folder in (old, recent):
        folder.mkdir(parents=True)
    os.utime(recent, (0, 0))  # as stores do that know no folders
    with lake.staged("run-2"):
        assert not old.exists()
        assert recent.exists()


def test_no_lake_is_named_with_the_next_step(spark: "SparkSession", tmp_path: Path) -> None:
    with pytest.raises(LakeError, match=r"holds no lake; fill one first: \./spark-submit\.sh ingest"):
        Lake(spark, str(tmp_path)).must_exist()


@pytest.mark.parametrize("before", ["", "file:", "file://"])
@pytest.mark.parametrize("below", ["", "/deep/lake"])
def test_a_lake_that_is_a_file_or_lies_below_one_says_so(
    spark: "SparkSession", tmp_path: Path, before: str, below: str
) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("not a lake")
    with pytest.raises(LakeError, match=rf"--lake: {file} is a file.*; name a folder"):
        Lake(spark, f"{before}{file}{below}")


def test_a_lake_where_nothing_can_be_written_says_so_before_a_job_begins(spark: "SparkSession") -> None:
    begun = []
    lake, says = Lake(spark, "/proc/lake"), r"--lake: the folder /proc/lake cannot be made .*; name one"
    with pytest.raises(LakeError, match=says), ledger.recorded(lake, "label", {}, (), ()):
        begun.append(1)
    assert not begun


def test_a_lake_whose_path_holds_a_backtick_is_a_lake(spark: "SparkSession", tmp_path: Path) -> None:
    odd = Lake(spark, str(tmp_path / "la`ke"))
    odd.upsert("labels", _labels(odd))
    odd.upsert("labels", _labels(odd, label="b"))
    assert (odd.df("labels").count(), odd.version("labels")) == (1, 2)


def test_the_session_keeps_the_setting_that_python_udfs_need(spark: "SparkSession") -> None:
    assert spark.conf.get("spark.sql.execution.arrow.pythonUDF.columnarInput.enabled") == "false"
    assert spark.conf.get("spark.speculation") == "false"
    assert spark.conf.get("spark.sql.session.timeZone") == "UTC"


@pytest.mark.parametrize("name", session.NAMED)
def test_classes_that_pyspark_names_without_their_package_are_found_at_once(spark: "SparkSession", name: str) -> None:
    from py4j.java_gateway import JavaClass

    jvm = spark.sparkContext._jvm
    assert isinstance(getattr(jvm, name), JavaClass)
    assert getattr(jvm, name.rpartition(".")[2])._fqn == name
