"""YAML text to immutable nodes that know their place: YAML 1.2 core, and nothing hostile.

Scalars follow the YAML 1.2 core schema (``1e-6`` is a number, ``no`` a word). Aliases are shared,
never copied, and what they would expand to is counted. Everything is built from parser events
without recursion, so that no input can exhaust the stack.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import yaml

from pytest_contracts.errors import ContractSyntaxError
from pytest_contracts.where import Where

MAX_DEPTH = 40
MAX_NODES = 100_000
MAX_SCALAR = 64 * 1024
MAX_DIGITS = 100

Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_NULL = re.compile(r"(?:null|Null|NULL|~|)\Z")
_TRUE = re.compile(r"(?:true|True|TRUE)\Z")
_FALSE = re.compile(r"(?:false|False|FALSE)\Z")
_INTEGER = re.compile(r"[-+]?[0-9]+\Z")
_PREFIXED = re.compile(r"0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_INFINITY = re.compile(r"[-+]?\.(?:inf|Inf|INF)\Z")
_NAN = re.compile(r"\.(?:nan|NaN|NAN)\Z")
_CORE = "tag:yaml.org,2002:"
_UNPRINTABLE = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_LINE_END = re.compile("\r\n|[\n\r\x85\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class Scalar:
    """A string, number, boolean or null; ``text`` is how it is written."""

    value: str | int | float | bool | None
    text: str
    where: Where
    size: int = 1


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list."""

    items: tuple[Node, ...]
    where: Where
    size: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of a mapping with its value."""

    key: Scalar
    value: Node


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping in file order."""

    entries: tuple[Entry, ...]
    where: Where
    size: int

    def get(self, key: str) -> Node | None:
        """Return the value of a key, None when it is absent."""
        return next((entry.value for entry in self.entries if entry.key.value == key), None)

    def key(self, key: str) -> Scalar | None:
        """Return the key itself, for its place."""
        return next((entry.key for entry in self.entries if entry.key.value == key), None)


Node: TypeAlias = Scalar | Sequence | Table


def plain(node: Node) -> Any:
    """Return the node as immutable Python values: mappings, tuples and scalars."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Sequence):
        return tuple(plain(item) for item in node.items)
    return MappingProxyType({entry.key.value: plain(entry.value) for entry in node.entries})


def as_json(node: Node) -> Any:
    """Return the node as JSON-like lists and dicts; keys become strings as they are written."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Sequence):
        return [as_json(item) for item in node.items]
    return {entry.key.text: as_json(entry.value) for entry in node.entries}


class Source:
    """A contract's text, able to point into itself."""

    def __init__(self, text: str, path: Path) -> None:
        self.text = text
        self.path = path
        self._lines: list[str] | None = None

    @property
    def lines(self) -> list[str]:
        """The text by lines, as editors count them."""
        if self._lines is None:
            self._lines = _LINE_END.split(self.text)
        return self._lines

    def where(self, line: int, column: int = 1) -> Where:
        """Return a place; both one-based."""
        return Where(self.path, line, column)

    def excerpt(self, where: Where) -> str:
        """Return the line of a place and the one before it, the line itself marked."""
        shown = []
        width = len(str(where.line))
        for number in (where.line - 1, where.line):
            if 1 <= number <= len(self.lines):
                line = self.lines[number - 1].rstrip()
                line = _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", line)
                if len(line) > 120:
                    line = line[:119] + "…"
                mark = ">" if number == where.line else " "
                shown.append(f"{mark} {number:>{width}} | {line}".rstrip())
        return "\n".join(shown)

    def error(self, message: str, where: Where, hint: str | None = None) -> ContractSyntaxError:
        """Return the error for a place, with the lines it concerns."""
        return ContractSyntaxError(message, where=where, hint=hint, excerpt=self.excerpt(where))


@dataclass(slots=True)
class _Open:
    """A collection whose end has not been read."""

    where: Where
    anchor: str | None
    is_table: bool
    items: list[Node]
    keys: list[Scalar] = field(default_factory=list)
    seen: dict[Any, Scalar] = field(default_factory=dict)
    size: int = 1


class _Composer:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.anchors: dict[str, Node | None] = {}
        self.open: list[_Open] = []
        self.root: Node | None = None
        self.documents = 0

    def compose(self) -> Node:
        for event in self.events():
            if isinstance(event, yaml.DocumentStartEvent):
                self.documents += 1
                if self.documents > 1:
                    raise self.error("a second document begins; a contract is one document", event)
            elif isinstance(event, yaml.AliasEvent):
                self.add(self.alias(event), event)
            elif isinstance(event, yaml.ScalarEvent):
                node = self.scalar(event)
                self.remember(event, node)
                self.add(node, event)
            elif isinstance(event, yaml.CollectionStartEvent):
                self.begin(event)
            elif isinstance(event, yaml.CollectionEndEvent):
                self.end(event)
        if self.root is None:
            raise self.source.error("the file is empty", self.source.where(1))
        return self.root

    def events(self) -> Iterator[Any]:
        try:
            yield from yaml.parse(self.source.text, Loader=Loader)
        except yaml.MarkedYAMLError as error:
            self.refuse_depth()
            mark = error.problem_mark or error.context_mark
            where = self.source.where(1) if mark is None else self.place(mark)
            problem = error.problem or "it cannot be parsed"
            context = f" {error.context}" if error.context else ""
            raise self.source.error(f"not YAML: {problem}{context}", where) from None
        except yaml.YAMLError as error:
            problem = str(error).splitlines()[0]
            raise self.source.error(f"not YAML: {problem}", self.source.where(1)) from None

    def refuse_depth(self) -> None:
        """Say in our own words that the text nests too deeply, where the parser gave up over it.

        libyaml's scanner has a limit of its own, and looks ahead: it may fail before the event
        that exceeds ours. PyYAML's parser in Python has none.
        """
        depth = 0
        try:
            for event in yaml.parse(self.source.text, Loader=yaml.SafeLoader):
                if isinstance(event, yaml.CollectionStartEvent):
                    depth += 1
                    if depth > MAX_DEPTH:
                        raise self.error(_TOO_DEEP, event)
                elif isinstance(event, yaml.CollectionEndEvent):
                    depth -= 1
        except yaml.YAMLError:
            return

    def place(self, mark: Any) -> Where:
        return self.source.where(mark.line + 1, mark.column + 1)

    def error(self, message: str, event: Any, hint: str | None = None) -> ContractSyntaxError:
        return self.source.error(message, self.place(event.start_mark), hint)

    def begin(self, event: Any) -> None:
        is_table = isinstance(event, yaml.MappingStartEvent)
        expected = _CORE + ("map" if is_table else "seq")
        if event.tag not in (None, "!", expected):
            raise self.error(f"tag '{event.tag}' is not allowed", event, _TAG_HINT)
        if len(self.open) >= MAX_DEPTH:
            raise self.error(_TOO_DEEP, event)
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        self.open.append(_Open(self.place(event.start_mark), event.anchor, is_table, []))

    def end(self, event: Any) -> None:
        done = self.open.pop()
        node: Node
        if done.is_table:
            entries = tuple(map(Entry, done.keys, done.items))
            node = Table(entries, done.where, done.size)
        else:
            node = Sequence(tuple(done.items), done.where, done.size)
        if done.anchor is not None:
            self.anchors[done.anchor] = node
        self.add(node, event)

    def add(self, node: Node, event: Any) -> None:
        if not self.open:
            self.root = node
            return
        parent = self.open[-1]
        parent.size += node.size
        if parent.size > MAX_NODES:
            raise self.error(f"more than {MAX_NODES} nodes once aliases are expanded", event)
        if not parent.is_table or len(parent.keys) > len(parent.items):
            parent.items.append(node)
            return
        if not isinstance(node, Scalar):
            raise self.error("a key must be a word or a number", event)
        # An alias as a key stands where the alias is.
        key = Scalar(node.value, node.text, self.place(event.start_mark))
        self.refuse_duplicate(parent, key)
        parent.keys.append(key)

    def refuse_duplicate(self, parent: _Open, key: Scalar) -> None:
        for same in (key.text, (type(key.value), key.value)):
            earlier = parent.seen.setdefault(same, key)
            if earlier is not key:
                raise self.source.error(
                    f"duplicate key '{_short(key.text)}'",
                    key.where,
                    f"it is first defined at {earlier.where}",
                )

    def alias(self, event: Any) -> Node:
        if event.anchor not in self.anchors:
            raise self.error(f"alias '*{_short(event.anchor)}' refers to no anchor", event)
        node = self.anchors[event.anchor]
        if node is None:
            raise self.error(f"alias '*{_short(event.anchor)}' refers to what contains it", event)
        return node

    def remember(self, event: Any, node: Node) -> None:
        if event.anchor is not None:
            self.anchors[event.anchor] = node

    def scalar(self, event: Any) -> Scalar:
        text: str = event.value
        if len(text) > MAX_SCALAR:
            raise self.error(f"a text longer than {MAX_SCALAR} characters", event)
        where = self.place(event.start_mark)
        tag = event.tag
        if tag is None and event.implicit[0]:
            return Scalar(self.resolved(text, event), text, where)
        if tag in (None, "!", _CORE + "str"):
            return Scalar(text, text, where)
        kinds: Mapping[str, tuple[type, ...]] = {
            "null": (type(None),), "bool": (bool,), "int": (int,), "float": (float, int),
        }  # fmt: skip
        kind = tag.removeprefix(_CORE)
        if not tag.startswith(_CORE) or kind not in kinds:
            raise self.error(f"tag '{_short(tag)}' is not allowed", event, _TAG_HINT)
        value = self.resolved(text, event)
        if type(value) not in kinds[kind]:
            raise self.error(f"'{_short(text)}' is no {kind}", event)
        if kind == "float" and isinstance(value, int):
            value = float(value)
        return Scalar(value, text, where)

    def resolved(self, text: str, event: Any) -> str | int | float | bool | None:
        """Return a plain scalar's value by the rules of YAML 1.2."""
        if _NULL.match(text):
            return None
        if _TRUE.match(text):
            return True
        if _FALSE.match(text):
            return False
        if _INTEGER.match(text) or _PREFIXED.match(text):
            if len(text) > MAX_DIGITS:
                raise self.error(f"an integer of more than {MAX_DIGITS} digits", event)
            return int(text, 0 if _PREFIXED.match(text) else 10)
        if _FLOAT.match(text):
            return self.real(text, event)
        if _INFINITY.match(text):
            return -math.inf if text[0] == "-" else math.inf
        if _NAN.match(text):
            return math.nan
        return text

    def real(self, text: str, event: Any) -> float:
        if len(text) > MAX_DIGITS:
            raise self.error(f"a number of more than {MAX_DIGITS} digits", event)
        value = float(text)
        mantissa = re.split("[eE]", text)[0]
        if math.isinf(value) or (value == 0 and re.search("[1-9]", mantissa)):
            raise self.error(f"number {text} is beyond the range of float64", event)
        return value


_TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"
_TAG_HINT = "only the YAML core tags are: !!str, !!int, !!float, !!bool, !!null, !!map, !!seq"


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "…"


def compose(source: Source) -> Node:
    """Return the root node of the only document.

    Raises:
        ContractSyntaxError: it is not YAML 1.2, or exceeds a limit; ``where`` is the place.
    """
    bad = _UNPRINTABLE.search(source.text)
    if bad is not None:
        before = _LINE_END.split(source.text[: bad.start()])
        where = source.where(len(before), len(before[-1]) + 1)
        raise source.error(f"control character U+{ord(bad.group()):04X}", where)
    return _Composer(source).compose()
