"""Voters that are learned on executors: a Spark task an order, on the GPU that Spark grants it if it schedules any."""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from kdsl.errors import KdslError
from kdsl.models.apart import Done, Order, learn
from udfs import gpu
from udfs.unquoted import unquoted

if TYPE_CHECKING:
    from pyspark import Broadcast


def post_train(order: "Broadcast[Order]") -> Callable[[Iterable[int]], Iterable[Done | KdslError]]:
    """A function for `mapPartitions` over one row: what was learned, or the error that was raised on purpose."""

    @unquoted
    def work(rows: Iterable[int]) -> Iterator[Done | KdslError]:
        for _ in rows:
            gpu.claim()
            try:
                yield learn(order.value)
            except KdslError as error:  # as a value: Spark would wrap it into its own
                yield error

    return work
