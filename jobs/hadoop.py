"""Hadoop's file systems: every kind of place that Spark can read and write, with the rights that Spark has there."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def file_system(spark: "SparkSession", where: str) -> tuple[Any, Any]:
    """The file system of a path or URI, and Hadoop's `Path` of it."""
    jvm: Any = spark._jvm
    path = jvm.org.apache.hadoop.fs.Path(where)
    return path.getFileSystem(spark._jsc.hadoopConfiguration()), path
