"""Whether a new release takes the place of the one at work."""

from collections.abc import Collection
from pathlib import Path

from jobs.lake import Lake
from jobs.registry import fused_scores, history, promoted
from jobs.shelf import Shelf
from kdsl import taxonomy
from kdsl.config import Settings
from kdsl.errors import ReleaseError, TaxonomyError
from kdsl.manifest import Manifest, Score, read_manifest


def of_fit(lake: Lake, settings: Settings, new: Manifest) -> tuple[bool, str]:
    """The verdict on what `fit` learned or found again: what was at work before stays where somebody put it."""
    at_work, *before = history(lake) or [""]
    if new.release_id in before:
        again = f"`./spark-submit.sh release promote {new.release_id}` has it label again"
        return False, f"not promoted: {new.release_id} was at work before, and {at_work} took its place; {again}"
    return verdict(lake, settings, new)


def verdict(lake: Lake, settings: Settings, new: Manifest) -> tuple[bool, str]:
    """Whether to promote a new release, and why: the first, or on no task below the promoted one's interval.

    One that lacks a task of the promoted one is not: nobody would label that any more. Tasks whose labels the taxonomy
    in the settings, the new one's, has otherwise than the promoted one's are not compared.
    """
    if new.interrupted:
        cut = ", ".join(new.interrupted)
        return False, (
            f"not promoted: Ctrl-C ended the learning of {cut} early. `fit` learns it whole; this one, "
            f"{new.release_id}, labels where --release names it"
        )
    try:
        at_work = promoted(lake)
    except ReleaseError as error:
        return True, f"promoted: nothing to compare with ({error})" if lake.has("releases") else "promoted: the first"
    if at_work == new.release_id:
        return True, f"{at_work} is the promoted release already"
    try:
        folder = Shelf(lake.spark, settings).folder(at_work)
        old = read_manifest(folder)
        same = old.taxonomy_digest == new.taxonomy_digest
        others = () if same else _other_labels(folder / "taxonomy.json", settings.taxonomy)
    except (ReleaseError, TaxonomyError) as error:
        return _against_the_table(lake, at_work, new, str(error))
    return _against(old, new, others)


def _other_labels(before: Path, after: str) -> Collection[str]:
    """Tasks that two files of taxonomies have with other labels, in whatever order."""
    one, other = ({task.name: set(task.label_names) for task in taxonomy.load(file).tasks} for file in (before, after))
    return [task for task in one if task in other and one[task] != other[task]]


def _against(old: Manifest, new: Manifest, others: Collection[str] = ()) -> tuple[bool, str]:
    lost = [task for task in old.scores if task not in new.scores]
    worse = [
        f"{task} {new.score(task).value:.3f} < {old.score(task).low:.3f}"
        for task in old.scores
        if task in new.scores and task not in others and _below(new.score(task), old.score(task))
    ]
    if lost or worse:
        lacks = f"has no task {', '.join(lost)}, which {old.release_id} labels"
        less = f"worse than {old.release_id} beyond its interval ({'; '.join(worse)})"
        return False, f"not promoted: {lacks if lost else less}"
    apart = [task for task in old.scores if task in others]
    changed = f"{', '.join(apart)}: other labels than {old.release_id} has, not compared"
    if apart and len(apart) == len(old.scores):
        return True, f"promoted: {changed}"
    return True, f"promoted: not worse than {old.release_id} beyond its interval{f' ({changed})' if apart else ''}"


def _below(new: Score, old: Score) -> bool:
    """Beyond the old one's interval; where every example was right that has no width, and the new one's counts."""
    return new.value < old.low and (old.low < old.value or new.high < old.value)


def _against_the_table(lake: Lake, at_work: str, new: Manifest, reason: str) -> tuple[bool, str]:
    """The verdict where the promoted release cannot be read: by the scores that the table `releases` holds of it."""
    from pyspark.sql import functions as F

    (row,) = lake.df("releases").where(F.col("release_id") == at_work).select("scores").collect()
    old = fused_scores(row)
    lost = [f"no task {task}" for task in old if task not in new.scores]
    worse = [
        f"{task} {new.score(task).high:.3f} at most < {old[task]:.3f}"
        for task in new.scores
        if task in old and new.score(task).high < old[task]
    ]
    if lost or worse:
        return False, f"not promoted: worse than {at_work} ({'; '.join(lost + worse)}), which cannot be read: {reason}"
    return True, f"promoted: not worse than {at_work} was, which cannot be read: {reason}"
