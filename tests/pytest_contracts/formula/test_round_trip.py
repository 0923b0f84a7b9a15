"""What is shown parses back to what was shown, for any tree that the grammar can spell."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pytest_contracts.errors import FormulaError
from pytest_contracts.formula import parse, parse_definition, render_latex, render_unicode, same
from pytest_contracts.formula.tree import (
    Array,
    Binary,
    Call,
    Compare,
    Conditional,
    Constant,
    Dots,
    Each,
    Expr,
    Index,
    Interval,
    Logic,
    Members,
    Name,
    Number,
    Quantifier,
    Restrict,
    Slice,
    Unary,
)

VARIABLES = ("x", "y", "n", "γ", "d_k", "x1", "tolerance")
BOUND = ("i", "j", "p")

names = st.sampled_from(VARIABLES).map(Name)
numbers = st.one_of(
    st.integers(0, 2**70),
    st.floats(0, allow_nan=False, allow_infinity=False),
).map(Number)
constants = st.sampled_from(["true", "false", "inf", "pi"]).map(Constant)
leaves = names | numbers | constants
functions = st.sampled_from(
    ["abs", "norm", "T", "sqrt", "sum", "prod", "max", "min", "f", "finite", "where", "all"]
)


def _slices(values: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    part = st.none() | values
    return st.builds(Slice, part, part, part)


def ranges(values: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    one = values.map(lambda stop: Call("range", (stop,)))
    two = st.tuples(values.filter(lambda v: v != Number(0)), values)
    return one | two.map(lambda bounds: Call("range", bounds))


def values_over(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    """Expressions that are not claims, built from smaller ones."""
    few = st.lists(inner, min_size=1, max_size=3).map(tuple)
    keywords = st.sampled_from(
        [(), (("axis", Number(0)),), (("axis", Number(1)), ("keepdims", Constant("true")))]
    )
    item = inner | _slices(inner) | st.just(Dots())
    return st.one_of(
        st.builds(Unary, st.just("-"), inner),
        st.builds(
            Binary,
            st.sampled_from(["+", "-", "*", "/", "//", "%", "**", "@", "&", "|", "<<", ">>"]),
            inner,
            inner,
        ),
        st.builds(Call, functions, few, keywords),
        st.builds(Index, inner, st.lists(item, min_size=1, max_size=3).map(tuple)),
        st.builds(Array, st.lists(inner, max_size=3).map(tuple)),
        st.builds(Conditional, compares_over(inner), inner, inner),
        st.builds(Each, st.sampled_from(BOUND), ranges(inner), inner).map(
            lambda each: Call("sum", (each,))
        ),
    )


def compares_over(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    plain = st.tuples(
        st.sampled_from(["<", "<=", ">", ">=", "==", "!=", "approx"]),
        inner,
    )
    domains = st.one_of(
        st.builds(Interval, inner, inner, st.booleans(), st.booleans()),
        st.builds(Members, st.lists(inner, min_size=1, max_size=3).map(tuple)),
        ranges(inner),
    )
    member = st.tuples(st.sampled_from(["in", "not in"]), domains)
    chain = st.lists(plain, min_size=1, max_size=3).map(tuple)
    return st.builds(Compare, inner, chain | member.map(lambda one: (one,)))


values = st.recursive(leaves, values_over, max_leaves=8)


def claims_over(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    return st.one_of(
        st.builds(Unary, st.just("not"), inner),
        st.builds(
            Logic,
            st.sampled_from(["and", "or"]),
            st.lists(inner, min_size=2, max_size=3).map(tuple),
        ),
        st.builds(Logic, st.sampled_from(["implies", "iff"]), st.tuples(inner, inner)),
        st.builds(
            Quantifier,
            st.sampled_from(["forall", "exists"]),
            st.sampled_from(BOUND),
            ranges(values) | st.just(Members((Number(1), Number(2)))),
            inner,
        ),
        st.builds(Restrict, inner, inner),
    )


claims = st.recursive(compares_over(values), claims_over, max_leaves=4)


quick = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@quick
@example(Binary("**", Name("x"), Unary("-", Number(0))))
@example(Binary("**", Array(()), Unary("-", Number(12))))
@given(claims | values)
def test_rendered_trees_parse_back(tree: Expr) -> None:
    text = render_unicode(tree)
    assert parse(text) == tree
    assert same(tree, parse(text))
    assert render_latex(tree)


GROUPED = [
    "(a < 1 ⟹ b < 1) ⟹ c < 1",
    "(a < 1 ⟺ b < 1) ⟺ c < 1",
    "(∀ i ∈ 0..n: x[i] > 0) ∧ y > 0",
    "(x > 0 where m = 1) where k = 1",
    "(∀ i ∈ 0..n: x[i] > 0) where m = 1",
    "∀ i ∈ 0..n: x[i] > 0 where m = 1",
    "(a = b) = c",
    "a = (b = c)",
    "(-x)²",
    "-x²",
    "(a**b)**c",
    "(√x)²",
    "√(x²)",
    "(Σ x)·y",
    "Σ (x·y)",
    "(a | b) < c",
    "|a| | |b|",
    "| |a| − b|",
    "(a if b < 1 else c) if d < 1 else e",
    "a if (b if c < 1 else d) < 1 else e",
    "x[(a, b)]",
    "f(a if b < 1 else c, axis=(d + 1))",
    "(x > 0) in {true}",
    "x in (a, b)",
    "¬ (a < 1 ∧ b < 1)",
    "a − (b − c) − d",
    "a·(b @ c)",
    "2⁻¹",
    "(2)**(-1)",
]


@pytest.mark.parametrize("text", GROUPED)
def test_parentheses_that_matter_are_kept(text: str) -> None:
    tree = parse(text)
    assert parse(render_unicode(tree)) == tree


FRAGMENTS = [
    *"xyin01()[]{}|‖+-*/%@&<>=.,:;^~ΣΠ√²ᵀ₁≤≥≠≈∧∨¬∈∉⟹⟺∀∃·−×÷∞επ_ ",
    *["**", "..", "...", " and ", " or ", "not ", " in ", " implies ", " iff ", "forall "],
    *["exists ", " for all ", " when ", " where ", " if ", " else ", "sum(", "f(", "x[", "x_i"],
    *["0..n", "range(", "lambda ", "__class__", "import ", "axis=", "(remark)", "1e5", "0x1F"],
]


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=25).map("".join) | st.text(max_size=30))
def test_any_text_is_a_formula_or_an_error_with_a_place(text: str) -> None:
    for read in (parse, parse_definition):
        refused = None
        try:
            tree = read(text)
        except FormulaError as error:
            refused = error
        if refused is None:
            assert read(render_unicode(tree)) == tree
            assert render_latex(tree)
        else:
            assert refused.text == text
            assert refused.offset in range(len(text) + 1)
