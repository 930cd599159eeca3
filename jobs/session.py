"""The one place where a Spark session is built, with the reason for each setting beside it."""

import os
import sys
from typing import TYPE_CHECKING

from jobs import roots

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from kdsl.config import Settings

# Classes that pyspark names without their package. At each use py4j would try one imported package after another, and
# look for what is not there in every jar.
NAMED = (
    "org.apache.spark.sql.functions",
    "org.apache.spark.api.python.PythonUtils",
    "org.apache.spark.sql.api.python.PythonSQLUtils",
)
DELTA_PACKAGE = "io.delta:delta-spark_4.2_2.13:4.4.0"


def conf(settings: "Settings") -> dict[str, str]:
    """The Spark settings of a job, without master and jars, which spark-submit takes itself."""
    spark = settings.spark
    local = spark.master.startswith("local[")
    remote = roots.local(settings.lake) is None
    partitions = spark.shuffle_partitions or (2 * _cores(spark.master) if local else 200)
    return {
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        # pyspark 4.2.0 hangs on a Python UDF over a Parquet scan when this is on.
        "spark.sql.execution.arrow.pythonUDF.columnarInput.enabled": "false",
        # Dates and times mean the same on every machine.
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": str(partitions),
        # Delta rebuilds a table's state in 50 tasks by default: seconds of nothing on a small machine.
        "spark.databricks.delta.snapshotPartitions": str(spark.snapshot_partitions),
        "spark.sql.execution.arrow.maxRecordsPerBatch": str(settings.label.batch_rows),
        # One model a worker: keep the worker, and never run a second copy of a slow model task.
        "spark.python.worker.reuse": "true",
        "spark.speculation": "false",
        "spark.sql.debug.maxToStringFields": "200",
        # Where in our code a column was made: it takes a stack trace for each, and only analysts' typos would need it.
        "spark.python.sql.dataFrameDebugging.enabled": "false",
        "spark.sql.dataFrameQueryContext.enabled": "false",
        # Ranges of a file asked for at once: good on an object store, five times slower than one by one on a disk.
        "spark.hadoop.parquet.hadoop.vectored.io.enabled": "true" if remote else "false",
        "spark.ui.enabled": "false" if local else "true",
        # How a plan is put into words for the web page, for every query: the long way takes a tenth of a small night.
        **({"spark.sql.ui.explainMode": "simple"} if local else {}),
        "spark.ui.showConsoleProgress": "false",
        **spark.conf,
    }


def build(settings: "Settings", name: str) -> "SparkSession":
    """The session of a job; an active one is returned as it is.

    Outside spark-submit (tests, notebooks, benches) it also names master and jars.
    """
    from py4j.java_gateway import java_import
    from pyspark.sql import SparkSession

    from jobs.jars import spark_options

    builder = SparkSession.builder.appName(f"kdsl-{name}")
    if "PYSPARK_GATEWAY_PORT" not in os.environ:  # not started by spark-submit
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # else workers run the first python3 of PATH
        builder = builder.master(settings.spark.master).config("spark.driver.memory", settings.spark.driver_memory)
        for key, value in spark_options(settings).items():
            builder = builder.config(key, value)
    for key, value in conf(settings).items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    for unqualified in NAMED:  # imported one by one they are found first
        java_import(session.sparkContext._jvm, unqualified)
    return session


def _cores(master: str) -> int:
    inside = master.removeprefix("local[").split("]")[0].split(",")[0]
    return (os.cpu_count() or 1) if inside == "*" else max(1, int(inside))
