"""Variables of a contract and what they stand for: Hypothesis strategies.

A domain, as written in YAML:

==============================================  =================================================
``1..128``, ``0.5..2.0``                        integers or floats, both ends included
``{32, 64}``, ``[32, 64]``                      an enumeration
``{dtype: float32, range: [a, b]}``             a scalar; ``exclude: [0]``
``{dtype: float32, shape: [n, 2*h]}``           an array; ``range``, ``specials``, ``unique``,
                                                ``nonzero``, ``exclude``
``{block: Q4_K, count: n, valid: true}``        raw blocks, uint8 ``[count, bytes per block]``
``{tokens: 151936, length: 1..64}``             token ids below a vocabulary size
``{text: true, length: 0..40}``                 a string
``{strategy: name, key: value}``, ``name``      a strategy of ``pytest_contracts_strategies``
==============================================  =================================================

Sizes and bounds may be expressions over other variables, which are then drawn first.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import hypothesis.strategies as st

from pytest_contracts.arrays import ArraySpec, draw_array, scalar_strategy
from pytest_contracts.contract.model import Variable
from pytest_contracts.contract.where import Where
from pytest_contracts.errors import ContractBindingError, ContractError, ContractSyntaxError
from pytest_contracts.quantities import Environment, Quantity, number

Draw = Callable[[st.SearchStrategy[Any]], Any]
Strategies = Mapping[str, Callable[..., st.SearchStrategy[Any]]]

_RANGE = re.compile(r"^\s*(?P<low>.+?)\s*\.\.\s*(?P<high>.+?)\s*$")
_SET = re.compile(r"^\s*\{(?P<items>.*)\}\s*$")
_SCALAR_KEYS = {"dtype", "range", "exclude", "nonzero", "specials"}
_ARRAY_KEYS = _SCALAR_KEYS | {"shape", "unique"}


@dataclass(frozen=True, slots=True)
class Domain:
    """One variable's domain: what must be drawn before it, and how to draw it."""

    name: str
    where: Where
    needs: frozenset[str]
    draw: Callable[[Draw, Environment], Any]
    dtype: str | None = None


def parse_domain(variable: Variable, strategies: Strategies) -> Domain:
    """Give a variable's spec its meaning.

    Raises:
        ContractSyntaxError: the spec is none of the forms in the module's table.
        ContractBindingError: it names a strategy that no plugin provides.
    """
    try:
        domain = _Reader(variable, strategies).read()
    except ContractError as error:
        if error.where is None:
            error.where = variable.where
        raise
    return replace(domain, name=variable.name, where=variable.where)


def inputs_strategy(
    domains: Iterable[Domain], given: Environment | None = None
) -> st.SearchStrategy[dict[str, Any]]:
    """Return a strategy of complete inputs: every domain drawn, dependencies first.

    ``given`` are values already chosen (parameters, constants); they are not part of the result.
    """
    fixed = dict(given or {})
    ordered = _ordered({domain.name: domain for domain in domains}, set(fixed))

    @st.composite
    def inputs(draw: Draw) -> dict[str, Any]:
        drawn: dict[str, Any] = {}
        environment = dict(fixed)
        for domain in ordered:
            try:
                environment[domain.name] = drawn[domain.name] = domain.draw(draw, environment)
            except ContractError as error:
                if error.where is None:
                    error.where = domain.where
                raise
        return drawn

    return inputs()


def _ordered(domains: dict[str, Domain], given: set[str]) -> list[Domain]:
    ordered: list[Domain] = []
    done = set(given)
    waiting = dict(domains)
    while waiting:
        ready = [d for d in waiting.values() if not (d.needs - done)]
        if not ready:
            stuck = next(iter(waiting.values()))
            missing = sorted(stuck.needs - done)
            unknown = [name for name in missing if name not in waiting]
            reason = f"{unknown[0]!r} has no domain" if unknown else "they depend on each other"
            raise ContractSyntaxError(
                f"{stuck.name!r} needs {', '.join(missing)}, but {reason}", where=stuck.where
            )
        for domain in ready:
            ordered.append(domain)
            done.add(domain.name)
            del waiting[domain.name]
    return ordered


class _Reader:
    """Reads one variable's spec."""

    def __init__(self, variable: Variable, strategies: Strategies) -> None:
        self.name = variable.name
        self.where = variable.where
        self.spec = variable.spec
        self.strategies = strategies

    def read(self) -> Domain:
        spec = self.spec
        if isinstance(spec, bool) or spec is None:
            raise self.refusal("it is neither a range, an enumeration, a mapping nor a name")
        if isinstance(spec, int | float):
            return self.domain((), lambda draw, env: spec)
        if isinstance(spec, str):
            return self.from_text(spec)
        if isinstance(spec, Mapping):
            return self.from_mapping(spec)
        if isinstance(spec, Sequence | set | frozenset):
            return self.enumeration(list(spec))
        raise self.refusal(f"a {type(spec).__name__} is not a domain")

    def from_text(self, text: str) -> Domain:
        if match := _SET.match(text):
            return self.enumeration(
                [part.strip() for part in match["items"].split(",") if part.strip()]
            )
        if match := _RANGE.match(text):
            return self.between(Quantity.of(match["low"]), Quantity.of(match["high"]))
        if text == "text":
            return self.text({})
        if text == "bool":
            return self.drawn(st.booleans())
        return self.named(text, {})

    def from_mapping(self, spec: Mapping[str, Any]) -> Domain:
        if spec and all(value is None for value in spec.values()):
            return self.enumeration(list(spec))
        if "strategy" in spec:
            rest = {key: value for key, value in spec.items() if key != "strategy"}
            return self.named(str(spec["strategy"]), rest)
        if "block" in spec:
            return self.blocks(spec)
        if "tokens" in spec:
            return self.tokens(spec)
        if "text" in spec:
            return self.text(spec)
        if "dtype" in spec:
            return self.array(spec) if "shape" in spec else self.scalar(spec)
        raise self.refusal("no key of it says what it is: dtype, block, tokens, text or strategy")

    def enumeration(self, items: list[Any]) -> Domain:
        # Keys of a YAML set, such as {1e-6, 1e-5}, arrive as text.
        items = [number(i) if isinstance(i, str) and number(i) is not None else i for i in items]
        if not items:
            raise self.refusal("the enumeration is empty")
        return self.drawn(st.sampled_from(items))

    def between(self, low: Quantity, high: Quantity) -> Domain:
        def strategy(env: Environment) -> st.SearchStrategy[Any]:
            bounds = (low(env), high(env))
            if bounds[0] > bounds[1]:
                raise self.refusal(f"the range {bounds[0]}..{bounds[1]} is empty")
            if all(isinstance(bound, int) for bound in bounds):
                return st.integers(*bounds)
            return st.floats(*map(float, bounds), allow_nan=False)

        return self.dependent((low, high), strategy)

    def scalar(self, spec: Mapping[str, Any]) -> Domain:
        array, quantities = self.array_spec(spec, _SCALAR_KEYS)

        def strategy(env: Environment) -> st.SearchStrategy[Any]:
            return scalar_strategy(array(env))

        return replace(self.dependent(quantities, strategy), dtype=str(spec["dtype"]))

    def array(self, spec: Mapping[str, Any]) -> Domain:
        array, quantities = self.array_spec(spec, _ARRAY_KEYS)
        shape = spec["shape"]
        if isinstance(shape, str | int):
            shape = [shape]
        sizes = tuple(Quantity.of(size) for size in shape)

        def draw_it(draw: Draw, env: Environment) -> Any:
            return draw_array(draw, tuple(size.size(env) for size in sizes), array(env))

        domain = self.domain((*quantities, *sizes), draw_it)
        return replace(domain, dtype=str(spec["dtype"]))

    def array_spec(
        self, spec: Mapping[str, Any], known: set[str]
    ) -> tuple[Callable[[Environment], ArraySpec], tuple[Quantity, ...]]:
        self.check_keys(spec, known)
        bounds = spec.get("range")
        if isinstance(bounds, str) and (match := _RANGE.match(bounds)):
            bounds = [match["low"], match["high"]]
        if bounds is not None and (not isinstance(bounds, Sequence) or len(bounds) != 2):
            raise self.refusal(f"range must be [low, high], not {bounds!r}")
        quantities = tuple(Quantity.of(bound) for bound in bounds or ())
        exclude = tuple(spec.get("exclude", ())) + ((0,) if spec.get("nonzero") else ())
        plain = ArraySpec.of(
            str(spec["dtype"]),
            exclude=exclude,
            specials=tuple(str(s) for s in spec.get("specials", ())),
            unique=bool(spec.get("unique", False)),
        )

        @lru_cache(maxsize=64)
        def bounded(low: float, high: float) -> ArraySpec:
            return plain.within(low, high)

        def at(env: Environment) -> ArraySpec:
            return bounded(*(quantity(env) for quantity in quantities)) if quantities else plain

        if all(quantity.value is not None for quantity in quantities):
            at({})
        return at, quantities

    def blocks(self, spec: Mapping[str, Any]) -> Domain:
        from pytest_contracts.blocks import block_layout, draw_blocks

        self.check_keys(spec, {"block", "count", "valid"})
        layout = block_layout(str(spec["block"]))
        count = Quantity.of(spec.get("count", 1))
        valid = bool(spec.get("valid", True))

        def draw_it(draw: Draw, env: Environment) -> Any:
            return draw_blocks(draw, layout, count.size(env), valid=valid)

        return replace(self.domain((count,), draw_it), dtype="uint8")

    def tokens(self, spec: Mapping[str, Any]) -> Domain:
        self.check_keys(spec, {"tokens", "length"})
        if isinstance(spec["tokens"], str) and spec["tokens"] in self.strategies:
            rest = {key: value for key, value in spec.items() if key != "tokens"}
            return self.named(spec["tokens"], rest)
        vocabulary = Quantity.of(spec["tokens"])
        low, high = self.length(spec)

        def strategy(env: Environment) -> st.SearchStrategy[Any]:
            token = st.integers(0, vocabulary.size(env) - 1)
            return st.lists(token, min_size=low.size(env), max_size=high.size(env))

        return self.dependent((vocabulary, low, high), strategy)

    def text(self, spec: Mapping[str, Any]) -> Domain:
        self.check_keys(spec, {"text", "length"})
        low, high = self.length(spec)

        def strategy(env: Environment) -> st.SearchStrategy[Any]:
            return st.text(min_size=low.size(env), max_size=high.size(env))

        return self.dependent((low, high), strategy)

    def length(self, spec: Mapping[str, Any]) -> tuple[Quantity, Quantity]:
        text = spec.get("length", "0..64")
        match = _RANGE.match(str(text))
        ends = (match["low"], match["high"]) if match else (text, text)
        return Quantity.of(ends[0]), Quantity.of(ends[1])

    def named(self, name: str, arguments: Mapping[str, Any]) -> Domain:
        factory = self.strategies.get(name)
        if factory is None:
            close = difflib.get_close_matches(name, self.strategies, n=1)
            known = ", ".join(sorted(self.strategies)) or "none"
            raise ContractBindingError(
                f"no strategy is called {name!r} (for variable {self.name!r})",
                where=self.where,
                hint=f"Did you mean {close[0]!r}?"
                if close
                else f"Known strategies: {known}. The hook pytest_contracts_strategies adds more.",
            )
        try:
            return self.drawn(factory(**arguments))
        except TypeError as error:
            raise ContractBindingError(f"strategy {name!r}: {error}", where=self.where) from error

    def dependent(
        self,
        quantities: Sequence[Quantity],
        strategy: Callable[[Environment], st.SearchStrategy[Any]],
    ) -> Domain:
        """Return a domain whose strategy is built once where nothing is to be drawn first."""
        if all(quantity.value is not None for quantity in quantities):
            return self.drawn(strategy({}))
        return self.domain(quantities, lambda draw, env: draw(strategy(env)))

    def drawn(self, strategy: st.SearchStrategy[Any]) -> Domain:
        return self.domain((), lambda draw, env: draw(strategy))

    def domain(
        self, quantities: Iterable[Quantity], draw: Callable[[Draw, Environment], Any]
    ) -> Domain:
        needs = frozenset().union(*(quantity.needs for quantity in quantities))
        return Domain(self.name, self.where, needs, draw)

    def check_keys(self, spec: Mapping[str, Any], known: set[str]) -> None:
        for key in spec:
            if key not in known:
                close = difflib.get_close_matches(str(key), known, n=1)
                hint = f"Did you mean {close[0]!r}? " if close else ""
                raise ContractSyntaxError(
                    f"unknown key {key!r} in the domain of {self.name!r}",
                    where=self.where,
                    hint=f"{hint}Known keys: {', '.join(sorted(known))}.",
                )

    def refusal(self, reason: str) -> ContractSyntaxError:
        return ContractSyntaxError(
            f"the domain of {self.name!r} makes no sense: {reason}",
            where=self.where,
            hint="For example 1..128, {32, 64}, {dtype: float32, shape: [n], range: [-1, 1]}.",
        )
