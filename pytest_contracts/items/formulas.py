"""A claim in the formula language, judged on one set of inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np

from pytest_contracts.contract.model import Claim, Contract, Equation
from pytest_contracts.errors import ContractBindingError, Falsified, FormulaError, Unavailable
from pytest_contracts.formula import LIBRARY, Expr, free_names, judge, parse, render_unicode
from pytest_contracts.formula.judging.baseline import has_wider, wider
from pytest_contracts.formula.reading.remarks import refuse_named
from pytest_contracts.formula.tree import Compare, walk
from pytest_contracts.items.equations import Equations, Subject
from pytest_contracts.items.observation import Observation, Prose
from pytest_contracts.suggesting import did_you_mean
from pytest_contracts.where import Where

DEFAULT_NOISE_FACTOR = 4.0
_DIGITS = frozenset({"noise", "ulp", "relative"})


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
        precision: type[np.floating[Any]] = np.float32,
    ) -> None:
        self.claim = claim
        self.formulas = formulas
        self.equations = contract.equations
        self.observation = observation
        self._parts: dict[int, str] = {}
        self.tolerance = claim.tolerance
        if claim.tolerance_kind == "noise" and self.tolerance is None:
            self.tolerance = DEFAULT_NOISE_FACTOR
        self.precision = precision
        near = any(
            isinstance(part, Compare) and "approx" in dict(part.rest)
            for formula in formulas
            for part in walk(formula.tree)
        )
        self.digits = near and claim.tolerance_kind in _DIGITS
        """Whether the claim counts right digits, for which float64 may have too few."""
        equations = Equations(contract, implementation, observation)
        fixed = {**contract.constants, **parameters, **(functions or {})}
        oracles = wider(precision) if self.digits else np.float64
        self.environment = {**fixed, **equations.environment(oracles)}
        if equation is not None:
            self.environment["definition"] = equations.oracle(equation, precision=oracles)
        self._definitions = _Definitions(equations, equation, fixed, self.environment)
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
        """Resolve the implementations now, so that a bad name is not taken for a counterexample.

        Raises:
            Unavailable: nothing is precise enough to judge the claim.
        """
        if self.claim.tolerance_kind == "noise" and self.digits and not has_wider(self.precision):
            raise Unavailable(
                "longdouble is float64 on this platform, so the noise of float64 cannot be told",
                "run on Linux, or state a relative tolerance",
            )
        for target in self._called().values():
            if isinstance(target, Subject):
                target.bind()

    def __call__(self, inputs: Mapping[str, Any]) -> None:
        """Judge every formula; Falsified at the first that does not hold."""
        for formula in self.formulas:
            self._judge(formula, inputs)

    def _text_of(self, part: Expr) -> str:
        """Return a part of a formula as it is written; it is asked for with every input."""
        if id(part) not in self._parts:
            self._parts[id(part)] = f"the part {render_unicode(part)}"
        return self._parts[id(part)]

    def _judge(self, formula: Formula, inputs: Mapping[str, Any]) -> None:
        self.observation.misfit = None
        try:
            judgement = judge(
                formula.tree,
                {**self.environment, **inputs},
                tolerance=self.tolerance,
                tolerance_kind=self.claim.tolerance_kind,
                floor=self.claim.floor,
                baseline=partial(self._definitions, inputs) if self.digits else None,
                precision=self.precision,
                closest=False,
            )
        except FormulaError as error:
            raise error.located(formula.written or formula.text, formula.where) from None
        self.observation.compared(judgement.compared)
        self.observation.ill_conditioned += judgement.ill_conditioned
        self.observation.judged(formula.text, judgement.compared + judgement.ill_conditioned)
        for node, elements in judgement.parts.values():
            self.observation.judged(self._text_of(node), elements)
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
        if self.observation.misfit is not None:
            raise self.observation.misfit


class _Definitions:
    """The environments in which equations are their definitions, by precision."""

    def __init__(
        self,
        equations: Equations,
        equation: Equation | None,
        fixed: Mapping[str, Any],
        environment: Mapping[str, Any],
    ) -> None:
        self.equations = equations
        self.equation = equation
        self.fixed = fixed
        self.oracle = environment.get("definition")
        self.kept: dict[Any, Mapping[str, Any]] = {}

    def __call__(
        self, inputs: Mapping[str, Any], precision: Any, shaken: np.random.Generator | None
    ) -> Mapping[str, Any]:
        """Return the environment for these inputs, with what is rounded moved where shaken."""
        if shaken is not None:
            return {**self._made(precision, shaken), **inputs}
        kind = np.dtype(precision)
        if kind not in self.kept:
            self.kept[kind] = self._made(precision, None)
        return {**self.kept[kind], **inputs}

    def _made(self, precision: Any, shaken: np.random.Generator | None) -> dict[str, Any]:
        kind = np.dtype(precision).type
        names: dict[str, Any] = {}
        for equation in self.equations.contract.equations:
            oracle = self.equations.oracle(equation, precision=kind, shaken=shaken)
            definition = self.equations.definitions[equation.name]
            if oracle is not None and definition is not None:
                names[equation.name] = oracle
                names.setdefault(definition.name, oracle)
        if self.equation is not None:
            # In a plain evaluation as well, the definition itself is what is compared with.
            names["definition"] = (
                self.oracle
                if shaken is None
                else self.equations.oracle(self.equation, precision=kind, shaken=shaken)
            )
        return {**self.fixed, **names}
