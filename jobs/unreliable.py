"""What the terminal says of a night whose estimate cannot be relied on: why, and the command that picks its items."""

import shlex
from collections.abc import Mapping
from datetime import date

from jobs import console, registry
from jobs.lake import Lake
from kdsl.config import Settings
from kdsl.release import Release

WANTED = 50  # items to label: a person's hour or two

# What `sample` needs of the settings, and the option that gives it.
OPTIONS = {
    "lake": "--lake {}",
    "releases": "--releases {}",
    "taxonomy": "--taxonomy {}",
    "spark.master": "--master {}",
    "release_cache": "--set release_cache={}",
    "ingest.image_root": "--set ingest.image_root={}",
}


def warn(lake: Lake, settings: Settings, release: Release, why: Mapping[tuple[date, str], str]) -> None:
    """A line a night and task, and one command a night that can be pasted as it stands."""
    for day in sorted({day for day, _ in why}):
        for task, reason in sorted((task, reason) for (on, task), reason in why.items() if on == day):
            console.say(f"  {day} {task}: not reliable tonight ({reason})")
        console.say(f"  label these {WANTED} items: {_command(lake, settings, release, day)}")


def _command(lake: Lake, settings: Settings, release: Release, day: date) -> str:
    usual = Settings()
    given = [
        option.format(shlex.quote(str(value)))
        for key, option in OPTIONS.items()
        if (value := _value(settings, key)) != _value(usual, key) or key == "lake"
    ]
    if (own := release.manifest.release_id) not in registry.history(lake)[:1]:
        given.append(f"--release {own}")
    return f"./spark-submit.sh sample --from {day} --to {day} --n {WANTED} --out {day}.jsonl {' '.join(given)}"


def _value(settings: Settings, key: str) -> object:
    found: object = settings
    for part in key.split("."):
        found = getattr(found, part)
    return found
