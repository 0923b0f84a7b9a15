"""What a contract is, once read: immutable, typed, and aware of where each part stands.

Nothing here runs a claim or knows pytest. Identifiers, levels and verdicts that a file *declares*
are kept apart (``declared_*``) from what the ledger will say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from pytest_contracts.tolerance import ToleranceKind
from pytest_contracts.where import Where

if TYPE_CHECKING:
    from pytest_contracts.formula.tree import Expr

ClaimKind = Literal["obligation", "falsification", "harness", "gate"]
Status = Literal["PROPOSED", "ACTIVE", "VIOLATED", "BLOCKED", "RETIRED"]
Dialect = Literal["strict", "wild"]

EMPTY: Mapping[str, Any] = MappingProxyType({})


def _empty() -> Mapping[str, Any]:
    """Return the shared empty mapping; before Python 3.12 it cannot be a default itself."""
    return EMPTY


@dataclass(frozen=True, slots=True)
class Variable:
    """A named input and its domain, as written (``domains/`` gives the spec its meaning)."""

    name: str
    spec: Any
    where: Where


@dataclass(frozen=True, slots=True)
class Regression:
    """Inputs that broke a claim once, as written; ``places`` are those of the variables."""

    values: Mapping[str, Any]
    where: Where
    places: Mapping[str, Where]


@dataclass(frozen=True, slots=True)
class Equation:
    """A named function under contract: its definition, inputs and implementations."""

    name: str
    where: Where
    formula: str | None
    formula_where: Where
    variables: tuple[Variable, ...]
    codomain: str | None
    implementations: Mapping[str, str]
    implementation_where: Mapping[str, Where]
    parameters: tuple[str, ...] = ()
    """The variables that are its arguments, where no formula says so."""
    extra: Mapping[str, Any] = field(default_factory=_empty)


@dataclass(frozen=True, slots=True)
class ReadFormula:
    """A formula that was read together with its file, from a notation other than the strict one."""

    tree: Expr
    written: str
    """The text in which the offsets of the tree are places."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What obligations, falsification tests and harnesses have in common."""

    id: str
    where: Where
    statement: str
    equation: str | None = None
    formal: str | None = None
    formal_where: Where | None = None
    read: ReadFormula | None = None
    """The formula itself, where its dialect has read it; ``formal`` is its rendering then."""
    variables: tuple[Variable, ...] = ()
    tolerance: float | None = None
    tolerance_kind: ToleranceKind = "absolute"
    floor: float | None = None
    applies_to: tuple[str, ...] = ("all",)
    examples: int | None = None
    regressions: tuple[Regression, ...] = ()
    run: str | None = None
    run_where: Where | None = None
    parametrize: Mapping[str, Any] = field(default_factory=_empty)
    requires: tuple[str, ...] = ()
    if_fails: str | None = None
    status: Status = "ACTIVE"
    declared_level: str | None = None
    prose: str | None = None
    """Why the claim cannot be executed, where its dialect says so."""
    extra: Mapping[str, Any] = field(default_factory=_empty)

    @property
    def kind(self) -> ClaimKind:
        """Which section of the contract the claim stands in."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofObligation(Claim):
    """A property claimed for all valid inputs."""

    type: str

    @property
    def kind(self) -> ClaimKind:
        """Always ``obligation``."""
        return "obligation"


@dataclass(frozen=True, slots=True, kw_only=True)
class FalsificationTest(Claim):
    """A named attempt to break a prediction."""

    rule: str

    @property
    def kind(self) -> ClaimKind:
        """Always ``falsification``."""
        return "falsification"


@dataclass(frozen=True, slots=True, kw_only=True)
class Harness(Claim):
    """A bounded proof: the field keeps its upstream name, ``kani_harnesses``."""

    obligation: str | None
    bound: int | None
    strategy: str
    solver: str

    @property
    def kind(self) -> ClaimKind:
        """Always ``harness``."""
        return "harness"


@dataclass(frozen=True, slots=True)
class Mutant:
    """A deliberate defect and the items that must notice it."""

    id: str
    where: Where
    target: str
    replace: tuple[str, str] | None
    killed_by: tuple[str, ...]
    incident: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Unkilled:
    """Claims that no mutant need kill, and why."""

    claims: tuple[str, ...]
    because: str
    where: Where


@dataclass(frozen=True, slots=True)
class QaGate:
    """The claims that must hold together, and the mutants that show the gate can fail."""

    id: str
    where: Where
    checks: tuple[str, ...]
    mutants: tuple[Mutant, ...] = ()
    unkilled: tuple[Unkilled, ...] = ()


@dataclass(frozen=True, slots=True)
class Metadata:
    """The header of a contract."""

    version: str
    kind: str
    status: Status
    description: str
    references: tuple[str, ...]
    depends_on: tuple[str, ...]
    depends_on_where: Mapping[str, Where] = field(default_factory=_empty)
    extra: Mapping[str, Any] = field(default_factory=_empty)


@dataclass(frozen=True, slots=True)
class Remark:
    """Something in a file that a reader should know, though it is no fault."""

    message: str
    where: Where


@dataclass(frozen=True, slots=True)
class Contract:
    """One contract file; ``name`` is the file's stem."""

    name: str
    path: Path
    where: Where
    sha256: str
    metadata: Metadata
    constants: Mapping[str, Any]
    equations: tuple[Equation, ...]
    obligations: tuple[ProofObligation, ...]
    falsification_tests: tuple[FalsificationTest, ...]
    harnesses: tuple[Harness, ...]
    qa_gate: QaGate | None
    dialect: Dialect = "strict"
    dialect_shown: Remark | None = None
    """What in the file shows its dialect, or that nothing does."""
    remarks: tuple[Remark, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=_empty)

    @property
    def claims(self) -> tuple[Claim, ...]:
        """Every claim: obligations, falsification tests, harnesses, each in file order."""
        return (*self.obligations, *self.falsification_tests, *self.harnesses)

    @property
    def sibling(self) -> Path:
        """The Python module beside the file that holds ``run:`` procedures (it may not exist).

        Of a symbolic link, beside the link; else beside the file that it leads to.
        """
        beside = self.path.with_name(self.path.stem.replace("-", "_") + ".py")
        if self.path.is_symlink() and not beside.exists():
            real = self.path.resolve()
            return real.with_name(real.stem.replace("-", "_") + ".py")
        return beside

    def equation(self, name: str) -> Equation:
        """Return the equation called ``name``; KeyError when the contract has none."""
        for equation in self.equations:
            if equation.name == name:
                return equation
        raise KeyError(name)

    def dependency_where(self, name: str) -> Where:
        """Return where the contract says that it depends on another."""
        return self.metadata.depends_on_where.get(name, self.where)
