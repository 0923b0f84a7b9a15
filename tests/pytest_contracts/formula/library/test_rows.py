"""A function of the language is one row: a row that lacks something, or is wrong, is named."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest

from pytest_contracts.errors import FormulaError
from pytest_contracts.formula import (
    LIBRARY,
    Undefined,
    check,
    evaluate,
    parse,
    render_latex,
    render_unicode,
)
from pytest_contracts.formula.check import Known, shape_of
from pytest_contracts.formula.library import bits, elementwise, reductions, shaping
from pytest_contracts.formula.library.function import Function
from pytest_contracts.formula.shapes import Shape

KNOWN: dict[str, Known] = {"a": (2, 2), "v": (2,), "s": ()}
VALUES = {"a": np.array([[1, 2], [3, 4]]), "v": np.array([2, 2]), "s": 2}

every_row = pytest.mark.parametrize("row", list(LIBRARY.values()), ids=lambda row: row.name)


def calls(row: Function) -> Iterator[str]:
    """Calls with all combinations of a matrix, a vector and a number, with and without an axis."""
    most = row.minimum + 1 if row.maximum is None else row.maximum
    for count in range(row.minimum, most + 1):
        for arguments in product(KNOWN, repeat=count):
            listed = ", ".join(arguments)
            yield f"{row.name}({listed})"
            if row.keywords:
                yield f"{row.name}({listed}, axis=0)"
                yield f"{row.name}({listed}, axis=-1, keepdims=true)"


def agrees(claimed: Shape, real: tuple[int, ...]) -> bool:
    if claimed is None:
        return True
    lengths = zip(claimed, real, strict=False)
    return len(claimed) == len(real) and all(one in (None, other) for one, other in lengths)


def test_no_row_hides_another() -> None:
    modules = (elementwise, reductions, shaping, bits)
    names = [row.name for module in modules for row in module.FUNCTIONS]
    assert sorted(names) == sorted(LIBRARY)


@every_row
def test_a_row_says_how_it_is_called_and_what_it_means(row: Function) -> None:
    assert row.name.isidentifier()
    assert 1 <= row.minimum <= (row.maximum or row.minimum)
    assert row.keywords or not row.reduces
    assert row.reduces or not row.spreads
    assert row.meaning
    assert "\n" not in row.meaning


@every_row
def test_the_shape_that_a_row_promises_is_the_one_that_evaluation_gives(row: Function) -> None:
    evaluated = 0
    for text in calls(row):
        try:
            real = np.shape(evaluate(parse(text), VALUES))
        except (FormulaError, Undefined):
            continue
        evaluated += 1
        claimed = shape_of(parse(text), KNOWN)
        assert agrees(claimed, real), f"{text}: {claimed} is promised, {real} is given"
    assert evaluated


@every_row
def test_a_row_is_written_as_it_is_read(row: Function) -> None:
    for text in [*calls(row), f"{row.name}(v[i] for i in 0..2)", f"{row.name}(a + s)², 1"]:
        tree = parse(f"({text})")
        assert parse(render_unicode(tree)) == tree
        latex = render_latex(tree)
        assert latex.count("{") == latex.count("}")
        assert latex.count(r"\left") == latex.count(r"\right")


@every_row
def test_a_row_takes_keywords_and_loops_only_where_it_says_so(row: Function) -> None:
    for text, allowed in [
        (f"{row.name}({', '.join(['a'] * row.minimum)}, axis=0)", row.keywords),
        (f"{row.name}(v[i] for i in 0..2)", row.reduces),
    ]:
        for refuses in (lambda tree: check(tree, KNOWN), lambda tree: evaluate(tree, VALUES)):
            try:
                refuses(parse(text))
            except FormulaError as error:
                refused = "takes no keywords" in error.message or "does not reduce" in error.message
            else:
                refused = False
            assert refused is not allowed, text


MISFITS = [
    ("cosine([1], [1, 2])", "cosine of 1 and 2 elements is not defined"),
    ("zeros([[1, 2], [3, 4]])", "a shape is a list of lengths, not [1, 2, 3, 4] (shape 2×2)"),
    ("reshape([1, 2], [[1, 2]])", "a shape is a list of lengths, not [1, 2] (shape 1×2)"),
    ("full([2], [1, 2, 3])", "a value of shape [3] does not fit [2]"),
]


@pytest.mark.parametrize(("text", "message"), MISFITS)
def test_what_does_not_fit_is_an_error_of_the_formula(text: str, message: str) -> None:
    with pytest.raises(FormulaError) as misfit:
        evaluate(parse(text), {})
    assert (misfit.value.message, misfit.value.offset) == (message, 0)


def test_integers_are_shown_as_integers() -> None:
    with pytest.raises(FormulaError, match=r"^the size must be an integer, not \[2, 3\]$"):
        evaluate(parse("eye([2, 3])"), {})
