"""Dear voters learned in Spark tasks and not on the driver, side by side where that is safe, beside what `fit` does."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

from jobs import console, ledger
from kdsl.config import Settings
from kdsl.errors import KdslError
from kdsl.models import apart
from kdsl.models.apart import Coming, Done, Order
from udfs.post_train import post_train

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SLOTS = 8  # orders that are under way at once at most


@contextmanager
def elsewhere(spark: "SparkSession", settings: Settings, run: ledger.Run) -> Iterator[apart.Start]:
    """What starts orders as Spark jobs; all of them have ended when the block is left.

    Where Spark schedules no GPUs and a model may still use one, one order follows the other: two models must not
    meet on one GPU.
    """
    with ThreadPoolExecutor(_slots(settings)) as pool:

        def start(orders: Sequence[Order]) -> Coming:
            # The largest model first: the others fit in beside it.
            begun: dict[tuple[str, str], Future[Done]] = {
                (order.task.name, order.voter): pool.submit(_learned, spark, order, run)
                for order in sorted(orders, key=lambda order: order.voter)
            }
            return {key: future.result for key, future in begun.items()}

        try:
            yield start
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            spark.sparkContext.cancelAllJobs()
            raise


def _slots(settings: Settings) -> int:
    granted = "spark.task.resource.gpu.amount" in settings.spark.conf
    models = [one for one in (settings.fit.small, settings.fit.large) if one.path]
    return SLOTS if granted or all(one.device == "cpu" for one in models) else 1


def _learned(spark: "SparkSession", order: Order, run: ledger.Run) -> Done:
    context = spark.sparkContext
    sent = context.broadcast(order)
    try:
        (done,) = context.parallelize([0], 1).mapPartitions(post_train(sent)).collect()
    finally:
        sent.destroy()
    if isinstance(done, KdslError):
        raise done
    name = f"post-train {order.task.name}/{order.voter}"
    run.count(f"seconds {name}", round(done.seconds))  # no stage: the others' seconds pass beside these
    console.say(f"  {name:<24} {done.seconds:7.1f} s beside the rest")
    return done
