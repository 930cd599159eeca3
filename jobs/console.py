"""What a job says: a live line on a terminal, plain lines in a log, one paragraph when it fails."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.text import Text

from kdsl.text import shown
from kdsl.traces import on_purpose, without_words

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

Tasks = Callable[[], tuple[int, int]]


def say(text: str) -> None:
    """One line for the reader, printed as it is."""
    out.print(plain(text))


def complain(text: str) -> None:
    """The same among the errors."""
    err.print(plain(text))


def plain(text: str) -> Text:
    """Text that may be a stranger's: no markup, and no character that steers a terminal."""
    return Text("".join(shown(c) if c not in "\n\t" else c for c in text))


@contextmanager
def stage(name: str, seconds: dict[str, float], tasks: Tasks | None = None) -> Iterator[None]:
    """Show that `name` is under way, and add the time it took to `seconds[name]`.

    `tasks` tells how many tasks of Spark are done, and of how many (0: it runs none): shown every second on a terminal,
    and every minute as a line of a log.
    """
    begun = time.monotonic()
    try:
        with out.status(f"{name} ...") if out.is_terminal else nullcontext() as line:
            shown = (line.update, 1.0) if line else (say, 60.0)
            with _looking(name, tasks, *shown) if tasks else nullcontext():
                yield
    finally:
        took = time.monotonic() - begun
        seconds[name] = round(seconds.get(name, 0.0) + took, 3)
    say(f"  {name:<24} {took:7.1f} s")


@contextmanager
def _looking(name: str, tasks: Tasks, show: Callable[[str], None], every: float) -> Iterator[None]:
    """Show how far Spark is, from a thread; a stage that is shorter than `every` starts no more than the thread."""
    begun, ended = time.monotonic(), threading.Event()

    def look() -> None:
        while not ended.wait(every):
            with suppress(Exception):  # what is only shown may fail
                done, of = tasks()
                far = f"{done:,} of {of:,} tasks after " if of else ""
                show(f"  {name}: {far}{time.monotonic() - begun:.0f} s")

    thread = threading.Thread(target=look, name=f"shows {name}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def fail(error: BaseException, log_dir: str, job: str) -> int:
    """Print one paragraph about a failed job, put the stack trace in a file, and give the exit status."""
    if isinstance(error, KeyboardInterrupt):
        complain(f"{job}: stopped. Run the same command again to go on where it stopped.")
        return 130
    trace = _write_trace(error, log_dir, job)
    if (meant := on_purpose(error)) is not None:
        complain(f"{job}: {meant}")
        return meant.exit_status
    complain(
        f"{job} failed: {reason(error)}. The stack trace is in {trace}; run the same command again once the cause is "
        "gone: finished work is kept."
    )
    return 1


def reason(error: BaseException) -> str:
    """What an error may be called in public.

    That is its own words where it was raised on purpose, here or on a worker; else its type and Spark's error class,
    for its words may quote data.
    """
    if (meant := on_purpose(error)) is not None:
        return str(meant)
    named = re.match(r"\[[A-Z0-9_.]+\]", str(error).strip())
    return f"{type(error).__name__} {named[0] if named else ''}".strip()


def _write_trace(error: BaseException, log_dir: str, job: str) -> str:
    path = Path(log_dir) / f"{job}-{datetime.now(UTC):%Y%m%dT%H%M%S%f}.log"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(without_words(error), encoding="utf-8", errors="replace")
    except OSError as cause:
        complain(without_words(error))
        return f"the lines above ({path} cannot be written: {cause.strerror})"
    return str(path)
