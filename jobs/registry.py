"""The releases of a lake: which were learned, where they lie, which one labels tonight."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from jobs import console
from jobs.lake import Lake
from jobs.shelf import Shelf
from jobs.tables import RELEASES
from kdsl import taxonomy
from kdsl.config import Settings
from kdsl.errors import ReleaseError
from kdsl.manifest import MANIFEST, file_sha256
from kdsl.ocr import reader_version
from kdsl.release import Release

if TYPE_CHECKING:
    from pyspark.sql import Row


def find(lake: Lake, settings: Settings, release_id: str | None) -> Release:
    """Open the named release, or the one promoted last, verified and fit for the taxonomy in the settings.

    Raises:
        ReleaseError: there is none, it was altered, or it was learned for another taxonomy or reader.
    """
    release = opened(lake, settings, release_id or promoted(lake))
    must_fit(release, settings)
    return release


def must_fit(release: Release, settings: Settings) -> None:
    """Check that a release was learned for the taxonomy in the settings, and from pictures as they are read now.

    Raises:
        ReleaseError: it was not.
    """
    release.must_fit(taxonomy.load(settings.taxonomy))
    read_with, reads_now = release.manifest.reader_version, reader_version(release.manifest.reader)
    if read_with != reads_now:
        raise ReleaseError(
            f"release {release.manifest.release_id} was learned from pictures read by {read_with}; this version reads "
            f"them by {reads_now}. Run fit again."
        )


def opened(lake: Lake, settings: Settings, release_id: str) -> Release:
    """Open the named release, verified; of another taxonomy too, to look at and compare.

    Raises:
        ReleaseError: there is none, or it was altered.
    """
    release = Shelf(lake.spark, settings).open(release_id)
    is_noted(lake, release)
    return release


def is_noted(lake: Lake, release: Release) -> bool:
    """Whether the lake's table `releases` knows the release.

    Raises:
        ReleaseError: it does, with another manifest.
    """
    noted = _noted(lake).get(release.manifest.release_id)
    if noted and noted != file_sha256(release.path / MANIFEST):
        raise ReleaseError(
            f"release {release.manifest.release_id}: {MANIFEST} was altered since `fit`; restore it, or move "
            f"{release.origin or release.path} away and `fit` again, which learns it anew from the same gold."
        )
    return noted is not None


def promoted(lake: Lake) -> str:
    """The id of the release promoted last.

    Raises:
        ReleaseError: none was.
    """
    past = history(lake)
    if not past:
        raise ReleaseError(
            f"lake {lake.root} has no promoted release; learn one first: ./spark-submit.sh fit --lake ..."
        )
    return past[0]


def history(lake: Lake) -> list[str]:
    """Ids of the releases that were ever promoted, the one at work first, then by when each was promoted last."""
    from pyspark.sql import functions as F

    ever = lake.df("releases").where(F.col("promoted_at").isNotNull()).orderBy(F.desc("promoted_at"))
    return [str(row["release_id"]) for row in ever.select("release_id").collect()]


def register(lake: Lake, release: Release, *, promote: bool, reason: str, anew: bool = False) -> None:
    """Note a release in `releases`, and that it is promoted from now on where `promote` says so.

    One that is noted already stays as it is noted, unless it was learned `anew`, as after its folder was lost: then the
    row gets its new manifest, and is promoted as it was.
    """
    from pyspark.sql import functions as F

    release_id = release.manifest.release_id
    was = lake.df("releases").where(F.col("release_id") == release_id).head()
    if anew and was and was["manifest_sha256"] != file_sha256(release.path / MANIFEST):
        _note(lake, release, was["promoted_at"], was["reason"])
        console.say(f"{release_id} was noted before: the table `releases` has its new manifest now")
    stands = release_id == _at_work(lake) if promote else was is not None
    if not stands:
        _note(lake, release, datetime.now(UTC) if promote else None, reason)


def _note(lake: Lake, release: Release, promoted_at: datetime | None, reason: str) -> None:
    manifest = release.manifest
    scores = {f"{task}.{voter}": score.value for task, by in manifest.scores.items() for voter, score in by.items()}
    row = (
        manifest.release_id,
        release.origin or str(release.path),
        file_sha256(release.path / MANIFEST),
        manifest.taxonomy,
        scores,
        manifest.created_at,
        promoted_at,
        reason,
    )
    lake.upsert("releases", lake.spark.createDataFrame([row], RELEASES.columns))


def fused_scores(noted: "Row") -> dict[str, float]:
    """Held-out weighted F1 by task of what a release says in the end, from its row of the table `releases`."""
    return {key.removesuffix(".fused"): score for key, score in noted["scores"].items() if key.endswith(".fused")}


def _noted(lake: Lake) -> dict[str, str]:
    """SHA-256 of the manifest of each release of the lake."""
    rows = lake.df("releases").select("release_id", "manifest_sha256").collect()
    return {row["release_id"]: row["manifest_sha256"] for row in rows}


def _at_work(lake: Lake) -> str | None:
    try:
        return promoted(lake)
    except ReleaseError:
        return None
