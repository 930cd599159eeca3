"""Files as raw rows: the lines of JSON-lines files, the entries of a JSON list; `source_csv` has the rows of CSV files.

Each row names its place: `file` (its path below the folder that is read), `block` (where the split of the file
begins) and `mid`, which grows along a block.
"""

from typing import TYPE_CHECKING

from jobs.hadoop import file_system
from kdsl.importers.options import SUFFIXES, Options
from udfs.parse import LISTED, MAX_LINE_BYTES, Blocks, split_list

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, DataFrameReader, SparkSession


def lines(spark: "SparkSession", options: Options) -> "DataFrame":
    """The lines: `value` in bytes as they are, `size` in bytes, and their place."""
    from pyspark.sql import functions as F

    # Only a line feed ends a line: a carriage return before it is white space to JSON, and a text holds none raw.
    text = reader(spark, options).option("lineSep", "\n").text(literal(options.path))
    value = F.col("value").cast("binary")
    # Cut in the JVM, so that no worker sees a line of gigabytes; `size` tells that it was cut.
    cut = F.when(F.length(value) > MAX_LINE_BYTES, F.substring(value, 1, 1)).otherwise(value)
    return text.select(cut.alias("value"), F.length(value).cast("long").alias("size"), *place(spark, options))


def listed(spark: "SparkSession", options: Options) -> "DataFrame":
    """The entries of a JSON list, each as JSON again: a list has no lines to split it at."""
    from pyspark.sql import functions as F
    from pyspark.sql.pandas.types import from_arrow_schema

    files = spark.read.text(literal(options.path), wholetext=True)
    whole = files.select(F.col("value").cast("binary").alias("value"), F.col("_metadata.file_name").alias("file"))
    return whole.mapInArrow(split_list, from_arrow_schema(LISTED))


def blocks(rows: "DataFrame", first_line: int) -> Blocks:
    """The line at which each block of each file begins, from how many lines the blocks before it hold."""
    from pyspark.sql import functions as F

    counted = rows.groupBy("file", "block").agg(F.min("mid").alias("mid"), F.count("*").alias("lines")).collect()
    begin: dict[tuple[str, int], tuple[int, int]] = {}
    line: dict[str, int] = {}
    for row in sorted(counted, key=lambda row: (row["file"], row["block"])):
        here = line.get(row["file"], first_line)
        begin[row["file"], row["block"]] = (here, row["mid"])
        line[row["file"]] = here + row["lines"]
    return begin


def reader(spark: "SparkSession", options: Options) -> "DataFrameReader":
    """A reader of the files of the format alone."""
    # Else Spark makes columns of folders named `key=value`, and reads such folders alone or none.
    found = spark.read.option("recursiveFileLookup", "true")
    name = options.path.rstrip("/").rsplit("/", 1)[-1]
    if name.endswith(SUFFIXES[options.format]):
        return found
    # A folder: files of the format only, for pictures may lie beside them. A file of another name is taken as it is.
    glob = f"{{*{',*'.join(SUFFIXES[options.format])}}}" if options.is_folder() else "*"
    return found.option("pathGlobFilter", glob)


def literal(path: str) -> str:
    """The path as a pattern, which Spark takes it for; ours names one file or folder."""
    return path if "://" in path else "".join(f"\\{c}" if c in "\\[]{}*?" else c for c in path)


def place(spark: "SparkSession", options: Options) -> "list[Column]":
    """The columns `file`, `block` and `mid`."""
    from pyspark.sql import functions as F

    fs, folder = file_system(spark, options.folder())
    above = fs.makeQualified(folder).toString().rstrip("/").count("/") + 1
    return [
        F.regexp_replace("_metadata.file_path", f"^([^/]*/){{{above}}}", "").alias("file"),
        F.col("_metadata.file_block_start").alias("block"),
        F.monotonically_increasing_id().alias("mid"),
    ]
