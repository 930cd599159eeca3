"""The expressions that rules may hold: RE2, bounded, normalised as the texts are, each with its reason if refused.

RE2 has no backtracking, so its time is linear in the text whatever the expression; what is bounded here is the size
of the expression and of the automaton. Look-around and back-references RE2 cannot have. Syntax: literals, `.`,
classes, `^ $ \\b \\d \\w \\s` and their opposites, `\\p{Han}`, groups, `|`, and repeats. Flags and named groups are
refused: texts are case-folded, and nothing asks for a group.
"""

import re
import unicodedata
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from kdsl.rules.errors import RuleError

MAX_CHARS = 300
MAX_REPEAT = 200
MAX_MEMORY = 1 << 20  # bytes of RE2's automaton

_META = frozenset("\\.^$|?*+()[]{}")
_PERL = frozenset("dDwWsSbB")
_REPEATS = ("*", "+", "?", "{")
_PROPERTY = re.compile(r"[pP](?:\{\^?[A-Za-z_]{1,30}\}|[A-Z])")
_REPEAT = re.compile(r"\{(\d{1,4})(?:(,)(\d{0,4}))?\}")
_OPENINGS = {
    "(?=": "look-ahead",
    "(?!": "look-ahead",
    "(?<=": "look-behind",
    "(?<!": "look-behind",
    "(?P<": "a named group",
    "(?<": "a named group",
}
_REMEDIES = {  # by a part of RE2's reason
    "too large": "make its repeats smaller, as {0,20}, or split it into two rules",
    "repetition size": "make its repeats smaller, as {0,20}; those of a group in a group multiply",
    "missing )": "close the group with ), or write \\( for the character itself",
    "no argument": "put something before the repeat, or write a backslash before the sign itself",
    "missing argument": "put something before the repeat, or write a backslash before the sign itself",
    "character class": "write a range from the lower to the higher character, as [a-z]",
    "invalid property": "name a script or class that RE2 knows, as \\p{Han}",
}


@dataclass(slots=True)
class _Scan:
    """Where the scan stands; `endless` says, per open group, whether a repeat without end is in it."""

    text: str
    at: int = 0
    out: list[str] = field(default_factory=list)
    endless: list[bool] = field(default_factory=lambda: [False])
    last_endless: bool = False


@lru_cache(maxsize=4_096)
def canonical(pattern: str) -> str:
    """The expression with its literals normalised as `kdsl.text.normalise` does to texts.

    Raises:
        RuleError: it is too long or large, not RE2, holds on an empty text, or uses what the language leaves out.
    """
    if len(pattern) > MAX_CHARS:
        raise RuleError(f"the expression has {len(pattern):,} characters; at most {MAX_CHARS} are allowed: split it")
    if not pattern.strip():
        raise RuleError("the expression is empty; write one, or take the condition out")
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in pattern):
        raise RuleError("the expression holds a control character or half of a surrogate pair; take it out")
    scan = _Scan(pattern)
    while scan.at < len(scan.text):
        _step(scan)
    written = "".join(scan.out)
    if len(written) > MAX_CHARS:  # files hold this spelling: they could not be read again
        raise RuleError(
            f"the expression {pattern[:20]!r}... has {len(written):,} characters as rules keep it, with ( as (?: and "
            f"signs by a backslash; at most {MAX_CHARS} are allowed: split it"
        )
    try:
        holds_always = compiled(written).search("") is not None
    except RuleError as error:  # what RE2 was given is our spelling; people are shown their own
        raise RuleError(f"RE2 refuses the expression {pattern!r}: {_reason(error)}; {_remedy(error)}") from error
    if holds_always:
        raise RuleError(f"the expression {pattern!r} holds on an empty text, so on every row; make a part compulsory")
    return written


@lru_cache(maxsize=4_096)
def compiled(pattern: str) -> Any:
    """The expression compiled by RE2, with `search(text)`.

    Raises:
        RuleError: RE2 refuses it, with RE2's reason.
    """
    import re2

    options = re2.Options()
    options.max_mem = MAX_MEMORY
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0].decode(errors="replace") if error.args else "no reason given"
        raise RuleError(f"RE2 refuses the expression {pattern!r}: {reason}") from error


def _reason(error: RuleError) -> str:
    """What RE2 said, less the piece of our spelling that it quotes."""
    return str(error).rpartition("': ")[2].partition(": ")[0]


def _remedy(error: RuleError) -> str:
    found = next((remedy for said, remedy in _REMEDIES.items() if said in str(error)), None)
    return found or "write it otherwise, or as words under any_of"


def _step(scan: _Scan) -> None:
    char = scan.text[scan.at]
    if char == "\\":
        _item(scan, _escape(scan, in_class=False))
    elif char == "[":
        _item(scan, _class(scan))
    elif char == "(":
        _open(scan)
    elif char == ")":
        _close(scan)
    elif char in "*+?":
        scan.at += 1
        _repeat(scan, char, endless=char != "?")
    elif char == "{":
        _braces(scan)
    elif char in ".^$|":
        scan.at += 1
        _item(scan, char)
    elif char in "]}":
        raise RuleError(f"{char!r} stands alone; write \\{char} for the character itself")
    else:
        literal = _literal(_cluster(scan))
        if literal == " " and scan.out and scan.out[-1] == " ":
            return
        _item(scan, _quoted(literal, repeated=scan.text[scan.at : scan.at + 1] in _REPEATS))


def _item(scan: _Scan, written: str) -> None:
    scan.out.append(written)
    scan.last_endless = False


def _open(scan: _Scan) -> None:
    rest = scan.text[scan.at :]
    if rest.startswith("(?") and not rest.startswith("(?:"):
        kind = next((kind for opening, kind in _OPENINGS.items() if rest.startswith(opening)), "a flag")
        raise RuleError(f"{kind} ({rest[:4]!r}) is not allowed; only plain groups (...) and (?:...) are")
    scan.at += 3 if rest.startswith("(?:") else 1
    scan.out.append("(?:")
    scan.endless.append(False)


def _close(scan: _Scan) -> None:
    if len(scan.endless) == 1:
        raise RuleError("')' closes no group; write \\) for the character itself")
    scan.at += 1
    scan.out.append(")")
    scan.last_endless = scan.endless.pop()
    scan.endless[-1] |= scan.last_endless


def _braces(scan: _Scan) -> None:
    found = _REPEAT.match(scan.text, scan.at)
    if not found:
        raise RuleError("'{' begins no repeat such as {2,5}; write \\{ for the character itself")
    if max(int(found[1]), int(found[3] or 0)) > MAX_REPEAT:
        raise RuleError(f"the repeat {found[0]} is too large; at most {MAX_REPEAT} are allowed")
    scan.at = found.end()
    _repeat(scan, found[0], endless=bool(found[2]) and not found[3])


def _repeat(scan: _Scan, written: str, *, endless: bool) -> None:
    if endless and scan.last_endless:
        raise RuleError("a repeat without end holds another one, as in (a+)+; say {0,20} for one of them")
    scan.out.append(written)
    if scan.at < len(scan.text) and scan.text[scan.at] == "?":  # as few as possible: says where, not whether
        scan.out.append("?")
        scan.at += 1
    scan.last_endless |= endless
    scan.endless[-1] |= endless


def _escape(scan: _Scan, *, in_class: bool) -> str:
    following = scan.text[scan.at + 1 : scan.at + 2]
    allowed = _PERL - {"b", "B"} if in_class else _PERL
    if following in allowed and following:
        scan.at += 2
        return "\\" + following
    if found := _PROPERTY.match(scan.text, scan.at + 1):
        scan.at = found.end()
        return "\\" + found[0]
    if following and not (following.isalnum() or following == "_"):
        scan.at += 2
        if following.isascii() and not following.isspace():
            return "\\" + following
        return _quoted(_literal(following), repeated=True)
    known = " ".join("\\" + char for char in sorted(allowed))
    shown = "\\" + following
    raise RuleError(f"the escape {shown} is not allowed; allowed are {known} \\p{{Han}} and punctuation")


def _class(scan: _Scan) -> str:
    out = ["["]
    scan.at += 1
    if scan.text.startswith("^", scan.at):
        out.append("^")
        scan.at += 1
    while True:
        char = scan.text[scan.at : scan.at + 1]
        if not char:
            raise RuleError("'[' is not closed; write \\[ for the character itself")
        if char == "]":
            scan.at += 1
            if out[-1] in ("[", "^"):
                raise RuleError("a class [] is empty; name a character")
            return "".join(out) + "]"
        if char == "\\":
            out.append(_escape(scan, in_class=True))
            continue
        if scan.text.startswith("[", scan.at):
            raise RuleError("'[' inside a class: write \\[ for the character, or \\w \\d \\s for a named class")
        literal = _literal(_cluster(scan))
        if len(literal) > 1:
            raise RuleError(f"{char!r} is read as {literal!r}, too long for a class; write (?:...|...) instead")
        out.append("\\" + literal if literal in "^\\[]" or (literal in _META) else literal)


def _cluster(scan: _Scan) -> str:
    """The next character with those after it that NFKC makes one with it, as half-width kana and their marks."""
    start, scan.at = scan.at, scan.at + 1
    while scan.at < len(scan.text) and _joined(scan.text[start : scan.at], scan.text[scan.at]):
        scan.at += 1
    return scan.text[start : scan.at]


def _joined(before: str, char: str) -> bool:
    after = unicodedata.normalize("NFKC", char)
    if unicodedata.combining(after[0]):  # marks are put in order, and may meet the letter over one another
        return True
    return not char.isascii() and unicodedata.normalize("NFKC", before + char) != (
        unicodedata.normalize("NFKC", before) + after
    )


def _literal(cluster: str) -> str:
    """Characters that belong together as `normalise` leaves them, but a space stays."""
    if cluster.isspace():
        return " "
    return re.sub(r"\d", "0", unicodedata.normalize("NFKC", cluster).casefold())


def _quoted(literal: str, *, repeated: bool) -> str:
    """The characters as an expression, as one where a repeat follows; read again it stays the same."""
    escaped = ["\\" + char if char in _META else char for char in literal]
    if unicodedata.normalize("NFKC", literal) != literal:  # case folding took a letter and its mark apart
        escaped = [char if unicodedata.combining(char[-1]) else f"(?:{char})" for char in escaped]
    written = "".join(escaped)
    return f"(?:{written})" if len(literal) > 1 and repeated else written
