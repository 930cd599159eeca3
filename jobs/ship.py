"""A release on its way to the other nodes: an archive of this Spark application, unpacked where a task needs it."""

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdsl.manifest import MANIFEST
from kdsl.release import Release

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def ship(spark: "SparkSession", release: Release) -> None:
    """Bring a release to every node as an archive of this Spark application; a second time is nothing new."""
    context: Any = spark.sparkContext
    archive = Path(context._temp_dir) / f"{release.path.name}.zip"  # gone with the application
    if archive.exists():
        return
    draft = archive.with_suffix(".part")
    with zipfile.ZipFile(draft, "w") as packed:
        for name in (*release.manifest.files, MANIFEST):
            packed.write(release.path / name, name)
    draft.rename(archive)
    context.addArchive(f"{archive}#{release.path.name}")
