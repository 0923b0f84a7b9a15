"""Variables of a contract and what they stand for: Hypothesis strategies.

A domain, as written in YAML:

==============================================  =================================================
``1..128``, ``0.5..2.0``                        integers or floats, both ends included
``{32, 64}``, ``[32, 64]``                      an enumeration
``{dtype: float32, range: [a, b]}``             a scalar; ``exclude: [0]``
``{dtype: float32, shape: [n, 2*h]}``           an array; ``range``, ``specials``, ``unique``,
                                                ``nonzero``, ``exclude``
``{block: Q4_K, count: n, valid: true}``        raw blocks, uint8 ``[count, bytes per block]``
``{tokens: model, length: 1..64}``              token ids below a vocabulary size: a number, a
                                                variable, or one of
                                                ``pytest_contracts_vocabularies``
``{text: true, length: 0..40}``                 a string; ``alphabet`` or ``categories``
``{strategy: name, key: value}``, ``name``      a strategy of ``pytest_contracts_strategies``
==============================================  =================================================

Sizes and bounds may be expressions over other variables, which are then drawn first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import hypothesis.strategies as st
from hypothesis.errors import InvalidArgument

from pytest_contracts.contract.model import EMPTY, Variable
from pytest_contracts.domains import membership
from pytest_contracts.domains.arrays import ArraySpec, draw_array, scalar_strategy
from pytest_contracts.domains.sequences import characters, length_of, sizes, text, token_ids
from pytest_contracts.domains.sizes import Environment, Quantity, number, range_ends
from pytest_contracts.errors import ContractBindingError, ContractError, ContractSyntaxError
from pytest_contracts.suggesting import did_you_mean
from pytest_contracts.where import Where

Draw = Callable[[st.SearchStrategy[Any]], Any]
Strategies = Mapping[str, Callable[..., st.SearchStrategy[Any]]]
Accept = Callable[[Any, Environment], Any]
Vocabularies = Mapping[str, Callable[[Environment], int]]

MAX_AXES = 8
MAX_DRAWN = 1 << 25
"""Elements of all inputs of one example; 256 MiB of float64."""
_SET = re.compile(r"^\s*\{(?P<items>.*)\}\s*$")
_SCALAR_KEYS = {"dtype", "range", "exclude", "nonzero", "specials"}
_ARRAY_KEYS = _SCALAR_KEYS | {"shape", "unique"}


@dataclass(frozen=True, slots=True)
class Domain:
    """One variable's domain: what must be drawn before it, and how to draw it.

    ``accept`` returns a value written in the contract as the domain would have drawn it, or refuses
    it; a named strategy takes everything, since only its author knows what it draws.
    """

    name: str
    where: Where
    needs: frozenset[str]
    draw: Callable[[Draw, Environment], Any]
    dtype: str | None = None
    accept: Accept = lambda value, env: membership.thawed(value)


def parse_domain(
    variable: Variable, strategies: Strategies, vocabularies: Vocabularies = EMPTY
) -> Domain:
    """Give a variable's spec its meaning; plugins provide the strategies and vocabularies.

    Raises:
        ContractSyntaxError: the spec is none of the forms in the module's table.
        ContractBindingError: it names a strategy that no plugin provides.
    """
    try:
        domain = _Reader(variable, strategies, vocabularies).read()
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
    return _inputs(ordered({domain.name: domain for domain in domains}, set(fixed)), fixed)


# One for all claims: Hypothesis inspects the source of every function that it makes a strategy of.
@st.composite
def _inputs(draw: Draw, in_order: list[Domain], fixed: Environment) -> dict[str, Any]:
    drawn: dict[str, Any] = {}
    environment = dict(fixed)
    elements = 0
    for domain in in_order:
        try:
            value = domain.draw(draw, environment)
            elements += getattr(value, "size", 1)
            if elements > MAX_DRAWN:
                raise ContractSyntaxError(f"the inputs have more than {MAX_DRAWN} elements")
            environment[domain.name] = drawn[domain.name] = value
        except ContractError as error:
            if error.where is None:
                error.where = domain.where
            raise
    return drawn


def ordered(domains: dict[str, Domain], given: set[str]) -> list[Domain]:
    """Return domains in the order in which they can be drawn.

    Raises:
        ContractSyntaxError: one needs what has no domain, or they need each other.
    """
    found: list[Domain] = []
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
            found.append(domain)
            done.add(domain.name)
            del waiting[domain.name]
    return found


class _Reader:
    """Reads one variable's spec."""

    def __init__(
        self, variable: Variable, strategies: Strategies, vocabularies: Vocabularies
    ) -> None:
        self.name = variable.name
        self.where = variable.where
        self.spec = variable.spec
        self.strategies = strategies
        self.vocabularies = vocabularies

    def read(self) -> Domain:
        spec = self.spec
        if isinstance(spec, bool) or spec is None:
            raise self.refusal("it is neither a range, an enumeration, a mapping nor a name")
        if isinstance(spec, int | float):
            return replace(
                self.domain((), lambda draw, env: spec),
                accept=lambda value, env: membership.member(value, [spec]),
            )
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
        if ends := range_ends(text):
            return self.between(Quantity.of(ends[0]), Quantity.of(ends[1]))
        if text == "text":
            return self.text({})
        if text == "bool":
            return self.enumeration([False, True])
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
        return replace(
            self.drawn(st.sampled_from(items)),
            accept=lambda value, env: membership.member(value, items),
        )

    def between(self, low: Quantity, high: Quantity) -> Domain:
        def strategy(env: Environment) -> st.SearchStrategy[Any]:
            bounds = (low(env), high(env))
            if bounds[0] > bounds[1]:
                raise self.refusal(f"the range {bounds[0]}..{bounds[1]} is empty")
            if all(isinstance(bound, int) for bound in bounds):
                return st.integers(*bounds)
            return st.floats(*map(float, bounds), allow_nan=False)

        return replace(
            self.dependent((low, high), strategy),
            accept=lambda value, env: membership.between(value, low(env), high(env)),
        )

    def scalar(self, spec: Mapping[str, Any]) -> Domain:
        array, quantities = self.array_spec(spec, _SCALAR_KEYS)

        def strategy(env: Environment) -> st.SearchStrategy[Any]:
            return scalar_strategy(array(env))

        return replace(
            self.dependent(quantities, strategy),
            dtype=str(spec["dtype"]),
            accept=lambda value, env: membership.scalar(value, array(env)),
        )

    def array(self, spec: Mapping[str, Any]) -> Domain:
        array, quantities = self.array_spec(spec, _ARRAY_KEYS)
        shape = spec["shape"]
        if isinstance(shape, str | int):
            shape = [shape]
        if not isinstance(shape, Sequence) or len(shape) > MAX_AXES:
            raise self.refusal(f"shape must be a size or a list of at most {MAX_AXES} sizes")
        lengths = tuple(Quantity.of(size) for size in shape)

        def shape_in(env: Environment) -> tuple[int, ...]:
            return tuple(length.size(env) for length in lengths)

        return replace(
            self.domain(
                (*quantities, *lengths),
                lambda draw, env: draw_array(draw, shape_in(env), array(env)),
            ),
            dtype=str(spec["dtype"]),
            accept=lambda value, env: membership.array(value, shape_in(env), array(env)),
        )

    def array_spec(
        self, spec: Mapping[str, Any], known: set[str]
    ) -> tuple[Callable[[Environment], ArraySpec], tuple[Quantity, ...]]:
        self.check_keys(spec, known)
        bounds = spec.get("range")
        if isinstance(bounds, str):
            bounds = range_ends(bounds) or bounds
        listed = isinstance(bounds, Sequence) and not isinstance(bounds, str)
        if bounds is not None and (not listed or len(bounds) != 2):
            raise self.refusal(f"range must be [low, high], not {bounds!r}")
        quantities = tuple(Quantity.of(bound) for bound in bounds or ())
        exclude = self.listed(spec, "exclude", int | float)
        exclude += (0,) if spec.get("nonzero") else ()
        plain = ArraySpec.of(
            str(spec["dtype"]),
            exclude=exclude,
            specials=self.listed(spec, "specials", str | float),
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
        from pytest_contracts.domains.blocks import BYTES, block_layout, draw_blocks

        self.check_keys(spec, {"block", "count", "valid"})
        layout = block_layout(str(spec["block"]))
        count = Quantity.of(spec.get("count", 1))
        valid = bool(spec.get("valid", True))

        def draw_it(draw: Draw, env: Environment) -> Any:
            return draw_blocks(draw, layout, count.size(env), valid=valid)

        def accept(value: Any, env: Environment) -> Any:
            return membership.array(value, (count.size(env), layout.size), BYTES)

        return replace(self.domain((count,), draw_it), dtype="uint8", accept=accept)

    def tokens(self, spec: Mapping[str, Any]) -> Domain:
        self.check_keys(spec, {"tokens", "length"})
        named = spec["tokens"]
        low, high = length_of(spec)
        vocabulary = self.vocabularies.get(named) if isinstance(named, str) else None
        if vocabulary is not None:
            known = vocabulary

            def of_model(draw: Draw, env: Environment) -> Any:
                return draw(token_ids(known(env), *sizes(low, high, env)))

            return replace(
                self.domain((low, high), of_model),
                accept=lambda value, env: membership.tokens(
                    value, known(env), *sizes(low, high, env)
                ),
            )
        if isinstance(named, str) and named in self.strategies:
            return self.named(named, {key: value for key, value in spec.items() if key != "tokens"})
        size = Quantity.of(named)

        def strategy(env: Environment) -> st.SearchStrategy[Any]:
            return token_ids(size.size(env), *sizes(low, high, env))

        return replace(
            self.dependent((size, low, high), strategy),
            accept=lambda value, env: membership.tokens(
                value, size.size(env), *sizes(low, high, env)
            ),
        )

    def text(self, spec: Mapping[str, Any]) -> Domain:
        self.check_keys(spec, {"text", "length", "alphabet", "categories"})
        if spec.get("text", True) is not True:
            raise self.refusal("text is true or left out; alphabet and categories say which")
        low, high = length_of(spec)
        alphabet = characters(spec)

        def strategy(env: Environment) -> st.SearchStrategy[Any]:
            return text(alphabet, *sizes(low, high, env))

        return replace(
            self.dependent((low, high), strategy),
            accept=lambda value, env: membership.text(
                value, spec.get("alphabet"), *sizes(low, high, env)
            ),
        )

    def listed(self, spec: Mapping[str, Any], key: str, kind: Any) -> tuple[Any, ...]:
        """Return the values of a key that holds a list of numbers or words."""
        values = spec.get(key, ())
        if not isinstance(values, tuple | list) or not all(isinstance(v, kind) for v in values):
            raise self.refusal(f"{key} must be a list, not {values!r}")
        return tuple(values)

    def named(self, name: str, arguments: Mapping[str, Any]) -> Domain:
        factory = self.strategies.get(name)
        if factory is None:
            known = ", ".join(sorted(self.strategies)) or "none"
            raise ContractBindingError(
                f"no strategy is called {name!r} (for variable {self.name!r})",
                where=self.where,
                hint=did_you_mean(name, self.strategies)
                or f"Known strategies: {known}. The hook pytest_contracts_strategies adds more.",
            )
        try:
            return self.drawn(factory(**arguments))
        except (TypeError, InvalidArgument) as error:
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
                meant = did_you_mean(str(key), known)
                raise ContractSyntaxError(
                    f"unknown key {key!r} in the domain of {self.name!r}",
                    where=self.where,
                    hint=f"{meant + ' ' if meant else ''}Known keys: {', '.join(sorted(known))}.",
                )

    def refusal(self, reason: str) -> ContractSyntaxError:
        return ContractSyntaxError(
            f"the domain of {self.name!r} makes no sense: {reason}",
            where=self.where,
            hint="For example 1..128, {32, 64}, {dtype: float32, shape: [n], range: [-1, 1]}.",
        )
