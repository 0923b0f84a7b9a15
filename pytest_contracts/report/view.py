"""What the HTML page shows, put in order before a template lays it out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from markupsafe import Markup

from pytest_contracts.contract import Claim, Contract, Equation, FalsificationTest, ProofObligation
from pytest_contracts.contract.scope import concerned, implementation_names, variables_of
from pytest_contracts.errors import ContractError
from pytest_contracts.formula import free_names, parse
from pytest_contracts.ledger.levels import Rung, claim_levels, contract_level, ladder
from pytest_contracts.ledger.records import Record
from pytest_contracts.ledger.verdict import Level, Verdict, worst
from pytest_contracts.report.failure import counterexample_yaml
from pytest_contracts.report.mathml import typeset
from pytest_contracts.report.report import Place, Report, Section, failed
from pytest_contracts.report.text import percent

_NOT_IN_ANCHORS = re.compile(r"[^\w./-]+")


@dataclass(frozen=True)
class Tally:
    """Items counted by verdict, those that call for a person first."""

    counts: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, records: Iterable[Record]) -> Tally:
        """Count."""
        counted = Counter(record.verdict for record in records)
        return cls(
            tuple((verdict.value, counted[verdict]) for verdict in Verdict if counted[verdict])
        )

    @property
    def total(self) -> int:
        """All items."""
        return sum(number for _, number in self.counts)

    @property
    def bars(self) -> list[tuple[str, int, float, float]]:
        """The verdicts that hold first: word, number, start and width in percent."""
        bars, start = [], 0.0
        for verdict, number in reversed(self.counts):
            width = percent(number, self.total)
            bars.append((verdict, number, round(start, 3), round(width, 3)))
            start += width
        return bars


@dataclass(frozen=True)
class FormulaView:
    """A formula as written, and typeset where it parses."""

    text: str
    math: Markup | None


@dataclass(frozen=True)
class EquationView:
    """An equation of a contract."""

    name: str
    formula: FormulaView | None
    domains: tuple[tuple[str, str], ...]
    codomain: str | None
    implementations: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ClaimView:
    """A claim, what its file says of it, and its items."""

    id: str
    anchor: str
    contract: str
    records: tuple[Record, ...]
    level: Level | None
    claim: Claim | None = None
    formulas: tuple[FormulaView, ...] = ()
    domains: tuple[tuple[str, str], ...] = ()
    facts: tuple[tuple[str, str], ...] = ()

    @property
    def kind(self) -> str:
        """The section of the file that the claim stands in."""
        return self.records[0].kind

    @property
    def verdict(self) -> str:
        """The verdict among its items that calls loudest for a person."""
        return worst(Verdict(record.verdict) for record in self.records).value

    @property
    def statement(self) -> str:
        """What is claimed, in words."""
        return self.claim.statement if self.claim is not None else self.records[0].message

    @property
    def place(self) -> Place:
        """Where the claim stands."""
        return Place.of(self.records[0].where)

    @property
    def verdicts(self) -> str:
        """The verdicts of all its items, for the filter."""
        return " ".join(sorted({record.verdict for record in self.records}))

    @cached_property
    def implementations(self) -> tuple[str, ...]:
        """The columns of its table."""
        return tuple(dict.fromkeys(record.implementation or "" for record in self.records))

    @property
    def rows(self) -> list[tuple[str, list[Record | None]]]:
        """One row per set of parameters, one record per implementation."""
        table: dict[str, dict[str, Record]] = {}
        for record in self.records:
            label = ", ".join(f"{name} = {word}" for name, word in record.parameters.items())
            table.setdefault(label, {})[record.implementation or ""] = record
        return [(label, [row.get(i) for i in self.implementations]) for label, row in table.items()]

    @property
    def ran(self) -> dict[str, dict[str, str]]:
        """What ran, by implementation and equation."""
        found: dict[str, dict[str, str]] = {}
        for record in self.records:
            if not Verdict(record.verdict).absent:
                found.setdefault(record.implementation or "", {}).update(record.ran)
        return found

    @property
    def findings(self) -> list[Record]:
        """The items that are not verified or failed, those that call for a person first."""
        return sorted(
            (record for record in self.records if not record.verified or failed(record)),
            key=lambda record: Verdict(record.verdict).rank,
        )

    @property
    def messages(self) -> list[str]:
        """What verified items say, as on what a proof rests, each thing once."""
        return list(dict.fromkeys(r.message for r in self.records if r.verified and r.message))


@dataclass(frozen=True)
class ContractView:
    """A contract, what its file says of it, and its claims."""

    name: str
    anchor: str
    path: str
    level: Level
    rungs: tuple[Rung, ...]
    tally: Tally
    claims: tuple[ClaimView, ...]
    equations: tuple[EquationView, ...]
    not_run: tuple[str, ...]
    contract: Contract | None


def contract_views(report: Report) -> tuple[ContractView, ...]:
    """Return the contracts of a run as the page shows them."""
    anchors = _Anchors()
    return tuple(_contract_view(section, report, anchors) for section in report.sections)


class _Anchors:
    """Gives each thing a name that stays the same from run to run and is there once."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def of(self, *names: str) -> str:
        wanted = "/".join(_NOT_IN_ANCHORS.sub("-", name) for name in names)
        anchor, number = wanted, 1
        while anchor in self._taken:
            number += 1
            anchor = f"{wanted}.{number}"
        self._taken.add(anchor)
        return anchor


def _contract_view(section: Section, report: Report, anchors: _Anchors) -> ContractView:
    contract = report.contract(section)
    known = {claim.id: claim for claim in contract.claims} if contract is not None else {}
    held_to = report.extent.of_contract(section.name)
    levels = claim_levels(held_to)
    anchor = anchors.of(section.name)
    claims = []
    for name, records in section.claims.items():
        claim = known.get(name)
        described = _described(contract, claim, records) if contract and claim else {}
        claims.append(
            ClaimView(
                id=name,
                anchor=anchors.of(section.name, name),
                contract=section.name,
                records=records,
                level=levels.get(name),
                **described,
            )
        )
    return ContractView(
        name=section.name,
        anchor=anchor,
        path=section.path,
        level=contract_level(held_to),
        rungs=ladder(held_to),
        tally=Tally.of(section.records),
        claims=tuple(claims),
        equations=tuple(_equation_view(contract, e) for e in contract.equations)
        if contract is not None
        else (),
        not_run=tuple(name for name in known if name not in section.claims),
        contract=contract,
    )


def _described(contract: Contract, claim: Claim, records: Sequence[Record]) -> dict[str, Any]:
    """Return what the file says of a claim; what was judged, where it ran, else what is written."""
    judged = dict.fromkeys(text for record in records for text in record.formulas)
    texts = list(judged) or ([claim.formal] if claim.formal is not None else [])
    wild = _wild(claim.extra)
    shown = [(text, text) for text in texts]
    if not shown and "written" in wild:
        shown = [(str(wild["written"]), str(wild.get("reading", "")))]
    return {
        "claim": claim,
        "formulas": tuple(FormulaView(text, typeset(read)) for text, read in shown),
        "domains": _domains(_variables(contract, claim, texts)),
        "facts": tuple((name, value) for name, value in _facts(claim) if value),
    }


def _wild(extra: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return how an existing contract wrote it and how that was read, {} where it is ours."""
    wild = extra.get("wild")
    return wild if isinstance(wild, Mapping) else {}


def _variables(contract: Contract, claim: Claim, texts: Iterable[str]) -> Mapping[str, Any]:
    mentioned: frozenset[str] = frozenset()
    try:
        for text in texts:
            mentioned |= free_names(parse(text))
        found = variables_of(contract, claim, concerned(contract, claim, mentioned))
    except (ContractError, KeyError):
        found = {variable.name: variable for variable in claim.variables}
    return {name: variable.spec for name, variable in found.items()}


def _facts(claim: Claim) -> Iterable[tuple[str, str | None]]:
    if isinstance(claim, ProofObligation):
        yield "type", claim.type
    if isinstance(claim, FalsificationTest):
        yield "rule", claim.rule
    if claim.tolerance is not None or claim.tolerance_kind != "absolute":
        amount = "" if claim.tolerance is None else f"{claim.tolerance:g} "
        yield "tolerance", f"{amount}({claim.tolerance_kind})"
    obligation = getattr(claim, "obligation", None)
    bound = getattr(claim, "bound", None)
    yield "proves", obligation
    yield "bound", None if bound is None else str(bound)
    yield "runs", claim.run
    wild = _wild(claim.extra)
    yield (
        "written",
        str(wild["written"]) if claim.formal is not None and "written" in wild else None,
    )
    yield "read as", str(wild["reading"]) if claim.formal is None and "reading" in wild else None
    yield "requires", ", ".join(claim.requires)
    yield "declared level", claim.declared_level
    yield "status", claim.status if claim.status != "ACTIVE" else None
    because = claim.extra.get("because")
    yield "because", None if because is None else str(because)


def _equation_view(contract: Contract, equation: Equation) -> EquationView:
    formula = equation.formula
    if formula is None:
        formula = _wild(equation.extra).get("formula")
    decorated = implementation_names(contract, equation)
    return EquationView(
        name=equation.name,
        formula=None
        if formula is None
        else FormulaView(str(formula), typeset(str(formula), definition=True)),
        domains=_domains({variable.name: variable.spec for variable in equation.variables}),
        codomain=equation.codomain,
        implementations=tuple((n, equation.implementations.get(n, "")) for n in decorated),
    )


def _domains(specs: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return each variable and its domain as the file writes it."""
    shown = []
    for name, spec in specs.items():
        _, _, text = counterexample_yaml({"": spec}).partition(": ")
        shown.append((name, text))
    return tuple(shown)
