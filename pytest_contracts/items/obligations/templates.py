"""What a type's template does, attached to its row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pytest_contracts.contract.obligation_types import TYPES, Judge
from pytest_contracts.items.obligations.clause import Clause, Test
from pytest_contracts.items.obligations.enough import NEVER, Enough

Write = Callable[[Clause], Test]


@dataclass(frozen=True)
class Template:
    """How the test of a clause is made, and when it is made beside the claim's own formula."""

    write: Write
    enough: Enough


_ATTACHED: dict[str, Template] = {}
TEMPLATES: Mapping[str, Template] = MappingProxyType(_ATTACHED)
"""The template of each type that has one, by the type's name."""


def template(*types: str, beside: Enough = NEVER) -> Callable[[Write], Write]:
    """Make the decorated function the template of types.

    Raises:
        ValueError: a type has no row that promises a template, or has one already.
    """

    def attach(write: Write) -> Write:
        for name in types:
            if name not in TYPES or TYPES[name].judge is not Judge.TEMPLATE:
                raise ValueError(f"no row of obligation_types.py gives {name!r} a template")
            if name in _ATTACHED:
                raise ValueError(f"type {name!r} has two templates")
            _ATTACHED[name] = Template(write, beside)
        return write

    return attach
