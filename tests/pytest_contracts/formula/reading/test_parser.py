"""The grammar: what is the same tree, what binds tighter, what is refused and where."""

from __future__ import annotations

import pytest

from pytest_contracts.errors import FormulaError
from pytest_contracts.formula import Definition, parse, parse_definition, render_unicode
from pytest_contracts.formula.reading.cursor import MAX_NESTING
from pytest_contracts.formula.reading.lexer import MAX_LENGTH
from pytest_contracts.formula.tree import MAX_DEPTH, Call, Compare, Index, Name, Number

SAME = [
    ("x ≤ y", "x <= y"),
    ("x ≥ y", "x >= y"),
    ("x ≠ y", "x != y"),
    ("x = y", "x == y"),
    ("x ≈ y", "approx(x, y)"),
    ("x > 0 ∧ y > 0", "x > 0 and y > 0"),
    ("x > 0 ∨ y > 0", "x > 0 or y > 0"),
    ("¬ x > 0", "not x > 0"),
    ("x ∈ {1, 2}", "x in {1, 2}"),
    ("x ∉ 0..n", "x not in range(n)"),
    ("x > 0 ⟹ y > 0", "x > 0 implies y > 0"),
    ("x > 0 ⟺ y > 0", "x > 0 iff y > 0"),
    ("∀ i ∈ 0..n: x_i > 0", "forall i in range(n): x[i] > 0"),
    ("∃ i ∈ 0..n: x_i > 0", "exists i in range(n): x[i] > 0"),
    ("∀ i, j ∈ 0..n: x_i = x_j", "forall i in range(n), j in range(n): x[i] = x[j]"),
    ("∀ i: x_i > 0", "forall i in range(len(x)): x[i] > 0"),
    ("x_i > 0 for all i", "∀ i ∈ 0..len(x): x[i] > 0"),
    ("f(x)_i > 0 for all i", "∀ i ∈ 0..len(f(x)): f(x)[i] > 0"),
    ("a[i, j] > 0 for all i, j", "∀ i ∈ 0..len(a): ∀ j ∈ 0..shape(a)[1]: a[i, j] > 0"),
    ("a[..., i] > 0 for all i", "∀ i ∈ 0..shape(a)[-1]: a[..., i] > 0"),
    ("x_i > 0 for all i in 1..n", "∀ i ∈ range(1, n): x[i] > 0"),
    ("f(x) > 0 for all x", "f(x) > 0"),
    ("y = 0 when x = 0", "x = 0 ⟹ y = 0"),
    ("y > 0 (strictly positive)", "y > 0"),
    ("y > 0 (see §3 – “rôle”, {n}·)", "y > 0"),
    ("Σ x", "sum(x)"),
    ("∑ x", "sum(x)"),
    ("Π x", "prod(x)"),
    ("Σ x² / n", "sum(x**2) / n"),
    ("Σ_i x_i·y_i", "sum(x[i] * y[i] for i in range(len(x)))"),
    ("Σ_{i∈0..n} f(i)", "sum(f(i) for i in range(n))"),
    ("Π_{i∈1..n} i", "prod(i for i in range(1, n))"),
    ("|x|", "abs(x)"),
    ("|x| | y", "abs(x) | y"),
    ("‖x‖", "norm(x)"),
    ("‖x‖₂", "norm(x)"),
    ("‖x‖_F", "norm(x)"),
    ("‖x‖₁", "norm(x, 1)"),
    ("‖x‖_1", "norm(x, 1)"),
    ("‖x‖_∞", "norm(x, inf)"),
    ("‖x − ‖y‖·y‖", "norm(x - norm(y) * y)"),
    ("√x", "sqrt(x)"),
    ("√(x + 1)", "sqrt(x + 1)"),
    ("√x_i > 0 for all i", "forall i in range(len(x)): sqrt(x[i]) > 0"),
    ("x²", "x**2"),
    ("x⁻¹", "x**-1"),
    ("xᵀ", "T(x)"),
    ("x.T", "T(x)"),
    ("x.shape[0]", "shape(x)[0]"),
    ("a·b", "a * b"),
    ("a × b", "a * b"),
    ("a ÷ b", "a / b"),
    ("a − b", "a - b"),
    ("+a", "a"),
    ("x₁", "x1"),
    ("x_{i+1} > x_i for all i in 0..n-1", "forall i in range(n - 1): x[i+1] > x[i]"),
    ("|x| < ∞", "abs(x) < inf"),
    ("|x| < ε", "abs(x) < tolerance"),
    ("2·π", "2 * pi"),
    ("True", "true"),
    ("0x1F + 0b11 + 0o7", "31 + 3 + 7"),
    ("1_000.5e-1", "100.05"),
    (".5", "0.5"),
    ("(1, 2)", "[1, 2]"),
    ("x[…, 0]", "x[..., 0]"),
    ("f(x)_0", "f(x)[0]"),
    ("f(x)_{0, 1}", "f(x)[0, 1]"),
]


@pytest.mark.parametrize(("mathematics", "ascii_text"), SAME)
def test_both_spellings_are_one_tree(mathematics: str, ascii_text: str) -> None:
    assert parse(mathematics) == parse(ascii_text)


PRECEDENCE = [
    ("a + b * c", "a + (b * c)"),
    ("a - b - c", "(a - b) - c"),
    ("a / b · c", "(a / b) · c"),
    ("-x**2", "-(x**2)"),
    ("2**-x**2", "2**(-(x**2))"),
    ("a**b**c", "a**(b**c)"),
    ("a << 1 + b", "a << (1 + b)"),
    ("a & b | c", "(a & b) | c"),
    ("a | b = c", "(a | b) = c"),
    ("not a < b", "not (a < b)"),
    ("a < 1 or b < 1 and c < 1", "a < 1 or (b < 1 and c < 1)"),
    ("a < 1 and b < 1 ⟹ c < 1", "(a < 1 and b < 1) ⟹ c < 1"),
    ("a < 1 ⟹ b < 1 ⟹ c < 1", "a < 1 ⟹ (b < 1 ⟹ c < 1)"),
    ("a < 1 ⟺ b < 1 ⟹ c < 1", "a < 1 ⟺ (b < 1 ⟹ c < 1)"),
    ("a if b < 1 else c + 1", "a if (b < 1) else (c + 1)"),
    ("a < 1 ⟹ b if c < 1 else d", "a < 1 ⟹ (b if c < 1 else d)"),
    ("Σ x − 1", "(Σ x) − 1"),
    ("Σ x / n", "(Σ x) / n"),
    ("Σ_{i∈0..n} x_i·y_i + 1", "(Σ_{i∈0..n} (x_i·y_i)) + 1"),
    ("a @ bᵀ", "a @ (bᵀ)"),
    ("∀ i ∈ 0..n: x_i > 0 ⟹ y_i > 0", "∀ i ∈ 0..n: (x_i > 0 ⟹ y_i > 0)"),
]


@pytest.mark.parametrize(("text", "grouped"), PRECEDENCE)
def test_precedence_is_pythons(text: str, grouped: str) -> None:
    assert parse(text) == parse(grouped)


DIFFERENT = [
    ("a - (b - c)", "a - b - c"),
    ("x_i > 0", "x[i] > 0"),  # i is not bound: a name like d_k
    ("x > 0 and y > 0", "y > 0 and x > 0"),
    ("x in [0, 1]", "x in (0, 1)"),
    ("x in [0, 1)", "x in (0, 1]"),
]


@pytest.mark.parametrize(("first", "second"), DIFFERENT)
def test_other_claims_are_other_trees(first: str, second: str) -> None:
    assert parse(first) != parse(second)


def test_a_chain_is_one_comparison() -> None:
    assert parse("a = b = 12") == Compare(Name("a"), (("==", Name("b")), ("==", Number(12))))


def test_offsets_count_characters_of_the_original_text() -> None:
    tree = parse("‖x‖ ≤ ‖y‖ · n")
    assert isinstance(tree, Compare)
    assert tree.offset == 4
    right = tree.rest[0][1]
    assert right.offset == 10


def test_keyword_arguments_have_one_order() -> None:
    assert parse("sum(x, keepdims=true, axis=0)") == parse("sum(x, axis=0, keepdims=true)")


def test_a_comparison_of_axis_outside_a_call_is_a_comparison() -> None:
    assert isinstance(parse("axis = 1"), Compare)


def test_nested_loops_of_a_reduction() -> None:
    tree = parse("sum(a[i, j] for i in range(n) for j in range(m))")
    assert render_unicode(tree) == "sum(a[i, j] for i in 0..n for j in 0..m)"


REFUSED = [
    ("", "expected a value, found end of the formula", 0),
    ("x <", "expected a value, found end of the formula", 3),
    ("x > 0 y", "unexpected 'y' after the formula", 6),
    ("2x", "'2x' is neither a number nor a name", 0),
    ("1.2.3", "unexpected '.3' after the formula", 3),
    ("x ^ 2", "'^' is not part of the formula language", 2),
    ("x -> y", "'->' is not part of the formula language", 2),
    ("x ⇒ y", "'⇒' is not part of the formula language", 2),
    ("||x|| = 1", "'||' is not part of the formula language", 0),
    ("~x", "'~' is not part of the formula language", 0),
    ("x && y", "'&&' is not part of the formula language", 2),
    ("x := 1", "':=' is not part of the formula language", 2),
    ("lambda: 0", "'lambda' is not part of the formula language", 0),
    ("x is y", "'is' is not part of the formula language", 2),
    ("None", "'None' is not part of the formula language", 0),
    ("__import__(x)", "'__import__' is not part of the formula language", 0),
    ("x.__class__", "'__class__' is not part of the formula language", 2),
    ("x.real", "attribute access is not part of the formula language: 'real'", 2),
    ("_x", "'_x' is not a name", 0),
    ("x_", "'x_' is not a name", 0),
    ("'text'", "a formula holds no strings", 0),
    ('"text"', "a formula holds no strings", 0),
    ("x; y", "unexpected ';' after the formula", 1),
    ("x\u0000", "unexpected character '\\x00'", 1),
    ("x $ y", "unexpected character '$'", 2),
    ("f(x)(y)", "only a named function can be called", 4),
    ("(f)(y)", "only a named function can be called", 3),
    ("[x for x in y]", "expected ']', found 'for'", 3),
    ("sum(x for x in y if x)", "expected ')', found 'if'", 17),
    ("{1, 2}", "a set stands only right of 'in'", 0),
    ("x in [0, 1, 2]", "expected the end of an interval, found ','", 10),
    ("x in [0]", "expected ',' of an interval", 7),
    ("x in {1, 2", "expected '}', found end of the formula", 10),
    ("(x", "expected ')', found end of the formula", 2),
    ("|x", "expected '|', found end of the formula", 2),
    ("‖x‖_3", "a norm is ‖x‖, ‖x‖₁, ‖x‖₂, ‖x‖_F or ‖x‖_∞", 3),
    ("‖x‖_ 1", "a norm is ‖x‖, ‖x‖₁, ‖x‖₂, ‖x‖_F or ‖x‖_∞", 3),
    ("f(x)_1a", "'_1a' is not a subscript", 4),
    ("x[]", "expected a value, found ']'", 2),
    ("x[1:2:3:4]", "a slice is start:stop:step", 2),
    ("f(axis=1, x)", "a plain argument follows a keyword argument", 11),
    ("√x²", "√ before a power is ambiguous", 2),
    ("Σ x · y", "Σ before a product is ambiguous", 4),
    ("Π x @ y", "Π before a product is ambiguous", 4),
    ("Σ_i y > 0", "'i' has no range", 1),
    ("Σ_{i} y > 0", "'i' has no range", 1),
    ("∀ i: y > 0", "'i' has no range", 2),
    ("∀ i ∈ 0..n y > 0", "expected ':', found 'y'", 11),
    ("∀ 3 ∈ x: y", "expected a variable, found '3'", 2),
    ("∀ pi ∈ x: y", "expected a variable, found 'pi'", 2),
    ("x > 0 for i", "expected 'for all', found 'for' and 'i'", 10),
    ("x > 0 for all y", "'y' does not occur in the claim", 14),
    ("x if y", "expected 'else', found end of the formula", 6),
    ("x not y", "expected 'in', found 'y'", 6),
    ("x > 0 (open", "unexpected '(' after the formula", 6),
    ("x > 0 (one) (two)", "unexpected '(' after the formula", 6),
    ("x⁹⁹⁹⁹⁹⁹⁹", "a superscript of more than 6 digits", 1),
    ("9" * 400, "the number is too large", 0),
    ("1e400", "the number is too large", 0),
    ("0b2", "'0b2' is neither a number nor a name", None),
    ("1__0", None, None),
]


@pytest.mark.parametrize(("text", "message", "offset"), REFUSED, ids=[r[0][:20] for r in REFUSED])
def test_refusals_say_what_and_where(text: str, message: str | None, offset: int | None) -> None:
    if message is None:
        assert parse(text) == Number(10)
        return
    with pytest.raises(FormulaError) as refused:
        parse(text)
    if offset is None:
        assert refused.value.offset is not None
    else:
        assert (refused.value.message, refused.value.offset) == (message, offset)
        assert refused.value.text == text


def test_hints_say_what_to_write() -> None:
    for text, hint in [
        ("2x", "a product needs its sign: 2·x"),
        ("x^2", "write x**2 or x² for a power, xor(a, b) for exclusive or"),
        ("√x²", "write √(x²) or (√x)²"),
        ("x.real", "only .shape, .size, .ndim, .T are known"),
    ]:
        with pytest.raises(FormulaError) as refused:
            parse(text)
        assert refused.value.hint == hint


@pytest.mark.parametrize(
    "text",
    [
        "(" * 200 + "x" + ")" * 200,
        "-" * 500 + "x",
        "not " * 500 + "x",
        "x" + "[0]" * 500,
        "x" + "ᵀ" * 500,
        "x" + "²" + "ᵀ²" * 300,
        " + ".join(["x"] * 500),
        "**".join(["x"] * 500),
        " implies ".join(["x"] * 500),
        "|" * 300,
        "‖" * 301,
        "f(" * 300,
        "[" * 300,
        "∀ i ∈ x: " * 200 + "x",
        "1 if x else " * 200 + "2",
        "x when " * 200 + "y",
        "√" * 500 + "x",
        "Σ" * 500 + "x",
        "x in {" * 200,
        "sum(" + "x for i in " * 200,
        "sum(x" + " for i in x" * 500 + ")",
    ],
    ids=lambda text: text[:8],
)
def test_deep_formulas_are_refused(text: str) -> None:
    with pytest.raises(FormulaError):
        parse(text)


def test_the_limits_themselves_are_accepted() -> None:
    depth = MAX_DEPTH - 1
    assert parse("-" * (depth - 1) + "x").depth == depth
    assert parse(" + ".join(["x"] * (MAX_DEPTH - 1))).depth == MAX_DEPTH - 1
    assert MAX_NESTING > 50
    with pytest.raises(FormulaError, match=f"nests deeper than {MAX_DEPTH} levels"):
        parse(" + ".join(["x"] * (MAX_DEPTH + 1)))


def test_long_texts_are_refused_unread() -> None:
    with pytest.raises(FormulaError, match=f"longer than {MAX_LENGTH} characters"):
        parse("x" * (MAX_LENGTH + 1))
    with pytest.raises(FormulaError, match="more than 1000 items"):
        parse("[" + "1," * 1200 + "1]")
    with pytest.raises(FormulaError, match="more than 1000 arguments"):
        parse("f(" + "1," * 1200 + "1)")


# -- definitions ----------------------------------------------------------------------------------


def test_a_definition_has_name_parameters_and_body() -> None:
    found = parse_definition("softmax(x) = exp(x − max(x)) / Σ exp(x − max(x))")
    assert found == Definition("softmax", ("x",), parse("exp(x − max(x)) / (Σ exp(x − max(x)))"))


def test_a_definition_may_be_a_predicate() -> None:
    found = parse_definition("even(n) = (n % 2 = 0) (a remark)")
    assert found == Definition("even", ("n",), parse("n % 2 = 0"))
    assert parse_definition("old(cc) = cc >= 89 and cc < 100").parameters == ("cc",)


def test_local_definitions_follow_where() -> None:
    found = parse_definition("f(x) = a + g(x) where a = 1; g(y) = y·a, b = 2")
    assert render_unicode(found) == "f(x) = a + g(x) where a = 1; g(y) = y · a; b = 2"
    assert parse_definition(render_unicode(found)) == found


BAD_DEFINITIONS = [
    ("f(x)", "expected '=' of a definition, found end of the formula", 4),
    ("f(x) = x = 1", "a definition has one '='", 0),
    ("f(x, x) = x", "parameter 'x' appears twice", 5),
    ("f(1) = 1", "expected a parameter, found '1'", 2),
    ("1 = f", "expected the name that is defined, found '1'", 0),
    ("pi = 3", "expected the name that is defined, found 'pi'", 0),
    ("f(x = x", "expected ')', found '='", 4),
    ("f(x) = x y", "unexpected 'y' after the formula", 9),
    ("f(x) = a where a = b; b = a", "'a' is defined through itself", 15),
    ("f(x) = a where a = a", "'a' is defined through itself", 15),
    ("f(x) = a where a = 1; a = 2", "'a' is defined twice", 22),
    ("f(x) = a where x = 1", "'x' is defined twice", 15),
    ("f(x) = a where f = 1", "'f' is defined twice", 15),
]


@pytest.mark.parametrize(("text", "message", "offset"), BAD_DEFINITIONS)
def test_bad_definitions_say_what_and_where(text: str, message: str, offset: int) -> None:
    with pytest.raises(FormulaError) as refused:
        parse_definition(text)
    assert (refused.value.message, refused.value.offset) == (message, offset)


def test_deep_definitions_are_refused_with_a_place() -> None:
    with pytest.raises(FormulaError) as refused:
        parse_definition("f(x) = " + " + ".join(["x"] * 500))
    assert refused.value.offset is not None


NO_REMARKS = [
    "y = 10 (1 − p)",
    "y = 10 (p)",
    "y = 10 (2 p)",
    "y = rate (rate)",
    "y = x (n > 0)",
    "y = x (p or q)",
    "y = x (row-wise)",
    "y = x (when x > 0)",
    "y = x (for all but the last)",
]


@pytest.mark.parametrize("text", NO_REMARKS)
def test_what_may_be_a_factor_or_a_condition_is_no_remark(text: str) -> None:
    with pytest.raises(FormulaError, match="a remark is words"):
        parse(text)


REMARKS = ["broadcast", "one per row", "IEEE 754", "by rows: see §3", "nothing to add (or little)"]


@pytest.mark.parametrize("words", REMARKS)
def test_a_remark_in_words_changes_nothing(words: str) -> None:
    assert parse(f"y = x + 1 ({words})") == parse("y = x + 1")


def test_a_membership_ends_a_chain() -> None:
    for text in ("a ∈ {1, 2} < b", "a in (0, 1) = b", "a ∉ [0, 1] ∈ {2}"):
        with pytest.raises(FormulaError, match="a membership ends a chain"):
            parse(text)
    assert parse("0 < a ∈ {1, 2} ∧ a < b") is not None


def test_a_bound_name_is_not_subscripted_again() -> None:
    tree = parse("∀ i ∈ 0..n: sum(x_i for i in range(m)) = x_i")
    assert render_unicode(tree) == "∀ i ∈ 0..n: sum(x[i] for i in 0..m) = x[i]"


def test_quantified_index_ranges_over_the_first_axis_that_it_indexes() -> None:
    tree = parse("a[0, i] = b[i] for all i")
    assert render_unicode(tree) == "∀ i ∈ 0..shape(a)[1]: a[0, i] = b[i]"


def test_a_call_needs_its_parenthesis_adjacent() -> None:
    with pytest.raises(FormulaError, match="unexpected '\\('"):
        parse("y = f (x)")
    assert isinstance(parse("f(x)"), Call)
    assert isinstance(parse("x [0]"), Index)
