"""Does a row cost the same on a large night? Seconds a row from 20,000 to 200,000 rows against 2,000 to 20,000.

The encoder is off, so that Spark and Delta are what is measured. What a night costs whatever its size swings by a
second, which is a fifth of what 18,000 rows cost: the two smaller sizes are labelled `TIMES` times in turn, after a
warm-up with both, and their medians count. Memory is the largest resident size that a Python worker reached.
"""

import json
import statistics
import threading
import time
from collections import defaultdict
from datetime import timedelta

import psutil

from bench import lakes
from jobs.fit import fit
from jobs.label import label
from jobs.lake import Lake
from jobs.options import Days

SIZES = (2_000, 20_000, 200_000)
TIMES = 5


class Watch(threading.Thread):
    """Samples the resident size of this process's Python descendants."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most = 0
        self._over = threading.Event()

    def run(self) -> None:
        """Sample until told to stop."""
        while not self._over.wait(0.2):
            for child in psutil.Process().children(recursive=True):
                try:
                    if "python" in child.name():
                        self.most = max(self.most, child.memory_info().rss)
                except psutil.Error:
                    continue

    def stop(self) -> float:
        """Stop; the largest size seen, in MB."""
        self._over.set()
        self.join()
        return self.most / 1e6


def main() -> None:
    """Print the ratios."""
    args = lakes.parser(__doc__).parse_args()
    sizes = [max(20, int(size * args.scale)) for size in SIZES]
    nights = [*sizes[:2], *sizes[:2] * TIMES, sizes[2]]
    seconds: dict[int, list[float]] = defaultdict(list)
    memory: dict[int, float] = defaultdict(float)
    with lakes.workplace("growth") as root:
        chosen = lakes.settings(root, encoder=False)
        spark = lakes.start("growth", chosen)
        lake = Lake(spark, chosen.lake)
        lakes.history(spark, chosen, root)
        release = fit(lake, chosen)
        for at, rows in enumerate(nights):
            night = Days(*lakes.fill(lake, rows, first=lakes.START + timedelta(days=40 + at)))
            watch = Watch()
            watch.start()
            begun = time.monotonic()
            run = label(lake, chosen, release, night)
            took, most = time.monotonic() - begun, watch.stop()
            print(f"{rows:>8,} rows {took:7.1f} s, worker at most {most:.0f} MB, stages {run.seconds}")
            if at >= 2:
                seconds[rows].append(took)
                memory[rows] = max(memory[rows], most)
        spark.stop()
    cost = [statistics.median(seconds[rows]) for rows in sizes]
    slope = [(cost[at + 1] - cost[at]) / (sizes[at + 1] - sizes[at]) for at in range(2)]
    print(f"milliseconds a further row: {slope[0] * 1e3:.3f}, then {slope[1] * 1e3:.3f}")
    print(
        json.dumps(
            [
                lakes.figure("growth: seconds a row, 20k-200k / 2k-20k", slope[1] / slope[0], 1.05),
                lakes.figure("growth: worker memory, 200k rows / 20k rows", memory[sizes[2]] / memory[sizes[1]], 1.1),
            ]
        )
    )


if __name__ == "__main__":
    main()
