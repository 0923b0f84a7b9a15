"""Broken contract files by the thousand: each is one seed file with a few mutations.

``mutant(seed, index)`` is a pure function of its arguments, so that a failing input is named by
two numbers. Families: bytes, text, tree, domains, formulas, aliases, nesting.
"""

from __future__ import annotations

import copy
import json
import math
import random
import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from pytest_contracts.contract.yaml_tree import Source, as_json, compose

MAX_WILD_SEED = 5000
ROOT = Path(__file__).resolve().parents[1]
SEEDS = ROOT / "tests" / "pytest_contracts" / "fuzz" / "seeds"


class Raw(str):
    """Text that goes into the file as it is."""


class Pairs(list[list[Any]]):
    """A mapping in file order that may hold a key twice."""


ODD_TEXT = (
    "\x00", "\x07", "\x1b[31m", "\x7f", "\x85", "\u2028", "\ufeff", "\u202e", "\u200d", "\ufffe",
    "ﬁ", "ǅ", "𝔵", "x\u0301" * 40, "👩\u200d🔬", "٣", "Ⅷ", "ⁿ", "ₙ", "½", "∑", "‖", "ᵀ", "ε", "İ",
    "\t", "\r", "\r\n", "'", '"', "#", "- ", ": ", "? ", "%YAML 1.1\n", "---\n", "...\n", "!!",
    "|\n", "<<: *a", "!!python/object/apply:os.system [id]", "!!binary x", "&a", "*a", "@", "`",
    "\\u0000",
)  # fmt: skip
NUMBERS = (
    "1e400", "-1e308", "1e-400", "9" * 100, "9" * 101, "9" * 5000, ".nan", ".inf", "-.inf", "0x1F",
    "0o17", "1_000", "-0", "9223372036854775808", "1e999999999", "0.1", "1.", ".5", "2**62", "1e9",
    "-1", "0", "67108865", "1" + "0" * 18, "true", "null", "~", "no", "2001-01-01", "1:30",
)  # fmt: skip
STRINGS = (
    "", " ", "a" * 70_000, " " * 60_000, "." * 60_000, "1.." * 20_000, "{" * 5_000, "[" * 5_000,
    "a b", "x.y", "os:system", "__import__('os')", "../../etc/passwd", "x" * 101, "FALSIFY-" * 12,
    "layers(", "f(*a)", "f(**k)", "f(x)" * 3_000, "lambda: 0", "f(open('x'))", "f(" + "[" * 3_000,
    "Σ", "{}", "{,}", "..", "1..", "..1", "1...2", "a..b", "n..n", "1..9**9**9", "text", "bool",
)  # fmt: skip
DOMAINS: tuple[Any, ...] = (
    "1..999999999999999999999999", "-inf..inf", "nan..1", "5..2", "v..v", "0..x", "{v, , 3}", "{}",
    "1e308..1e309", "0x10..0x20", "1..1e400", "∞..1", "−3..3", "1 .. 2 .. 3", "a" * 30_000 + "..1",
    " " * 60_000 + "x", "1" * 5_000 + "..2", "9**9..9**9**9", "zeros(10**9)..1", "T(x)..shape(x)",
    {"dtype": "object"}, {"dtype": "O"}, {"dtype": "datetime64"}, {"dtype": "S5"}, {"dtype": "V"},
    {"dtype": "f4,i8"}, {"dtype": "(2,)f4"}, {"dtype": ">f4"}, {"dtype": "complex64"},
    {"dtype": "float128"}, {"dtype": "float96"}, {"dtype": "(" * 500}, {"dtype": "i4" * 2_000},
    {"dtype": "int8", "range": [-(10**90), 10**90]}, {"dtype": "float16", "range": [1e300, 1e301]},
    {"dtype": "int8", "range": [0.5, 0.6]}, {"dtype": "float32", "range": [[1], 2]},
    {"dtype": "float32", "range": "1"}, {"dtype": "float32", "range": {"a": 1}},
    {"dtype": "bool", "range": [0, 5], "unique": True}, {"dtype": "uint64", "range": [0, 2**64]},
    {"dtype": "float32", "shape": ["v"] * 100}, {"dtype": "float32", "shape": [-1]},
    {"dtype": "float32", "shape": [10**9, 10**9]}, {"dtype": "float32", "shape": [1.5]},
    {"dtype": "float32", "shape": ["2**62"]}, {"dtype": "float32", "shape": [["v"]]},
    {"dtype": "float32", "shape": {"v": 1}}, {"dtype": "float32", "shape": "v", "exclude": 3},
    {"dtype": "float32", "shape": ["x"]}, {"dtype": "float32", "exclude": [[1], {}]},
    {"dtype": "float32", "specials": "inf"}, {"dtype": "float32", "specials": 3},
    {"dtype": "float32", "specials": [["inf"]]}, {"dtype": "float32", "exclude": ["a", "nan"]},
    {"block": "Q4_K", "count": -1}, {"block": ["Q4_K"]}, {"block": "Q4_K", "count": "9**9**9"},
    {"block": "Q4_K", "count": [1]}, {"tokens": -5, "length": "1..3"}, {"tokens": 0},
    {"tokens": [1], "length": {}}, {"tokens": 10**30}, {"text": True, "length": "9..1"},
    {"text": True, "length": "-3..-1"}, {"text": None}, {"text": {"a": 1}, "length": 10**12},
    {"text": True, "alphabet": ""}, {"text": True, "alphabet": ["ab", 3]}, {"text": "Xx"},
    {"text": True, "categories": ["Zz"]}, {"text": True, "categories": "Lu", "alphabet": "a"},
    {"strategy": "nobody"}, {"strategy": ["a"]}, {"strategy": {"b": 1}}, {1: None, 2.5: None},
    {"dtype": 3}, {"dtype": None}, {"range": [1, 2]}, [], [[1, 2], {}], [None], {None: None},
)  # fmt: skip
FRAGMENTS = (
    "x.__class__", "x.__class__.__mro__[1].__subclasses__()", "__import__('os').system('id')",
    "open('x')", "getattr(x, 'y')", "9**9**9", "2**-1", "10**400", "1 << 10**9", "x[10**20]",
    "Σ_{i∈0..10**12} i", "∀ i ∈ 0..10**9: i ≥ 0", "∃ i ∈ x: ∃ j ∈ x: i = j", "factorial(10**9)",
    "zeros((10**9, 10**9))", "zeros(2**26) + ones(2**26)", "full((9**9,), 1)", "eye(10**6)",
    "reshape(x, (-1, -1))", "repeat(x, 10**12)", "range(10**18)", "range(0, 1, 0)", "outer(x, x)",
    "x[::0]", "x[..., ...]", "concat()", "stack(x for x in x)", "sum(sum(i for i in x) for j in x)",
    "norm(x, 3)", "x @ 1", "inf - inf", "0 / 0", "1 // 0", "1 % 0", "true + true", "not 3", "(((",
    "|x| | |x|", "‖x‖_F_∞", "x_i", "x_{i}", "x_{i, j}", "√√√4", "−" * 200 + "1", "(" * 200,
    "1" * 300, "¬" * 150 + "true", "f(f(f(f(x))))", "f()", "f(x, x, x)", "x(3)", "lambda x: x",
    "'a'",
    '"', "`", "x if x else x", "[[1], [1, 2]]", "{1, 2}", "x ∈ {}", "x ∈ (0, 1]", "x ∈ [1]",
    "1 < x < 3 = 3",
    "a = b = 12", "P ⟹ Q ⟹ R", "x²²", "x⁻¹", "xᵀᵀ", "1e309", "0x", "1__0", "1.5.5", "x..y", "… ",
    ";", "where x = x", "for all", "for all i", "when when", "ulp_distance(x, 'a')",
    "sha256(sha256(x))",
    "float16_from_bits(10**9)", "signed(x, 10**6)", "popcount(-1)", "clip(x, 2, 1)", "⟺", "𝔵", "ﬁ",
)  # fmt: skip
_TOKEN = re.compile(r"\w+|\s+|[^\w\s]")


@cache
def seed_files() -> tuple[str, ...]:
    """Return the seed files: the small ones most often, the project's own, contracts of others."""
    small = [path.read_text("utf-8") for path in sorted(SEEDS.glob("*.yaml"))]
    own = [path.read_text("utf-8") for path in sorted((ROOT / "contracts").rglob("*.yaml"))]
    corpus = sorted((ROOT / "tests" / "corpus").glob("*.yaml"))
    wild = [path.read_text("utf-8") for path in corpus if path.stat().st_size < MAX_WILD_SEED]
    return (*(small * 50), *own, *(wild * 2))


@cache
def formulas() -> tuple[str, ...]:
    """Return every formula of the seed files."""
    found = []
    for text in dict.fromkeys(seed_files()):
        for match in re.finditer(r"(?:formal|formula): *>?-?\s*(.+)", text):
            found.append(match.group(1).strip('"{} '))
    return tuple(found)


def parsed(text: str) -> Any:
    """Return a seed file as a tree."""
    return tree_of(as_json(compose(Source(text, ROOT))))


def tree_of(value: Any) -> Any:
    """Return parsed YAML with mappings as pairs."""
    if isinstance(value, dict):
        return Pairs([key, tree_of(inner)] for key, inner in value.items())
    return [tree_of(inner) for inner in value] if isinstance(value, list) else value


def emit(node: Any, indent: int = 0) -> str:
    """Return a tree as YAML: block style outside, flow style three levels in."""
    pad = "  " * indent
    if isinstance(node, Pairs) and node and indent < 3:
        return "".join(f"\n{pad}{_flow(key)}: {emit(value, indent + 1)}" for key, value in node)
    if isinstance(node, list) and not isinstance(node, Pairs) and node and indent < 3:
        return "".join(f"\n{pad}- {_flow(item)}" for item in node)
    return _flow(node)


def _flow(node: Any) -> str:
    if isinstance(node, Raw):
        return node
    if isinstance(node, dict):
        return _flow(tree_of(node))
    if isinstance(node, Pairs):
        return "{" + ", ".join(f"{_flow(key)}: {_flow(value)}" for key, value in node) + "}"
    if isinstance(node, list | tuple):
        return "[" + ", ".join(map(_flow, node)) + "]"
    if isinstance(node, float) and not math.isfinite(node):
        return ".nan" if math.isnan(node) else f"{'-' if node < 0 else ''}.inf"
    return json.dumps(node, ensure_ascii=False, default=str)


def _places(node: Any, found: list[tuple[Any, int]]) -> list[tuple[Any, int]]:
    """List (container, position) of every value in a tree."""
    for position, item in enumerate(node):
        value = item[1] if isinstance(node, Pairs) else item
        found.append((item, 1) if isinstance(node, Pairs) else (node, position))
        if isinstance(value, list):
            _places(value, found)
    return found


def _evil(rng: random.Random, tree: Any) -> Any:
    choice = rng.randrange(6)
    if choice == 0:
        return Raw(rng.choice(NUMBERS))
    if choice == 1:
        return rng.choice(STRINGS)
    if choice == 2:
        return tree_of(rng.choice(DOMAINS))
    if choice == 3:
        container, position = rng.choice(_places(tree, []))
        return copy.deepcopy(container[position])
    if choice == 4:
        return rng.choice(ODD_TEXT) + rng.choice(("", "x", "-001"))
    return rng.choice((None, True, [], Pairs(), [[]], [None] * 50, Pairs([["id", "A-1"]]), 10**99))


def of_tree(rng: random.Random, text: str) -> str:
    """Replace, delete, repeat, rename and move parts of the tree."""
    tree = parsed(text)
    for _ in range(rng.randint(1, 2)):
        container, position = rng.choice(_places(tree, []))
        value = container[position]
        match rng.randrange(5):
            case 0 | 1:
                container[position] = _evil(rng, tree)
            case 2 if isinstance(value, list) and value:
                del value[rng.randrange(len(value))]
            case 3 if isinstance(value, list) and value:
                value.append(copy.deepcopy(rng.choice(value)))
            case 4 if isinstance(value, Pairs) and value:
                value[rng.randrange(len(value))][0] = rng.choice(
                    (
                        rng.choice(ODD_TEXT),
                        Raw(rng.choice(NUMBERS)),
                        "id",
                        "formal",
                        Raw("[1]"),
                        "tolerence",
                    )
                )
            case _:
                container[position] = _evil(rng, tree)
    return emit(tree)


def of_domains(rng: random.Random, text: str) -> str:
    """Put hostile domains and parameters where variables stand."""
    tree = parsed(text)
    holders = [c for c, p in _places(tree, []) if isinstance(c, list) and c[0] == "variables"]
    for holder in rng.sample(holders, k=min(len(holders), rng.randint(1, 2))):
        for pair in holder[1]:
            if rng.random() < 0.4:
                pair[1] = tree_of(rng.choice(DOMAINS))
        holder[1].append([rng.choice(("extra", "other", "n")), rng.choice(DOMAINS)])
    return emit(tree)


def of_formulas(rng: random.Random, text: str) -> str:
    """Break formulas token by token, and put hostile ones beside them."""
    tree = parsed(text)
    holders = [
        c for c, _ in _places(tree, []) if isinstance(c, list) and c[0] in ("formal", "formula")
    ]
    for holder in rng.sample(holders, k=min(len(holders), rng.randint(1, 3))):
        tokens = _TOKEN.findall(rng.choice((str(holder[1]), rng.choice(formulas()))))
        for _ in range(rng.randint(1, 4)):
            place = rng.randrange(len(tokens) + 1)
            match rng.randrange(6):
                case 0:
                    tokens[place:place] = [rng.choice(FRAGMENTS)]
                case 1:
                    del tokens[place : place + rng.randint(1, 4)]
                case 2:
                    tokens[place:place] = tokens[:place]
                case 3 if tokens:
                    tokens[place - 1] = rng.choice(FRAGMENTS)
                case 4:
                    tokens[place:place] = [rng.choice(ODD_TEXT)]
                case _:
                    depth = rng.choice((2, 30, 70, 300, 3000))
                    opening, closing = rng.choice(
                        (("(", ")"), ("[", "]"), ("|", "|"), ("√(", ")"), ("-", ""))
                    )
                    tokens = [opening * depth, *tokens, closing * depth]
        holder[1] = "".join(tokens)
        if holder[0] == "formula" and rng.random() < 0.5:
            holder[1] = f"f(x) = {holder[1]}"
    return emit(tree)


def of_text(rng: random.Random, text: str) -> str:
    """Insert odd characters and huge scalars, delete and repeat lines."""
    for _ in range(rng.randint(1, 2)):
        place = rng.randrange(len(text) + 1)
        match rng.randrange(5):
            case 0 | 1:
                text = text[:place] + rng.choice(ODD_TEXT) + text[place:]
            case 2:
                text = text[:place] + rng.choice(STRINGS + NUMBERS) + text[place:]
            case 3:
                lines = text.splitlines(keepends=True) or [""]
                first = rng.randrange(len(lines))
                lines[first : first + rng.randint(1, 3)] = []
                text = "".join(lines)
            case _:
                lines = text.splitlines(keepends=True) or [""]
                first = rng.randrange(len(lines))
                lines[first:first] = rng.choices(lines, k=rng.randint(1, 3))
                text = "".join(lines)
    return text


def of_bytes(rng: random.Random, text: str) -> bytes:
    """Flip, delete, insert and repeat bytes; cut the file off."""
    data = bytearray(text.encode())
    for _ in range(rng.randint(1, 3)):
        place = rng.randrange(len(data) + 1)
        match rng.randrange(6):
            case 0 | 1 if place < len(data):
                data[place] ^= 1 << rng.randrange(8)
            case 2:
                del data[place : place + rng.randint(1, 20)]
            case 3:
                data[place:place] = rng.randbytes(rng.randint(1, 6))
            case 4:
                data[place:place] = data[place : place + rng.randint(1, 200)]
            case _:
                if rng.random() < 0.2:
                    del data[place:]
    return bytes(data)


def of_aliases(rng: random.Random, text: str) -> str:
    """Aliases: bombs, cycles, missing ones, as keys and in every kind of place."""
    depth, width = rng.choice(((3, 2), (10, 10), (30, 3), (100, 2)))
    lines = ["lol0: &lol0 [x, x]" if rng.random() < 0.7 else "lol0: &lol0 {id: x}"]
    for level in range(1, depth):
        repeated = ", ".join([f"*lol{level - 1}"] * width)
        key = rng.choice((f"lol{level}", f"k{level}", "constants", "*lol0 "))
        lines.append(f"{key}: &lol{level} [{repeated}]")
    bomb = "\n".join(lines) + "\n"
    cycle = rng.choice(("a: &a [*a]\n", "b: *nobody\n", "c: &c {*c : 1}\n", "? &d [x]\n: *d\n", ""))
    target = f"*lol{rng.randrange(depth)}"
    used = re.sub(r"\[[^\]\n]*\]", target, text, count=rng.randint(0, 3))
    return rng.choice((bomb + cycle + used, used + "\n" + bomb + cycle, cycle + text))


def of_nesting(rng: random.Random, text: str) -> str:
    """Deep nesting in flow and in block style."""
    depth = rng.choice((5, 36, 39, 41, 100, 1000, 20_000))
    opening, closing = rng.choice((("[", "]"), ("{a: ", "}"), ("[{a: ", "}]"), ("[[], ", "]")))
    deep = opening * depth + "1" + closing * rng.choice((depth, depth - 1, 0))
    if rng.random() < 0.3:
        deep = "".join(f"\n{'  ' * (level + 2)}a:" for level in range(min(depth, 300))) + " 1"
    if rng.random() < 0.3:
        deep = "\n" + "  - " + "- " * min(depth, 2000) + "1"
    lines = text.splitlines()
    keys = [number for number, line in enumerate(lines) if re.fullmatch(r"\s*[\w-]+:.*", line)]
    chosen = rng.choice(keys)
    lines[chosen] = lines[chosen].partition(":")[0] + ": " + deep
    return "\n".join(lines)


FAMILIES: Sequence[tuple[str, Callable[[random.Random, str], str | bytes]]] = (
    ("bytes", of_bytes),
    ("text", of_text),
    ("tree", of_tree),
    ("tree", of_tree),
    ("domains", of_domains),
    ("formulas", of_formulas),
    ("formulas", of_formulas),
    ("aliases", of_aliases),
    ("nesting", of_nesting),
)


def mutant(seed: int, index: int) -> tuple[str, bytes]:
    """Return the family and the contents of one broken file."""
    rng = random.Random(f"{seed}:{index}")
    family, mutate = FAMILIES[index % len(FAMILIES)]
    text = rng.choice(seed_files())
    made = mutate(rng, text)
    return family, made.encode("utf-8", "surrogatepass") if isinstance(made, str) else made
