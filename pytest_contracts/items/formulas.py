"""A claim in the formula language, judged on one set of inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from pytest_contracts.contract.model import Claim, Contract, Equation
from pytest_contracts.errors import ContractBindingError, Falsified, FormulaError
from pytest_contracts.formula import LIBRARY, Expr, free_names, judge, parse
from pytest_contracts.formula.reading.remarks import refuse_named
from pytest_contracts.items.equations import Equations, Subject
from pytest_contracts.items.observation import Observation, Prose
from pytest_contracts.suggesting import did_you_mean
from pytest_contracts.where import Where

DEFAULT_NOISE_FACTOR = 4.0


@dataclass(frozen=True)
class Formula:
    """A parsed claim and where its text stands."""

    text: str
    tree: Expr
    names: frozenset[str]
    """The names that the environment must provide."""
    where: Where
    written: str | None = None
    """The text in which the tree's offsets are places, where that is another one."""

    @classmethod
    def of(cls, text: str, where: Where) -> Formula:
        """Parse a formula; FormulaError with its place where it does not parse."""
        try:
            return cls(text, *_read(text), where)
        except FormulaError as error:
            raise error.located(text, where) from None

    @classmethod
    def of_claim(cls, claim: Claim) -> Formula | None:
        """Return the formula of a claim, None where it has none.

        Raises:
            FormulaError: it does not parse.
        """
        if claim.formal is None:
            return None
        where = claim.formal_where or claim.where
        if claim.read is None:
            return cls.of(claim.formal, where)
        tree = claim.read.tree
        return cls(claim.formal, tree, free_names(tree), where, claim.read.written)


@lru_cache(maxsize=4096)
def _read(text: str) -> tuple[Expr, frozenset[str]]:
    """Return a formula's tree and its free names; every implementation's item asks for them."""
    tree = parse(text)
    return tree, free_names(tree)


def known_names(contract: Contract, variables: Mapping[str, Any]) -> set[str]:
    """Return every name that a claim's formula may use."""
    equations = Equations(contract, None, Observation())
    return {
        *variables,
        *contract.constants,
        *equations.environment(),
        *(equation.name for equation in contract.equations),
        "tolerance",
        "definition",
    }


def check_names(formula: Formula, known: set[str]) -> None:
    """Raise FormulaError for a name that resolves to nothing, or stands where a remark may."""
    try:
        refuse_named(formula.text, known)
    except FormulaError as error:
        raise error.located(formula.text, formula.where) from None
    for name in sorted(formula.names - known):
        raise FormulaError(
            f"the formula uses {name!r}, which is no variable, constant or equation here\n"
            f"    {formula.text}",
            text=formula.text,
            where=formula.where,
            hint=did_you_mean(name, [*known, *LIBRARY]) or f"Known: {', '.join(sorted(known))}.",
        )


class FormulaCheck:
    """Judges formulas for one implementation, counting what they compare."""

    def __init__(
        self,
        contract: Contract,
        claim: Claim,
        formulas: tuple[Formula, ...],
        *,
        implementation: str | None,
        parameters: Mapping[str, Any],
        observation: Observation,
        functions: Mapping[str, Callable[..., Any]] | None = None,
        equation: Equation | None = None,
    ) -> None:
        self.claim = claim
        self.formulas = formulas
        self.equations = contract.equations
        self.observation = observation
        self.tolerance = claim.tolerance
        noisy = claim.tolerance_kind == "noise"
        if noisy and self.tolerance is None:
            self.tolerance = DEFAULT_NOISE_FACTOR
        equations = Equations(contract, implementation, observation)
        fixed = {**contract.constants, **parameters, **(functions or {})}
        self.environment = {**fixed, **equations.environment()}
        self.baseline = {**fixed, **_definitions(equations, np.float32)} if noisy else None
        if equation is not None:
            oracle = equations.oracle(equation)
            self.environment["definition"] = oracle
            if self.baseline is not None:
                self.baseline["definition"] = oracle
        self._unresolved(contract, implementation)
        observation.counts = True
        observation.formulas = tuple(formula.text for formula in formulas)

    def _unresolved(self, contract: Contract, implementation: str | None) -> None:
        """Refuse a formula that names an equation behind which there is nothing."""
        for formula in self.formulas:
            for equation in contract.equations:
                if equation.name in formula.names and self.environment.get(equation.name) is None:
                    raise ContractBindingError(
                        f"equation {equation.name!r} has no formula"
                        f" and no implementation {implementation or ''!r}".rstrip(" '"),
                        where=equation.where,
                    )

    def _called(self) -> dict[str, Any]:
        """Return what stands behind the names that the formulas use."""
        used = frozenset().union(*(formula.names for formula in self.formulas))
        return {name: target for name, target in self.environment.items() if name in used}

    def refuse_prose(self) -> None:
        """Raise Prose where the formulas call no implementation: nothing would be judged."""
        called = self._called()
        if any(isinstance(target, Subject) for target in called.values()):
            return
        unbound = [repr(name) for name, target in called.items() if callable(target)]
        if unbound:
            noun = "equation" if len(unbound) == 1 else "equations"
            raise Prose(
                f"not executable: no implementation is bound to {noun} {', '.join(unbound)}"
            )
        hidden = [equation.name for equation in self.equations if equation.name in LIBRARY]
        why = f", {hidden[0]!r} means the library's function" if hidden else ""
        raise Prose(f"not executable: the formula calls no implementation{why}")

    def bind(self) -> None:
        """Resolve the implementations now, so that a bad name is not taken for a counterexample."""
        for target in self._called().values():
            if isinstance(target, Subject):
                target.bind()

    def __call__(self, inputs: Mapping[str, Any]) -> None:
        """Judge every formula; Falsified at the first that does not hold."""
        for formula in self.formulas:
            self._judge(formula, inputs)

    def _judge(self, formula: Formula, inputs: Mapping[str, Any]) -> None:
        try:
            judgement = judge(
                formula.tree,
                {**self.environment, **inputs},
                tolerance=self.tolerance,
                tolerance_kind=self.claim.tolerance_kind,
                floor=self.claim.floor,
                baseline=None if self.baseline is None else {**self.baseline, **inputs},
                closest=False,
            )
        except FormulaError as error:
            raise error.located(formula.written or formula.text, formula.where) from None
        self.observation.compared(judgement.compared)
        self.observation.ill_conditioned += judgement.ill_conditioned
        self.observation.judged(formula.text, judgement.compared + judgement.ill_conditioned)
        if not judgement.holds:
            detail = {"reason": judgement.reason} if judgement.reason else {}
            raise Falsified(
                judgement.comparison,
                substituted=judgement.substituted,
                left=judgement.left,
                right=judgement.right,
                error=judgement.error,
                tolerance=judgement.tolerance,
                index=judgement.index,
                detail=detail,
            )


def _definitions(
    equations: Equations, precision: type[np.floating[Any]]
) -> dict[str, Callable[..., Any]]:
    """Return the equations' definitions under every name that a formula may use."""
    names: dict[str, Callable[..., Any]] = {}
    for equation in equations.contract.equations:
        oracle = equations.oracle(equation, precision=precision)
        definition = equations.definitions[equation.name]
        if oracle is not None and definition is not None:
            names[equation.name] = oracle
            names.setdefault(definition.name, oracle)
    return names
