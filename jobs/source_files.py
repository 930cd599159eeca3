"""Files as raw rows: the lines of JSON-lines files, the rows of CSV files, the entries of a JSON list.

Each row names its place: `file` (its path below the folder that is read), `block` (where the split of the file
begins) and `mid`, which grows along a block.
"""

from typing import TYPE_CHECKING

from jobs.hadoop import file_system
from kdsl.errors import ConfigError
from kdsl.importers.options import SUFFIXES, Options
from udfs.parse import LISTED, MAX_LINE_BYTES, Blocks, split_list

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, DataFrameReader, SparkSession


def lines(spark: "SparkSession", options: Options) -> "DataFrame":
    """The lines: `value` in bytes as they are, `size` in bytes, and their place."""
    from pyspark.sql import functions as F

    # Only a line feed ends a line: a carriage return before it is white space to JSON, and a text holds none raw.
    text = _reader(spark, options).option("lineSep", "\n").text(_literal(options.path))
    value = F.col("value").cast("binary")
    # Cut in the JVM, so that no worker sees a line of gigabytes; `size` tells that it was cut.
    cut = F.when(F.length(value) > MAX_LINE_BYTES, F.substring(value, 1, 1)).otherwise(value)
    return text.select(cut.alias("value"), F.length(value).cast("long").alias("size"), *_place(spark, options))


def listed(spark: "SparkSession", options: Options) -> "DataFrame":
    """The entries of a JSON list, each as JSON again: a list has no lines to split it at."""
    from pyspark.sql import functions as F
    from pyspark.sql.pandas.types import from_arrow_schema

    files = spark.read.text(_literal(options.path), wholetext=True)
    whole = files.select(F.col("value").cast("binary").alias("value"), F.col("_metadata.file_name").alias("file"))
    return whole.mapInArrow(split_list, from_arrow_schema(LISTED))


def csv_rows(spark: "SparkSession", options: Options) -> "DataFrame":
    """The rows: `text`, `label`, `record_id`, `malformed`, and their place. Quoting as in RFC 4180.

    Raises:
        ConfigError: a column that an option names is not in the header.
    """
    from pyspark.sql import functions as F

    # A quote inside quotes is doubled, a line may break inside quotes. All columns are read, so that the rows that
    # have too many or too few are found and rows are counted the same in every query. Columns go by position: a file
    # whose header is another must fail, not be read askew.
    reader = _reader(spark, options).options(header="true", multiLine="true", escape='"', columnPruning="false")
    reader = reader.option("enforceSchema", "false")
    header = reader.csv(_literal(options.path)).columns
    wanted = {
        "--text-column": options.text_column,
        "--label-column": options.label_column,
        "--id-column": options.id_column,
    }
    for option, name in wanted.items():
        if name and name not in header:
            raise ConfigError(f"{option}: {name!r} is no column of {options.path}; its columns: {', '.join(header)}.")
    columns = ", ".join(f"{_quoted(name)} STRING" for name in [*header, "_malformed"])
    rows = reader.schema(columns).option("columnNameOfCorruptRecord", "_malformed").csv(_literal(options.path))
    return rows.select(
        _column(options.text_column).alias("text"),
        _column(options.label_column).alias("label"),
        _column(options.id_column).alias("record_id"),
        F.col("_malformed").isNotNull().alias("malformed"),
        *_place(spark, options),
    )


def with_ids(rows: "DataFrame", options: Options) -> "DataFrame":
    """CSV rows with an id: the text's hash and how many rows of that text came before. Moving a row changes no id."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    if options.id_column:
        return rows
    digest = F.sha2(F.coalesce("text", F.lit("")), 256)
    twin = F.row_number().over(Window.partitionBy(digest).orderBy("label", "file", "mid"))
    return rows.withColumn("record_id", F.concat(F.lit("csv-"), F.substring(digest, 1, 24), F.lit("-"), twin))


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


def _reader(spark: "SparkSession", options: Options) -> "DataFrameReader":
    # Else Spark makes columns of folders named `key=value`, and reads such folders alone or none.
    reader = spark.read.option("recursiveFileLookup", "true")
    name = options.path.rstrip("/").rsplit("/", 1)[-1]
    if name.endswith(SUFFIXES[options.format]):
        return reader
    # A folder: files of the format only, for pictures may lie beside them. A file of another name is taken as it is.
    glob = f"{{*{',*'.join(SUFFIXES[options.format])}}}" if options.is_folder() else "*"
    return reader.option("pathGlobFilter", glob)


def _literal(path: str) -> str:
    # Spark reads a path as a pattern; ours names one file or folder.
    return path if "://" in path else "".join(f"\\{c}" if c in "\\[]{}*?" else c for c in path)


def _place(spark: "SparkSession", options: Options) -> "list[Column]":
    from pyspark.sql import functions as F

    fs, folder = file_system(spark, options.folder())
    above = fs.makeQualified(folder).toString().rstrip("/").count("/") + 1
    return [
        F.regexp_replace("_metadata.file_path", f"^([^/]*/){{{above}}}", "").alias("file"),
        F.col("_metadata.file_block_start").alias("block"),
        F.monotonically_increasing_id().alias("mid"),
    ]


def _column(name: str | None) -> "Column":
    from pyspark.sql import functions as F

    return F.col(_quoted(name)) if name else F.lit(None).cast("string")


def _quoted(name: str) -> str:
    return f"`{name.replace('`', '``')}`"
