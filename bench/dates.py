"""A backfill of 365 dates of 50 rows against the same rows in one date, and what small nights cost.

The same dialogues are labelled under other ids: in one date, in many, and in one again; one date counts as the mean.

The night with nothing to do and the one with 500 text rows are seconds above session start; they have no aim but to be
known, and to be few.
"""

import json
import time
from datetime import timedelta

from bench import lakes
from jobs.fit import fit
from jobs.label import label
from jobs.lake import Lake
from jobs.options import Days


def main() -> None:
    """Print the ratio and the seconds."""
    args = lakes.parser(__doc__).parse_args()
    dates = max(3, int(365 * args.scale))
    with lakes.workplace("dates") as root:
        chosen = lakes.settings(root, encoder=False)
        spark = lakes.start("dates", chosen)
        lake = Lake(spark, chosen.lake)
        lakes.history(spark, chosen, root)
        release = fit(lake, chosen)

        def timed(days: Days) -> float:
            begun = time.monotonic()
            label(lake, chosen, release, days)
            return time.monotonic() - begun

        first = lakes.START + timedelta(days=400)
        timed(Days(*lakes.fill(lake, 500, seed=3, first=first)))  # warm
        night = Days(*lakes.fill(lake, 500, seed=4, first=first + timedelta(days=1)))
        small, idle = timed(night), timed(night)
        before = timed(Days(*lakes.fill(lake, dates * 50, seed=5, first=first + timedelta(days=2))))
        many = timed(Days(*lakes.fill(lake, dates * 50, seed=5, days=dates, first=first + timedelta(days=3))))
        after = timed(Days(*lakes.fill(lake, dates * 50, seed=5, first=first + timedelta(days=4 + dates))))
        one = (before + after) / 2
        print(f"a night of 500 text rows {small:.1f} s, the same night again, with nothing to do, {idle:.1f} s")
        print(f"{dates * 50:,} rows in one date {before:.1f} s and {after:.1f} s, in {dates} dates {many:.1f} s")
        spark.stop()
    print(
        json.dumps(
            [
                lakes.figure("dates: 365 dates of 50 rows / one date", many / one, 2.0),
                lakes.figure("dates: seconds of a night with nothing to do", idle, 10.0),
                lakes.figure("dates: seconds of a night of 500 text rows", small, 20.0),
            ]
        )
    )


if __name__ == "__main__":
    main()
