"""What a log may hold of an error: frames and types, never its words."""

import traceback

import pyarrow as pa
import pytest

from kdsl.errors import BadRow, ConfigError, ErrorCode
from kdsl.traces import without_words
from udfs.unquoted import WorkerError, unquoted

SECRET = "my card is 4000 1234"
SPARK = f"""An error occurred while calling o77.collect.
: org.apache.spark.SparkException: Job aborted due to stage failure: {SECRET}
Traceback (most recent call last):
  File "/srv/kdsl/udfs/predict.py", line 43, in predict
    release.predict(items)
ValueError: {SECRET}
{SECRET}
\tat org.apache.spark.api.python.BasePythonRunner.read(PythonRunner.scala:581)
Caused by: org.apache.spark.SparkNumberFormatException: [CAST_INVALID_INPUT] The value '{SECRET}' cannot be cast
\t... 33 more
"""


def _caught(error: Exception) -> str:
    try:
        try:
            raise KeyError(SECRET)
        except KeyError as cause:
            raise error from cause
    except Exception as caught:  # noqa: BLE001 - whatever was given
        return without_words(caught)


def test_frames_types_and_error_classes_stay() -> None:
    told = _caught(RuntimeError(SPARK))
    assert "4000" not in told
    assert "release.predict" not in told
    for kept in (
        "KeyError",
        "RuntimeError",
        'File "/srv/kdsl/udfs/predict.py", line 43, in predict',
        "ValueError",
        "at org.apache.spark.api.python.BasePythonRunner.read(PythonRunner.scala:581)",
        "Caused by: org.apache.spark.SparkNumberFormatException: [CAST_INVALID_INPUT]",
        "... 33 more",
        "in _caught",
    ):
        assert kept in told
    assert "write two paths" in _caught(ConfigError("write two paths"))


def test_a_worker_tells_where_it_failed_and_not_on_what() -> None:
    @unquoted
    def work(batches):
        for batch in batches:
            yield batch
            raise ValueError(batch.column("text")[0].as_py())

    @unquoted
    def refuse(batches):
        try:
            raise ValueError(SECRET)
        except ValueError as cause:
            raise BadRow(ErrorCode.WRONG_TYPE, "not a list") from cause
        yield from batches

    batch = pa.RecordBatch.from_pylist([{"text": SECRET}])
    answers = work(iter([batch]))
    assert next(answers) == batch
    with pytest.raises(WorkerError, match=r"ValueError$") as failed:
        next(answers)
    assert "4000" not in str(failed.value)
    assert failed.value.__suppress_context__
    assert ", in work" in str(failed.value)
    with pytest.raises(BadRow, match="not a list") as refused:
        next(refuse(iter([batch])))
    assert SECRET not in "".join(traceback.format_exception(refused.value))
