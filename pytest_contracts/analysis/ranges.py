"""What ranges mean where they are easily misread: whole numbers or reals, with or without end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pytest_contracts.contract.model import Variable
from pytest_contracts.formula import render_unicode
from pytest_contracts.formula.tree import Binary, Call, Each, Expr, Name, Number, Quantifier, walk

_UNIT = re.compile(r"\s*(-?[01])\s*\.\.\s*([01])\s*")


def of_few_integers(variable: Variable) -> str | None:
    """Return a remark on a domain such as ``p: 0..1``, which probabilities are often given."""
    found = _UNIT.fullmatch(variable.spec) if isinstance(variable.spec, str) else None
    if found is None or found.group(1) == found.group(2):
        return None
    low, high = int(found.group(1)), int(found.group(2))
    listed = ", ".join(str(value) for value in range(low, high + 1))
    return (
        f"{variable.name}: {variable.spec} is the whole numbers {listed};"
        f" write {low:.1f}..{high:.1f} for the reals between them"
    )


def without_end(tree: Expr) -> Iterator[str]:
    """Yield a remark on each loop over ``0..n−1`` that does not look at the next element.

    In a formula the end is excluded, so that n − 2 is the last.
    """
    for node in walk(tree):
        if not isinstance(node, Quantifier | Each) or _looks_ahead(node.variable, node.body):
            continue
        domain = node.domain
        if isinstance(domain, Call) and domain.function == "range" and len(domain.arguments) == 1:
            stop: Any = domain.arguments[0]
            if isinstance(stop, Binary) and stop.operator == "-" and stop.right == Number(1):
                whole = render_unicode(stop.left)
                yield (
                    f"{node.variable} ∈ 0..{whole} − 1 leaves out {whole} − 1, since the end"
                    f" is excluded in a formula; 0..{whole} is each of {whole}"
                )


def _looks_ahead(variable: str, body: Expr) -> bool:
    """Tell whether an index after the variable's is used, as in ``x[i] ≤ x[i + 1]``."""
    return any(
        isinstance(node, Binary)
        and node.operator == "+"
        and Name(variable) in (node.left, node.right)
        for node in walk(body)
    )
