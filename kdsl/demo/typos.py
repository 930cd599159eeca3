"""Hurried typing: swapped, lost and doubled letters, shorthand, and no capitals."""

from random import Random

SHORTHAND = {
    "please": "pls",
    "you": "u",
    "your": "ur",
    "thanks": "thx",
    "because": "cos",
    "are": "r",
    "to": "2",
    "and": "&",
    "order": "ordr",
    "tomorrow": "tmrw",
    "message": "msg",
    "still": "stil",
    "received": "recieved",
    "address": "adress",
    "delivery": "delivry",
    "don't": "dont",
    "can't": "cant",
    "hasn't": "hasnt",
    "it's": "its",
    "i'm": "im",
}
MARKER = "<image>"


def hurried(text: str, mood: float, dice: Random) -> str:
    """The text as a shopper of that mood, 0 to 1, types it: well, in lower case, in capitals, or in a hurry."""
    if mood < 0.45:
        return text
    if mood < 0.65:
        return text.lower().rstrip(".!")
    if mood < 0.69:
        return text.upper().replace(MARKER.upper(), MARKER)
    rate = 0.06 if mood < 0.9 else 0.2
    words = [word if word == MARKER else _mistyped(word, dice, rate) for word in text.split(" ")]
    return " ".join(words)


def _mistyped(word: str, dice: Random, rate: float) -> str:
    if dice.random() >= rate * 2:
        return word
    short = SHORTHAND.get(word.lower())
    if short is not None and dice.random() < 0.7:
        return short
    if len(word) < 4 or not word.isalpha() or dice.random() < 0.4:
        return word
    at = 1 + int(dice.random() * (len(word) - 2))
    swapped, lost, doubled, missed = (
        (word[at + 1] + word[at], ""),
        ("", word[at + 1]),
        (word[at] * 2, word[at + 1]),
        None,
    )
    here, after = dice.choice((swapped, lost, doubled, missed)) or (_near(word[at], dice), word[at + 1])
    return word[:at] + here + after + word[at + 2 :]


def _near(letter: str, dice: Random) -> str:
    for row in ("qwertyuiop", "asdfghjkl", "zxcvbnm"):
        at = row.find(letter)
        if at >= 0:
            return row[max(0, min(len(row) - 1, at + dice.choice((-1, 1))))]
    return letter
