"""One Spark session for all tests that need one; everything else is tested without it."""

import fcntl
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kdsl.config import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from tests.night import Shop


LONGEST = ("tests/test_label.py", "tests/test_ingest.py")


# A test's JVM lives for minutes: what its better compiler and side threads cost, it never gets back.
JVM = (
    "-XX:TieredStopAtLevel=1",
    "-XX:ReservedCodeCacheSize=256m",
    "-XX:+UseSerialGC",
    "-Xmn700m",  # else what it makes of a plan fills the first heap a hundred times a minute
    "-XX:MetaspaceSize=300m",  # of its classes; each time they pass a lower one the whole heap is collected
    "-XX:+UnlockDiagnosticVMOptions",
    "-XX:-BytecodeVerificationRemote",  # its classes come from the jars that `make setup` checked
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first, in both processes; then the other modules on the shop's lake, then on Spark."""
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> tuple[int, bool, bool]:
    fixtures, module = getattr(item, "fixturenames", ()), item.nodeid.split("::", maxsplit=1)[0]
    place = LONGEST.index(module) if module in LONGEST else len(LONGEST)
    return place, "night" not in fixtures, "spark" not in fixtures


@pytest.fixture(scope="session")
def spark() -> Iterator[object]:
    """A session as the jobs build it, for tables of a few rows."""
    from jobs import session

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # workers run in this environment, not in the system's
    settings = Settings(
        spark={
            "master": "local[2]",  # two tasks at once: enough for what only shows with more than one
            "shuffle_partitions": 2,  # every shuffle costs a task a partition, whatever it holds
            "snapshot_partitions": 1,  # a table's state here is a few files
            "conf": {
                "spark.sql.adaptive.enabled": "false",  # re-planning costs more than it saves on a few rows
                "spark.driver.extraJavaOptions": " ".join(JVM),
                "spark.sql.codegen.wholeStage": "false",
                "spark.sql.codegen.factoryMode": "NO_CODEGEN",
                # Checks and savings that cost a plan of a few rows more than they find or spare.
                "spark.sql.lightweightPlanChangeValidation": "false",
                "spark.sql.subexpressionElimination.enabled": "false",
                "spark.databricks.delta.history.metricsEnabled": "false",
            },
        }
    )
    built = session.build(settings, "tests")
    yield built
    built.stop()


@pytest.fixture
def lake_root(tmp_path: Path) -> str:
    """Where a test's own lake lies."""
    return str(tmp_path / "lake")


@pytest.fixture(scope="session")
def built_night(spark: "SparkSession", tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small labelled shop, built by the process that asks first; nobody changes it."""
    from tests.night import build

    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    with (shared / "night.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # freed when the file is closed, also by a process that dies
        if not (shared / "night").exists():
            draft = tmp_path_factory.mktemp("night")
            build(spark, draft)
            draft.rename(shared / "night")
    return shared / "night"


@pytest.fixture(scope="module")
def night(spark: "SparkSession", built_night: Path, tmp_path_factory: pytest.TempPathFactory) -> "Shop":
    """A small shop, labelled once: a module's own copy, which its tests leave whole but may add to."""
    from tests.night import opened

    return opened(spark, shutil.copytree(built_night, tmp_path_factory.mktemp("shop") / "night"))


@pytest.fixture
def spark_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Spark's folder, made of links: workers of a local cluster write `work` into it, wherever they were started."""
    import pyspark

    home = tmp_path / "spark-home"
    home.mkdir()
    for entry in Path(pyspark.__file__).parent.iterdir():
        if entry.name != "work":
            (home / entry.name).symlink_to(entry)
    monkeypatch.setenv("SPARK_HOME", str(home))
    return home
