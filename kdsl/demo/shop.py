"""The made-up shop: a labelled history to learn from, nights of traffic to label, and the pictures sent in both.

Written as `history.jsonl`, `nights.jsonl` and `images/`. The same seed gives the same bytes.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from random import Random

from kdsl.demo import records
from kdsl.demo.chance import dice, rank
from kdsl.demo.dialogues import talk
from kdsl.demo.intents import INTENT_NAMES
from kdsl.demo.pictures import FAULTS, SCENE_NAMES, broken, picture
from kdsl.demo.records import Record, Sent
from kdsl.demo.wording import Part

START = date(2026, 1, 5)
HISTORY_DAYS = 28  # the history ends on the eve of the first night
OUTSIDE = 0.08  # share of the dialogues whose matter lies outside of every label
GOLD = 0.5  # share of a night's dialogues that people labelled, to measure on
ALONE = {"history": 0.4, "nights": 0.15}  # share of the pictures that come outside of any dialogue
BROKEN = 0.01  # broken pictures, as a share of the nights' dialogues

# How often shoppers write about what, in the order of INTENT_NAMES; the history holds equal numbers of each.
TRAFFIC = (22, 10, 14, 13, 15, 9, 9, 8)

# What shoppers mostly write about when they send a scene; every second picture comes with any dialogue at all.
COMPANY: dict[str, tuple[str, ...]] = {
    "order_page": ("cancel_order", "change_order", "where_is_my_order"),
    "refund_page": ("refund_status", "return_item"),
    "tracking_page": ("where_is_my_order",),
    "payment_page": ("payment_problem", "coupon_question"),
    "coupon_page": ("coupon_question",),
    "product_page": ("return_item", "coupon_question", "damaged_or_wrong_item"),
    "chat_page": INTENT_NAMES,
    "photo_of_item": ("damaged_or_wrong_item", "return_item"),
}


@dataclass(frozen=True, slots=True)
class ShopFiles:
    """What `write` wrote: `history` is labelled, `nights` only in part; the broken pictures are in `nights`."""

    folder: Path
    history: Path
    nights: Path
    images: Path
    first_night: date
    last_night: date
    n_dialogues: int
    n_pictures: int
    n_broken: int


@dataclass(frozen=True, slots=True)
class _Planned:
    """One dialogue to be told."""

    conversation_id: str
    day: date
    intent: str | None
    gold: bool


@dataclass(frozen=True, slots=True)
class _Shot:
    """One picture to be rendered: a scene, or a fault of `FAULTS`."""

    key: str
    scene: str | None
    fault: int | None = None


def write(
    folder: Path,
    *,
    seed: int = 7,
    days: int = 14,
    start: date = START,
    dialogues_a_day: int = 40,
    examples: int = 20,
    train_pictures: int = 20,
    test_pictures: int = 10,
    broken_pictures: int | None = None,
) -> ShopFiles:
    """Write a shop under `folder`, which is made if need be.

    Args:
        folder: where `history.jsonl`, `nights.jsonl` and `images/` go; files of the same names are replaced.
        seed: another seed is another shop.
        days: nights from `start` on.
        start: the first night; the history lies in the four weeks before it.
        dialogues_a_day: dialogues of one night.
        examples: labelled dialogues an intent in the history.
        train_pictures: labelled pictures a scene in the history.
        test_pictures: labelled pictures a scene in the nights.
        broken_pictures: files that cannot be decoded, in the nights; None: one in a hundred dialogues.
    """
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    n_nightly = days * dialogues_a_day
    n_broken = int(BROKEN * n_nightly) if broken_pictures is None else broken_pictures
    history = _history(seed, start, examples)
    nights = _nights(seed, start, days, dialogues_a_day, first=len(history))
    shots = {
        "history": _shots(seed, "history", train_pictures, 0),
        "nights": _shots(seed, "nights", test_pictures, n_broken),
    }
    before = [start - timedelta(days=HISTORY_DAYS - back) for back in range(HISTORY_DAYS)]
    after = [start + timedelta(days=day) for day in range(days)]
    _write_part(folder, seed, "history", planned=history, shots=shots["history"], days=before)
    _write_part(folder, seed, "nights", planned=nights, shots=shots["nights"], days=after)
    return ShopFiles(
        folder=folder,
        history=folder / "history.jsonl",
        nights=folder / "nights.jsonl",
        images=images,
        first_night=start,
        last_night=start + timedelta(days=days - 1),
        n_dialogues=len(history) + len(nights),
        n_pictures=sum(map(len, shots.values())),
        n_broken=n_broken,
    )


def dialogues(n: int, seed: int = 7, *, start: date = START, days: int = 14, part: Part = "nights") -> Iterator[Record]:
    """Yield `n` dialogues without pictures, spread evenly over `days`, each with its gold label where it has one."""
    for at in range(n):
        key = f"c-{at:07d}"
        throw = dice(seed, "text", key)
        outside = throw.random() < OUTSIDE
        intent = None if outside else throw.choices(INTENT_NAMES, TRAFFIC)[0]
        day = start + timedelta(days=at * days // n)
        yield records.conversation(key, day, talk(throw, part, intent), (), gold=True)


def _history(seed: int, start: date, examples: int) -> list[_Planned]:
    intents: list[str | None] = [intent for intent in INTENT_NAMES for _ in range(examples)]
    intents += [None] * round(OUTSIDE * len(intents))
    planned = []
    for at, intent in enumerate(intents):
        key = f"c-{at:06d}"
        day = start - timedelta(days=1 + rank(seed, "day", key) % HISTORY_DAYS)
        planned.append(_Planned(key, day, intent, gold=True))
    return planned


def _nights(seed: int, start: date, days: int, dialogues_a_day: int, first: int) -> list[_Planned]:
    """The dialogues of all nights; the labelled ones of a night are those of lowest rank, so each night has some."""
    planned = []
    for day in range(days):
        keys = [f"c-{first + day * dialogues_a_day + at:06d}" for at in range(dialogues_a_day)]
        by_rank = sorted(keys, key=lambda key: rank(seed, "gold", key))
        labelled = set(by_rank[: max(1, round(GOLD * len(keys)))])
        for key in keys:
            throw = dice(seed, "plan", key)
            outside = throw.random() < OUTSIDE
            intent = None if outside else throw.choices(INTENT_NAMES, TRAFFIC)[0]
            planned.append(_Planned(key, start + timedelta(days=day), intent, key in labelled))
    return planned


def _shots(seed: int, part: Part, a_scene: int, n_broken: int) -> list[_Shot]:
    """The pictures of one part, in an order of their own that spreads the scenes over the days."""
    shots = [_Shot(f"{scene}/{at}", scene) for scene in SCENE_NAMES for at in range(a_scene)]
    shots += [_Shot(f"broken/{at}", None, fault=at) for at in range(n_broken)]
    return sorted(shots, key=lambda shot: rank(seed, part, shot.key))


def _write_part(
    folder: Path, seed: int, part: Part, *, planned: Sequence[_Planned], shots: Sequence[_Shot], days: Sequence[date]
) -> None:
    company: dict[str, list[_Shot]] = {plan.conversation_id: [] for plan in planned}
    lines: list[tuple[date, str, Record]] = []
    for at, shot in enumerate(shots):
        day = days[at % len(days)]
        host = _host(dice(seed, part, "host", shot.key), part, day, shot, planned)
        if host is None:
            key = f"p-{part}-{at:04d}"
            lines.append((day, key, records.alone(day, _render(folder, seed, part, shot, key))))
        else:
            company[host].append(shot)
    for plan in planned:
        key = plan.conversation_id
        sent = [_render(folder, seed, part, shot, f"{key}-{nth}") for nth, shot in enumerate(company[key])]
        told = talk(dice(seed, "talk", key), part, plan.intent, pictures=len(sent))
        lines.append((plan.day, key, records.conversation(key, plan.day, told, sent, plan.gold)))
    text = "".join(
        json.dumps(record, ensure_ascii=False) + "\n" for _, _, record in sorted(lines, key=lambda it: it[:2])
    )
    (folder / f"{part}.jsonl").write_text(text, encoding="utf-8", newline="\n")


def _host(throw: Random, part: Part, day: date, shot: _Shot, planned: Sequence[_Planned]) -> str | None:
    """The dialogue of that day in which the picture is sent; None: it comes alone."""
    today = [plan for plan in planned if plan.day == day]
    if not today or (shot.scene is not None and throw.random() < ALONE[part]):
        return None
    wanted = COMPANY.get(shot.scene or "", INTENT_NAMES)
    fitting = [plan for plan in today if plan.intent in wanted]
    return throw.choice(fitting if fitting and throw.random() < 0.5 else today).conversation_id


def _render(folder: Path, seed: int, part: Part, shot: _Shot, image_id: str) -> Sent:
    throw = dice(seed, part, "picture", shot.key)
    made = picture(shot.scene, throw, part) if shot.scene else broken(FAULTS[(shot.fault or 0) % len(FAULTS)], throw)
    path = f"images/{image_id}{made.suffix}"
    (folder / path).write_bytes(made.content)
    return Sent(image_id, path, shot.scene)
