"""Nodes of a wild contract to the typed model: ids derived, what our schema lacks set aside.

What a key holds that our dialect has no place for stays in ``extra`` under ``wild`` and is named in
``Contract.remarks``; nothing of it is executed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from pytest_contracts.contract.building import RESERVED, build, id_prefix
from pytest_contracts.contract.model import Claim, Contract, Harness, Remark
from pytest_contracts.contract.obligation_types import TYPES
from pytest_contracts.contract.schema import problems_of, validate
from pytest_contracts.contract.wild.dialect import CLAIMS
from pytest_contracts.contract.yaml_tree import Entry, Node, Scalar, Sequence, Source, Table, plain
from pytest_contracts.where import Where

_EQUATION_KEYS = frozenset({"formula", "codomain", "domain", "invariants"})
_SET_ASIDE = {
    "metadata": frozenset({"dialect", "status"}),
    "claims": frozenset(
        (
            *("run", "parametrize", "requires", "variables", "equation", "examples"),
            *("tolerance_kind", "floor", "status", "because", "slow", "inverse", "measure"),
        )
    ),
}
"""Keys that would make something of a claim which its own tool-chain does not mean by them."""


def adapt(root: Table, source: Source, digest: str) -> Contract:
    """Return the contract; every claim of it is prose until ``bind`` finds what it can run.

    Raises:
        ContractSyntaxError: the file lacks what any contract has, or an id is repeated.
    """
    return _Adapter(root, source).contract(digest)


class _Adapter:
    def __init__(self, root: Table, source: Source) -> None:
        self.root = root
        self.source = source
        self.prefix = id_prefix(root, source.path)
        self.set_aside: dict[str, list[Where]] = {}
        self.kept: dict[Where, Mapping[str, Any]] = {}

    def contract(self, digest: str) -> Contract:
        sections = [
            Entry(Scalar(name, name, self.root.where), node)
            for name, node in (
                ("metadata", self.metadata()),
                ("equations", self.equations()),
                ("proof_obligations", self.claims("proof_obligations", "obligation")),
                ("falsification_tests", self.claims("falsification_tests", "falsification")),
            )
            if node is not None
        ]
        adapted = Table(tuple(sections), self.root.where, self.root.size)
        validate(adapted, self.source)
        contract = build(adapted, self.source, digest)
        taken = {"metadata", "equations", *CLAIMS}
        extra = {e.key.text: plain(e.value) for e in self.root.entries if e.key.text not in taken}
        for name in extra:
            self.aside(f"section {name}", self.root.key(name))
        equations = tuple(
            replace(equation, extra=self.kept.get(equation.where, equation.extra))
            for equation in contract.equations
        )
        claims = [self.with_kept(claim) for claim in contract.claims]
        obligations = contract.obligations
        return replace(
            contract,
            dialect="wild",
            equations=equations,
            obligations=tuple(claims[: len(obligations)]),
            falsification_tests=tuple(claims[len(obligations) :]),
            harnesses=tuple(self.harnesses(contract)),
            extra=MappingProxyType(extra),
            remarks=tuple(self.remarks()),
        )

    def with_kept(self, claim: Any) -> Any:
        kept = self.kept.get(claim.where)
        extra = claim.extra if kept is None else {**claim.extra, "wild": kept}
        return replace(claim, extra=MappingProxyType(dict(extra)))

    # -- sections -------------------------------------------------------------------------------

    def metadata(self) -> Node:
        node = self.root.get("metadata")
        assert isinstance(node, Table)
        return self.fitting(node, "metadata", drop=_SET_ASIDE["metadata"])

    def equations(self) -> Node | None:
        node = self.root.get("equations")
        if not isinstance(node, Table):
            return _unless_empty(node)
        entries = []
        for entry in node.entries:
            faults = problems_of("name", Scalar(entry.key.text, entry.key.text, entry.key.where))
            reserved = entry.key.text in RESERVED
            if faults or reserved or not isinstance(entry.value, Table):
                self.aside(f"equation {entry.key.text}", entry.key)
                continue
            known = {e.key.text: plain(e.value) for e in entry.value.entries}
            self.kept[entry.key.where] = MappingProxyType({"wild": MappingProxyType(known)})
            # A formula of this dialect is no definition yet: its parts name what is not given.
            entries.append(Entry(entry.key, Table((), entry.value.where, 1)))
            for key in sorted(known.keys() - _EQUATION_KEYS):
                self.aside(f"equation key {key}", entry.value.key(key))
        return Table(tuple(entries), node.where, node.size)

    def claims(self, section: str, definition: str) -> Node | None:
        node = self.root.get(section)
        if node is None:
            return None
        node = _listed(node)
        counted: Counter[str] = Counter()
        items: list[Node] = []
        for item in node.items:
            if not isinstance(item, Table):
                items.append(item)  # refused by the schema, at its place
                continue
            table = self.fitting(item, definition, drop=_SET_ASIDE["claims"])
            added: dict[str, str] = {}
            if definition == "obligation":
                kind = table.get("type")
                if kind is None:
                    self.aside("obligation type that is not known here", item.key("type") or item)
                    added["type"] = "invariant"
                name = kind.text if isinstance(kind, Scalar) else "invariant"
                counted[name] += 1
                added["id"] = TYPES[name].ident(self.prefix, counted[name])
                spoken = _first(item, "statement") or _first(item, "description")
                added["property"] = spoken or _first(table, "formal") or added["id"]
            else:
                added["rule"] = _first(table, "prediction") or "unnamed"
            items.append(_completed(table, added))
        return Sequence(tuple(items), node.where, node.size)

    def harnesses(self, contract: Contract) -> Iterator[Harness]:
        obligations = {claim.id for claim in contract.obligations}
        seen: dict[str, Claim] = {claim.id: claim for claim in contract.claims}
        section = self.root.get("kani_harnesses")
        for node in _listed(section).items if section is not None else ():
            if not isinstance(node, Table):
                raise self.source.error("kani_harnesses: an entry must be a mapping", node.where)
            data = plain(node)
            ident = node.get("id")
            if not isinstance(ident, Scalar) or problems_of("id", ident):
                raise self.source.error("kani_harnesses: an entry has no id", node.where)
            obligation = str(data.get("obligation", ""))
            if obligation not in obligations:
                self.aside(f"harness of {obligation or 'nothing'}, which no obligation is", node)
            by = ", ".join(str(data[k]) for k in ("harness", "solver") if data.get(k)) or "its own"
            harness = Harness(
                id=ident.text,
                where=ident.where,
                statement=str(data.get("property") or ident.text),
                obligation=obligation if obligation in obligations else None,
                bound=data.get("bound") if type(data.get("bound")) is int else None,
                strategy=str(data.get("strategy", "exhaustive")),
                solver="auto",
                prose=f"a proof that another tool runs ({by})",
                extra=MappingProxyType({"wild": data}),
            )
            if (earlier := seen.setdefault(harness.id, harness)) is not harness:
                hint = f"it is first defined at {earlier.where}"
                raise self.source.error(f"duplicate id '{harness.id}'", ident.where, hint)
            yield harness

    # -- what our schema has no place for -------------------------------------------------------

    def fitting(self, node: Table, definition: str, drop: frozenset[str]) -> Table:
        """Return what of a mapping fits our schema; the rest is kept aside."""
        faulty = {key for key in problems_of(definition, node) if key is not None} | drop
        entries = tuple(entry for entry in node.entries if entry.key.text not in faulty)
        rest = [entry for entry in node.entries if entry.key.text in faulty]
        for entry in rest:
            if entry.key.text != "dialect":
                self.aside(f"{definition} key {entry.key.text}", entry.key)
        if rest:
            kept = {entry.key.text: plain(entry.value) for entry in rest}
            self.kept[node.where] = MappingProxyType(kept)
        return Table(entries, node.where, node.size)

    def aside(self, what: str, node: Node | None) -> None:
        where = self.root.where if node is None else node.where
        self.set_aside.setdefault(what, []).append(where)

    def remarks(self) -> Iterator[Remark]:
        for what, places in self.set_aside.items():
            times = f" ({len(places)} times)" if len(places) > 1 else ""
            yield Remark(f"not used: {what}{times}", places[0])


def _unless_empty(node: Node | None) -> Node | None:
    """Return a section of the wrong shape, which the schema refuses; an empty one is none."""
    return None if isinstance(node, Scalar) and node.value is None else node


def _listed(node: Node) -> Sequence:
    """Return a section of claims as a list; those given by name have their names as ids."""
    if isinstance(node, Sequence):
        return node
    if not isinstance(node, Table):
        empty = _unless_empty(node) is None
        return Sequence(() if empty else (node,), node.where, node.size)
    return Sequence(tuple(_named(entry) for entry in node.entries), node.where, node.size)


def _named(entry: Entry) -> Node:
    if not isinstance(entry.value, Table) or entry.value.get("id") is not None:
        return entry.value
    where = entry.key.where
    return Table((Entry(Scalar("id", "id", where), entry.key), *entry.value.entries), where, 1)


def _first(table: Table, key: str) -> str | None:
    node = table.get(key)
    return node.text if isinstance(node, Scalar) and node.text else None


def _completed(table: Table, added: Mapping[str, str]) -> Table:
    """Return a mapping with keys that it lacks."""
    new = tuple(
        Entry(Scalar(key, key, table.where), Scalar(text, text, table.where))
        for key, text in added.items()
        if table.get(key) is None
    )
    return Table((*table.entries, *new), table.where, table.size)
