"""Made-up dialogues: an intent, told in one to five shopper turns, between small talk and misleading agents."""

from dataclasses import dataclass
from functools import cache
from random import Random

from kdsl.demo.intents import INTENT_NAMES, INTENTS
from kdsl.demo.smalltalk import (
    AGENT_ASKS,
    AGENT_CLOSES,
    AGENT_HELLO,
    BACKGROUND,
    GREETING,
    NEXT,
    NUMBER,
    OUT_OF_SCOPE,
    PRODDED,
    SHOW,
    SOLVED,
    THANKS,
    VALUES,
)
from kdsl.demo.typos import hurried
from kdsl.demo.wording import Part, Wordings, wordings
from kdsl.dialogue import Speaker

VAGUE = 0.12  # share of the statements that leave the intent half open
MORE = 0.5  # share of the clear statements that say more than one sentence

Said = tuple[Speaker, str]


@dataclass(frozen=True, slots=True)
class Talk:
    """One dialogue: who said what, and the intent; None lies outside every label. `<image>` marks the picture."""

    said: tuple[Said, ...]
    intent: str | None


@dataclass(frozen=True, slots=True)
class _Voice:
    """One dialogue being made: its dice, its slot values, its part, and the intent told."""

    dice: Random
    values: dict[str, str]
    part: Part
    intent: str

    def say(self, ways: Wordings) -> str:
        return ways.say(self.dice, self.values, self.part)

    def wish(self) -> str:
        """The intent in the shopper's words: one sentence or two, clear or vague."""
        words = _of(self.intent)
        if self.dice.random() < VAGUE:
            vague = self.say(words["vague"])
            return f"{vague} {self.say(words['again'])}" if self.dice.random() < 0.5 else vague
        clear = self.say(words["say"])
        if self.dice.random() >= MORE:
            return clear
        more = self.say(words["vague" if self.dice.random() < 0.2 else "say"])
        return clear if more == clear else f"{clear} {more}"

    def again(self) -> str:
        return self.say(_of(self.intent)["again"])

    def agent(self, share_of_others: float = 0.5) -> str:
        """An agent's line, about the intent at hand or, to mislead, about any other."""
        other = not self.intent or self.dice.random() < share_of_others
        return self.say(_of(self.dice.choice(INTENT_NAMES) if other else self.intent)["agent"])


def talk(dice: Random, part: Part, intent: str | None, pictures: int = 0) -> Talk:
    """Tell one dialogue.

    Args:
        dice: where every choice comes from.
        part: `history` knows fewer wordings than `nights`.
        intent: one of `INTENT_NAMES`, or None for a matter outside of every label.
        pictures: how many the shopper sends, each marked `<image>`.
    """
    voice = _Voice(dice, _values(dice), part, intent or "")
    said = _outside(voice) if intent is None else dice.choices(_SHAPES, _WEIGHTS)[0](voice)
    for _ in range(pictures):
        said = _with_picture(voice, said)
    mood = dice.random()  # one shopper has one way of typing
    return Talk(tuple((who, hurried(text, mood, dice) if who == "user" else text) for who, text in said), intent)


def _plain(voice: _Voice) -> list[Said]:
    return [("user", voice.wish()), ("agent", _close(voice))]


def _greeted(voice: _Voice) -> list[Said]:
    return [
        ("user", voice.say(_SMALL["greeting"])),
        ("agent", voice.say(_SMALL["hello"])),
        ("user", voice.wish()),
        ("agent", _close(voice)),
    ]


def _background(voice: _Voice) -> list[Said]:
    return [
        ("user", voice.say(_SMALL["background"])),
        ("agent", voice.say(_SMALL["asks"]) if voice.dice.random() < 0.5 else voice.agent(0.8)),
        ("user", voice.wish()),
        ("agent", voice.agent()),
    ]


def _number(voice: _Voice) -> list[Said]:
    """The intent comes early; the last words are an order number or thanks."""
    said: list[Said] = [
        ("user", voice.wish()),
        ("agent", voice.say(_SMALL["asks"])),
        ("user", voice.say(_SMALL["number"])),
        ("agent", voice.agent()),
    ]
    if voice.dice.random() < 0.5:
        said += [("user", voice.say(_SMALL["thanks"])), ("agent", _close(voice))]
    return said


def _solved(voice: _Voice) -> list[Said]:
    """An older matter, solved, comes before the one at hand."""
    return [
        ("user", voice.say(_SMALL["solved"])),
        ("agent", voice.agent(1.0)),
        ("user", f"{voice.say(_SMALL['next'])} {_lowered(voice.wish())}"),
        ("agent", _close(voice)),
    ]


def _misled(voice: _Voice) -> list[Said]:
    """The agent takes it for something else; the shopper says it again in fewer words."""
    said: list[Said] = [
        ("user", voice.wish()),
        ("agent", voice.agent(0.9)),
        ("user", f"{voice.say(_SMALL['prodded'])} {voice.again()}".strip()),
        ("agent", _close(voice)),
    ]
    if voice.dice.random() < 0.3:
        said = [("user", voice.say(_SMALL["greeting"])), ("agent", voice.say(_SMALL["hello"])), *said]
    return said


def _long(voice: _Voice) -> list[Said]:
    return [
        *_background(voice)[:2],
        ("user", voice.wish()),
        ("agent", voice.agent(0.7)),
        ("user", voice.again() if voice.dice.random() < 0.5 else voice.wish()),
        ("agent", voice.say(_SMALL["asks"])),
        ("user", voice.say(_SMALL["number"])),
        ("agent", voice.agent(0.7)),
        ("user", voice.say(_SMALL["thanks"])),
        ("agent", _close(voice)),
    ]


_SHAPES = (_plain, _greeted, _background, _number, _solved, _misled, _long)
_WEIGHTS = (24, 16, 16, 12, 9, 15, 8)


def _outside(voice: _Voice) -> list[Said]:
    said: list[Said] = [("user", voice.say(_SMALL["outside"])), ("agent", _close(voice))]
    if voice.dice.random() < 0.5:
        said = [("user", voice.say(_SMALL["greeting"])), ("agent", voice.say(_SMALL["hello"])), *said]
    return said


def _lowered(text: str) -> str:
    """The sentence as it goes on after other words; `I` stays as it is."""
    return text if text.startswith(("I ", "I'")) else text[:1].lower() + text[1:]


def _close(voice: _Voice) -> str:
    return voice.say(_SMALL["closes"]) if voice.dice.random() < 0.6 else voice.agent(0.6)


def _with_picture(voice: _Voice, said: list[Said]) -> list[Said]:
    """Send the picture in one of the shopper's turns, at its end or as a turn of its own."""
    turns = [at for at, (who, _) in enumerate(said) if who == "user"]
    at = voice.dice.choice(turns)
    show = voice.say(_SMALL["show"])
    if voice.dice.random() < 0.6:
        return [*said[:at], ("user", f"{said[at][1]} {show}"), *said[at + 1 :]]
    return [*said[: at + 1], ("user", show), *said[at + 1 :]]


def _values(dice: Random) -> dict[str, str]:
    values = {name: dice.choice(known) for name, known in VALUES.items()}
    values["order"] = f"{dice.choice(('#', 'EX-', ''))}{dice.randrange(100_000, 999_999)}"
    values["amount"] = f"{dice.choice(('£', '$', ''))}{dice.randrange(4, 180)}.{dice.choice(('00', '50', '90', '99'))}"
    return values


@cache
def _of(intent: str) -> dict[str, Wordings]:
    lines = INTENTS[intent]
    return {name: wordings(getattr(lines, name)) for name in ("say", "vague", "again", "agent")}


_SMALL = {
    "greeting": wordings(GREETING),
    "background": wordings(BACKGROUND),
    "solved": wordings(SOLVED),
    "next": wordings(NEXT),
    "number": wordings(NUMBER),
    "thanks": wordings(THANKS),
    "prodded": wordings(PRODDED),
    "show": wordings(SHOW),
    "hello": wordings(AGENT_HELLO),
    "asks": wordings(AGENT_ASKS),
    "closes": wordings(AGENT_CLOSES),
    "outside": wordings(OUT_OF_SCOPE),
}
