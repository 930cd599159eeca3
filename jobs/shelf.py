"""Where releases lie: a folder that driver and workers see, or a store that Hadoop reaches, copied once a node."""

import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.hadoop import file_system
from jobs.ship import ship
from kdsl.config import Settings
from kdsl.copies import kept
from kdsl.errors import ReleaseError
from kdsl.manifest import MANIFEST
from kdsl.release import Release

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

BROKEN = ".broken-"  # behind the id, in the name of a folder that `fit` put aside


class Shelf:
    """The releases of `settings.releases`.

    Where that is a URI (`hdfs://`, `s3a://`, `file://`), a release is copied to `release_cache` of the driver's machine
    and held against its manifest, and Spark brings that copy to each other node: fetched there once under Spark's lock,
    unpacked once an executor, verified by every worker (`udfs.placed`).
    """

    def __init__(self, spark: "SparkSession", settings: Settings) -> None:
        self.spark = spark
        self.where = settings.releases
        self.remote = "://" in self.where
        self._cache = settings.release_cache

    @property
    def cache(self) -> Path:
        """Where copies of releases at a URI are kept on this machine."""
        return Path(self._cache or Path.home() / ".cache" / "kdsl" / "releases").resolve()

    @property
    def fresh(self) -> Path:
        """The folder below which a new release is written before it is `put`."""
        return self.cache / "new" if self.remote else Path(self.where).resolve()

    def ids(self) -> list[str]:
        """Ids of all releases there, in order, without those put aside."""
        if not self.remote:
            return sorted(folder.name for folder in Path(self.where).glob("rel-*") if BROKEN not in folder.name)
        fs, root = file_system(self.spark, self.where)
        names = [status.getPath().getName() for status in fs.listStatus(root)] if fs.exists(root) else []
        return sorted(name for name in names if name.startswith("rel-") and BROKEN not in name and self.has(name))

    def has(self, release_id: str) -> bool:
        """Whether it is there, and not only a part of it that is still being written."""
        if not self.remote:
            return (Path(self.where) / release_id).is_dir()
        fs, manifest = file_system(self.spark, f"{self.where}/{release_id}/{MANIFEST}")
        return bool(fs.exists(manifest))

    def folder(self, release_id: str) -> Path:
        """Its folder on this machine: of a store, a copy of it.

        Raises:
            ReleaseError: there is none, or it was altered on the store.
        """
        if not self.has(release_id):
            known = ", ".join(self.ids())
            raise ReleaseError(
                f"--release: there is no {self.where}/{release_id}; "
                + (f"known in --releases: {known}." if known else "learn one first: ./spark-submit.sh fit ...")
            )
        if not self.remote:
            return (Path(self.where) / release_id).resolve()
        digest = hashlib.sha256(self._manifest(release_id)).hexdigest()

        def fetch(draft: Path) -> None:
            fs, source = file_system(self.spark, f"{self.where}/{release_id}")
            _, target = file_system(self.spark, draft.as_uri())
            fs.copyToLocalFile(False, source, target, True)  # raw: no files of checksums beside ours

        return kept(self.cache / digest[:16] / release_id, fetch, Release.open)

    def open(self, release_id: str) -> Release:
        """Open and verify it, and have workers on other machines find it.

        Raises:
            ReleaseError: there is none, or it was altered.
        """
        path = self.folder(release_id)
        try:
            release = Release.open(path)
        except ReleaseError as error:
            if not self.remote:
                raise
            raise ReleaseError(
                f"{error} This is a copy of {self.where}; delete {path} to have it made anew."
            ) from error
        if self.remote:
            if not str(self.spark.sparkContext.master).startswith("local["):
                ship(self.spark, release)
            return release.model_copy(update={"origin": f"{self.where}/{release_id}"})
        return release

    def found(self, release_id: str) -> Release | None:
        """It, where it is there, or was written whole and then not put there, as by a job that was killed; else None.

        Raises:
            ReleaseError: it was altered.
        """
        if self.has(release_id):
            return self.open(release_id)
        written = self.fresh / release_id
        return self.put(Release.open(written)) if written.is_dir() else None

    def put(self, release: Release) -> Release:
        """Take up a release that was just written, and open it where it lies now.

        On a store the manifest comes last, so that half a release is none; one that is there already stays.
        """
        if not self.remote:
            return release
        release_id = release.manifest.release_id
        if not self.has(release_id):
            for name in (*release.manifest.files, MANIFEST):
                fs, target = file_system(self.spark, f"{self.where}/{release_id}/{name}")
                _, source = file_system(self.spark, (release.path / name).as_uri())
                fs.mkdirs(target.getParent())
                fs.copyFromLocalFile(False, True, source, target)
        opened = self.open(release_id)
        if opened.path != release.path:
            shutil.rmtree(release.path)
        return opened

    def _manifest(self, release_id: str) -> bytes:
        fs, source = file_system(self.spark, f"{self.where}/{release_id}/{MANIFEST}")
        with tempfile.TemporaryDirectory() as passing:
            target = Path(passing) / MANIFEST
            fs.copyToLocalFile(False, source, file_system(self.spark, target.as_uri())[1], True)
            return target.read_bytes()
