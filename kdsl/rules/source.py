"""YAML or JSON of unknown origin as a tree with line numbers: no tags, no anchors, bounded depth and size.

Scalars stay the text that stands in the file, so that the words `no`, `12` and `1e3` are words.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kdsl.rules.errors import RuleError

MAX_BYTES = 32_000_000
MAX_DEPTH = 12
MAX_NODES = 1_500_000


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
    """The tree of a file; `.json` is read as JSON (no line numbers), anything else as YAML.

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
        return _from_data(json.loads(text), 0)
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


def _from_data(data: Any, depth: int) -> Node:
    if depth > MAX_DEPTH:
        raise ValueError(f"nests deeper than {MAX_DEPTH}")
    if isinstance(data, dict):
        return Node({key: _from_data(value, depth + 1) for key, value in data.items()}, 0)
    if isinstance(data, list):
        return Node([_from_data(value, depth + 1) for value in data], 0)
    if isinstance(data, str):
        return Node(data, 0)
    return Node("" if data is None else json.dumps(data), 0, plain=True)
