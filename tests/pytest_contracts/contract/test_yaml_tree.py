"""YAML 1.2 core scalars, places, and every kind of bad file: one error with its place."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_contracts.contract import yaml_tree
from pytest_contracts.contract.yaml_tree import (
    Scalar,
    Sequence,
    Source,
    Table,
    as_json,
    compose,
    plain,
)
from pytest_contracts.errors import ContractSyntaxError

PATH = Path("c.yaml")


def read(text: str) -> Any:
    return compose(Source(text, PATH))


def refused(text: str) -> ContractSyntaxError:
    with pytest.raises(ContractSyntaxError) as error:
        read(text)
    return error.value


SCALARS = [
    ("1e-6", 1e-6),
    ("1.0e-6", 1e-6),
    ("1E6", 1e6),
    ("+1.5", 1.5),
    ("-.5", -0.5),
    ("3.", 3.0),
    ("0.0", 0.0),
    ("-0", 0),
    ("12", 12),
    ("+12", 12),
    ("007", 7),
    ("0o17", 15),
    ("0x1F", 31),
    (".inf", math.inf),
    ("-.INF", -math.inf),
    ("true", True),
    ("FALSE", False),
    ("null", None),
    ("~", None),
    ("", None),
    ("no", "no"),
    ("yes", "yes"),
    ("on", "on"),
    ("y", "y"),
    ("tRue", "tRue"),
    ("0b11", "0b11"),
    ("1_000", "1_000"),
    ("1:30", "1:30"),
    ("2026-02-18", "2026-02-18"),
    ("1.0.0", "1.0.0"),
    ("1..128", "1..128"),
    ("1e", "1e"),
    ("e5", "e5"),
    (".", "."),
    ("-", None),
    ("inf", "inf"),
    ("<<", "<<"),
    ("=", "="),
    ("'1'", "1"),
    ('"1e-6"', "1e-6"),
    ("!!str 1", "1"),
    ("! 1", "1"),
    ("!!int 5", 5),
    ("!!float 5", 5.0),
    ("!!null ~", None),
    ("!!bool true", True),
    ("|\n    a\n    b\n", "a\nb\n"),
    (">-\n    a\n    b\n", "a b"),
]


@pytest.mark.parametrize(("text", "value"), [s for s in SCALARS if s[0] != "-"])
def test_scalars_follow_yaml_1_2(text: str, value: Any) -> None:
    found = plain(read(f"key: {text}"))["key"]
    assert found == value
    assert type(found) is type(value)


def test_nan_is_read() -> None:
    assert math.isnan(plain(read("key: .nan"))["key"])


def test_every_key_and_value_knows_its_place() -> None:
    root = read("a: 1\nb:\n  - x\n  - {k: v}\nü: ‖x‖ # note\n")
    assert isinstance(root, Table)
    places = [(e.key.where.line, e.key.where.column, e.value.where.line) for e in root.entries]
    assert places == [(1, 1, 1), (2, 1, 3), (5, 1, 5)]
    items = root.get("b")
    assert isinstance(items, Sequence)
    inner = items.items[1]
    assert isinstance(inner, Table)
    assert (inner.entries[0].value.where.line, inner.entries[0].value.where.column) == (4, 9)
    assert str(inner.where) == "c.yaml:4:5"
    assert root.get("none") is None
    assert root.key("ü") is not None


def test_values_are_immutable_and_json_keys_are_texts() -> None:
    root = read("a: [1, {32, 64}]\n")
    assert plain(root)["a"][1] == {32: None, 64: None}
    with pytest.raises(TypeError):
        plain(root)["a"] = 1
    assert as_json(root) == {"a": [1, {"32": None, "64": None}]}


def test_aliases_are_shared() -> None:
    root = read("a: &x {k: [1, 2]}\nb: *x\nc: &k key\n*k : 1\n")
    assert isinstance(root, Table)
    assert root.get("a") is root.get("b")
    assert plain(root)["key"] == 1
    key = root.key("key")
    assert key is not None
    assert key.where.line == 4


BAD = [
    ("", "the file is empty", 1, 1),
    ("# only a comment\n", "the file is empty", 1, 1),
    ("a: 1\na: 2\n", "duplicate key 'a'", 2, 1),
    ("a: {b: 1, 'b': 2}\n", "duplicate key 'b'", 1, 11),
    ("{1: a, 0x1: b}\n", "duplicate key '0x1'", 1, 8),
    ("a: [1, 2\n", None, 2, 1),
    ("a: 'open\n", None, 2, 1),
    ("a: b: c\n", None, 1, 5),
    ("\ta: 1\n", None, 1, 1),
    ("a: *none\n", "alias '*none' refers to no anchor", 1, 4),
    ("a: &x [1, *x]\n", "alias '*x' refers to what contains it", 1, 11),
    ("a: 1\n---\nb: 2\n", "a second document begins; a contract is one document", 2, 1),
    ("a: !!python/object/apply:os.system [x]\n", None, 1, 4),
    ("a: !custom 1\n", "tag '!custom' is not allowed", 1, 4),
    ("a: !!binary aGk=\n", "tag 'tag:yaml.org,2002:binary' is not allowed", 1, 4),
    ("a: !!set {x}\n", "tag 'tag:yaml.org,2002:set' is not allowed", 1, 4),
    ("a: !!map [x]\n", "tag 'tag:yaml.org,2002:map' is not allowed", 1, 4),
    ("a: !!int no\n", "'no' is no int", 1, 4),
    ("a: !!float yes\n", "'yes' is no float", 1, 4),
    ("a: !!bool 1\n", "'1' is no bool", 1, 4),
    ("[a]: 1\n", "a key must be a word or a number", 1, None),
    ("? {a: 1}\n: 2\n", "a key must be a word or a number", 1, None),
    ("a: 1\nb: \x07\n", "control character U+0007", 2, 4),
    ("a: \ufffe\n", "control character U+FFFE", 1, 4),
    ("a: 1\u2028b: \x00\n", "control character U+0000", 2, 4),
    ("a: " + "9" * 101, "an integer of more than 100 digits", 1, 4),
    ("a: 0x" + "f" * 101, "an integer of more than 100 digits", 1, 4),
    ("a: 1." + "0" * 100, "a number of more than 100 digits", 1, 4),
    ("a: 1e999\n", "number 1e999 is beyond the range of float64", 1, 4),
    ("a: -1e-999\n", "number -1e-999 is beyond the range of float64", 1, 4),
    (
        "a: '" + "x" * (yaml_tree.MAX_SCALAR + 1) + "'\n",
        "a text longer than 65536 characters",
        1,
        4,
    ),
    ("[" * 41 + "]" * 41, "nested deeper than 40 levels", 1, 41),
    ("- " * 50 + "a\n", "nested deeper than 40 levels", 1, 81),
    ("[" * 100_000, "nested deeper than 40 levels", 1, 41),
    ("{a: " * 50_000, "nested deeper than 40 levels", 1, None),
    ("%YAML 9.9\n---\na: 1\n", None, 1, 1),
    ("@a: 1\n", None, 1, 1),
    ("a: `b`\n", None, 1, 4),
]


@pytest.mark.parametrize(
    ("text", "message", "line", "column"), BAD, ids=[repr(b[0][:24]) for b in BAD]
)
def test_bad_yaml_is_one_error_with_its_place(
    text: str, message: str | None, line: int, column: int | None
) -> None:
    error = refused(text)
    if message is None:
        assert error.message.startswith(("not YAML: ", "tag "))
    else:
        assert error.message == message
    assert error.where is not None
    assert error.where.path == PATH
    assert error.where.line == line
    if column is not None:
        assert error.where.column == column


def test_zero_is_no_underflow() -> None:
    assert plain(read("a: 0e-999"))["a"] == 0.0


def test_duplicate_keys_name_both_places() -> None:
    error = refused("a:\n  k: 1\n  l: 2\n  k: 3\n")
    assert str(error) == (
        "c.yaml:4:3: duplicate key 'k'\n"
        "\n"
        "    3 |   l: 2\n"
        "  > 4 |   k: 3\n"
        "\n"
        "  it is first defined at c.yaml:2:3"
    )


def test_an_alias_bomb_is_refused_without_expanding_it() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 30)]
    error = refused("\n".join(lines))
    assert error.message == "more than 100000 nodes once aliases are expanded"
    assert error.where is not None
    assert error.where.line <= 7


@pytest.mark.untraced
def test_many_nodes_are_refused() -> None:
    assert refused("- 1\n" * 100_001).message.startswith("more than 100000 nodes")


def test_many_keys_do_not_take_quadratic_time() -> None:
    root = read("".join(f"k{i}: {i}\n" for i in range(20_000)))
    assert isinstance(root, Table)
    assert len(root.entries) == 20_000


def test_the_excerpt_is_short_and_printable() -> None:
    source = Source("a: 1\r\n" + "b" * 500 + "\x1b[2J\n", PATH)
    shown = source.excerpt(source.where(2))
    assert shown.splitlines()[0] == "  1 | a: 1"
    assert shown.splitlines()[1] == "> 2 | " + "b" * 119 + "…"
    assert "\x1b" not in Source("\x1b", PATH).excerpt(source.where(1))
    assert source.excerpt(source.where(99)) == ""


def test_the_pure_python_parser_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    import yaml

    text = "a: [1, {b: ü, c: 1e-6}]\nd: |\n  x\n"
    compiled = read(text)
    monkeypatch.setattr(yaml_tree, "Loader", yaml.SafeLoader)
    assert read(text) == compiled
    assert refused("a: [1\n").where is not None
    assert refused("[" * 100_000).message == "nested deeper than 40 levels"


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60) | st.text("ab:-[]{}&*!|>'\"#%@,? \n\t0123456789.", max_size=60))
def test_any_text_is_a_node_or_an_error_with_a_place(text: str) -> None:
    try:
        found = read(text)
    except ContractSyntaxError as error:
        place = error.where
        message = str(error)
    else:
        assert isinstance(found, Scalar | Sequence | Table)
        return
    assert place is not None
    assert place.line >= 1
    assert place.column >= 1
    assert message.startswith(f"c.yaml:{place.line}:{place.column}: ")
