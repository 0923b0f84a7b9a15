"""A wild contract and its bindings to one that runs: strict formulas, or the reason why not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, TypeVar

from pytest_contracts.contract.model import (
    Claim,
    Contract,
    Equation,
    FalsificationTest,
    ProofObligation,
    ReadFormula,
    Variable,
)
from pytest_contracts.contract.schema import suggestion
from pytest_contracts.contract.wild.binding_file import Binding
from pytest_contracts.contract.wild.domains import read_domain
from pytest_contracts.contract.wild.resolving import Scope, Unresolved, broadcast, loosened, resolve
from pytest_contracts.errors import ContractBindingError, FormulaError
from pytest_contracts.formula import LIBRARY, parse, parse_definition, render_unicode
from pytest_contracts.formula.reading.wild import Reading, read
from pytest_contracts.formula.tree import Definition, Expr, Name, names
from pytest_contracts.tolerance import ToleranceKind
from pytest_contracts.where import Where

_Claim = TypeVar("_Claim", ProofObligation, FalsificationTest)
_HEAD = re.compile(r"\s*(?P<name>[^\W\d]\w*)\((?P<arguments>[^()]*)\)")


def bind(contract: Contract, bindings: Iterable[Binding]) -> Contract:
    """Return the contract with every claim either executable or prose with its reason.

    Raises:
        ContractBindingError: a binding names an equation that the contract does not have, or says
            something of its words that is no formula.
    """
    mine = [binding for binding in bindings if binding.contract == contract.name]
    return _Binder(contract, mine).bound()


class _Binder:
    def __init__(self, contract: Contract, bindings: Sequence[Binding]) -> None:
        self.contract = contract
        self.bindings = bindings
        self.check_equations()
        self.foreign: dict[str, str] = {}
        self.definitions: dict[str, Definition] = {}
        self.conditions: dict[str, Expr] = {}
        self.equations = {e.name: self.equation(e) for e in contract.equations}
        for binding in bindings:
            for name, target in binding.functions.items():
                self.equations[name] = self.function(name, target, binding)

    def bound(self) -> Contract:
        known = {claim.id for claim in self.contract.claims}
        for binding in self.bindings:
            for name in binding.claims:
                if name not in known:
                    message = f"{self.contract.name} has no claim '{name}'"
                    hint = suggestion(name, known)
                    raise ContractBindingError(message, where=binding.where, hint=hint)
        obligations = tuple(self.obligation(claim) for claim in self.contract.obligations)
        tests = tuple(self.test(claim) for claim in self.contract.falsification_tests)
        return replace(
            self.contract,
            equations=tuple(self.equations.values()),
            obligations=obligations,
            falsification_tests=tests,
        )

    # -- what the bindings say ------------------------------------------------------------------

    def check_equations(self) -> None:
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

    def equation(self, equation: Equation) -> Equation:
        mine = [binding for binding in self.bindings if binding.equation == equation.name]
        targets: dict[str, str] = {}
        places: dict[str, Where] = {}
        for binding in mine:
            if binding.foreign is not None:
                self.foreign[equation.name] = binding.foreign
                continue
            targets |= binding.implementations
            places |= dict.fromkeys(binding.implementations, binding.where)
        arguments = next((binding.arguments for binding in mine if binding.arguments), ())
        written = equation.extra.get("wild", {})
        domain = written.get("domain")
        drawn = {v.name: v for binding in mine if not binding.claims for v in binding.variables}
        if isinstance(domain, str):
            # What a binding says of a name counts, wherever in the file it says it.
            said = {v.name for binding in self.bindings for v in binding.variables}
            said |= {head.partition("(")[0] for binding in self.bindings for head in binding.names}
            for variable in read_domain(domain, equation.where):
                if variable.name not in said:
                    drawn.setdefault(variable.name, variable)
        parameters = arguments or tuple(name for name in _head(equation)[1] if name in drawn)
        for binding in self.bindings:
            for variable in () if binding.claims else binding.variables:
                if variable.name in parameters:
                    drawn.setdefault(variable.name, variable)
        return replace(
            equation,
            variables=tuple(drawn.values()),
            implementations=MappingProxyType(targets),
            implementation_where=MappingProxyType(places),
            parameters=parameters,
        )

    def function(self, name: str, target: Mapping[str, str] | str, binding: Binding) -> Equation:
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

    def about(self, claim: Claim) -> list[Binding]:
        """Return what is said of a claim, what is said of it alone first."""
        mine = [binding for binding in self.bindings if claim.id in binding.claims]
        return [*mine, *(binding for binding in self.bindings if not binding.claims)]

    def declared(self, bindings: Iterable[Binding]) -> dict[str, Variable]:
        found: dict[str, Variable] = {}
        for binding in bindings:
            for variable in binding.variables:
                found.setdefault(variable.name, variable)
        for equation in self.equations.values():
            for variable in equation.variables:
                found.setdefault(variable.name, variable)
        return found

    def named(self, bindings: Iterable[Binding], variables: Iterable[str]) -> dict[str, Definition]:
        """Return what names stand for: the bindings' words first, then the equations' heads."""
        found: dict[str, Definition] = {}
        for binding in bindings:
            for head, meaning in binding.names.items():
                definition = self.definition(head, meaning, binding)
                found.setdefault(definition.name, definition)
        taken = {*self.equations, *variables, *LIBRARY, *found}
        for equation in self.contract.equations:
            name = _head(equation)[0]
            if name is not None and name not in taken:
                found[name] = Definition(name, (), Name(equation.name))
                if equation.name in self.foreign:
                    self.foreign.setdefault(name, self.foreign[equation.name])
        return found

    def definition(self, head: str, meaning: str, binding: Binding) -> Definition:
        text = f"{head} = ({meaning})"
        try:
            if text not in self.definitions:
                self.definitions[text] = parse_definition(text)
            return self.definitions[text]
        except FormulaError as error:
            raise ContractBindingError(
                f"names: '{head}: {meaning}' is no definition: {error.message}",
                where=binding.where,
            ) from None

    def formula(self, text: str, binding: Binding) -> Expr:
        try:
            if text not in self.conditions:
                self.conditions[text] = parse(text)
            return self.conditions[text]
        except FormulaError as error:
            raise ContractBindingError(
                f"conditions: '{text}' is no formula: {error.message}", where=binding.where
            ) from None

    # -- claims ---------------------------------------------------------------------------------

    def obligation(self, claim: ProofObligation) -> ProofObligation:
        if claim.formal is not None:
            return self.claim(claim, claim.formal, claim.statement)
        if claim.type == "equivalence":
            return self.equivalence(claim)
        return replace(claim, prose="it has no formal")

    def test(self, claim: FalsificationTest) -> FalsificationTest:
        """Return a test whose prediction is its claim; ``test:`` is never executed."""
        text = claim.formal or claim.statement
        where = claim.formal_where or claim.where
        return self.claim(replace(claim, formal_where=where), text, claim.statement)

    def claim(self, claim: _Claim, text: str, spoken: str) -> _Claim:
        """Return a claim with the formula of what it says, or with the reason for none."""
        kept = {**claim.extra.get("wild", {}), "written": text}
        try:
            reading = read(text)
            kept["reading"] = render_unicode(reading.tree)
            applies = self.applies_to(claim)
            tree, tolerance, kind = self.resolved(claim, reading, spoken)
        except FormulaError as error:
            return self.prose(claim, f"not a formula: {error.message}", kept)
        except Unresolved as error:
            return self.prose(claim, str(error), kept)
        return replace(
            claim,
            formal=render_unicode(tree),
            read=ReadFormula(tree, text),
            variables=self.variables_for(claim, tree),
            tolerance=tolerance,
            tolerance_kind=kind,
            applies_to=applies,
            extra=MappingProxyType({**claim.extra, "wild": MappingProxyType(kept)}),
        )

    def prose(self, claim: _Claim, reason: str, kept: Mapping[str, Any]) -> _Claim:
        extra = MappingProxyType({**claim.extra, "wild": MappingProxyType(dict(kept))})
        return replace(claim, formal=None, formal_where=None, prose=reason, extra=extra)

    def resolved(
        self, claim: Claim, reading: Reading, spoken: str
    ) -> tuple[Expr, float | None, ToleranceKind]:
        tolerance = claim.tolerance if claim.tolerance is not None else reading.tolerance
        bound = {name for name, e in self.equations.items() if e.implementations}
        bindings = self.about(claim)
        variables = self.declared(bindings)
        conditions: dict[str, Expr] = {}
        for binding in bindings:
            for text, meaning in binding.conditions.items():
                conditions.setdefault(text, self.formula(meaning, binding))
        scope = Scope(
            variables={name: variable.spec for name, variable in variables.items()},
            callables=frozenset(bound),
            aliases=self.named(bindings, variables),
            conditions=conditions,
            foreign=self.foreign,
        )
        tree = resolve(reading.tree, scope, tolerance=tolerance is not None)
        if not names(tree) & bound:
            raise Unresolved("it calls nothing that is bound")
        if reading.remark.startswith("broadcast"):
            tree = broadcast(tree)
        if tolerance is not None and "tolerance" not in names(tree):
            tree = loosened(tree)
        ulp = reading.in_ulp or re.search(r"\bULPs?\b", spoken) is not None
        return tree, tolerance, "ulp" if ulp else "absolute"

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
        return tuple({**self.declared(self.about(claim)), **found}.values())

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

    def equivalence(self, claim: ProofObligation) -> ProofObligation:
        """Return "SIMD matches scalar" as the template of its type, between two implementations."""
        pairs = [
            binding for binding in self.bindings if binding.simd and binding.equation is not None
        ]
        if not pairs:
            cannot = next(iter(self.foreign.values()), None)
            reason = "it has no formal, and no binding says what simd and scalar are"
            return replace(claim, prose=reason if cannot is None else f"cannot import {cannot}")
        if len(pairs) > 1:
            return replace(claim, prose="it has no formal, and several equations may be meant")
        pair = pairs[0]
        if not {"simd", "scalar"} <= pair.simd.keys():
            raise ContractBindingError("simd: says what 'simd' and 'scalar' are", where=pair.where)
        ulp = re.search(r"\bULPs?\b", claim.statement) is not None
        return replace(
            claim,
            equation=pair.equation,
            applies_to=(pair.simd["simd"],),
            tolerance_kind="ulp" if ulp else claim.tolerance_kind,
            extra=MappingProxyType({**claim.extra, "to": pair.simd["scalar"]}),
        )


def _head(equation: Equation) -> tuple[str | None, tuple[str, ...]]:
    """Return the name and the arguments that a wild formula gives its function."""
    formula = equation.extra.get("wild", {}).get("formula")
    match = _HEAD.match(formula) if isinstance(formula, str) else None
    if match is None:
        return None, ()
    return match["name"], tuple(part.strip() for part in match["arguments"].split(","))
