"""The real dialogues and pictures of the challenge by the jobs alone: files, lake, release, labels, weighted F1.

A fifth of the records, by hash of their ids, is held out: it goes in as split `test`, is labelled night by night as any
other, and scored by `evaluate`. The folder of records holds no dates; they are spread over a week.
"""

import json
from pathlib import Path

from bench import lakes, mire
from jobs.evaluate import evaluate
from jobs.fit import fit
from jobs.ingest import ingest
from jobs.label import label
from jobs.lake import Lake
from jobs.options import Days
from kdsl.config import Settings
from kdsl.folds import hash_order

PARTS = 5
AIM = 0.74
START, END = lakes.START, lakes.START.replace(day=lakes.START.day + 6)


def main() -> None:
    """Print what the jobs print, and the figures."""
    args = mire.parser(__doc__).parse_args()
    mire.records(args.mire)
    with lakes.workplace("nightly") as root:
        for split, records in _split(args.mire).items():
            folder = root / split
            folder.mkdir()
            (folder / "train.json").write_text(json.dumps(records, ensure_ascii=False), encoding="utf-8")
        chosen = Settings(
            lake=str(root / "lake"),
            releases=str(root / "releases"),
            taxonomy=str(mire.TAXONOMY),
            ingest={"image_root": str(args.mire.resolve())},
            spark={"master": "local[2]", "shuffle_partitions": 2, "snapshot_partitions": 1},
        )
        spark = lakes.start("nightly", chosen)
        for split in ("train", "test"):
            ingest(spark, chosen, format="mire", path=str(root / split), split=split, date_from=START, date_to=END)
        lake = Lake(spark, chosen.lake)
        release = fit(lake, chosen)
        label(lake, chosen, release, Days(START, END))
        report = evaluate(lake, chosen, release, "test")
        spark.stop()
    print(
        json.dumps(
            [
                lakes.figure(f"nightly: {task}, held out, n {found['n']}", found["weighted_f1"], AIM, at_most=False)
                for task, found in report["tasks"].items()
            ]
        )
    )


def _split(folder: Path) -> dict[str, list[object]]:
    records = json.loads((folder / "train.json").read_text(encoding="utf-8"))
    order = sorted(range(len(records)), key=lambda at: hash_order(str(records[at]["id"]), 1))
    held = set(order[: len(records) // PARTS])
    return {
        "train": [record for at, record in enumerate(records) if at not in held],
        "test": [records[at] for at in sorted(held)],
    }


if __name__ == "__main__":
    main()
