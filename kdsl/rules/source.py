"""YAML or JSON of unknown origin as a tree with line numbers: no tags, no anchors, bounded depth and size.

Scalars stay the text that stands in the file, so that the words `no`, `12` and `1e3` are words.
"""

import json
import re
from bisect import bisect_left
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kdsl.rules.errors import RuleError

MAX_BYTES = 32_000_000
MAX_DEPTH = 12
MAX_NODES = 1_500_000
_JSON_SPACE = re.compile(r"[ \t\n\r]*")


@dataclass(slots=True)
class Node:
    """A scalar (str), sequence (list of Node) or mapping (dict of key to Node), and the line it begins on (0: none).

    `plain` tells an unquoted scalar; `repeated` names keys of a mapping that stand twice.
    """

    value: Any
    line: int
    plain: bool = False
    repeated: tuple[str, ...] = ()


def read(path: Path) -> Node:
    """The tree of a file; `.json` is read as JSON, anything else as YAML.

    Raises:
        RuleError: no such file, too large, not UTF-8, or not the one language.
    """
    if not path.is_file():
        raise RuleError(f"rules: {path} is no file; name a rule file, as rules.yaml")
    if path.stat().st_size > MAX_BYTES:
        raise RuleError(f"rules: {path} is larger than {MAX_BYTES:,} bytes; is it the right file?")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise RuleError(f"rules: {path} is not UTF-8 (byte {error.start:,}); save it as UTF-8") from error
    return from_json(text, str(path)) if path.suffix == ".json" else from_yaml(text, str(path))


def from_json(text: str, source: str) -> Node:
    """The tree of a JSON text."""
    try:
        return _Json(text).whole()
    except (ValueError, RecursionError) as error:
        raise RuleError(f"rules: {source} is no JSON ({str(error)[:200]})") from error


def from_yaml(text: str, source: str) -> Node:
    """The tree of a YAML text."""
    if len(text) > MAX_BYTES:
        raise RuleError(f"rules: {source} is larger than {MAX_BYTES:,} bytes; is it the right file?")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _Builder(source).build(yaml.parse(text, Loader=loader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)[:200]
        raise RuleError(f"rules: {source}{where} is no YAML: {problem}; write it as RuleSet.to_yaml does") from error
    except ValueError as error:  # a character that YAML does not allow
        raise RuleError(f"rules: {source} is no YAML: {str(error)[:200]}") from error


class _Builder:
    def __init__(self, source: str) -> None:
        self.source = source
        self.nodes = 0

    def build(self, events: Any) -> Node:
        root: Node | None = None
        stack: list[tuple[Node, list[Node]]] = []  # open collections with their children in order
        for event in events:
            node = self._node(event)
            if isinstance(event, yaml.DocumentStartEvent) and root is not None:
                raise RuleError(f"rules: {self.source} holds two documents; keep one")
            if node is not None:
                if stack:
                    stack[-1][1].append(node)
                else:
                    root = node
                if not isinstance(node.value, str):
                    stack.append((node, []))
                    if len(stack) > MAX_DEPTH:
                        raise RuleError(f"rules: {self.source} line {node.line} nests deeper than {MAX_DEPTH}")
            elif isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
                _finish(*stack.pop())
        return root or Node({}, 0)

    def _node(self, event: Any) -> Node | None:
        if not isinstance(event, yaml.NodeEvent):
            return None
        line = event.start_mark.line + 1 if event.start_mark else 0
        if isinstance(event, yaml.AliasEvent) or event.anchor:
            raise RuleError(f"rules: {self.source} line {line}: anchors and aliases are not allowed; write it out")
        if event.tag not in (None, "!"):  # type: ignore[attr-defined]
            raise RuleError(f"rules: {self.source} line {line}: the tag is not allowed; take it out")
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise RuleError(f"rules: {self.source} holds more than {MAX_NODES:,} values; is it the right file?")
        if isinstance(event, yaml.ScalarEvent):
            return Node(event.value, line, plain=event.style is None)
        return Node([] if isinstance(event, yaml.SequenceStartEvent) else {}, line)


def _finish(node: Node, children: list[Node]) -> None:
    if isinstance(node.value, list):
        node.value = children
        return
    repeated = []
    for key, value in zip(children[::2], children[1::2], strict=True):
        name = key.value if isinstance(key.value, str) else "?"
        if name in node.value:
            repeated.append(name)
        node.value[name] = value
    node.repeated = tuple(repeated)


class _Json:
    """Reads JSON by the standard library's decoder, a scalar at a time, to know lines and keys that stand twice."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.breaks = [found.start() for found in re.finditer("\n", text)]
        self.decode = json.JSONDecoder().raw_decode

    def whole(self) -> Node:
        node, at = self._value(self._skip(0), 0)
        if at < len(self.text):
            raise json.JSONDecodeError("Extra data", self.text, at)
        return node

    def _value(self, at: int, depth: int) -> tuple[Node, int]:
        """The value that begins there, and where the next thing does."""
        if depth > MAX_DEPTH:
            raise ValueError(f"nests deeper than {MAX_DEPTH}")
        line = bisect_left(self.breaks, at) + 1
        if self.text.startswith(("{", "["), at):
            return self._collection(at, line, depth)
        data, end = self.decode(self.text, at)
        if isinstance(data, str):
            return Node(data, line), self._skip(end)
        return Node("" if data is None else self.text[at:end], line, plain=True), self._skip(end)

    def _collection(self, at: int, line: int, depth: int) -> tuple[Node, int]:
        children: list[Node] = []
        keyed = self.text[at] == "{"
        node, close = Node({} if keyed else [], line), "}" if keyed else "]"
        at = self._skip(at + 1)
        while not (at < len(self.text) and self.text[at] == close and not children):
            if keyed:
                if not self.text.startswith('"', at):
                    raise json.JSONDecodeError("Expecting property name enclosed in double quotes", self.text, at)
                key, at = self._value(at, depth + 1)
                children.append(key)
                at = self._after(at, ":")
            value, at = self._value(at, depth + 1)
            children.append(value)
            if self.text.startswith(close, at):
                break
            at = self._after(at, ",")
        _finish(node, children)
        return node, self._skip(at + 1)

    def _after(self, at: int, sign: str) -> int:
        if not self.text.startswith(sign, at):
            raise json.JSONDecodeError(f"Expecting {sign!r}", self.text, at)
        return self._skip(at + 1)

    def _skip(self, at: int) -> int:
        found = _JSON_SPACE.match(self.text, at)
        return found.end() if found else at
