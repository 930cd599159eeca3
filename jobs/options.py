"""Options that several jobs share, with the checks that need no Spark."""

import argparse
from datetime import date
from pathlib import Path
from typing import NamedTuple

from kdsl.errors import ConfigError


class Days(NamedTuple):
    """A range of event dates, both ends included."""

    start: date
    end: date


def add_range(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """`--from D --to D`, both days included."""
    parser.add_argument("--from", dest="start", metavar="D", type=day, required=required, help="first day, YYYY-MM-DD")
    parser.add_argument("--to", dest="end", metavar="D", type=day, required=required, help="last day, included")


def count(text: str) -> int:
    """A whole number from 0 on.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 on")
    return int(text)


def day(text: str) -> date:
    """A day written YYYY-MM-DD.

    Raises:
        argparse.ArgumentTypeError: it is not.
    """
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no day; write it as 2026-01-31") from None


def days_of(args: argparse.Namespace) -> Days:
    """The range that `add_range` put into the arguments.

    Raises:
        ConfigError: it runs backward.
    """
    if args.start > args.end:
        raise ConfigError(f"--from {args.start} lies after --to {args.end}; give the earlier day as --from.")
    return Days(args.start, args.end)


def days_if_given(args: argparse.Namespace) -> Days | None:
    """As `days_of`; None where neither end was given.

    Raises:
        ConfigError: one was given without the other, or the range runs backward.
    """
    if (args.start is None) != (args.end is None):
        raise ConfigError("--from and --to belong together; give both, or neither.")
    return days_of(args) if args.start else None


def write(option: str, file: Path, text: str) -> None:
    """Write what an option named a file for, and the folders above it.

    Raises:
        ConfigError: it cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise unwritable(option, file, error) from error


def unwritable(option: str, file: Path, error: OSError) -> ConfigError:
    """What to say of a file that an option named and that cannot be written."""
    return ConfigError(f"{option}: {file} cannot be written ({error.strerror}); name a file in a folder you own.")
