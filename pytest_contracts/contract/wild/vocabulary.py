"""What the bindings of a wild contract say: of its equations, their inputs, its names and words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from pytest_contracts.contract.model import Claim, Contract, Equation, Variable
from pytest_contracts.contract.schema import suggestion
from pytest_contracts.contract.wild.binding_file import Binding
from pytest_contracts.contract.wild.domains import read_domain
from pytest_contracts.contract.wild.resolving import Scope, Unresolved
from pytest_contracts.errors import ContractBindingError, FormulaError
from pytest_contracts.formula import LIBRARY, parse, parse_definition
from pytest_contracts.formula.tree import Definition, Expr, Name, names
from pytest_contracts.where import Where

_HEAD = re.compile(r"\s*(?P<name>[^\W\d]\w*)\((?P<arguments>[^()]*)\)")


class Vocabulary:
    """The bindings of one contract, asked for what they make of it.

    Raises:
        ContractBindingError: a binding speaks of an equation or a claim that the contract does not
            have, or gives a function twice.
    """

    def __init__(self, contract: Contract, bindings: Iterable[Binding]) -> None:
        self.contract = contract
        self.bindings: Sequence[Binding] = [b for b in bindings if b.contract == contract.name]
        self.foreign: dict[str, str] = {}
        """Names that a binding gives to what cannot be imported."""
        self._definitions: dict[str, Definition] = {}
        self._conditions: dict[str, Expr] = {}
        self._check_equations()
        self._check_claims()
        self.equations = {e.name: self._equation(e) for e in contract.equations}
        for binding in self.bindings:
            for name, target in binding.functions.items():
                self.equations[name] = self._function(name, target, binding)

    @property
    def bound(self) -> frozenset[str]:
        """The equations behind which there is a function."""
        return frozenset(name for name, e in self.equations.items() if e.implementations)

    def scope(self, claim: Claim) -> Scope:
        """Return what names and words mean in the formula of a claim."""
        bindings = self._about(claim)
        variables = self._declared(bindings)
        return Scope(
            variables={name: variable.spec for name, variable in variables.items()},
            callables=self.bound,
            aliases=self._named(bindings, variables),
            conditions=self._conditions_of(bindings),
            foreign=self.foreign,
        )

    def variables_for(self, claim: Claim, tree: Expr) -> tuple[Variable, ...]:
        """Return the claim's own variables, those of the equations it calls, then all others."""
        found: dict[str, Variable] = {}
        for binding in self.bindings:
            if claim.id in binding.claims:
                found |= {variable.name: variable for variable in binding.variables}
        called = names(tree)
        for equation in self.equations.values():
            if equation.name in called:
                for variable in equation.variables:
                    found.setdefault(variable.name, variable)
        return tuple({**self._declared(self._about(claim)), **found}.values())

    def applies_to(self, claim: Claim) -> tuple[str, ...]:
        """Return the implementations a claim is about.

        Raises:
            Unresolved: there is none.
        """
        word = claim.applies_to[0]
        known = {name for equation in self.equations.values() for name in equation.implementations}
        if word == "all" or word in known:
            return claim.applies_to
        simd = next(
            (binding.simd["simd"] for binding in self.bindings if "simd" in binding.simd), None
        )
        if word == "simd" and simd is not None:
            return (simd,)
        # These files name an equation here, too.
        if any(word in equation.name for equation in self.contract.equations):
            return ("all",)
        raise Unresolved(f"it applies to {word}, which no binding provides")

    def _check_claims(self) -> None:
        known = {claim.id for claim in self.contract.claims}
        for binding in self.bindings:
            for name in binding.claims:
                if name not in known:
                    message = f"{self.contract.name} has no claim '{name}'"
                    hint = suggestion(name, known)
                    raise ContractBindingError(message, where=binding.where, hint=hint)

    def _check_equations(self) -> None:
        known = [equation.name for equation in self.contract.equations]
        for binding in self.bindings:
            if (
                binding.equation is not None
                and binding.equation not in known
                and not binding.foreign
            ):
                raise ContractBindingError(
                    f"{self.contract.name} has no equation '{binding.equation}'",
                    where=binding.where,
                    hint=f"{suggestion(binding.equation, known)} Functions that the contract only "
                    "names go under functions:.",
                )

    def _equation(self, equation: Equation) -> Equation:
        mine = [binding for binding in self.bindings if binding.equation == equation.name]
        bound = self._bound_here(equation, mine)
        drawn = {v.name: v for binding in mine if not binding.claims for v in binding.variables}
        for variable in self._understood(equation):
            drawn.setdefault(variable.name, variable)
        arguments = next((binding.arguments for binding in mine if binding.arguments), ())
        parameters = arguments or tuple(name for name in _head(equation)[1] if name in drawn)
        for binding in self.bindings:
            for variable in () if binding.claims else binding.variables:
                if variable.name in parameters:
                    drawn.setdefault(variable.name, variable)
        return replace(
            equation,
            variables=tuple(drawn.values()),
            implementations=MappingProxyType({name: target for name, (target, _) in bound.items()}),
            implementation_where=MappingProxyType({n: where for n, (_, where) in bound.items()}),
            parameters=parameters,
        )

    def _bound_here(
        self, equation: Equation, bindings: Iterable[Binding]
    ) -> dict[str, tuple[str, Where]]:
        """Return the implementations of an equation and where each is stated."""
        bound: dict[str, tuple[str, Where]] = {}
        for binding in bindings:
            if binding.foreign is not None:
                self.foreign[equation.name] = binding.foreign
                continue
            bound |= {name: (t, binding.where) for name, t in binding.implementations.items()}
        return bound

    def _understood(self, equation: Equation) -> Iterator[Variable]:
        """Yield the variables that the equation's own domain declares.

        What a binding says of a name counts, wherever in the file it says it.
        """
        domain = equation.extra.get("wild", {}).get("domain")
        said = {v.name for binding in self.bindings for v in binding.variables}
        said |= {head.partition("(")[0] for binding in self.bindings for head in binding.names}
        for variable in read_domain(domain, equation.where) if isinstance(domain, str) else ():
            if variable.name not in said:
                yield variable

    def _function(self, name: str, target: Mapping[str, str] | str, binding: Binding) -> Equation:
        """Return a function that the contract only names, as an equation of its own."""
        if name in self.equations and self.equations[name].implementations:
            raise ContractBindingError(
                f"{self.contract.name} has an equation '{name}' already", where=binding.where
            )
        if isinstance(target, str):
            known = sorted({i for e in self.bindings for i in e.implementations})
            if len(known) != 1:
                raise ContractBindingError(
                    f"functions: {name} needs a target for each of {', '.join(known) or 'none'}",
                    where=binding.where,
                )
            target = {known[0]: target}
        return Equation(
            name=name,
            where=binding.where,
            formula=None,
            formula_where=binding.where,
            variables=(),
            codomain=None,
            implementations=MappingProxyType(dict(target)),
            implementation_where=MappingProxyType(dict.fromkeys(target, binding.where)),
        )

    def _about(self, claim: Claim) -> list[Binding]:
        """Return what is said of a claim, what is said of it alone first."""
        mine = [binding for binding in self.bindings if claim.id in binding.claims]
        return [*mine, *(binding for binding in self.bindings if not binding.claims)]

    def _declared(self, bindings: Iterable[Binding]) -> dict[str, Variable]:
        found: dict[str, Variable] = {}
        for binding in bindings:
            for variable in binding.variables:
                found.setdefault(variable.name, variable)
        for equation in self.equations.values():
            for variable in equation.variables:
                found.setdefault(variable.name, variable)
        return found

    def _named(
        self, bindings: Iterable[Binding], variables: Iterable[str]
    ) -> dict[str, Definition]:
        """Return what names stand for: the bindings' words first, then the equations' heads."""
        found: dict[str, Definition] = {}
        for binding in bindings:
            for head, meaning in binding.names.items():
                definition = self._definition(head, meaning, binding)
                found.setdefault(definition.name, definition)
        taken = {*self.equations, *variables, *LIBRARY, *found}
        for equation in self.contract.equations:
            name = _head(equation)[0]
            if name is not None and name not in taken:
                found[name] = Definition(name, (), Name(equation.name))
                if equation.name in self.foreign:
                    self.foreign.setdefault(name, self.foreign[equation.name])
        return found

    def _definition(self, head: str, meaning: str, binding: Binding) -> Definition:
        text = f"{head} = ({meaning})"
        try:
            if text not in self._definitions:
                self._definitions[text] = parse_definition(text)
            return self._definitions[text]
        except FormulaError as error:
            raise ContractBindingError(
                f"names: '{head}: {meaning}' is no definition: {error.message}",
                where=binding.where,
            ) from None

    def _formula(self, text: str, binding: Binding) -> Expr:
        try:
            if text not in self._conditions:
                self._conditions[text] = parse(text)
            return self._conditions[text]
        except FormulaError as error:
            raise ContractBindingError(
                f"conditions: '{text}' is no formula: {error.message}", where=binding.where
            ) from None

    def _conditions_of(self, bindings: Iterable[Binding]) -> dict[str, Expr]:
        found: dict[str, Expr] = {}
        for binding in bindings:
            for text, meaning in binding.conditions.items():
                found.setdefault(text, self._formula(meaning, binding))
        return found


def _head(equation: Equation) -> tuple[str | None, tuple[str, ...]]:
    """Return the name and the arguments that a wild formula gives its function."""
    formula = equation.extra.get("wild", {}).get("formula")
    match = _HEAD.match(formula) if isinstance(formula, str) else None
    if match is None:
        return None, ()
    return match["name"], tuple(part.strip() for part in match["arguments"].split(","))
