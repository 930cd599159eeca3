"""Where a worker finds a release: under the driver's path, or where Spark unpacked what the driver sent."""

from pathlib import Path


def placed(path: str) -> str:
    """The folder on this machine of the release that the driver has at `path`; whoever opens it verifies it."""
    if Path(path).is_dir():
        return path
    from pyspark import SparkFiles

    sent = SparkFiles.get(Path(path).name)
    return sent if Path(sent).is_dir() else path
