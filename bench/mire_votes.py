"""Held-out votes of rules and linear on the challenge's records, kept in a cache folder."""

import hashlib
from pathlib import Path

from bench import imported, mire
from kdsl.config import ReaderSettings
from kdsl.dialogue import Item
from kdsl.folds import group_keys
from kdsl.fusion import held_out as votes
from kdsl.fusion.held_out import HeldOut, held_out
from kdsl.learn import hear
from kdsl.models.voter import kind
from kdsl.ocr import Reader

SEED, FOLDS, VOTERS = 7, 4, ("rules", "linear")
LIBRARIES = Path(__file__).parents[1] / "requirements.lock"


def held(folder: Path, cache: Path, name: str) -> HeldOut:
    """Votes of a task, from the cache where they were made of the same."""
    file = cache / f"held_out-{name}-{key(folder)}.npz"
    if file.is_file():
        return votes.load(file)
    found, gold = examples(folder, cache, name)
    groups, task = group_keys(found), mire.task(name)
    made = held_out(task.label_names, [item.item_id for item in found], gold, groups, {})
    for voter in VOTERS:
        heard = hear(kind(voter), task, found, gold, folds=FOLDS, seed=SEED, groups=groups)
        made = made.with_voter(voter, heard.log_probs, heard.asked, heard.facts)
    made.save(file)
    return made


def examples(folder: Path, cache: Path, name: str) -> tuple[list[Item], list[str]]:
    """The items that have votes, in their order, and their gold labels."""
    found = mire.records(folder)
    pictures, _ = mire.read(folder, mire.names(found, name), Reader(ReaderSettings(), threads=1), cache)
    return mire.examples(found, name, pictures)


def key(folder: Path) -> str:
    """Names what the votes are made of: this module and all it imports, libraries, examples and taxonomy."""
    read = [file.read_bytes() for file in (folder / "train.json", mire.TAXONOMY, LIBRARIES)]
    parts = [imported.digest(__name__), *(hashlib.sha256(data).hexdigest() for data in read)]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]
