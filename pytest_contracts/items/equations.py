"""What an equation's name means inside one item: the implementation under test, or the oracle."""

from __future__ import annotations

import copy
from collections.abc import Callable, Coroutine, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, is_dataclass
from functools import cache
from inspect import signature
from pickle import PicklingError
from typing import Any

import numpy as np
from hypothesis.control import current_build_context, currently_in_test_context
from hypothesis.errors import UnsatisfiedAssumption

from pytest_contracts.binding import Witness, importable, qualified_name, resolve
from pytest_contracts.contract.model import Contract, Equation
from pytest_contracts.contract.scope import decorated, definition_of, implementation_names
from pytest_contracts.errors import (
    ContractBindingError,
    Falsified,
    FormulaError,
    Unavailable,
    VacuousError,
)
from pytest_contracts.formula import LIBRARY, as_function, names
from pytest_contracts.formula.check import Known, shape_of
from pytest_contracts.formula.shapes import Shape, shape_text
from pytest_contracts.items.fingerprint import IMMUTABLE, is_nothing
from pytest_contracts.items.memoized import Memories
from pytest_contracts.items.observation import Observation, Prose, is_skip, is_unavailable
from pytest_contracts.items.process import leaves_the_call
from pytest_contracts.where import Where

SCALAR = "reference"
"""The implementation that is called with plain Python numbers and lists, never with arrays."""


@dataclass(frozen=True)
class Argument:
    """A parameter of an equation and the dtype that its domain gives it."""

    name: str
    dtype: str | None

    @classmethod
    def all_of(cls, equation: Equation, names: Iterable[str]) -> tuple[Argument, ...]:
        """Return the arguments of an equation in order."""
        specs = {variable.name: variable.spec for variable in equation.variables}
        return tuple(cls(name, _dtype(specs.get(name))) for name in names)

    def cast(self, value: Any) -> Any:
        """Return the value in the argument's own type; what can be changed is a fresh copy."""
        if isinstance(value, np.ndarray) and value.ndim:
            return np.array(value, dtype=self.dtype, order="C")
        if isinstance(value, np.generic | np.ndarray):
            value = value.item()
        if self.dtype is not None and isinstance(value, int | float):
            return np.dtype(self.dtype).type(value).item()
        return value if isinstance(value, IMMUTABLE) else _copied(value)


def _copied(value: Any) -> Any:
    """Return a copy of what a strategy drew; what refuses to be copied is handed over itself."""
    try:
        return copy.deepcopy(value)
    except (TypeError, copy.Error, PicklingError):
        return value


def _dtype(spec: Any) -> str | None:
    if not isinstance(spec, Mapping):
        return None
    if "block" in spec:
        return "uint8"
    name = spec.get("dtype")
    return {"float": "float64", "int": "int64"}.get(name, name) if isinstance(name, str) else None


class Subject:
    """One implementation, resolved when first called, witnessed, fed in its own types."""

    def __init__(
        self,
        contract: Contract,
        equation: Equation,
        implementation: str,
        observation: Observation,
        *,
        label: str | None = None,
    ) -> None:
        self.contract = contract
        self.equation = equation
        self.implementation = implementation
        self.observation = observation
        self.label = label or equation.name
        self._witness: Witness | None = None
        self._suspected = False
        self.raised: Exception | None = None
        """What a call raised last, whoever passed over it."""
        self._answered = False
        self._absent = False
        self._shapes: dict[tuple[Shape, ...], Shape] = {}
        self._arguments: tuple[Argument, ...] = ()

    @property
    def where(self) -> Where:
        """Where the file names the implementation."""
        return self.equation.implementation_where.get(self.implementation, self.equation.where)

    def __call__(self, *values: Any) -> Any:
        """Call the implementation; lists come back as arrays.

        Raises:
            Falsified: it returned nothing that a claim could be about.
        """
        try:
            result = self.run(self.given(values))
        except BaseException as error:
            self._raises(error)
            raise
        self._answers()
        if is_nothing(result) or isinstance(result, Generator | Coroutine):
            raise Falsified(
                f"{self.label} as {self.implementation!r} returns a value",
                detail={"returned": "None" if is_nothing(result) else type(result).__name__},
            )
        for value in values:
            # What can be copied has been; the rest would be compared with itself.
            if result is value and not isinstance(value, IMMUTABLE):
                raise VacuousError(
                    f"{self.label} as {self.implementation!r} returns its own argument, "
                    f"a {type(value).__name__}, which cannot be copied"
                )
        self._fits(values, result)
        return result

    def _answers(self) -> None:
        """Note that there was an answer: what said before that something is missing was wrong."""
        self._answered = self.observation.answered = True
        self.observation.refuted |= self._absent

    def _raises(self, error: BaseException) -> None:
        """Keep what a call raised; what it says is missing is here, if it ever answers.

        An implementation says what is missing by Unavailable. A skip is a test's word, not code's.
        """
        if isinstance(error, Exception):
            self.raised = error
        if is_unavailable(error):
            self._absent = True
            self.observation.own_absence = error
        self.observation.refuted |= is_skip(error) or (self._absent and self._answered)

    def _fits(self, values: Sequence[Any], result: Any) -> None:
        """Note a result of another shape than the definition's, where that can be told.

        A claim about all elements of a result says nothing of those that it lacks, and one that
        has an axis too many is stretched by what it meets.
        """
        if not _is_number(result):
            return
        shapes = tuple(np.shape(value) if _is_number(value) else None for value in values)
        if shapes not in self._shapes:
            self._shapes[shapes] = self._shape_for(shapes)
        expected, found = self._shapes[shapes], np.shape(result)
        if expected is None or (not expected and np.size(result) == 1):
            return
        lengths = zip(expected, found, strict=False)
        apart = any(isinstance(want, int) and want != have for want, have in lengths)
        if apart or len(expected) != len(found):
            self.observation.misfit = Falsified(
                f"{self.label} as {self.implementation!r} has the shape of its definition",
                left=shape_text(found),
                right=shape_text(expected),
            )

    def _shape_for(self, shapes: Sequence[Shape]) -> Shape:
        """Return what shape the definition has for arguments of these, None where it is unknown."""
        definition = definition_of(self.equation)
        # In the wild a definition is often about one row of what the implementation takes.
        if definition is None or self.contract.dialect == "wild":
            return None
        if len(definition.parameters) != len(shapes):
            return None
        known: dict[str, Known] = dict.fromkeys(names(definition.body) - LIBRARY.keys())
        known |= dict(zip(definition.parameters, shapes, strict=True))
        try:
            return shape_of(definition.body, known)
        except FormulaError:
            return None

    def given(self, values: Sequence[Any]) -> list[Any]:
        """Return what the implementation is handed for these values; arrays are fresh copies."""
        self._bound()
        given = [
            argument.cast(value)
            for argument, value in zip(self._padded(len(values)), values, strict=True)
        ]
        if self.implementation == SCALAR:
            given = [value.tolist() if isinstance(value, np.ndarray) else value for value in given]
        return given

    def run(self, given: Sequence[Any], **keywords: Any) -> Any:
        """Call the implementation on what ``given`` returned; the result is a copy.

        An implementation may keep a workspace: the next call would overwrite what this one
        returned, and a claim about both would compare it with itself.
        """
        function = self._bound()
        # On the first call, the second, the fourth and so on: it takes time.
        looked_at = self._suspected or not function.calls & (function.calls + 1)
        with self._alone(looked_at):
            return _own(function(*given, **keywords))

    @contextmanager
    def _alone(self, looked_at: bool) -> Iterator[None]:
        """Refuse an implementation that speaks to its judge, or changes what all claims share.

        Raises:
            Falsified: it does.
        """
        named = f"{self.label} as {self.implementation!r}"
        told = _told()
        try:
            with leaves_the_call(named) if looked_at else nullcontext():
                yield
        except UnsatisfiedAssumption as error:
            raise rejects_inputs(named) from error
        except Falsified:
            self._suspected = True  # Hypothesis tries the input again
            raise
        if _told() != told:
            raise Falsified(
                f"{named} knows nothing of its test",
                detail={"reason": "hypothesis.event or target is called in it"},
            )

    def memories(self) -> Memories:
        """Return what the implementation remembers of earlier calls, emptied."""
        return Memories(self._bound().function)

    @property
    def function(self) -> Callable[..., Any]:
        """The implementation itself, imported where it has not been yet."""
        return self._resolved(self.implementation)

    @property
    def calls(self) -> int:
        """How often the implementation has been called."""
        return 0 if self._witness is None else self._witness.calls

    def takes(self, keyword: str) -> bool:
        """Tell whether the implementation has a parameter of that name."""
        try:
            parameters = signature(self._bound().function).parameters.values()
        except (TypeError, ValueError):  # a builtin may have no signature
            return False
        return any(p.name == keyword or p.kind is p.VAR_KEYWORD for p in parameters)

    def _bound(self) -> Witness:
        if self._witness is None:
            self.bind()
        assert self._witness is not None
        return self._witness

    def bind(self) -> None:
        """Import the implementation and the others of its equation."""
        function = self._resolved(self.implementation)
        others = {}
        for name in implementation_names(self.contract, self.equation):
            if name == self.implementation:
                continue
            try:
                others[name] = self._resolved(name)
            except (ContractBindingError, Unavailable, Prose):
                continue  # its own item says so
        witness = Witness(
            self.equation.name, self.implementation, function, others, where=self.where
        )
        definition = definition_of(self.equation)
        self._arguments = Argument.all_of(
            self.equation,
            definition.parameters if definition is not None else self.equation.parameters,
        )
        self.observation.ran[self.label] = qualified_name(function)
        self.observation.functions.append(function)
        self._witness = witness

    def _padded(self, count: int) -> list[Argument]:
        missing = count - len(self._arguments)
        return [*self._arguments[:count], *(Argument("", None) for _ in range(missing))]

    def _resolved(self, name: str) -> Callable[..., Any]:
        bound = decorated(self.contract, self.equation).get(name)
        target = self.equation.implementations.get(name)
        if target is None:
            assert bound is not None
            return bound
        where = self.equation.implementation_where.get(name, self.equation.where)
        package = target.partition(":")[0].partition(".")[0]
        if self.contract.dialect == "wild" and not importable(package):
            # A registry may speak of what is installed elsewhere; a module that exists and lacks
            # the function is a mistake in the binding.
            raise Prose(f"cannot import {target}: there is no package {package}")
        function = resolve(target, where=where)
        bound = decorated(self.contract, self.equation).get(name)  # importing may have added it
        if bound is not None and qualified_name(bound) != qualified_name(function):
            raise ContractBindingError(
                f"{name!r} is {target} here, but {qualified_name(bound)} by its decorator",
                where=where,
            )
        return function


def rejects_inputs(named: str) -> Falsified:
    """Return what is wrong with an implementation that calls ``hypothesis.assume``."""
    return Falsified(
        f"{named} takes every input of the domain",
        detail={"reason": "hypothesis.assume or reject in it throws this one away"},
    )


def _told() -> tuple[int, int]:
    """Return how much Hypothesis has been told of the current input by ``event`` and ``target``."""
    if not currently_in_test_context():
        return 0, 0
    data = current_build_context().data
    return len(data.events), len(data.target_observations)


def _is_number(value: Any) -> bool:
    return isinstance(value, np.ndarray | np.generic | int | float)


def _own(result: Any) -> Any:
    """Return a result in memory of its own; a list of numbers is an array, integers exact."""
    if isinstance(result, tuple):
        return tuple(_own(part) for part in result)
    if isinstance(result, list):
        return _array_of(result)
    if isinstance(result, dict | set | bytearray) or is_dataclass(result):
        return _copied(result)
    return result.copy() if hasattr(result, "__array_interface__") else result


def _array_of(values: list[Any]) -> Any:
    array = np.asarray(values)
    exact = array.dtype.kind in "biu" and array.size
    return array if exact else np.asarray(values, dtype=np.float64)


class Equations:
    """The callables that a claim's formula sees, for one implementation under test."""

    def __init__(
        self, contract: Contract, implementation: str | None, observation: Observation
    ) -> None:
        self.contract = contract
        self.implementation = implementation
        self.observation = observation
        self.definitions = {e.name: definition_of(e) for e in contract.equations}

    def environment(self, precision: type[np.floating[Any]] = np.float64) -> dict[str, Any]:
        """Return name to callable for every equation; definitions are evaluated in a precision."""
        names: dict[str, Any] = {}
        for equation in self.contract.equations:
            target = self.subject(equation) or self.oracle(equation, precision=precision)
            if target is None:
                continue
            names[equation.name] = target
            definition = self.definitions[equation.name]
            if definition is not None:
                names.setdefault(definition.name, target)
        return names

    def subject(self, equation: Equation) -> Subject | None:
        """Return the implementation under test, None where the equation has none of that name."""
        if self.implementation in implementation_names(self.contract, equation):
            assert self.implementation is not None
            return Subject(self.contract, equation, self.implementation, self.observation)
        return None

    def oracle(
        self,
        equation: Equation,
        known: Mapping[str, Any] | None = None,
        precision: type[np.floating[Any]] = np.float64,
        shaken: np.random.Generator | None = None,
    ) -> Callable[..., Any] | None:
        """Return an equation's definition as a function, in float64 unless told otherwise.

        With a ``shaken`` generator what is rounded is moved to a neighbour at random.
        """
        definition = self.definitions[equation.name]
        if definition is None:
            return None
        named = {**self.contract.constants, **(known or {})}
        for name in names(definition) & self.definitions.keys() - {equation.name}:
            if self.definitions[name] is not None:
                named[name] = self._called(name, known, precision, shaken)
        return as_function(definition, named, precision=precision, shaken=shaken)

    def _called(
        self,
        name: str,
        known: Mapping[str, Any] | None,
        precision: type[np.floating[Any]],
        shaken: np.random.Generator | None,
    ) -> Callable[..., Any]:
        """Return a definition that another one calls; it is looked up when it is called."""

        @cache
        def function() -> Callable[..., Any]:
            found = self.oracle(self.contract.equation(name), known, precision, shaken)
            assert found is not None
            return found

        return lambda *arguments: function()(*arguments)
