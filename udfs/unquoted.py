"""Errors on a worker that nobody foresaw, told without their words: these may quote a dialogue into Spark's logs."""

import functools
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

import pyarrow as pa

from kdsl.errors import BadRow, KdslError
from kdsl.traces import without_words

P = ParamSpec("P")
T = TypeVar("T")
Batches = Iterator[pa.RecordBatch]


class WorkerError(Exception):
    """An unforeseen error on a worker: its type, and where it was raised."""


def unquoted(work: Callable[P, Iterator[T]]) -> Callable[P, Iterator[T]]:
    """`work` over a partition, whose unforeseen errors become a `WorkerError` without the words of the first.

    Errors raised on purpose pass: their messages hold no row's text.
    """

    @functools.wraps(work)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        try:
            yield from work(*args, **kwargs)
        except (KdslError, BadRow) as error:
            raise error from None  # what it was raised from may quote a row
        except Exception as error:  # noqa: BLE001 - whatever it is, Spark would print its words
            raise WorkerError(
                f"an error whose words are left out, as they may quote data\n{without_words(error)}"
            ) from None

    return guarded
