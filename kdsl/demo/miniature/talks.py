"""Made-up dialogues of many businesses, for training: a wish among greetings, misled agents, numbers and thanks."""

import re
from dataclasses import dataclass
from random import Random

from kdsl.demo.miniature.wishes import Wish, values, wishes
from kdsl.demo.wording import compile_template
from kdsl.dialogue import Turn

# Words that mean much the same to a service desk; one may stand for another.
SAME = (
    ("parcel", "package", "box", "shipment", "delivery", "goods"),
    ("order", "purchase"),
    ("refund", "reimbursement", "repayment", "money back"),
    ("cancel", "annul", "call off", "stop", "withdraw"),
    ("broken", "damaged", "defective", "faulty", "cracked"),
    ("voucher", "coupon", "promo code", "discount code", "promotional code"),
    ("return", "send back", "give back", "ship back"),
    ("change", "edit", "alter", "modify", "amend", "update", "correct"),
    ("declined", "refused", "rejected", "not accepted"),
    ("courier", "driver", "carrier", "delivery man"),
    ("charged", "billed", "debited"),
    ("arrived", "come", "turned up", "shown up", "been delivered"),
    ("where is", "what happened to", "any news about"),
    ("please", "kindly", "pls"),
    ("can you", "could you", "would you", "please"),
    ("bank", "bank account", "card"),
    ("stained", "dirty", "scratched", "torn"),
    ("send", "post", "ship", "dispatch"),
    ("late", "delayed", "overdue"),
    ("points", "bonus points", "rewards"),
)
_SWAPS = {word: group for group in SAME for word in group}
_SWAP = re.compile(r"\b(" + "|".join(sorted(map(re.escape, _SWAPS), key=len, reverse=True)) + r")\b", re.IGNORECASE)

HELLO = ("Hello", "hi", "Good afternoon", "Dear team,", "hey", "Hi everyone, a question.", "Anyone around?", "hello!!")
BACK = (
    "I purchased a {thing} {ago}.",
    "This concerns {code}.",
    "I'm a regular, never had trouble.",
    "My wife set up the account.",
    "I phoned on {day}, it didn't help.",
    "The {thing} cost {amount}.",
    "It's for my son's wedding.",
    "I read your FAQ twice.",
)
NUMBERS = ("{code}", "here: {code}", "the number is {code}", "that would be {code}, {thing}", "I think {code}")
ENDS = ("ok", "thanks a lot", "fine, bye", "Great!", "hurry up", "so?", "that's all?", "I'll wait then", "hm", "cheers")
NO = ("No!", "wrong,", "not quite.", "that isn't my point:", "I meant:", "again:", "")
ASKS = (
    "What's the reference please?",
    "Could I take your name?",
    "Which purchase do you mean?",
    "One moment, I am opening your file.",
    "Tell me more about it.",
)
GREETS = (
    "Welcome to support!",
    "Hi, you are talking to {number}.",
    "How may I assist you?",
    "Thanks for your patience.",
)
GUESSES = (
    "Is this about {about}?",
    "I understand, {about}.",
    "For {about} please see our help page.",
    "Our team for {about} will check it.",
    "Do you mean {about}?",
    "We are sorry about the {about}.",
)
CLOSES = (
    "I've forwarded this.",
    "We'll be in touch by {day}.",
    "Anything else I can do?",
    "Please be patient.",
    "Done!",
    "",
)


@dataclass(frozen=True, slots=True)
class Spoken:
    """One dialogue and the wish in it."""

    turns: tuple[Turn, ...]
    wish: Wish


def talk(dice: Random, wish: Wish) -> Spoken:
    """Tell one dialogue with that wish."""
    said: list[Turn] = []
    if dice.random() < 0.3:
        said += [_user(dice, HELLO), _agent(dice, GREETS)]
    if dice.random() < 0.25:
        said += [_user(dice, BACK), _agent(dice, ASKS) if dice.random() < 0.5 else _guess(dice, wish, 0.8)]
    words = sentence(dice, wish)
    if dice.random() < 0.3:
        words += " " + sentence(dice, wish)
    said += [Turn("user", words), _guess(dice, wish, 0.7)]
    if dice.random() < 0.25:
        said += [Turn("user", f"{dice.choice(NO)} {sentence(dice, wish)}".strip()), _agent(dice, CLOSES)]
    if dice.random() < 0.25:
        said += [_user(dice, NUMBERS), _guess(dice, wish, 0.7)]
    if dice.random() < 0.2:
        said += [_user(dice, ENDS), _agent(dice, CLOSES)]
    mood = dice.random()
    turns = tuple(
        Turn(turn.speaker, _typed(turn.text, mood, dice)) if turn.speaker == "user" else turn for turn in said
    )
    return Spoken(turns, wish)


def sentence(dice: Random, wish: Wish) -> str:
    """The wish in one sentence, some words swapped for others that mean the same."""
    return _SWAP.sub(lambda m: dice.choice(_SWAPS[m[0].lower()]) if dice.random() < 0.4 else m[0], wish.say(dice))


def _user(dice: Random, ways: tuple[str, ...]) -> Turn:
    return Turn("user", compile_template(dice.choice(ways)).say(dice, values(dice)))


def _agent(dice: Random, ways: tuple[str, ...]) -> Turn:
    return Turn("agent", compile_template(dice.choice(ways)).say(dice, values(dice)))


def _guess(dice: Random, wish: Wish, others: float) -> Turn:
    """An agent's line; in that share of the cases it is about any other wish."""
    if dice.random() < 0.4:
        return _agent(dice, CLOSES)
    about = dice.choice(wishes()) if dice.random() < others else wish
    return Turn("agent", dice.choice(GUESSES).format(about=dice.choice(about.names)))


def _typed(text: str, mood: float, dice: Random) -> str:
    """How people type: some all small, some with slips of the finger."""
    if mood < 0.4:
        text = text.lower()
    if mood < 0.6:
        text = text.rstrip(".!?")
    if 0.3 < mood < 0.5 and len(text) > 8:
        letters = list(text)
        for _ in range(1 + len(letters) // 40):
            at = dice.randrange(1, len(letters) - 1)
            if dice.random() < 0.5:
                letters[at], letters[at - 1] = letters[at - 1], letters[at]
            else:
                letters[at] = ""
        text = "".join(letters)
    return text
