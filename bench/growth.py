"""Does a row cost the same on a large night? Seconds a row from 20,000 to 200,000 rows against 2,000 to 20,000.

The encoder is off, so that Spark and Delta are what is measured. Memory is the largest resident size that a Python
worker reached on each night.
"""

import json
import threading
import time
from datetime import timedelta

import psutil

from bench import lakes
from jobs.fit import fit
from jobs.label import label
from jobs.lake import Lake
from jobs.options import Days

SIZES = (2_000, 20_000, 200_000)


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
    seconds, memory = [], []
    with lakes.workplace("growth") as root:
        chosen = lakes.settings(root, encoder=False)
        spark = lakes.start("growth", chosen)
        lake = Lake(spark, chosen.lake)
        lakes.history(spark, chosen, root)
        release = fit(lake, chosen)
        nights = [lakes.START + timedelta(days=40 + at) for at in range(len(sizes) + 1)]
        days = [
            Days(*lakes.fill(lake, rows, first=night)) for rows, night in zip([sizes[0], *sizes], nights, strict=True)
        ]
        label(lake, chosen, release, days[0])  # warm
        for rows, night in zip(sizes, days[1:], strict=True):
            watch = Watch()
            watch.start()
            begun = time.monotonic()
            run = label(lake, chosen, release, night)
            seconds.append(time.monotonic() - begun)
            memory.append(watch.stop())
            print(f"{rows:>8,} rows {seconds[-1]:7.1f} s, worker at most {memory[-1]:.0f} MB, stages {run.seconds}")
        spark.stop()
    slope = [(seconds[at + 1] - seconds[at]) / (sizes[at + 1] - sizes[at]) for at in range(2)]
    print(f"milliseconds a further row: {slope[0] * 1e3:.3f}, then {slope[1] * 1e3:.3f}")
    print(
        json.dumps(
            [
                lakes.figure("growth: seconds a row, 20k-200k / 2k-20k", slope[1] / slope[0], 1.05),
                lakes.figure("growth: worker memory, 200k rows / 20k rows", memory[2] / memory[1], 1.1),
            ]
        )
    )


if __name__ == "__main__":
    main()
