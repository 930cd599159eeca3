"""Learning that is done in Spark tasks and not on the driver, side by side where that is safe."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, TypeVar

from jobs import console, ledger
from jobs.cards import granted
from kdsl.config import Settings
from kdsl.errors import KdslError
from kdsl.models import apart
from kdsl.models.apart import Coming, Done, Order
from udfs.post_train import away

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

T = TypeVar("T")
SLOTS = 8  # pieces of work that are under way at once at most


@contextmanager
def elsewhere(spark: "SparkSession", settings: Settings, run: ledger.Run) -> Iterator[apart.Start]:
    """What starts orders as Spark jobs, beside what `fit` does; all of them have ended when the block is left.

    In `local` mode one core is left to `fit` itself, which learns the other voters meanwhile, until it waits.
    """
    slots, waits = _slots(spark, settings), Event()
    with ThreadPoolExecutor(slots) as pool, ExitStack() as last, _all_or_none(spark, pool):
        last.callback(waits.set)  # once what has not begun is cancelled

        def start(orders: Sequence[Order]) -> Coming:
            for _ in range(slots - _slots(spark, settings, spared=1)):
                pool.submit(waits.wait)  # in the place of `fit` itself
            # The largest model first: the others fit in beside it.
            begun: dict[tuple[str, str], Future[Done]] = {
                (order.task.name, order.voter): pool.submit(_learned, spark, order, run)
                for order in sorted(orders, key=lambda order: order.voter)
            }
            return {key: partial(come, future) for key, future in begun.items()}

        def come(future: Future[Done]) -> Done:
            waits.set()
            return future.result()

        yield start


def each(spark: "SparkSession", settings: Settings, work: Sequence[Callable[[], T]]) -> list[T]:
    """What each piece of work gives, in their order, a Spark job a piece.

    Raises:
        KdslError: what the first of them to fail raised on purpose.
    """
    with ThreadPoolExecutor(_slots(spark, settings)) as pool, _all_or_none(spark, pool):
        return list(pool.map(partial(_in_a_task, spark), work))


@contextmanager
def _all_or_none(spark: "SparkSession", pool: ThreadPoolExecutor) -> Iterator[None]:
    try:
        yield
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        spark.sparkContext.cancelAllJobs()
        raise


def _slots(spark: "SparkSession", settings: Settings, spared: int = 0) -> int:
    """How many at once: one where two could meet on a GPU that Spark does not schedule.

    In `local` mode no more than there are cores that nobody else uses, so that they begin in the order in which they
    are given, and none takes longer by the clock than it must.
    """
    models = [one for one in (settings.fit.small, settings.fit.large) if one.path]
    if not granted(settings) and any(one.device != "cpu" for one in models):
        return 1
    local = settings.spark.master.startswith("local")
    return max(1, min(SLOTS, spark.sparkContext.defaultParallelism - spared)) if local else SLOTS


def _learned(spark: "SparkSession", order: Order, run: ledger.Run) -> Done:
    done = _in_a_task(spark, partial(apart.learn, order))
    name = f"post-train {order.task.name}/{order.voter}"
    run.count(f"seconds {name}", round(done.seconds))  # no stage: the others' seconds pass beside these
    console.say(f"  {name:<24} {done.seconds:7.1f} s beside the rest, {done.processor:.0f} s of the processor")
    return done


def _in_a_task(spark: "SparkSession", work: Callable[[], T]) -> T:
    context = spark.sparkContext
    sent = context.broadcast(work)
    try:
        task = away(sent)
        (done,) = context.parallelize([0], 1).mapPartitions(task).collect()
    finally:
        sent.destroy()
    if isinstance(done, KdslError):
        raise done
    return done
