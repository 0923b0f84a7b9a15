"""The keys of an obligation that only some types read: one row a key.

A row is all there is to a key: the schema, the reference page and whoever reads it go by the row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pytest_contracts.contract.model import Claim

Value = TypeVar("Value")


@dataclass(frozen=True, eq=False)
class Key(Generic[Value]):
    """One key, and the type of what it says.

    ``domain`` and ``means`` are Markdown for the reference page; ``schema`` is what may stand
    there; ``read`` makes a value of it, or of None where the claim lacks the key.
    """

    name: str
    domain: str
    means: str
    schema: Mapping[str, Any]
    read: Callable[[Any], Value]

    def of(self, claim: Claim) -> Value:
        """Return what a claim says under this key."""
        return self.read(claim.extra.get(self.name))


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _or(default: str) -> Callable[[Any], str]:
    return lambda value: default if value is None else str(value)


def _several(value: Any) -> tuple[Any, ...]:
    """One value may stand alone."""
    if value is None:
        return ()
    return (value,) if isinstance(value, str | int) else tuple(value)


def _texts(value: Any) -> tuple[str, ...]:
    return _several(value)


def _counts(value: Any) -> tuple[int, ...]:
    return _several(value)


_NAME = {"$ref": "#/$defs/name"}
_WORDS = {"$ref": "#/$defs/text"}
_ONE_OR_MORE = {"$ref": "#/$defs/one-or-more"}

ARGUMENT = Key(
    "argument",
    "a parameter",
    "what the template is about; default: the first parameter",
    {"description": "The parameter that the template is about; default: the first.", **_NAME},
    _text,
)
TO = Key(
    "to",
    "an implementation",
    "what the others are compared with, in place of the definition",
    {
        "description": "The implementation to compare with, in place of the definition.",
        **_NAME,
    },
    _text,
)
INVERSE = Key(
    "inverse",
    "an equation, or `module:function`",
    "g, which undoes f",
    {"description": "An equation of the contract, or module:function.", **_WORDS},
    _text,
)
MEASURE = Key(
    "measure",
    "`sum`, `norm`, `count`, `shape`, `dtype`, or a formula",
    "m, which f leaves as it was; a formula may use the definition's parameters and the constants",
    {"description": "sum, norm, count, shape, dtype, or a formula.", **_WORDS},
    _text,
)
MODIFIES = Key("modifies", "parameters, names of `state`", "what may change", _ONE_OR_MORE, _texts)
STATE = Key(
    "state",
    "`module:attribute`, one or more",
    "what is watched beside the arguments",
    {
        "description": "module:attribute, watched from before a call to after it.",
        **_ONE_OR_MORE,
    },
    _texts,
)
THREADS = Key(
    "threads",
    "integers",
    "what is passed as the keyword `threads`",
    {"type": ["integer", "array"], "minimum": 1, "items": {"$ref": "#/$defs/positive"}},
    _counts,
)
DIRECTION = Key(
    "direction",
    "`increasing` (default), `decreasing`",
    "whether f keeps the order or reverses it",
    {"enum": ["increasing", "decreasing"]},
    _or("increasing"),
)
OVER = Key(
    "over",
    "names or patterns of contracts, such as `*-kernel-v1`",
    "the contracts that the claim is about",
    {
        "description": "Names of contracts, or patterns of them such as *-kernel-v1.",
        **_ONE_OR_MORE,
    },
    _texts,
)
REQUIRE = Key(
    "require",
    "`held` (default), `ran`, `bound`",
    "what is demanded of them",
    {"enum": ["held", "ran", "bound"]},
    _or("held"),
)

KEYS: tuple[Key[Any], ...] = tuple(row for row in list(vars().values()) if isinstance(row, Key))
"""Every row above, in this order, in which the schema and so an error's hint list them."""
