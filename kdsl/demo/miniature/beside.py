"""What each step learns from, drawn in a process beside: it takes a fourth of a step, and there is a second core."""

import multiprocessing
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from kdsl.demo.miniature.corpus import Made, made
from kdsl.demo.miniature.recipe import Recipe


@contextmanager
def drawn(recipe: Recipe, seed: int, steps: range) -> Iterator[Iterator[Made]]:
    """What those steps learn from in turn, each drawn while the one before is learned.

    Raises:
        ChildProcessError: from the iterator, where the process beside has died.
    """
    spawn = multiprocessing.get_context("spawn")  # a fork would share torch's threads
    ours, theirs = spawn.Pipe(duplex=False)
    beside = spawn.Process(target=_draw, args=(theirs, recipe, seed, steps), daemon=True)
    beside.start()
    theirs.close()  # its end alone is left open there, so that either one's death is seen by the other
    try:
        yield (_received(ours, beside) for _ in steps)
    finally:
        ours.close()
        beside.join()


def _received(ours: Connection, beside: BaseProcess) -> Made:
    try:
        found: Made = ours.recv()
        return found
    except (EOFError, OSError) as error:  # before it sent anything, or in the middle of it
        beside.join()
        raise ChildProcessError(
            f"the process that draws dialogues and pictures has died (exit code {beside.exitcode}); what it said "
            "stands above. The same command goes on from the last step that was kept."
        ) from error


def _draw(into: Connection, recipe: Recipe, seed: int, steps: range) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the training, and that this
    with suppress(BrokenPipeError):
        for step in steps:
            into.send(made(seed, step, recipe.talks, recipe.shots))
