"""One Spark session for all tests that need one; everything else is tested without it."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kdsl.config import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from tests.night import Shop


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Two processes run the tests: one takes all on the shared lake, so that it is made once; modules stay whole."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group("night" if _on_shared_lake(item) else item.nodeid.split("::")[0]))
    items.sort(key=lambda item: not _on_shared_lake(item))  # the longest group first


def _on_shared_lake(item: pytest.Item) -> bool:
    return "night" in getattr(item, "fixturenames", ())


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
                # A test's JVM lives for a minute: what its compilers cost, it never gets back.
                "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m",
                "spark.sql.codegen.wholeStage": "false",
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
def night(spark: "SparkSession", tmp_path_factory: pytest.TempPathFactory) -> "Shop":
    """A small shop, labelled once; the modules that use it leave it whole but may add to it."""
    from tests.night import labelled_shop

    return labelled_shop(spark, tmp_path_factory.mktemp("night"))
