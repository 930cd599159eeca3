"""Which labelled items two releases say different things of, counted on stored votes."""

from jobs import console, registry, votes
from jobs.items import within
from jobs.lake import Lake
from jobs.options import Days
from kdsl.config import Settings
from kdsl.errors import ConfigError
from kdsl.release import Release


def must_compare(old: Release, new: Release, settings: Settings) -> None:
    """Check that rows of the two can be compared: both label by the taxonomy in the settings.

    Raises:
        ConfigError: each was learned for a taxonomy of its own.
        ReleaseError: both were for another one than the settings', or from pictures read otherwise.
    """
    one, other = old.manifest, new.manifest
    if one.taxonomy_digest != other.taxonomy_digest:
        raise ConfigError(
            f"release diff: rows are compared only between releases of one taxonomy; {one.release_id} was learned for "
            f"{one.taxonomy!r} (digest {one.taxonomy_digest[:12]}), {other.release_id} for {other.taxonomy!r} "
            f"({other.taxonomy_digest[:12]}). Leave out --from and --to to compare all else."
        )
    for release in (old, new):
        registry.must_fit(release, settings)


def count(lake: Lake, old: Release, new: Release, days: Days, most: int) -> None:
    """Print how many items of those days would change their label, by pair of labels, with `most` ids of each."""
    from pyspark.sql import functions as F

    rows = votes.compare(lake, old, new, within(days)).localCheckpoint()
    n, unknown = rows.agg(F.count("*"), F.count_if(~F.col("known"))).collect()[0]
    moved = rows.where("known AND NOT old <=> new").groupBy("task", "old", "new")
    changes = moved.agg(F.count("*").alias("n"), F.slice(F.array_sort(F.collect_list("item_id")), 1, most + 1))
    found = changes.orderBy(F.desc("n"), "task", "old", "new").collect()
    console.say(f"of {n} items from {days.start} to {days.end}, {sum(row['n'] for row in found)} change:")
    for task, one, other, n_moved, ids in found:
        shown = ", ".join([*ids[:most], *(["..."] if len(ids) > most else [])])
        console.say(f"  {n_moved:5d} {task}: {one or 'abstained'} -> {other or 'abstained'} ({shown})")
    if unknown:
        first = f"label --shadow {new.manifest.release_id} first"
        console.say(f"  {unknown} items lack votes of one of the two: {first}")
