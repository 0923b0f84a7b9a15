"""Checked nodes to the typed model: defaults filled, ids derived, references resolved."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pytest_contracts.contract.model import (
    Claim,
    Contract,
    Equation,
    FalsificationTest,
    Harness,
    Metadata,
    Mutant,
    ProofObligation,
    QaGate,
    Regression,
    Unkilled,
    Variable,
)
from pytest_contracts.contract.obligation_types import TYPES
from pytest_contracts.contract.schema import known_sections, suggestion
from pytest_contracts.contract.yaml_tree import Node, Scalar, Sequence, Source, Table, plain
from pytest_contracts.suggesting import nearest
from pytest_contracts.where import Where

RESERVED = frozenset({"tolerance", "inf", "pi", "true", "false", "ε", "π"})
"""Names with a fixed meaning in formulas."""
_PREFIX = re.compile(r"(?:FALSIFY|FT|KANI|KH|F)-(.+?)-[0-9]+$")


class _Builder:
    def __init__(self, root: Table, source: Source) -> None:
        self.root = root
        self.source = source
        self.equations: dict[str, Equation] = {}
        self.ids: dict[str, Where] = {}

    # -- fields ---------------------------------------------------------------------------------

    def section(self, name: str) -> tuple[Node, ...]:
        node = self.root.get(name)
        return node.items if isinstance(node, Sequence) else ()

    def refuse(self, message: str, where: Where, hint: str | None = None) -> Any:
        raise self.source.error(message, where, hint)

    def known(self, what: str, node: Scalar, known: Iterable[str]) -> str:
        name = node.text
        known = list(known)
        if name not in known:
            self.refuse(f"{what} '{name}' does not exist", node.where, suggestion(name, known))
        return name

    def implementation(self, node: Scalar, declared: Collection[str]) -> None:
        """Refuse a slip in the name of a declared implementation.

        Another name may be registered in code, which only the code itself knows.
        """
        if node.text not in declared and nearest(node.text, declared) is not None:
            self.known("implementation", node, sorted(declared))

    def register(self, ident: str, where: Where) -> None:
        earlier = self.ids.setdefault(ident, where)
        if earlier is not where:
            self.refuse(f"duplicate id '{ident}'", where, f"it is first defined at {earlier}")

    # -- sections -------------------------------------------------------------------------------

    def metadata(self) -> Metadata:
        node = self.root.get("metadata")
        assert isinstance(node, Table)
        data = dict(plain(node))
        depends = _scalars(node.get("depends_on"))
        return Metadata(
            version=data.pop("version"),
            kind=data.pop("kind", "kernel"),
            status=data.pop("status", "ACTIVE"),
            description=data.pop("description"),
            references=data.pop("references", ()),
            depends_on=data.pop("depends_on", ()),
            depends_on_where=MappingProxyType({item.text: item.where for item in depends}),
            extra=MappingProxyType(data),
        )

    def constants(self) -> Mapping[str, Any]:
        node = self.root.get("constants")
        if not isinstance(node, Table):
            return MappingProxyType({})
        for entry in node.entries:
            self.refuse_reserved(entry.key)
            equations = self.root.get("equations")
            twin = equations.key(entry.key.text) if isinstance(equations, Table) else None
            if twin is not None:
                self.refuse(
                    f"'{entry.key.text}' is a constant and an equation",
                    twin.where,
                    f"the constant is defined at {entry.key.where}",
                )
        return plain(node)  # type: ignore[no-any-return]

    def refuse_reserved(self, key: Scalar) -> None:
        if key.text in RESERVED:
            self.refuse(f"'{key.text}' has a fixed meaning in formulas", key.where)

    def equation(self, name: Scalar, node: Table) -> Equation:
        self.refuse_reserved(name)
        formula = node.get("formula")
        data = dict(plain(node))
        for used in ("formula", "variables", "codomain", "implementations"):
            data.pop(used, None)
        implementations = node.get("implementations")
        entries = implementations.entries if isinstance(implementations, Table) else ()
        return Equation(
            name=name.text,
            where=name.where,
            formula=_text(formula),
            formula_where=name.where if formula is None else formula.where,
            variables=self.variables(node),
            codomain=_text(node.get("codomain")),
            implementations=MappingProxyType({e.key.text: _text(e.value) or "" for e in entries}),
            implementation_where=MappingProxyType({e.key.text: e.value.where for e in entries}),
            extra=MappingProxyType(data),
        )

    def variables(self, node: Table) -> tuple[Variable, ...]:
        table = node.get("variables")
        if not isinstance(table, Table):
            return ()
        for entry in table.entries:
            self.refuse_reserved(entry.key)
        return tuple(Variable(e.key.text, plain(e.value), e.key.where) for e in table.entries)

    def claim(self, node: Table, *, statement: str, used: Iterable[str]) -> dict[str, Any]:
        """Return what all claims share."""
        data = dict(plain(node))
        formal, run = node.get("formal"), node.get("run")
        named = node.get("equation")
        equation = None
        if isinstance(named, Scalar):
            equation = self.known("equation", named, self.equations)
        taken = {
            *used, "id", "equation", "formal", "variables", "tolerance", "tolerance_kind",
            "floor", "applies_to", "examples", "regressions", "run", "parametrize", "requires",
            "if_fails", "status", "level",
        }  # fmt: skip
        return {
            "where": node.where,
            "statement": statement,
            "equation": equation,
            "formal": _text(formal),
            "formal_where": None if formal is None else formal.where,
            "variables": self.variables(node),
            "tolerance": self.real(node, "tolerance"),
            "tolerance_kind": data.get("tolerance_kind", "absolute"),
            "floor": self.real(node, "floor"),
            "applies_to": self.applies_to(node, equation),
            "examples": None if "examples" not in data else int(data["examples"]),
            "regressions": self.regressions(node),
            "run": _text(run),
            "run_where": None if run is None else run.where,
            "parametrize": data.get("parametrize", MappingProxyType({})),
            "requires": _several(data.get("requires", ())),
            "if_fails": data.get("if_fails"),
            "status": data.get("status", self.status),
            "declared_level": data.get("level"),
            "extra": MappingProxyType({k: v for k, v in data.items() if k not in taken}),
        }

    def regressions(self, node: Table) -> tuple[Regression, ...]:
        return tuple(
            Regression(
                values=plain(table),
                where=table.where,
                places=MappingProxyType({e.key.text: e.key.where for e in table.entries}),
            )
            for table in _tables(node.get("regressions"))
        )

    def real(self, node: Table, key: str) -> float | None:
        value = node.get(key)
        if not isinstance(value, Scalar):
            return None
        number = float(value.value)  # type: ignore[arg-type]
        if not math.isfinite(number):
            self.refuse(f"{key} must be finite, not {value.text}", value.where)
        return number

    def applies_to(self, node: Table, equation: str | None) -> tuple[str, ...]:
        named = node.get("applies_to")
        if named is None:
            return ("all",)
        scalars = [named] if isinstance(named, Scalar) else _scalars(named)
        equations = self.equations.values() if equation is None else [self.equations[equation]]
        declared = {name for one in equations for name in one.implementations}
        for scalar in scalars if declared else ():
            self.implementation(scalar, {*declared, "all"})
        return tuple(scalar.text for scalar in scalars)

    def obligations(self) -> tuple[ProofObligation, ...]:
        counted: Counter[str] = Counter()
        prefix = id_prefix(self.root, self.source.path)
        built = []
        for node in self.section("proof_obligations"):
            assert isinstance(node, Table)
            kind = _text(node.get("type")) or ""
            counted[kind] += 1
            ident = node.get("id")
            name = TYPES[kind].ident(prefix, counted[kind])
            where = node.where
            if isinstance(ident, Scalar):
                name, where = ident.text, ident.where
            self.register(name, where)
            statement = _text(node.get("property")) or ""
            shared = self.claim(node, statement=statement, used=("type", "property"))
            built.append(ProofObligation(id=name, type=kind, **shared))
        return tuple(built)

    def falsification_tests(self) -> tuple[FalsificationTest, ...]:
        built = []
        for node in self.section("falsification_tests"):
            assert isinstance(node, Table)
            name = self.identified(node)
            rule = _text(node.get("rule")) or ""
            statement = _text(node.get("prediction")) or rule
            shared = self.claim(node, statement=statement, used=("rule", "prediction"))
            built.append(FalsificationTest(id=name, rule=rule, **shared))
        return tuple(built)

    def harnesses(self, obligations: Iterable[ProofObligation]) -> tuple[Harness, ...]:
        claims = {claim.id: claim for claim in obligations}
        built = []
        for node in self.section("kani_harnesses"):
            assert isinstance(node, Table)
            name = self.identified(node)
            target = node.get("obligation")
            proved = None
            if isinstance(target, Scalar):
                proved = claims[self.known("obligation", target, claims)]
            if proved is None and node.get("run") is None:
                self.refuse(f"harness '{name}' has neither 'obligation' nor 'run'", node.where)
            statement = _text(node.get("property"))
            if statement is None:
                statement = name if proved is None else proved.statement
            used = ("obligation", "property", "bound", "strategy", "solver")
            shared = self.claim(node, statement=statement, used=used)
            if proved is not None and node.get("equation") is None:
                shared["equation"] = proved.equation
            data = plain(node)
            built.append(
                Harness(
                    id=name,
                    obligation=None if proved is None else proved.id,
                    bound=None if "bound" not in data else int(data["bound"]),
                    strategy=data.get("strategy", "exhaustive"),
                    solver=data.get("solver", "auto"),
                    **shared,
                )
            )
        return tuple(built)

    def identified(self, node: Table) -> str:
        ident = node.get("id")
        assert isinstance(ident, Scalar)
        self.register(ident.text, ident.where)
        return ident.text

    def gate(self, claims: Mapping[str, Claim]) -> QaGate | None:
        node = self.root.get("qa_gate")
        if not isinstance(node, Table):
            return None
        name = self.identified(node)
        checks = _scalars(node.get("checks"))
        mutants: dict[str, Mutant] = {}
        for item in _tables(node.get("falsification")):
            mutant = self.mutant(item, claims)
            earlier = mutants.setdefault(mutant.id, mutant)
            if earlier is not mutant:
                hint = f"it is first defined at {earlier.where}"
                self.refuse(f"duplicate mutant '{mutant.id}'", mutant.where, hint)
        return QaGate(
            id=name,
            where=node.where,
            checks=tuple(self.known("claim", check, claims) for check in checks),
            mutants=tuple(mutants.values()),
            unkilled=self.unkilled(node, mutants.values(), claims),
        )

    def unkilled(
        self, gate: Table, mutants: Iterable[Mutant], claims: Mapping[str, Claim]
    ) -> tuple[Unkilled, ...]:
        killers = {claim for mutant in mutants for claim in mutant.killed_by}
        found = []
        for node in _tables(gate.get("unkilled")):
            for named in _scalars(node.get("claims")):
                if self.known("claim", named, claims) in killers:
                    hint = "Take it out of one of the two."
                    self.refuse(f"'{named.text}' kills a mutant", named.where, hint)
            data = plain(node)
            found.append(Unkilled(tuple(data["claims"]), data["because"], node.where))
        return tuple(found)

    def mutant(self, node: Table, claims: Mapping[str, Claim]) -> Mutant:
        data = plain(node)
        target = node.get("target")
        assert isinstance(target, Scalar)
        equation, dot, implementation = target.text.partition(".")
        if ":" not in target.text:
            if not dot:
                hint = "it is equation.implementation or module:function"
                self.refuse(f"target '{target.text}' names no function", target.where, hint)
            self.known("equation", Scalar(equation, equation, target.where), self.equations)
            declared = self.equations[equation].implementations
            self.implementation(Scalar(implementation, implementation, target.where), declared)
        killers = _scalars(node.get("killed_by"))
        return Mutant(
            id=data["id"],
            where=node.where,
            target=target.text,
            replace=data.get("replace"),
            killed_by=tuple(self.known("claim", killer, claims) for killer in killers),
            incident=data.get("incident"),
            description=data.get("description"),
        )

    def build(self, digest: str) -> Contract:
        metadata = self.metadata()
        self.status = metadata.status
        constants = self.constants()
        equations = self.root.get("equations")
        if isinstance(equations, Table):
            for entry in equations.entries:
                assert isinstance(entry.value, Table)
                self.equations[entry.key.text] = self.equation(entry.key, entry.value)
        obligations = self.obligations()
        tests = self.falsification_tests()
        harnesses = self.harnesses(obligations)
        claims: dict[str, Claim] = {c.id: c for c in (*obligations, *tests, *harnesses)}
        gate = self.gate(claims)
        known = known_sections()
        extra = {e.key.text: plain(e.value) for e in self.root.entries if e.key.text not in known}
        return Contract(
            name=self.source.path.stem,
            path=self.source.path,
            where=self.root.where,
            sha256=digest,
            metadata=metadata,
            constants=constants,
            equations=tuple(self.equations.values()),
            obligations=obligations,
            falsification_tests=tests,
            harnesses=harnesses,
            qa_gate=gate,
            extra=MappingProxyType(extra),
        )


def id_prefix(root: Table, path: Path) -> str:
    """Return the prefix of derived ids: from the first numbered id, else from the file's name."""
    for section in ("falsification_tests", "kani_harnesses"):
        for node in _tables(root.get(section)):
            ident = node.get("id")
            if isinstance(ident, Scalar) and (match := _PREFIX.match(ident.text)):
                return match.group(1)
    stem = re.sub(r"-v[0-9]+$", "", path.stem)
    return re.sub(r"[^A-Za-z0-9]+", "-", stem).strip("-").upper() or "CONTRACT"


def _text(node: Node | None) -> str | None:
    return node.text if isinstance(node, Scalar) else None


def _scalars(node: Node | None) -> list[Scalar]:
    items = node.items if isinstance(node, Sequence) else ()
    return [item for item in items if isinstance(item, Scalar)]


def _tables(node: Node | None) -> list[Table]:
    items = node.items if isinstance(node, Sequence) else ()
    return [item for item in items if isinstance(item, Table)]


def _several(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def build(root: Node, source: Source, digest: str) -> Contract:
    """Return the contract of a tree that fits the schema.

    Raises:
        ContractSyntaxError: an id is repeated, or a reference leads nowhere.
    """
    assert isinstance(root, Table)
    return _Builder(root, source).build(digest)
