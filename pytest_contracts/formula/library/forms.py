"""How a call is written where mathematics has a sign for it; as ``name(arguments)`` elsewhere.

A rule takes the writer and the call, and returns the text with how tightly it binds, or None where
this call is written like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from pytest_contracts.formula.precedence import BIT_AND, POSTFIX, PRODUCT, SIGN
from pytest_contracts.formula.precedence import SUM as SUMS
from pytest_contracts.formula.tree import Call, Each, Expr, Name, Number, Quantifier

Written: TypeAlias = tuple[str, int]
"""A text, and how tightly what it says binds."""


class Writer(Protocol):
    """What a form needs of the notation that it is written in."""

    @property
    def values(self) -> Mapping[str, str]:
        """The texts that stand in place of names."""

    def text(self, node: Expr, minimum: int) -> str:
        """Return the text of a node, in parentheses where it binds looser than ``minimum``."""

    def bound(self, node: Each | Quantifier) -> str:
        """Return a bound variable and what it ranges over."""


Rule: TypeAlias = Callable[[Writer, Call], "Written | None"]


def as_any_call(writer: Writer, call: Call) -> Written | None:
    """Leave the call to be written as ``name(arguments)``."""
    return None


@dataclass(frozen=True, slots=True)
class Form:
    """How calls of one function are written, and whether LaTeX has a command of its name."""

    unicode: Rule = as_any_call
    latex: Rule = as_any_call
    command: bool = False


def _lone(call: Call) -> Expr | None:
    """Return the argument of a call that has one, and nothing else."""
    if len(call.arguments) != 1 or call.keywords or isinstance(call.arguments[0], Each):
        return None
    return call.arguments[0]


def enclosed(left: str, right: str) -> Rule:
    """Return the rule of what encloses its argument."""

    def rule(writer: Writer, call: Call) -> Written | None:
        inner = _lone(call)
        return None if inner is None else (f"{left}{writer.text(inner, 0)}{right}", POSTFIX)

    return rule


def _bars(writer: Writer, call: Call) -> Written | None:
    inner = _lone(call)
    if inner is None:
        return None
    within = writer.text(inner, BIT_AND)
    # Bars within bars would read as a norm.
    barred = "|" in (within[0], within[-1])
    return f"abs({within})" if barred else f"|{within}|", POSTFIX


def _norm(writer: Writer, call: Call) -> Written | None:
    inner = _lone(call)
    return None if inner is None else (f"‖{writer.text(inner, BIT_AND)}‖", POSTFIX)


def _norm_latex(writer: Writer, call: Call) -> Written | None:
    if call.keywords or len(call.arguments) not in (1, 2) or isinstance(call.arguments[0], Each):
        return None
    inner, *order = (writer.text(argument, 0) for argument in call.arguments)
    subscript = f"_{{{order[0]}}}" if order else ""
    return rf"\left\lVert {inner} \right\rVert{subscript}", POSTFIX


def _transposed(writer: Writer, call: Call) -> Written | None:
    inner = _lone(call)
    return None if inner is None else (f"{writer.text(inner, POSTFIX)}ᵀ", POSTFIX)


def _transposed_latex(writer: Writer, call: Call) -> Written | None:
    inner = _lone(call)
    if inner is None:
        return None
    base = writer.text(inner, POSTFIX)
    # TeX takes one superscript only, and sets it above an index whichever of them came first.
    plain = isinstance(inner, Name) or not {"^", "_"} & set(base)
    return rf"{base if plain else f'{{{base}}}'}^{{\top}}", POSTFIX


def _root(writer: Writer, call: Call) -> Written | None:
    inner = _lone(call)
    if not isinstance(inner, Name | Number) or writer.values:
        return None
    # Below a power, so that √x is put in parentheses before ².
    return f"√{writer.text(inner, 0)}", SIGN


def _big(sign: str) -> Rule:
    def rule(writer: Writer, call: Call) -> Written | None:
        inner = _lone(call)
        if not isinstance(inner, Name | Call) or writer.values:
            return None
        return f"{sign} {writer.text(inner, POSTFIX)}", SUMS

    return rule


def _big_latex(sign: str) -> Rule:
    """Repeat the sign for each loop, the outermost first: a product of products is one as well."""

    def rule(writer: Writer, call: Call) -> Written | None:
        if len(call.arguments) != 1 or call.keywords:
            return None
        body, signs = call.arguments[0], []
        while isinstance(body, Each):
            signs.append(f"{sign}_{{{writer.bound(body)}}}")
            body = body.body
        return f"{''.join(signs) or sign} {writer.text(body, PRODUCT)}", SUMS

    return rule


CALL = Form()
COMMAND = Form(command=True)
ABS = Form(_bars, enclosed(r"\left|", r"\right|"))
SQRT = Form(_root, enclosed(r"\sqrt{", "}"))
FLOOR = Form(latex=enclosed(r"\left\lfloor ", r" \right\rfloor"))
CEIL = Form(latex=enclosed(r"\left\lceil ", r" \right\rceil"))
NORM = Form(_norm, _norm_latex)
TRANSPOSE = Form(_transposed, _transposed_latex)
SUM = Form(_big("Σ"), _big_latex(r"\sum"))
PROD = Form(_big("Π"), _big_latex(r"\prod"))
