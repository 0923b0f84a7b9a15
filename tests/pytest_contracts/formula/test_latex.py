"""LaTeX shows the claim that is made: read as a mathematician sees it, it gives the same tree."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from pytest_contracts.formula import parse, render_latex
from pytest_contracts.formula.tree import Expr

from .latex_reader import normal, read_latex
from .test_round_trip import GROUPED, claims, values


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(claims | values)
def test_latex_shows_the_tree(tree: Expr) -> None:
    assert read_latex(render_latex(tree)) == normal(tree)


BIG = [
    ("prod(x[i, j] for i in d for j in e)", r"\prod_{i \in d}\prod_{j \in e} x_{i, j}"),
    (
        "prod(x[i, j, k] for i in d for j in e for k in f)",
        r"\prod_{i \in d}\prod_{j \in e}\prod_{k \in f} x_{i, j, k}",
    ),
    ("sum(x[i, j] for i in d for j in e)", r"\sum_{i \in d}\sum_{j \in e} x_{i, j}"),
    (
        "prod(sum(x[i, j] for j in e) for i in d)",
        r"\prod_{i \in d} \left(\sum_{j \in e} x_{i, j}\right)",
    ),
    (
        "sum(y[i] · prod(x[i, j] for j in e) for i in d)",
        r"\sum_{i \in d} y_{i} \cdot \left(\prod_{j \in e} x_{i, j}\right)",
    ),
    (
        "sum(sum(x[i, j] for j in e)² for i in d)",
        r"\sum_{i \in d} {\left(\sum_{j \in e} x_{i, j}\right)}^{2}",
    ),
    ("max(x[i, j] for i in d for j in e)", r"\max\left(x_{i, j} : i \in d, j \in e\right)"),
]


@pytest.mark.parametrize(("text", "latex"), BIG)
def test_a_product_over_two_indices_is_a_product(text: str, latex: str) -> None:
    assert render_latex(parse(text)) == latex


SHOWN = [
    # A power beside a fraction or a power of ten belongs to the last that is written.
    ("(a / b)²", r"{\left(\frac{a}{b}\right)}^{2}"),
    ("1e-06²", r"{\left(1 \cdot 10^{-6}\right)}^{2}"),
    ("c · (a / b)", r"c \cdot \frac{a}{b}"),
    # Cases have no end.
    (
        "(a if c < 1 else b) + 1",
        r"\left(\begin{cases} a & \text{if } c < 1 \\ b & \text{otherwise} \end{cases}\right) + 1",
    ),
    # Of two guards in a row, the second is the claim's.
    (
        "x > 0 where (y > 0 where z > 0)",
        r"x > 0 \quad\text{where } \left(y > 0 \quad\text{where } z > 0\right)",
    ),
    # TeX sets scripts of one base above each other, whichever came first.
    ("x[0]ᵀ", r"{x_{0}}^{\top}"),
    ("(xᵀ)[0]", r"{x^{\top}}_{0}"),
    ("d_kᵀ", r"d_{\mathrm{k}}^{\top}"),
    # What stands below the bars of a norm is its order.
    ("norm(x)[0]", r"\left(\left\lVert x \right\rVert\right)_{0}"),
    ("norm(x)[[]]", r"\left(\left\lVert x \right\rVert\right)_{\left[\right]}"),
    ("norm(x)[:]", r"\left(\left\lVert x \right\rVert\right)_{:}"),
    ("norm(x)[...]", r"\left(\left\lVert x \right\rVert\right)_{\dots}"),
    ("norm(x)[i, j]", r"\left(\left\lVert x \right\rVert\right)_{i, j}"),
    ("norm(x, 1)[0]", r"{\left\lVert x \right\rVert_{1}}_{0}"),
    ("norm(x, 1)", r"\left\lVert x \right\rVert_{1}"),
    ("norm()", r"\operatorname{norm}\left(\right)"),
]


@pytest.mark.parametrize(("text", "latex"), SHOWN)
def test_latex_is_not_read_in_another_way(text: str, latex: str) -> None:
    tree = parse(text)
    assert render_latex(tree) == latex
    assert read_latex(latex) == normal(tree)


@pytest.mark.parametrize("text", GROUPED)
def test_latex_shows_the_parentheses_that_matter(text: str) -> None:
    tree = parse(text)
    assert read_latex(render_latex(tree)) == normal(tree)
