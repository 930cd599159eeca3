"""The user's own Delta table, one row a turn, as one raw row a conversation."""

from typing import TYPE_CHECKING

from kdsl.config import DeltaColumns
from kdsl.errors import ConfigError
from kdsl.importers.options import Options

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

LONGEST = 200  # characters of an id in the name of its place


def conversations(spark: "SparkSession", options: Options, columns: DeltaColumns) -> "DataFrame":
    """Conversations with `record_id`, `turns` in order, `event_date`, `dates`, `labels` and their place.

    Raises:
        ConfigError: a column that the settings name is not in the table.
    """
    from pyspark.sql import functions as F

    table = spark.read.format("delta").load(options.path)
    _must_have(table, columns, options.path)
    known = _words(columns.conversation_id)
    turn = F.struct(
        F.col(_quoted(columns.order)).alias("at"),
        _words(columns.speaker).alias("speaker"),
        _words(columns.text).alias("text"),
        (F.col(_quoted(columns.images)) if columns.images else F.lit(None)).cast("array<string>").alias("images"),
    )
    day = _day(table, columns.event_date)
    found = table.groupBy(F.coalesce(known, F.lit("")).alias("record_id")).agg(
        # Turns without a conversation are no conversation: counted by one row, not collected.
        F.sort_array(F.collect_list(F.when(known.isNotNull(), turn))).alias("turns"),
        F.min(day).alias("event_date"),
        F.count_distinct(day).alias("dates"),
        *[F.collect_set(_words(column)).alias(f"_label_{task}") for task, column in columns.labels.items()],
    )
    by_task = [part for task in columns.labels for part in (F.lit(task), F.array_sort(F.col(f"_label_{task}")))]
    name = options.path.rstrip("/").rsplit("/", 1)[-1]
    return found.select(
        "record_id",
        "turns",
        "event_date",
        "dates",
        (F.create_map(*by_task) if by_task else F.lit(None)).cast("map<string,array<string>>").alias("labels"),
        F.lit(name).alias("file"),
        F.lit(0).cast("long").alias("block"),
        F.lit(0).cast("long").alias("mid"),
        F.concat(F.lit(f"{name}:"), _short(F.col("record_id"))).alias("key"),
    )


def _must_have(table: "DataFrame", columns: DeltaColumns, path: str) -> None:
    wanted = {key: value for key, value in columns.model_dump().items() if isinstance(value, str) and value}
    wanted |= {f"labels.{task}": column for task, column in columns.labels.items()}
    missing = [f"{key} = {value!r}" for key, value in wanted.items() if value not in table.columns]
    if missing:
        raise ConfigError(
            f"ingest.columns: {', '.join(missing)}: no such column in {path}; its columns are "
            f"{', '.join(table.columns)}. Name them in a --conf file or with --set ingest.columns.text=..."
        )


def _short(identity: "Column") -> "Column":
    """The id, cut where it is long; a digest of all of it keeps ids that begin alike apart."""
    from pyspark.sql import functions as F

    digest = F.substring(F.sha2(identity, 256), 1, 16)
    cut = F.concat(F.substring(identity, 1, LONGEST), F.lit("..."), digest)
    return F.when(F.length(identity) > LONGEST, cut).otherwise(identity)


def _words(name: str) -> "Column":
    from pyspark.sql import functions as F

    return F.make_valid_utf8(F.col(_quoted(name)).cast("string"))


def _day(table: "DataFrame", name: str) -> "Column":
    from pyspark.sql import functions as F

    column = F.col(_quoted(name))
    stamped = dict(table.dtypes)[name].startswith("timestamp")
    return (column.cast("date") if stamped else column).cast("string")


def _quoted(name: str) -> str:
    return f"`{name.replace('`', '``')}`"
