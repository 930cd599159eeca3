"""Where records come from: the input of any format as staging rows, parsed on all cores when they are written."""

from typing import TYPE_CHECKING

from jobs import source_csv, source_files, source_turns
from kdsl.config import IngestSettings
from kdsl.errors import ConfigError
from kdsl.importers.admit import Intake
from kdsl.importers.options import Options
from kdsl.importers.staged import SCHEMA
from udfs.parse import Blocks, parse_csv, parse_jsonl, parse_mire, parse_turns

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

OTHER_HEADER = "CSV header does not conform to the schema"  # Spark's words; no error class of its own


def records(spark: "SparkSession", options: Options, settings: IngestSettings, intake: Intake) -> "DataFrame":
    """The input as rows of `kdsl.importers.staged.SCHEMA`.

    Raises:
        ConfigError: what lies there is not of this format.
    """
    from pyspark.errors import AnalysisException
    from pyspark.sql.pandas.types import from_arrow_schema

    blocks: Blocks = {}
    try:
        match options.format:
            case "jsonl":
                raw = source_files.lines(spark, options)
                blocks = source_files.blocks(raw, first_line=1)
                parse = parse_jsonl(intake, blocks)
            case "csv":
                raw = source_csv.csv_rows(spark, options)
                blocks = source_files.blocks(raw, first_line=2)  # the header is row 1
                raw = source_csv.with_ids(raw, options)
                parse = parse_csv(intake, blocks, options.task or "")
            case "mire":
                raw = source_files.listed(spark, options)
                parse = parse_mire(intake)
            case _:
                raw = source_turns.conversations(spark, options, settings.columns)
                parse = parse_turns(intake, settings.columns)
    except AnalysisException as error:
        reason = (str(error) or "no reason given").splitlines()[0][:300].rstrip(".")
        raise ConfigError(
            f"--input: {options.path} cannot be read as --format {options.format} ({reason}); check the path, what "
            "lies there, and the format (docs/formats.md)."
        ) from error
    except Exception as error:
        if OTHER_HEADER not in str(error):
            raise
        raise ConfigError(source_csv.OTHER_HEADERS.format(options.path)) from error
    # One small file is one task, but its pictures may be many: the records are dealt out over all cores.
    tasks = max(int(spark.conf.get("spark.sql.shuffle.partitions") or 1), len(blocks))
    return raw.repartition(tasks).mapInArrow(parse, from_arrow_schema(SCHEMA))
