"""What workers count, added up by Spark: an accumulator of counts by name, and of loads of models by process."""

import os
import socket
from collections import Counter
from typing import Protocol

from pyspark.accumulators import AccumulatorParam

from kdsl import tally

PROCESS = "process "


class Adds(Protocol):
    """An accumulator of Spark, as a worker sees it."""

    def add(self, term: Counter[str]) -> None:
        """Add counts."""
        ...


class Summed(AccumulatorParam[Counter[str]]):
    """Counts by name, added up."""

    def zero(self, value: Counter[str]) -> Counter[str]:  # noqa: ARG002 - the form of an accumulator
        """No counts."""
        return Counter()

    def addInPlace(self, value1: Counter[str], value2: Counter[str]) -> Counter[str]:
        """Both together; a count of 0 stays, as that of a process that loaded nothing."""
        value1.update(value2)
        return value1


def told(into: Adds) -> None:
    """Add what this process counted since the last call, its loads of models under its own name."""
    found = tally.taken()
    found[f"{PROCESS}{socket.gethostname()}/{os.getpid()}"] = found.pop(tally.LOADS, 0)
    into.add(found)


def summary(found: Counter[str], slots: int) -> dict[str, int]:
    """What a run keeps of the counts: those by name, and `loads` and `reloads` of models.

    `loads` is how often a process loaded the release. `reloads` are those beyond one a task slot: the processes that
    labelled anything beyond as many as there are slots, as where a worker died or Spark stopped it for standing idle,
    and a process's own loads after its first. A process that died in its first task told nothing and is not seen.
    """
    by_process = [n for name, n in found.items() if name.startswith(PROCESS)]
    again = max(0, len(by_process) - slots) + sum(max(0, n - 1) for n in by_process)
    plain = {name: n for name, n in found.items() if not name.startswith(PROCESS)}
    return plain | {"loads": sum(by_process), "reloads": again}
