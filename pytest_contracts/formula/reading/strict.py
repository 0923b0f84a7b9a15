"""Text in the strict notation to syntax trees: claims, expressions, definitions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pytest_contracts.errors import FormulaError
from pytest_contracts.formula.reading.definitions import whole_definition
from pytest_contracts.formula.reading.parser import Parser
from pytest_contracts.formula.tree import Definition, Expr

_Parsed = TypeVar("_Parsed", bound=Expr)


def _parsed(text: str, rule: Callable[[Parser], _Parsed]) -> _Parsed:
    parser = Parser(text)
    try:
        node = rule(parser)
        parser.finish()
    except FormulaError as error:
        if error.offset is not None:
            raise
        # A limit of the tree itself knows no place.
        raise FormulaError(error.message, text=text, offset=0, hint=error.hint) from None
    return node


def parse(text: str) -> Expr:
    """Return the tree of a claim or of an expression.

    Raises:
        FormulaError: the text is not a formula; ``offset`` is the place.
    """
    return _parsed(text, Parser.claim)


def parse_definition(text: str) -> Definition:
    """Return the tree of ``name(x, …) = body``, with local definitions after ``where``.

    Raises:
        FormulaError: the text is not a definition; ``offset`` is the place.
    """
    return _parsed(text, whole_definition)
