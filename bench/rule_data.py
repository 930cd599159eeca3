"""The four data sets on which rule learners are compared, as examples with columns.

They lie in ../shared and are for measuring only. Pictures are read by this project's reader once; with `cache` the
lines read are kept there as JSON, one file a picture.
"""

import csv
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import mire as mire_records
from kdsl import taxonomy
from kdsl.config import ReaderSettings
from kdsl.dialogue import Item, Line, Picture
from kdsl.folds import assign, group_keys
from kdsl.importers import mire
from kdsl.importers.record import TextLimits
from kdsl.rules.examples import Examples, examples_of, of_columns
from kdsl.taxonomy import Label, Task
from kdsl.text import normalise

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
SIDE = 960  # longer side, in pixels, of the pictures as the cache was read
PER_LABEL = 10  # examples a label to learn from, of the two text sets


@dataclass(frozen=True)
class Data:
    """A data set: all rows as items, and the splits (rows to learn from, rows to test on)."""

    name: str
    task: Task
    items: tuple[Item, ...]
    gold: tuple[str, ...]
    groups: tuple[str, ...]
    texts: tuple[str, ...]  # of data sets without items
    splits: tuple[tuple[list[int], list[int]], ...]

    def examples(self, rows: Sequence[int]) -> Examples:
        """Some of the rows as examples."""
        gold = [self.gold[row] for row in rows]
        groups = [self.groups[row] for row in rows]
        if self.items:
            return examples_of([self.items[row] for row in rows], gold, groups)
        ids = [f"{self.name}/{row}" for row in rows]
        return of_columns(ids, gold, groups, {"last_user": [self.texts[row] for row in rows]})


def mire_data(name: str, cache: Path | None, folds: int, seed: int) -> Data:
    """The visible MIRE records of a task, `intent` or `scene`, every fold tested once."""
    task = taxonomy.load(ROOT / "conf/taxonomies/mire.yaml").task(name)
    entries = mire.records((SHARED / "mire/train.json").read_bytes())
    records = [mire.parse(entry, TextLimits(max_turn_chars=20_000, max_turns=2_000)) for entry in entries]
    items, gold = [], []
    for record in records:
        label = record.labels.get(name) or next((p.labels[name] for p in record.pictures if name in p.labels), None)
        if label is None:
            continue
        pictures = tuple(_picture(ref.image_id, cache) for ref in record.pictures)
        items.append(Item(record.record_id, name, record.turns, pictures))
        gold.append(label)
    groups = group_keys(items)
    fold = assign([item.item_id for item in items], gold, groups, folds=folds, seed=seed)
    rows = range(len(items))
    splits = tuple(([r for r in rows if fold[r] != f], [r for r in rows if fold[r] == f]) for f in range(folds))
    return Data(f"mire {name}", task, tuple(items), tuple(gold), tuple(groups), (), splits)


def text_data(name: str, seed: int) -> Data:
    """Banking77 or Bitext: `PER_LABEL` examples a label by hash of the text, tested on all the rest."""
    file, text_column, label_column = {
        "banking77": ("banking77_train.csv", "text", "category"),
        "bitext": ("bitext_train.csv", "utterance", "intent"),
    }[name]
    with (SHARED / "text" / file).open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    seen: dict[str, str] = {}
    for row in rows:
        seen.setdefault(normalise(row[text_column]), row[label_column])
    texts = sorted(seen, key=lambda text: hashlib.sha256(f"{seed}/{text}".encode()).digest())
    gold = [seen[text] for text in texts]
    learn: list[int] = []
    counts: dict[str, int] = {}
    for row, label in enumerate(gold):
        counts[label] = counts.get(label, 0) + 1
        if counts[label] <= PER_LABEL:
            learn.append(row)
    test = sorted(set(range(len(texts))) - set(learn))
    task = Task(
        name="intent",
        asked_of="conversation",
        question="?",
        labels=tuple(Label(name=label, description=label.replace("_", " ")) for label in sorted(counts)),
    )
    return Data(name, task, (), tuple(gold), tuple(map(str, range(len(texts)))), tuple(texts), ((learn, test),))


def _picture(name: str, cache: Path | None) -> Picture:
    file = cache / f"{name}.json" if cache else None
    if file and file.is_file():
        data = json.loads(file.read_text(encoding="utf-8"))
        lines = tuple(Line(one["text"], one["score"], tuple(one["box"])) for one in data["lines"])
        return Picture(data["sha256"], data["width"], data["height"], lines, data["error_code"])
    picture = _reader().read((SHARED / "mire/images" / name).read_bytes())
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(mire_records.to_json(picture), encoding="utf-8")
    return picture


_READERS: list = []


def _reader():
    if not _READERS:
        from kdsl.ocr import Reader

        _READERS.append(Reader(ReaderSettings(max_side=SIDE)))
    return _READERS[0]
