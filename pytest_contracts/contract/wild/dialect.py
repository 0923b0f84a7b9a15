"""Which dialect a file is written in, by what it shows.

Strict is a file that shows what only a strict one can have, since nothing of the other tool-chain
says it: *implementations* of an equation (names with ``module:function``), *variables* with
domains, a procedure to ``run`` or values to ``parametrize``, the contracts that a claim of
completeness is ``over``, a gate's defects with a ``target`` and who kills them, or
``dialect: strict`` in its metadata. Every other file is wild: what both may write (``formal``,
``kind``, ``status``, ``equation``, ``constants``) shows nothing, and neither does a foreign key,
which may be noise in a strict file.

One piece of evidence outweighs any noise, so that a typo never turns a strict file's claims into
prose. The evidence must survive the typo itself: a key with one slip counts where its value has the
shape, in a section whose name may have a slip as well. And a key alone is no evidence where its
value cannot be meant so: ``run: cargo test``, ``variables: {x: input vector}``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import TypeGuard

from pytest_contracts.contract.model import Dialect, Remark
from pytest_contracts.contract.yaml_tree import Node, Scalar, Sequence, Table

CLAIMS = ("proof_obligations", "falsification_tests", "kani_harnesses")
IN_DOUBT = (
    "nothing in the file shows the strict one, such as implementations, variables with domains, "
    "run, or metadata.dialect"
)

LONGEST = 500
"""How long a target, a domain or a name is at most, in characters; a longer text is prose."""
_TARGET = re.compile(r"(?!.*\.(?:rs|c|cc|cpp|cu|h|wgsl):)[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
"""``module:function``, and not a function in a file of another language."""
_BOUND = r"[\w.+\-−*·/%()\s]+"
_RANGE = re.compile(rf"(?!.*\w\s+\w)(?!.*\.\.\.){_BOUND}\.\.{_BOUND}")
"""``1..2*n``, and neither two words nor dots that leave something out."""
_CHOICE = re.compile(r"\{\s*-?[\d.]+(?:\s*,\s*-?[\d.]+)*\s*\}")
_DTYPE = re.compile(r"b?float\d+\w*|u?int\d+|bool|complex\d+")
_CONTRACT = re.compile(r"[\w.]*[-*][\w.*?-]*")
_DOMAIN_KEYS = frozenset({"block", "tokens", "strategy"})


def dialect_of(root: Node) -> tuple[Dialect, Remark]:
    """Return the dialect of a document, and what shows it."""
    metadata = root.get("metadata") if isinstance(root, Table) else None
    if not isinstance(root, Table) or not isinstance(metadata, Table):
        return "strict", Remark("the file has no metadata", root.where)
    said = metadata.get("dialect")
    if isinstance(said, Scalar):
        dialect: Dialect = "wild" if said.value == "wild" else "strict"
        return dialect, Remark("metadata.dialect says so", said.where)
    evidence = next(_evidence(root), None)
    return ("wild", Remark(IN_DOUBT, root.where)) if evidence is None else ("strict", evidence)


def _evidence(root: Table) -> Iterator[Remark]:
    for section in root.entries:
        if _means(section.key, "equations"):
            for part in parts(section.value):
                yield from _shown(part, _OF_EQUATIONS)
        elif any(_means(section.key, name) for name in CLAIMS):
            for part in parts(section.value):
                yield from _shown(part, _OF_CLAIMS)
        elif _means(section.key, "qa_gate") and isinstance(section.value, Table):
            yield from _shown(section.value, _OF_GATES)


def _shown(part: Table, shapes: Mapping[str, Callable[[Node], bool]]) -> Iterator[Remark]:
    for entry in part.entries:
        for key, has_shape in shapes.items():
            if _means(entry.key, key) and has_shape(entry.value):
                yield Remark(f"'{entry.key.text}' is the strict dialect's", entry.key.where)


def parts(node: Node | None) -> Iterator[Table]:
    """Yield the mappings of a list, or those that a mapping holds by name."""
    for item in node.items if isinstance(node, Sequence) else ():
        if isinstance(item, Table):
            yield item
    for entry in node.entries if isinstance(node, Table) else ():
        if isinstance(entry.value, Table):
            yield entry.value


# -- shapes of values that only the strict dialect has ------------------------------------------


def _are_targets(node: Node) -> bool:
    return _any_value(node, lambda value: _is_text(value) and bool(_TARGET.fullmatch(value.text)))


def _are_domains(node: Node) -> bool:
    return _any_value(node, _is_domain)


def _is_domain(node: Node) -> bool:
    if _is_text(node):
        return bool(_RANGE.fullmatch(node.text) or _CHOICE.fullmatch(node.text))
    if not isinstance(node, Table):
        return False
    if any(entry.key.text in _DOMAIN_KEYS for entry in node.entries) or _is_choice(node):
        return True
    dtype = node.get("dtype")
    return isinstance(dtype, Scalar) and bool(_DTYPE.fullmatch(dtype.text))


def _is_choice(node: Table) -> bool:
    """Tell whether a mapping is what YAML makes of ``{32, 64}``."""
    numbers = (isinstance(entry.key.value, int | float) for entry in node.entries)
    return bool(node.entries) and all(numbers) and all(_is_null(e.value) for e in node.entries)


def _is_procedure(node: Node) -> bool:
    return _is_text(node) and node.text.isidentifier()


def _are_values(node: Node) -> bool:
    return _any_value(node, lambda value: isinstance(value, Sequence) or _is_text(value))


def _are_contracts(node: Node) -> bool:
    named = node.items if isinstance(node, Sequence) else (node,)
    return any(_is_text(item) and bool(_CONTRACT.fullmatch(item.text)) for item in named)


def _are_defects(node: Node) -> bool:
    return isinstance(node, Sequence) and any(
        item.get("target") is not None and item.get("killed_by") is not None for item in parts(node)
    )


_OF_EQUATIONS = {"implementations": _are_targets, "variables": _are_domains}
_OF_CLAIMS = {
    "variables": _are_domains,
    "run": _is_procedure,
    "parametrize": _are_values,
    "over": _are_contracts,
}
_OF_GATES = {"falsification": _are_defects}


def _any_value(node: Node, has_shape: Callable[[Node], bool]) -> bool:
    return isinstance(node, Table) and any(has_shape(entry.value) for entry in node.entries)


def _is_text(node: Node) -> TypeGuard[Scalar]:
    return isinstance(node, Scalar) and isinstance(node.value, str) and len(node.text) <= LONGEST


def _is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.value is None


def _means(key: Scalar, word: str) -> bool:
    return abs(len(key.text) - len(word)) <= 1 and (key.text == word or slipped(key.text, word))


@lru_cache(maxsize=1024)
def slipped(written: str, meant: str) -> bool:
    """Tell whether a word has one slip: a letter too few, too many, wrong, or two swapped."""
    same = next((i for i, (a, b) in enumerate(zip(written, meant, strict=False)) if a != b), None)
    start = min(len(written), len(meant)) if same is None else same
    ours, theirs = written[start:], meant[start:]
    one_letter = theirs in (ours[1:], ours[1::-1] + ours[2:]) or ours == theirs[1:]
    return written != meant and (one_letter or (bool(ours and theirs) and ours[1:] == theirs[1:]))
