"""What a template works with: one equation, its arguments, and inputs beside the declared ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from pytest_contracts.contract.model import Equation, ProofObligation, Variable
from pytest_contracts.contract.obligation_keys import ARGUMENT, DIRECTION, Key, Value
from pytest_contracts.contract.obligation_types import TYPES
from pytest_contracts.contract.scope import definition_of
from pytest_contracts.errors import ContractSyntaxError
from pytest_contracts.items.case import Case
from pytest_contracts.items.drawn import drawn_test
from pytest_contracts.items.equations import Equations, Subject
from pytest_contracts.items.formula_claim import formula_check, formula_test
from pytest_contracts.items.formulas import Formula
from pytest_contracts.items.observation import Prose

Test = Callable[..., None]


@dataclass(frozen=True)
class Clause:
    """An obligation, and the equation f that its template speaks of.

    The claim's own formulas are judged ``beside`` the template.
    """

    case: Case
    claim: ProofObligation
    equation: Equation
    parameters: tuple[str, ...]
    beside: tuple[Formula, ...] = ()

    @classmethod
    def of(
        cls,
        case: Case,
        claim: ProofObligation,
        equation: Equation,
        beside: tuple[Formula, ...] = (),
    ) -> Clause:
        """Return the clause.

        Raises:
            ContractSyntaxError: the equation has no definition that names its parameters.
        """
        definition = definition_of(equation)
        parameters = equation.parameters if definition is None else definition.parameters
        if not parameters:
            raise ContractSyntaxError(
                f"equation {equation.name!r} has no definition f(x) = … to take its arguments from",
                where=equation.where,
            )
        return cls(case, claim, equation, parameters, beside)

    @property
    def argument(self) -> str:
        """The parameter that the property is about: the first, or the one of ``argument:``."""
        name = self.value(ARGUMENT) or self.parameters[0]
        if name not in self.parameters:
            raise self.refusal(f"{self.equation.name} has no parameter {name!r}")
        return name

    @property
    def sign(self) -> str:
        """``=`` where the claim allows no error, else ``≈``."""
        exact = self.claim.tolerance is None and self.claim.tolerance_kind == "absolute"
        return "=" if exact else "≈"

    @property
    def rising(self) -> bool:
        """Whether the order is to be kept, not reversed."""
        return self.value(DIRECTION) == "increasing"

    def value(self, key: Key[Value]) -> Value:
        """Return what the claim says under a key, which its type's row must list."""
        row = TYPES[self.claim.type]
        assert key in row.keys, f"the row of {row.name} does not list the key {key.name}"
        return key.of(self.claim)

    def call(self, **changed: str) -> str:
        """Return ``f(x, y)`` in the words of the definition, with some arguments changed."""
        arguments = ", ".join(changed.get(name, name) for name in self.parameters)
        return f"{self.equation.name}({arguments})"

    def at(self, text: str) -> str:
        """Return f with ``text`` in place of the argument that the property is about."""
        return self.call(**{self.argument: text})

    def domain(self, parameter: str) -> Any:
        """Return what a parameter's domain says, None where it is not drawn."""
        variable = self.case.variables((self.equation,)).get(parameter)
        return None if variable is None else variable.spec

    def is_vector(self, parameter: str) -> bool:
        """Tell whether a parameter is drawn as an array with one axis."""
        spec = self.domain(parameter)
        return isinstance(spec, Mapping) and len(_several(spec.get("shape", ()))) == 1

    def is_float(self, parameter: str) -> bool:
        """Tell whether a parameter is drawn as floats, whose arithmetic rounds."""
        spec = self.domain(parameter)
        if isinstance(spec, Mapping):
            return str(spec.get("dtype", "")).startswith("float")
        return isinstance(spec, str) and "." in spec.replace("..", "")

    def is_number(self, parameter: str) -> bool:
        """Tell whether a parameter is drawn from a range of numbers."""
        spec = self.domain(parameter)
        if isinstance(spec, Mapping):
            return "dtype" in spec and "shape" not in spec
        return isinstance(spec, str) and ".." in spec

    def another(self, parameter: str) -> Variable:
        """Return a second variable with a parameter's domain, over the same sizes."""
        spec = self.domain(parameter)
        if spec is None:
            raise self.refusal(f"{parameter!r} is not drawn, so there is no second one beside it")
        name = f"{parameter}2"
        return self.own(name) or Variable(self.unused(name), spec, self.claim.where)

    def own(self, name: str) -> Variable | None:
        """Return the claim's own variable of that name."""
        return next((variable for variable in self.claim.variables if variable.name == name), None)

    def unused(self, name: str) -> str:
        """Return the name, numbered where something else here has it."""
        contract = self.case.contract
        taken = {
            *self.parameters,
            *self.case.variables(contract.equations),
            *self.case.parameters.values,
            *contract.constants,
            *(equation.name for equation in contract.equations),
        }
        stem = name.rstrip("0123456789")
        candidates = (f"{stem}{number}" for number in count(2))
        return name if name not in taken else next(c for c in candidates if c not in taken)

    def judged(
        self,
        text: str,
        *variables: Variable,
        functions: Mapping[str, Callable[..., Any]] | None = None,
    ) -> Test:
        """Return the test of a formula, with more variables and functions than the contract's."""
        names = {variable.name for variable in variables}
        kept = tuple(variable for variable in self.claim.variables if variable.name not in names)
        claim = replace(self.claim, equation=self.equation.name, variables=(*kept, *variables))
        formula = Formula.of(text, self.claim.where)
        return formula_test(replace(self.case, claim=claim), (formula, *self.beside), functions)

    def subject(self) -> Subject:
        """Return the implementation under test.

        Raises:
            Prose: there is none.
        """
        equations = Equations(self.case.contract, self.case.implementation, self.case.observation)
        subject = equations.subject(self.equation)
        if subject is None:
            raise Prose(f"equation {self.equation.name} has no implementation")
        return subject

    def observed(
        self, subject: Subject, check: Callable[[Mapping[str, Any], tuple[Any, ...]], None]
    ) -> Test:
        """Return the test of ``check(inputs, arguments)``, which counts what it compares."""
        case = self.case
        case.observation.counts = True
        case.prepare.append(subject.bind)
        given = {**case.contract.constants, **case.parameters.values}
        formulas = None
        if self.beside:
            formulas, _ = formula_check(case, self.beside)
            case.prepare.append(formulas.bind)

        def body(inputs: Mapping[str, Any]) -> None:
            known = {**given, **inputs}
            before = case.observation.compared.total
            check(known, tuple(known[name] for name in self.parameters))
            compared = case.observation.compared.total - before
            case.observation.judged(f"the template of {self.claim.type}", compared)
            if formulas is not None:
                formulas(inputs)

        wanted = {*self.parameters}.union(*(formula.names for formula in self.beside))
        return drawn_test(case, body, sorted(wanted), case.variables((self.equation,)))

    def refusal(self, message: str, hint: str | None = None) -> ContractSyntaxError:
        """Return the error of a claim that does not say what its template needs."""
        return ContractSyntaxError(
            f"type {self.claim.type}: {message}", where=self.claim.where, hint=hint
        )


def _several(value: Any) -> tuple[Any, ...]:
    return (value,) if isinstance(value, str | int) else tuple(value)
