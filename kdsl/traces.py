"""Stack traces without the words of errors: an unforeseen error may quote a dialogue, and a log is read by many."""

import re
import traceback

from kdsl import errors
from kdsl.errors import KdslError

_FRAME = re.compile(
    r"\s*(Traceback \(most recent call last\):|File \"[^\"]*\", line \d+(, in \S+)?"
    r"|at [\w.$/<>]+\(([\w$.]+:\d+|Native Method|Unknown Source|<generated>)\)|\.\.\. \d+ more)"
)
_NAMED = re.compile(
    r"\s*(?:Caused by: |: )?(?:[A-Za-z_][\w$]*\.)*[A-Z][\w$]*(?:Error|Exception|Interrupt|Exit)(?=[:\s]|$)"
    r"(?:: \[[A-Z0-9_.]+\])?"
)


_ON_PURPOSE = re.compile(r"^kdsl\.errors\.(\w+): (.+(?:\n(?!\s*at |\s*$).+)*)", re.MULTILINE)


def on_purpose(error: BaseException) -> KdslError | None:
    """The error that was raised on purpose: this one, or a worker's out of what Spark made of it; None: neither."""
    if isinstance(error, KdslError):
        return error
    found = _ON_PURPOSE.search(str(error)) if type(error).__name__ == "PythonException" else None
    kind = getattr(errors, found[1], None) if found else None
    if found and isinstance(kind, type) and issubclass(kind, KdslError):
        return kind(found[2].strip())
    return None


def without_words(error: BaseException) -> str:
    """The traces of an error and its causes, Spark's and a worker's among them: frames, types and error classes.

    The message of an error raised on purpose stays: it holds no row's text.
    """
    kept = []
    for line in "".join(traceback.format_exception(error)).splitlines():
        if _FRAME.fullmatch(line):
            kept.append(line)
        elif named := _NAMED.match(line):
            kept.append(named[0].rstrip())
    if (meant := on_purpose(error)) is not None:
        kept.append(str(meant))
    return "\n".join(kept) + "\n"
