"""Commits that lose a race against another writer are tried again."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from kdsl.errors import LostToConcurrentWriter

T = TypeVar("T")


def retried(commit: Callable[[], T], retries: int, where: str) -> T:
    """Run a commit, again after each lost race, with a growing random pause.

    Raises:
        LostToConcurrentWriter: another writer won every time.
    """
    from delta import exceptions

    # Delta's Python errors share no base of their own.
    lost = (
        exceptions.ConcurrentAppendException,
        exceptions.ConcurrentDeleteDeleteException,
        exceptions.ConcurrentDeleteReadException,
        exceptions.ConcurrentTransactionException,
        exceptions.ConcurrentWriteException,
        exceptions.MetadataChangedException,
        exceptions.ProtocolChangedException,
        exceptions.DeltaConcurrentModificationException,
    )
    for attempt in range(retries + 1):
        try:
            return commit()
        except lost as error:
            if attempt == retries:
                raise LostToConcurrentWriter(
                    f"{where}: another writer won {attempt + 1} times in a row. Nothing of this commit was written; "
                    "run the same command again when the other job is done."
                ) from error
            time.sleep(min(30.0, 0.2 * 2**attempt) * random.uniform(0.5, 1.5))  # noqa: S311 - a pause, no secret
    raise AssertionError("unreachable")
