"""The visible records of the challenge as items and labels, their pictures read once and kept in a cache folder."""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from kdsl import metrics, taxonomy
from kdsl.arrow import picture_of
from kdsl.dialogue import Item, Picture
from kdsl.folds import hash_order
from kdsl.importers import mire
from kdsl.importers.record import Record, TextLimits
from kdsl.learn import out_of_fold
from kdsl.metrics import Estimate
from kdsl.models.voter import kind
from kdsl.ocr import Reader
from kdsl.taxonomy import Task

TAXONOMY = Path(__file__).parents[1] / "conf" / "taxonomies" / "mire.yaml"
SHARED = Path(__file__).parents[2] / "shared" / "mire"
_NO_LIMITS = TextLimits(max_turn_chars=1_000_000, max_turns=10_000)


def parser(doc: str | None) -> argparse.ArgumentParser:
    """Options of the benches that read these records."""
    options = argparse.ArgumentParser(description=doc)
    options.add_argument("--mire", type=Path, default=SHARED, help="folder with train.json and images/")
    options.add_argument("--cache", type=Path, default=Path(".cache/bench"), help="folder for what was read")
    options.add_argument("--folds", type=int, default=4)
    options.add_argument("--seeds", type=int, default=3)
    return options


def records(folder: Path) -> list[Record]:
    """All records. Where there are none, says so and ends with status 0: the records are not everybody's to have."""
    file = folder / "train.json"
    if not file.is_file():
        print(f"left out: {file} is not here; name the folder with --mire")
        print("[]")
        sys.exit(0)
    return [mire.parse(entry, _NO_LIMITS) for entry in mire.records(file.read_bytes())]


def task(name: str) -> Task:
    """A task of the taxonomy that goes with the records."""
    return taxonomy.load(TAXONOMY).task(name)


def examples(found: Sequence[Record], name: str, pictures: dict[str, Picture]) -> tuple[list[Item], list[str]]:
    """Items of a task and their gold labels, for the records whose pictures are all at hand."""
    items, gold = [], []
    for record in found:
        labels = record.labels or (record.pictures[0].labels if record.pictures and not record.turns else {})
        if name in labels and all(ref.image_id in pictures for ref in record.pictures):
            own = tuple(pictures[ref.image_id] for ref in record.pictures)
            items.append(Item(record.record_id, name, record.turns, own))
            gold.append(labels[name])
    return items, gold


def names(found: Sequence[Record], name: str) -> list[str]:
    """Names of the pictures that the task's records show, in an order by hash."""
    of_task = (r for r in found if bool(r.turns) == (task(name).asked_of == "conversation"))
    return sorted({ref.image_id for record in of_task for ref in record.pictures}, key=lambda n: hash_order(n, 0))


def read(folder: Path, wanted: Sequence[str], reader: Reader, cache: Path) -> tuple[dict[str, Picture], float]:
    """The pictures by name, and the seconds that reading those not yet in the cache took."""
    place = cache / reader.version.replace("/", "_")
    place.mkdir(parents=True, exist_ok=True)
    pictures, begun, fresh = {}, time.monotonic(), 0
    for name in wanted:
        file = place / f"{name}.json"
        if not file.is_file():
            file.write_text(to_json(reader.read((folder / "images" / name).read_bytes())), encoding="utf-8")
            fresh += 1
            if fresh % 100 == 0:
                print(f"  read {fresh} pictures, {time.monotonic() - begun:.0f} s", flush=True)
        pictures[name] = from_json(file.read_text(encoding="utf-8"))
    return pictures, time.monotonic() - begun


def to_json(picture: Picture) -> str:
    """A picture as it was read, for the cache."""
    row = asdict(picture) | {"thumbnail": picture.thumbnail.hex() if picture.thumbnail else None}
    return json.dumps(row, ensure_ascii=False)


def from_json(text: str) -> Picture:
    """The reverse of `to_json`, without the picture's file."""
    row = json.loads(text)
    thumbnail = bytes.fromhex(row["thumbnail"]) if row["thumbnail"] else None
    return picture_of(row | {"thumbnail": thumbnail, "content": None, "path": None, "image_id": None})


def score(of: Task, items: Sequence[Item], gold: Sequence[str], folds: int, seeds: int) -> list[Estimate]:
    """Weighted F1 of the linear voter on out-of-fold predictions, one estimate a seed."""
    estimates = []
    for seed in range(1, seeds + 1):
        votes = out_of_fold(kind("linear"), of, items, gold, folds=folds, seed=seed)
        guesses = [None if np.isnan(row).any() else of.label_names[int(row.argmax())] for row in votes]
        estimates.append(metrics.estimate(metrics.confusion(gold, guesses), seed=seed))
    return estimates


def mean(estimates: Sequence[Estimate]) -> Estimate:
    """Means over the seeds: of the value, and of the ends of the interval over rows."""
    value, low, high = (float(np.mean([getattr(e, key) for e in estimates])) for key in ("value", "low", "high"))
    return Estimate(value, low, high, estimates[0].n)


def figure(bench: str, value: float, aim: float, met: bool) -> dict[str, Any]:
    """One figure of the last line."""
    return {"bench": bench, "value": round(value, 4), "aim": aim, "met": met}
