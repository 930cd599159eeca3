"""The record of one execution of a job in the table `runs`: what ran, on what, with what, at what cost."""

import json
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from jobs import console, roots
from jobs.tables import RUNS

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from pyspark import StatusTracker

    from jobs.lake import Lake


@dataclass
class Run:
    """One execution. Jobs fill `counts`; `stage` fills `seconds`."""

    job: str
    run_id: str
    started_at: datetime
    arguments: str
    release_id: str | None = None
    message: str | None = None
    input_versions: dict[str, int] = field(default_factory=dict)
    output_versions: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    tasks: console.Tasks | None = None

    def stage(self, name: str) -> "AbstractContextManager[None]":
        """Time a stage of this run and show it."""
        return console.stage(name, self.seconds, self.tasks)

    def count(self, name: str, more: int) -> None:
        """Add to a count."""
        self.counts[name] = self.counts.get(name, 0) + more


@contextmanager
def recorded(
    lake: "Lake", job: str, arguments: dict[str, Any], reads: Iterable[str], writes: Iterable[str]
) -> Iterator[Run]:
    """Run a job's body and write one row in `runs`, whether it ends well, fails or is stopped.

    The row is written at the end, so that a killed run leaves none: its work is found by what it committed.

    Raises:
        LakeError: nothing can be written where the lake lies.
    """
    roots.must_be_writable(lake.root)
    run = Run(job, f"{job}-{uuid.uuid4().hex[:12]}", datetime.now(UTC), json.dumps(arguments, default=str))
    run.input_versions = lake.versions(reads)
    run.tasks = partial(_tasks, lake.spark.sparkContext.statusTracker())
    try:
        yield run
    except BaseException as error:
        stopped = isinstance(error, KeyboardInterrupt)
        run.message = None if stopped else console.reason(error)
        try:
            _write(lake, run, writes, "stopped" if stopped else "failed")
        except Exception as further:  # noqa: BLE001 - whatever it is, what ended the job is what counts
            console.complain(f"{job}: the run could not be noted in the table runs: {console.reason(further)}")
        raise
    _write(lake, run, writes, "done")


def _tasks(tracker: "StatusTracker") -> tuple[int, int]:
    """Tasks done and tasks in all of the stages that Spark runs now."""
    found = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
    return sum(one.numCompletedTasks for one in found if one), sum(one.numTasks for one in found if one)


def _write(lake: "Lake", run: Run, writes: Iterable[str], state: str) -> None:
    run.output_versions = lake.versions(writes)
    row = (
        run.run_id,
        run.job,
        run.arguments,
        run.release_id,
        state,
        run.input_versions,
        run.output_versions,
        run.counts,
        run.seconds,
        run.started_at,
        datetime.now(UTC),
        run.message,
    )
    frame = lake.spark.createDataFrame([row], RUNS.columns)
    lake.append("runs", frame.coalesce(1))
