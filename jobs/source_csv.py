"""The rows of CSV files as raw rows, see `source_files`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jobs.source_files import literal, place, reader
from kdsl.errors import ConfigError
from kdsl.importers.options import Options

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, DataFrameReader, SparkSession

OTHER_HEADERS = (
    "--input: the CSV files of {} have different headers; give them the same columns in the same order, or ingest them "
    "one by one."
)


def csv_rows(spark: "SparkSession", options: Options) -> "DataFrame":
    """The rows: `text`, `label`, `record_id`, `malformed`, and their place. Quoting as in RFC 4180.

    Raises:
        ConfigError: a column that an option names is not in the header, the header names one twice, there is none, or
            files have different ones.
    """
    from pyspark.sql import functions as F

    # A quote inside quotes is doubled, a line may break inside quotes. All columns are read, so that the rows that
    # have too many or too few are found and rows are counted the same in every query. Columns go by position: a file
    # whose header is another must fail, not be read askew.
    opened = _opened(spark, options).options(header="true", enforceSchema="false")
    header = opened.csv(literal(options.path)).columns
    if not header:
        raise ConfigError(f"--input: {options.path} is empty; a CSV file begins with a line of the columns' names.")
    if any(name.endswith(str(at)) for at, name in enumerate(header)):  # Spark may have made the name
        header = _own_names(spark, options, header)
        opened = opened.option("enforceSchema", "true")  # a column without a name would be another one to Spark
    wanted = {
        "--text-column": options.text_column,
        "--label-column": options.label_column,
        "--id-column": options.id_column,
    }
    for option, name in wanted.items():
        if name and name not in header:
            named = ", ".join(filter(None, header))
            raise ConfigError(f"{option}: {name!r} is no column of {options.path}; its columns: {named}.")
    fields = [name or f"_unnamed_{at}" for at, name in enumerate(header)]
    return _strings(opened, options, fields).select(
        _column(options.text_column).alias("text"),
        _column(options.label_column).alias("label"),
        _column(options.id_column).alias("record_id"),
        F.col("_malformed").isNotNull().alias("malformed"),
        *place(spark, options),
    )


def _own_names(spark: "SparkSession", options: Options, header: list[str]) -> list[str]:
    """The columns' names as they stand in the files: "" of one without a name, for which Spark makes one up."""
    from pyspark.sql import functions as F

    columns = [f"_{at}" for at in range(len(header))]
    rows = _strings(_opened(spark, options), options, columns)
    placed = rows.select(F.struct(*rows.columns).alias("row"), *place(spark, options))
    first = placed.groupBy("file").agg(F.min_by("row", "mid").alias("row")).select("row.*").distinct().collect()
    if len(first) > 1:
        raise ConfigError(OTHER_HEADERS.format(options.path))
    names = [first[0][column] or "" for column in columns]
    lower = [name.lower() for name in names]
    if twice := sorted({name for name in names if name and lower.count(name.lower()) > 1}):
        listed = ", ".join(map(repr, twice))
        raise ConfigError(f"--input: the header of {options.path} holds {listed} more than once; rename all but one.")
    return names


def _opened(spark: "SparkSession", options: Options) -> "DataFrameReader":
    return reader(spark, options).options(multiLine="true", escape='"', columnPruning="false")


def _strings(opened: "DataFrameReader", options: Options, columns: Sequence[str]) -> "DataFrame":
    """The rows as so many strings, and `_malformed` of one that has more or fewer."""
    schema = ", ".join(f"{_quoted(name)} STRING" for name in [*columns, "_malformed"])
    return opened.schema(schema).option("columnNameOfCorruptRecord", "_malformed").csv(literal(options.path))


def with_ids(rows: "DataFrame", options: Options) -> "DataFrame":
    """CSV rows with an id: the text's hash and how many rows of that text came before. Moving a row changes no id."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    if options.id_column:
        return rows
    digest = F.sha2(F.coalesce("text", F.lit("")), 256)
    twin = F.row_number().over(Window.partitionBy(digest).orderBy("label", "file", "mid"))
    return rows.withColumn("record_id", F.concat(F.lit("csv-"), F.substring(digest, 1, 24), F.lit("-"), twin))


def _column(name: str | None) -> "Column":
    from pyspark.sql import functions as F

    return F.col(_quoted(name)) if name else F.lit(None).cast("string")


def _quoted(name: str) -> str:
    return f"`{name.replace('`', '``')}`"
