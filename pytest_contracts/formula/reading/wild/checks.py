"""What a formula must be to be more than prose, and the readings that are refused.

A wrong reading is worse than none: what could be meant in two ways stays prose.
"""

from __future__ import annotations

import re

from pytest_contracts.errors import FormulaError
from pytest_contracts.formula.tree import (
    Binary,
    Call,
    Compare,
    Constant,
    Expr,
    Logic,
    Quantifier,
    Restrict,
    Unary,
    Words,
    binder,
    children,
    names,
    walk,
)

_PREDICATES = frozenset({"finite", "isnan", "isinf", "all", "any", "subset"})
_BIG_O = frozenset({"O", "Θ", "Ω"})


def is_claim(node: Expr) -> bool:
    """Tell whether a tree is true or false, not a value."""
    match node:
        case Compare() | Words():
            return True
        case Constant(name=name):
            return name in ("true", "false")
        case Logic(operands=operands):
            return all(is_claim(operand) for operand in operands)
        case Unary(operator="not", operand=operand):
            return is_claim(operand)
        case Quantifier(body=body):
            return is_claim(body)
        case Restrict(claim=claim, mask=mask):
            return is_claim(claim) and is_claim(mask)
        case Call(function=function):
            return function in _PREDICATES or function.startswith(("is_", "has_"))
    return False


def check_reading(node: Expr, text: str) -> None:
    """Refuse what claims nothing, and what could be read in two ways.

    Raises:
        FormulaError: the formula stays prose, for the reason given.
    """
    if not is_claim(node):
        raise _refusal("a value claims nothing", text)
    if isinstance(node, Words | Constant):
        raise _refusal("no formula among the words", text)
    for part in walk(node):
        _check_part(part, text)
    _check_products(node, text)
    _check_masks(node, text)
    _check_variables(node, text)


def _check_part(part: Expr, text: str) -> None:
    match part:
        case Logic(operator="implies" | "iff" | "and" | "or", operands=operands):
            if not all(is_claim(operand) for operand in operands):
                raise _refusal("a value stands where a claim belongs", text)
        case Unary(operator="not", operand=operand) if not is_claim(operand):
            raise _refusal("a value stands where a claim belongs", text)
        case Compare(first=first, rest=rest):
            if any(_is_logic(side) for side in (first, *(right for _, right in rest))):
                raise _refusal("a claim stands where a value belongs", text)
        case Call(function=function, arguments=arguments):
            if function in _BIG_O and arguments:
                raise _refusal(f"{function}(…) is an order of growth, no number", text)
            if function not in _PREDICATES and any(_is_logic(argument) for argument in arguments):
                raise _refusal("a claim stands where a value belongs", text)
        case Binary(operator="|"):
            raise _refusal("'|' between values may be 'given', 'divides' or a bit operation", text)
        case Binary(left=left, right=right) if _is_logic(left) or _is_logic(right):
            raise _refusal("a claim stands where a value belongs", text)


def _is_logic(node: Expr) -> bool:
    return isinstance(node, Logic | Quantifier | Restrict | Words)


def _check_products(node: Expr, text: str) -> None:
    """Refuse ``AB`` and ``A(B + C)`` where the letters are matrices of the same formula."""
    used = names(node)
    letters = {name for name in used if len(name) == 1 and name.isupper()}
    for name in sorted(used):
        if 2 <= len(name) <= 3 and name.isalpha() and name.isupper() and set(name) <= letters:
            raise _refusal(f"'{name}' is one name or a product of {' and '.join(name)}", text)
    if re.search(r"(?<![^\W_])[A-Z]{2,}\s*(?:\^\s*T|ᵀ)", text):
        raise _refusal("a transposed name of several capitals may be a product", text)
    values = names(node, calls=False)
    called = {part.function for part in walk(node) if isinstance(part, Call)}
    for letter in sorted(letters & values & called):
        raise _refusal(f"'{letter}' is called and is a value: a function or a product?", text)


def _check_variables(node: Expr, text: str) -> None:
    """Refuse ``Af`` for all f: the variable stands in a name that is a product."""
    for part in walk(node):
        if isinstance(part, Quantifier) and part.variable not in names(part.body):
            for name in sorted(names(part.body)):
                if part.variable in name and len(name) <= 3 and not name.islower():
                    raise _refusal(f"'{name}' is one name or a product with {part.variable}", text)


def _check_masks(node: Expr, text: str, bound: frozenset[str] = frozenset()) -> None:
    """Refuse a guard whose variable is bound inside the claim, and there alone."""
    if isinstance(node, Restrict) or (isinstance(node, Logic) and node.operator == "implies"):
        claim, guard = (
            (node.claim, node.mask) if isinstance(node, Restrict) else node.operands[::-1]
        )
        inner = frozenset().union(*((binder(part) or ((),))[0] for part in walk(claim)))
        if inner & names(guard) - names(claim) - bound:
            raise _refusal("the guard's variable is bound inside the claim", text)
    scope = binder(node)
    within = bound | frozenset(scope[0] if scope else ())
    for child in children(node):
        _check_masks(child, text, within)


def _refusal(message: str, text: str) -> FormulaError:
    return FormulaError(message, text=text, offset=0)
