"""The file in which a person labels picked items: one JSON object a line, pictures in a folder beside it."""

import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from kdsl.dialogue import Item, Picture
from kdsl.images import suffix
from kdsl.sample import Pick
from kdsl.taxonomy import Taxonomy


def write(file: Path, chosen: Sequence[tuple[Pick, Item, date]], taxonomy: Taxonomy) -> None:
    """Write the lines, random and doubtful ones mixed by id, and the pictures into `<name>_pictures`.

    The label that the system gave is not in it: it would sway whoever labels.

    Raises:
        OSError: the file or the folder cannot be written.
    """
    folder = file.with_name(f"{file.stem}_pictures")
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = []
    for pick, item, day in sorted(chosen, key=lambda one: (one[1].task, one[1].item_id)):
        shown = {picture.sha256: _keep(folder, picture) for picture in item.pictures}
        line: dict[str, Any] = {
            "item_id": item.item_id,
            "task": item.task,
            "event_date": day.isoformat(),
            "labels": {item.task: None},
            "choose_from": taxonomy.task(item.task).label_names,
            "split": "train",
            "picked": pick.part,
            "inclusion": pick.inclusion,
            "why": pick.why,
            "turns": [{"speaker": turn.speaker, "text": turn.text} for turn in item.turns],
            "pictures": [name for name in shown.values() if name],
        }
        lines.append(json.dumps(line, ensure_ascii=False))
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _keep(folder: Path, picture: Picture) -> str | None:
    """Write a picture where its file is at hand; its path beside the lines."""
    if not picture.content:
        return None
    folder.mkdir(exist_ok=True)
    name = f"{picture.sha256[:24]}{suffix(picture.content)}"
    (folder / name).write_bytes(picture.content)
    return f"{folder.name}/{name}"
