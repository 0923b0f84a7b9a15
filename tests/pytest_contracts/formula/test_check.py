"""What is known before a formula runs: names, arity, symbolic shapes; sameness; LaTeX."""

from __future__ import annotations

import pytest

from pytest_contracts.errors import FormulaError
from pytest_contracts.formula import (
    called_names,
    check,
    free_names,
    parse,
    parse_definition,
    render_latex,
    render_unicode,
    same,
)
from pytest_contracts.formula.check import Known

KNOWN: dict[str, Known] = {
    "x": ("n",),
    "w": ("n",),
    "y": ("m",),
    "a": ("m", "k"),
    "b": ("k", "n"),
    "s": (),
    "z": None,
    "five": (5,),
    "wide": ("kv * group", 4),
    "rmsnorm": parse_definition("rmsnorm(x, w, eps) = x / √(mean(x²) + eps) · w"),
}

FITS = [
    "x + w > 0",
    "x · s + five[0] > 0",
    "a @ b",
    "x @ w + dot(x, w)",
    "a @ b + y[0]",
    "sum(a, axis=0) @ b",
    "sum(a, axis=-1, keepdims=true) + a",
    "a − max(a, axis=1, keepdims=true) = a",
    "T(a) @ y",
    "a[0] @ b[:, 0]",
    "a[..., 0] = y",
    "a[:, 0] + y",
    "a[1:, :] + 1",
    "rmsnorm(x, w, s) ≈ x",
    "rmsnorm(x, w, s)_i > 0 for all i",
    "x ∈ [0, 1]",
    "x ∈ {1, 2} ∧ x ∈ 0..3 ∧ x ∈ w",
    "∀ i ∈ 0..len(x): x_i > sum(j for j in 0..i)",
    "∀ row ∈ a: sum(row) > row[0]",
    "z + x > 0 and z[3, 4, 5] > 0",
    "x if s > 0 else w",
    "x if s > 0 else 0",
    "wide + ones([3, 4]) > 0",
    "shape(a) = [2, 3]",
    "[x, w] + 1 > 0",
    "where(x > 0, x, w) + clip(x, 0, 1) > max(x, w)",
    "norm(a, axis=0) > 0",
    "-x < 0 where w > 0",
    "y[range(3)] > 0",
    "sum(x, axis=s) > 0",
    "cosine(x, x) > 0.5 ⟹ x = x",
    "x[: s] > 0",
    "stack(x for i in 0..3) > 0",
]


@pytest.mark.parametrize("text", FITS)
def test_what_fits_passes(text: str) -> None:
    check(parse(text), KNOWN)


MISFITS = [
    ("q > 0", "unknown name 'q'", 0),
    ("x + exp > 0", "'exp' is a function; call it", 4),
    ("rmsnorm > 0", "'rmsnorm' is an equation; call it", 0),
    ("x(1) > 0", "'x' is a value, not a function", 0),
    ("rmsnrom(x, w, s) > 0", "unknown function 'rmsnrom'", 0),
    ("rmsnorm(x, w) > 0", "'rmsnorm' takes 3 arguments, not 2", 0),
    ("exp() > 0", "'exp' takes 1 argument, not 0", 0),
    ("norm(x, 1, 2) > 0", "'norm' takes 1 to 2 arguments, not 3", 0),
    ("stack() > 0", "'stack' takes at least 1 arguments, not 0", 0),
    ("exp(x, axis=0) > 0", "'exp' takes no keywords", 0),
    ("exp(i for i in 0..3) > 0", "'exp' does not reduce over 'for'", 0),
    ("x + y > 0", "shapes [n] and [m] do not fit together", 2),
    ("x ≈ y", "shapes [n] and [m] do not fit together", 2),
    ("a = x", "shapes [m, k] and [n] do not fit together", 2),
    ("a @ a > 0", "shapes [m, k] and [m, k] do not fit '@': k is not m", 2),
    ("s @ a > 0", "'@' needs arrays on both sides; '·' multiplies elementwise", 2),
    ("five + [1, 2] > 0", "shapes [5] and [2] do not fit together", 5),
    ("x[0, 0] > 0", "2 indices into an array of 1 axes, [n]", 1),
    ("s[0] > 0", "1 indices into an array of 0 axes, []", 1),
    ("sum(a, axis=2) > 0", "axis 2 does not exist in an array of 2 axes, [m, k]", 0),
    ("sum(x·y) > 0", "shapes [n] and [m] do not fit together", 5),
    ("exp(x) < y", "shapes [n] and [m] do not fit together", 7),
    ("x ∈ [y, 1]", "shapes [n] and [m] do not fit together", 4),
    ("where(x > 0, x, y) > 0", "shapes [n] and [m] do not fit together", 0),
    ("∀ i ∈ 0..q: i > 0", "unknown name 'q'", 9),
    ("∀ i ∈ 0..3: i > k", "unknown name 'k'", 16),
    ("(y = 1 if s > 0 else q)", "unknown name 'q'", 21),
    ("sum(x, axis=q) > 0", "unknown name 'q'", 12),
]


@pytest.mark.parametrize(("text", "message", "offset"), MISFITS)
def test_what_does_not_fit_is_named(text: str, message: str, offset: int) -> None:
    with pytest.raises(FormulaError) as misfit:
        check(parse(text), KNOWN)
    assert (misfit.value.message, misfit.value.offset) == (message, offset)


def test_hints_suggest_or_list() -> None:
    with pytest.raises(FormulaError) as misfit:
        check(parse("rmsnrom(x) > 0"), KNOWN)
    assert misfit.value.hint == "Did you mean 'rmsnorm'?"
    with pytest.raises(FormulaError) as misfit:
        check(parse("qqq > 0"), ["x", "y"])
    assert misfit.value.hint == "Known: x, y."


def test_names_alone_check_names_and_arity() -> None:
    check(parse("x + y > 0"), ["x", "y"])
    check(parse("f(x, y) > 0"), ["x", "y", "f"])
    with pytest.raises(FormulaError, match="'exp' takes 1 argument"):
        check(parse("exp(x, y) > 0"), ["x", "y"])


def test_definitions_are_checked_with_their_parameters() -> None:
    check(parse_definition("f(x, t) = x·t + g(1) where g(v) = v + c; c = t"), {"x": ("n",)})
    with pytest.raises(FormulaError, match="unknown name 'eps'"):
        check(parse_definition("f(x) = x + eps"), [])
    with pytest.raises(FormulaError, match="'g' takes 1 argument, not 2"):
        check(parse_definition("f(x) = g(x, x) where g(v) = v"), [])
    # A parameter hides an equation of the same name.
    check(parse_definition("f(rmsnorm) = rmsnorm + 1"), KNOWN)


def test_free_and_called_names() -> None:
    tree = parse("∀ i ∈ 0..n: |softmax(x)_i − Σ y| < ε when argmax(x) = i")
    assert free_names(tree) == {"n", "softmax", "x", "y", "tolerance"}
    assert called_names(tree) == {"range", "abs", "softmax", "sum", "argmax"}
    assert free_names(parse_definition("f(x) = x + a·b where a = 1")) == {"b"}
    assert free_names(parse("norm > 1")) == {"norm"}


SAME = [
    ("∀ i ∈ 0..n: x_i > 0", "∀ j ∈ 0..n: x_j > 0"),
    ("∀ i ∈ 0..n: ∃ j ∈ 0..i: x_j > i", "∀ j ∈ 0..n: ∃ i ∈ 0..j: x_i > j"),
    ("sum(x_i for i in 0..n) = 1", "Σ_{k∈0..n} x_k = 1"),
    ("y = 0 when x = 0 (remark)", "x = 0 ⟹ y = 0"),
]


@pytest.mark.parametrize(("first", "second"), SAME)
def test_bound_names_do_not_matter(first: str, second: str) -> None:
    assert same(parse(first), parse(second))


OTHER = [
    ("∀ i ∈ 0..n: x_i > 0", "∃ i ∈ 0..n: x_i > 0"),
    ("∀ i ∈ 0..n: x_i > k", "∀ k ∈ 0..n: x_k > k"),
    ("∀ i ∈ 0..n: ∀ j ∈ 0..n: x[i, j] > 0", "∀ i ∈ 0..n: ∀ j ∈ 0..n: x[j, i] > 0"),
    ("x > 0", "x ≥ 0"),
    ("|x| < 1e-6", "|x| < 1e-5"),
]


@pytest.mark.parametrize(("first", "second"), OTHER)
def test_what_is_claimed_matters(first: str, second: str) -> None:
    assert not same(parse(first), parse(second))


def test_parameters_and_local_names_do_not_matter() -> None:
    first = parse_definition("f(x) = a + g(x) where a = 1; g(y) = y·a")
    second = parse_definition("f(t) = c + h(t) where c = 1; h(x) = x·c")
    assert same(first, second)
    assert not same(first, parse_definition("f(x) = a + g(x) where a = 1; g(y) = y + a"))


LATEX = [
    (
        "|Σ softmax(x) − 1| < ε",
        r"\left|\sum \operatorname{softmax}\left(x\right) - 1\right| < \varepsilon",
    ),
    ("∀ i ∈ 0..n: x_i ≥ 0", r"\forall i \in \left[0, n\right) :\; x_{i} \ge 0"),
    ("x / √(d_k)", r"\frac{x}{\sqrt{d_{\mathrm{k}}}}"),
    ("(a + b)·γ²", r"\left(a + b\right) \cdot {\gamma}^{2}"),
    ("‖A @ xᵀ‖_∞", r"\left\lVert A \, x^{\top} \right\rVert_{\infty}"),
    ("1e-06", r"1 \cdot 10^{-6}"),
]


@pytest.mark.parametrize(("text", "latex"), LATEX)
def test_latex(text: str, latex: str) -> None:
    assert render_latex(parse(text)) == latex


def test_latex_of_every_construct_is_balanced() -> None:
    texts = [
        "¬ (x > 0 ∧ y ≠ 0 ∨ z = 1) ⟹ (true ⟺ false)",
        "x ∈ [0, ∞) ∧ y ∉ {1, π} when z ≈ -1",
        "a // b + a % b + (a & b | a << 2 >> 1) if a < b else floor(x) − ceil(y)",
        "x[..., 1:, ::2, 0] = [1, 2] where mask = 1",
        "∃ i ∈ {1, 2}: Σ_{j∈1..n} f_max(j)·Π_{k∈0..j} k > max(x, axis=0) + ‖x‖₁ + norm(x, axis=1)",
        "sum(a[i, j] for i in 0..n for j in x) > inf",
    ]
    for text in texts:
        latex = render_latex(parse(text))
        assert latex.count("{") == latex.count("}")
        assert latex.count(r"\left") == latex.count(r"\right") + latex.count(r"\leftarrow")
    definition = parse_definition("f_max(θ, rate) = a + 1 where a = θ; g(v) = v²")
    head = r"\operatorname{f\_max}\left(\theta, \mathrm{rate}\right) = "
    assert render_latex(definition).startswith(head)


def test_unicode_of_definitions_with_comparisons() -> None:
    for text in ("even(n) = (n % 2 = 0)", "f(x) = (x = a) where a = 1"):
        tree = parse_definition(text)
        assert render_unicode(tree) == text
        assert parse_definition(render_unicode(tree)) == tree
