"""What a job says: a live line on a terminal, plain lines in a log, one paragraph when it fails."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from kdsl.errors import KdslError
from kdsl.traces import without_words

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """One line for the reader, printed as it is."""
    out.print(text, markup=False)


@contextmanager
def stage(name: str, seconds: dict[str, float]) -> Iterator[None]:
    """Show that `name` is under way, and add the time it took to `seconds[name]`."""
    begun = time.monotonic()
    try:
        if out.is_terminal:
            with out.status(f"{name} ..."):
                yield
        else:
            yield
    finally:
        took = time.monotonic() - begun
        seconds[name] = round(seconds.get(name, 0.0) + took, 3)
    say(f"  {name:<24} {took:7.1f} s")


def fail(error: BaseException, log_dir: str, job: str) -> int:
    """Print one paragraph about a failed job, put the stack trace in a file, and give the exit status."""
    if isinstance(error, KeyboardInterrupt):
        err.print(f"{job}: stopped. Run the same command again to go on where it stopped.", markup=False)
        return 130
    trace = _write_trace(error, log_dir, job)
    if isinstance(error, KdslError):
        err.print(f"{job}: {error}", markup=False)
        return error.exit_status
    err.print(
        f"{job} failed: {reason(error)}. The stack trace is in {trace}; run the same command again once the cause is "
        "gone: finished work is kept.",
        markup=False,
    )
    return 1


def reason(error: BaseException) -> str:
    """What an unforeseen error may be called in public: its type and Spark's error class; its words may quote data."""
    named = re.match(r"\[[A-Z0-9_.]+\]", str(error).strip())
    return f"{type(error).__name__} {named[0] if named else ''}".strip()


def _write_trace(error: BaseException, log_dir: str, job: str) -> str:
    path = Path(log_dir) / f"{job}-{datetime.now(UTC):%Y%m%dT%H%M%S%f}.log"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(without_words(error), encoding="utf-8", errors="replace")
    except OSError as cause:
        err.print(without_words(error), markup=False)
        return f"the lines above ({path} cannot be written: {cause.strerror})"
    return str(path)
