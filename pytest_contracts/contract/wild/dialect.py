"""Whether a file is a contract of the other tool-chain, judged by what it writes.

A typo must not turn our own contract into one whose claims are prose, so nothing is wild because it
fails to validate. A file is wild that says ``dialect: wild`` in its metadata, or that has one of
the other tool-chain's marks, which our schema refuses, and none of the keys that only our dialect
has.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeGuard

from pytest_contracts.contract.yaml_tree import Node, Scalar, Sequence, Table

REGISTRY = "binding.yaml"
"""What a binding file is called; it is no contract."""
OURS = {
    "metadata": frozenset({"kind", "status"}),
    "equations": frozenset({"variables", "implementations"}),
    "claims": frozenset(
        (
            *("run", "parametrize", "requires", "variables", "equation", "examples"),
            *("tolerance_kind", "floor", "status", "because", "slow", "inverse", "measure"),
        )
    ),
}
"""Keys that no file of the other tool-chain has."""
CLAIMS = ("proof_obligations", "falsification_tests", "kani_harnesses")


def is_wild(root: Node) -> TypeGuard[Table]:
    """Tell whether a document is a wild contract."""
    if not isinstance(root, Table):
        return False
    metadata = root.get("metadata")
    if not isinstance(metadata, Table):
        return False
    dialect = metadata.get("dialect")
    if isinstance(dialect, Scalar):
        return dialect.value == "wild"
    return any(_marks(root)) and not any(_ours(root))


def _marks(root: Table) -> Iterator[bool]:
    """Yield True for every mark: a test in prose, a harness in Rust, a gate's defect in words."""
    for test in tables(root.get("falsification_tests")):
        yield isinstance(test.get("test") or test.get("falsification_test"), Scalar)
    for harness in tables(root.get("kani_harnesses")):
        yield isinstance(harness.get("harness"), Scalar)
    gate = root.get("qa_gate")
    if isinstance(gate, Table):
        yield isinstance(gate.get("falsification"), Scalar)


def _ours(root: Table) -> Iterator[bool]:
    yield root.get("constants") is not None
    metadata = root.get("metadata")
    if isinstance(metadata, Table):
        yield _has(metadata, OURS["metadata"])
    equations = root.get("equations")
    for entry in equations.entries if isinstance(equations, Table) else ():
        yield isinstance(entry.value, Table) and _has(entry.value, OURS["equations"])
    for section in CLAIMS:
        for item in tables(root.get(section)):
            yield _has(item, OURS["claims"])


def _has(table: Table, keys: frozenset[str]) -> bool:
    return any(entry.key.text in keys for entry in table.entries)


def tables(node: Node | None) -> Iterator[Table]:
    """Yield the mappings of a list."""
    for item in node.items if isinstance(node, Sequence) else ():
        if isinstance(item, Table):
            yield item
