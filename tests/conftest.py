"""One Spark session for all tests that need one; everything else is tested without it."""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kdsl.config import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from tests.night import Shop


ON_SHARED_LAKE = frozenset(
    file.relative_to(Path.cwd()).as_posix()
    for file in Path(__file__).parent.rglob("test_*.py")
    if re.search(r"night: \"?Shop\b", file.read_text(encoding="utf-8"))
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first: the modules on the shared lake, then those with a Spark session."""
    items.sort(key=lambda item: (not _on_shared_lake(item.nodeid), "spark" not in getattr(item, "fixturenames", ())))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Two processes run the tests: modules stay whole, and all on the shared lake but the longest go to one process."""
    from xdist.scheduler import LoadFileScheduling

    class ByLake(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            module = nodeid.split("::", maxsplit=1)[0]
            return "night" if _on_shared_lake(nodeid) and module != "tests/test_label.py" else module

    return ByLake(config, log)


def _on_shared_lake(nodeid: str) -> bool:
    return nodeid.split("::", maxsplit=1)[0] in ON_SHARED_LAKE


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
                "spark.sql.codegen.factoryMode": "NO_CODEGEN",
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
