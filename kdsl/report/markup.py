"""HTML and SVG by function calls: every text is escaped, and only what `tag` made goes in as it is."""

import html
from collections.abc import Iterable

from kdsl.text import shown


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


Child = str | float | None | Iterable["Child"]
VOID = frozenset({"meta", "wbr"})


def tag(name: str, /, *children: Child, **attributes: str | float | None) -> Markup:
    """One element. Attributes: `class_` is class, an inner `_` is a hyphen, None is left out.

    Children are escaped unless they are Markup; None is nothing, and lists are their members.
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(_number(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in VOID:
        return Markup(f"<{name}{given}>")
    return Markup(f"<{name}{given}>{joined(*children)}</{name}>")


def joined(*children: Child) -> Markup:
    """Children one after the other."""
    parts: list[str] = []
    for child in children:
        if isinstance(child, str):
            parts.append(child if isinstance(child, Markup) else html.escape(shown(child)))
        elif isinstance(child, float | int):
            parts.append(_number(child))
        elif child is not None:
            parts.append(joined(*child))
    return Markup("".join(parts))


def named(text: str) -> Markup:
    """A name that may break after its underscores."""
    return Markup(joined(text).replace("_", "_<wbr>"))


def _number(value: str | float) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
