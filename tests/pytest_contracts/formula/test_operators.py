"""An operator is one row: the tree, the reader, the writers and evaluation know the same ones."""

from __future__ import annotations

from typing import get_args

import pytest

from pytest_contracts.formula import arithmetic as values
from pytest_contracts.formula import parse, render_latex, render_unicode
from pytest_contracts.formula.evaluating import truths
from pytest_contracts.formula.operators import (
    ARITHMETIC,
    COMPARISONS,
    CONNECTIVES,
    OPERATORS,
    Operator,
)
from pytest_contracts.formula.tree import BinaryOperator, Comparator, Connective


def test_the_tree_and_evaluation_know_every_operator() -> None:
    assert set(get_args(BinaryOperator)) == ARITHMETIC.keys() == values.OPERATORS.keys()
    assert set(get_args(Comparator)) == COMPARISONS.keys()
    assert COMPARISONS.keys() - truths.COMPARISONS.keys() == {"approx", "in", "not in"}
    assert set(get_args(Connective)) == CONNECTIVES.keys() == truths.CONNECTIVES.keys()


@pytest.mark.parametrize("row", OPERATORS, ids=lambda row: row.symbol)
def test_an_operator_is_read_in_every_spelling_and_written(row: Operator) -> None:
    left, right = ("x > 0", "y > 0") if row.symbol in CONNECTIVES else ("x", "y")
    symbol = "≈" if row.symbol == "approx" else row.symbol
    tree = parse(f"{left} {symbol} {right}")
    assert all(parse(f"{left} {sign} {right}") == tree for sign in row.spellings)
    assert parse(render_unicode(tree)) == tree
    assert row.latex in render_latex(tree)


@pytest.mark.parametrize("row", ARITHMETIC.values(), ids=lambda row: row.symbol)
def test_what_binds_looser_is_put_in_parentheses(row: Operator) -> None:
    for other in ARITHMETIC.values():
        for text in (
            f"(a {other.symbol} b) {row.symbol} c",
            f"a {row.symbol} (b {other.symbol} c)",
        ):
            tree = parse(text)
            assert parse(render_unicode(tree)) == tree
