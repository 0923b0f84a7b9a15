"""Templates that relate a function to itself: each holds, is falsified, and says what it lacks."""

from __future__ import annotations

import pytest

NEAR = "tolerance: 1e-3"
NUMBERS = "{dtype: float32, shape: [n], range: [-9, 9]}"
TWO = f"n: 1..6, x: {NUMBERS}, y: {NUMBERS}"
BOTH = {"good": "HELD", "bad": "FALSIFIED"}


def functions(good: str, bad: str, parameters: str = "x") -> str:
    """Return the code of two implementations."""
    return (
        f"def good({parameters}):\n    return {good}\n\ndef bad({parameters}):\n    return {bad}\n"
    )


@pytest.mark.parametrize(
    ("claim", "formula", "good", "bad", "shown"),
    [
        ("type: involution", "f(x) = −x", "-x", "-abs(x)", "f(f(x)) = x"),
        (f"type: linearity, {NEAR}", "f(x) = 2·x", "2 * x", "2 * x + 1", "*≈ α · f(x) + β · f(x2)"),
        (f"type: additivity, {NEAR}", "f(x) = 2·x", "2 * x", "x * x", "f(x + x2) ≈ f(x) + f(x2)"),
        (f"type: homogeneity, {NEAR}", "f(x) = 2·x", "2 * x", "abs(x)", "f(α · x) ≈ α · f(x)"),
        ("type: idempotency", "f(x) = abs(x)", "abs(x)", "x / 2", "f(f(x)) = f(x)"),
    ],
)
def test_one_argument(bench, claim, formula, good, bad, shown):
    assert bench.judge(claim, functions(good, bad), formula=formula) == BOTH
    bench.shows(f"FALSIFIED: P: {shown}", "counterexample:", "x: *")


@pytest.mark.parametrize("kind", ["symmetry", "commutativity"])
def test_two_arguments_change_places(bench, kind):
    code = functions("x + y", "x - y", "x, y")
    assert bench.judge(f"type: {kind}", code, formula="f(x, y) = x + y", variables=TWO) == BOTH
    bench.shows("FALSIFIED: P: f(x, y) = f(y, x)", "counterexample:")


def test_associativity_draws_a_third_argument(bench):
    code = functions("np.maximum(x, y)", "(x + y) / 2", "x, y")
    formula = "f(x, y) = max(x, y)"
    assert bench.judge("type: associativity", code, formula=formula, variables=TWO) == BOTH
    bench.shows("FALSIFIED: P: f(f(x, y), y2) = f(x, f(y, y2))", "counterexample:", "y2: *")


def test_roundtrip_with_an_equation_takes_its_other_arguments_by_name(bench):
    code = """
    def good(x, k):
        return x * k

    def bad(x, k):
        return np.float32(x * k).astype(np.int32)

    def half(y, k):
        return y / k
    """
    verdicts = bench.judge(
        f"type: roundtrip, equation: f, inverse: g, {NEAR}",
        code,
        formula="f(x, k) = x·k",
        variables="k: 1..4, x: {dtype: float32, range: [-9, 9]}",
        more="""
        g:
          formula: g(y, k) = y / k
          implementations: {good: "maps:half"}
        """,
    )
    assert verdicts == BOTH
    bench.shows("FALSIFIED: P: g(f(x, k), k) ≈ x")
    ran = bench.project.ledger()
    assert ran["A[good]"]["ran"] == {"f": "maps:good", "g": "maps:half"}
    assert ran["A[bad]"]["ran"] == {"f": "maps:bad"}, "g's definition stands in"


def test_roundtrip_with_a_function_outside_the_contract(bench):
    code = functions("2 * x", "np.floor(x)") + "\n\ndef half(y):\n    return y / 2\n"
    assert bench.judge('type: roundtrip, inverse: "maps:half"', code) == BOTH
    bench.shows("FALSIFIED: P: inverse(f(x)) = x", "ran: *inverse = maps:half")


def test_roundtrip_of_text(bench):
    code = """
    def good(s):
        return s.encode()

    def bad(s):
        return s.encode("ascii", "replace")

    def decode(b):
        return b.decode()
    """
    verdicts = bench.judge(
        'type: roundtrip, inverse: "maps:decode"', code, formula="f(s) = s", variables="s: text"
    )
    assert verdicts == BOTH


def test_the_argument_may_be_another_than_the_first(bench):
    code = functions("(x * x) * w", "x * (w * w)", "x, w")
    variables = "x: {dtype: float32, range: [-9, 9]}, w: {dtype: float32, range: [-9, 9]}"
    verdicts = bench.judge(
        f"type: linearity, argument: w, {NEAR}",
        code,
        formula="f(x, w) = x·x·w",
        variables=variables,
    )
    assert verdicts == BOTH
    bench.shows("f(x, α · w + β · w2) ≈ α · f(x, w) + β · f(x, w2)")


def test_factors_of_whole_numbers_are_whole(bench):
    code = """
    def good(n):
        assert isinstance(n, int)
        return 2 * n

    def bad(n):
        return n * n
    """
    verdicts = bench.judge("type: linearity", code, formula="f(n) = 2·n", variables="n: 0..100")
    assert verdicts == BOTH


def test_the_claim_may_declare_the_factor(bench):
    claim = "type: homogeneity, variables: {α: {dtype: float64, range: [0, 2]}}, " + NEAR
    code = functions("abs(x)", "abs(x) + 1")
    assert bench.judge(claim, code, formula="f(x) = abs(x)") == BOTH


def test_drawn_names_avoid_those_in_use(bench):
    code = functions("α * x", "α * x + 1", "x, α, x2")
    verdicts = bench.judge(
        f"type: linearity, {NEAR}",
        code,
        formula="f(x, α, x2) = α·x",
        variables="x: {dtype: float32, range: [-9, 9]}, α: 1..3, x2: 1..3",
    )
    assert verdicts == BOTH
    bench.shows("f(α2 · x + β · x3, α, x2) ≈ *")


def test_a_template_without_an_implementation_judges_nothing(bench):
    judged = bench.judge("type: involution", "", formula="f(x) = −x", implementations="")
    assert judged == {"A": "PROSE"}


@pytest.mark.parametrize(
    ("message", "claim", "rest"),
    [
        ("type roundtrip: it needs an inverse", "type: roundtrip", {}),
        ("type roundtrip: inverse 'g' is no equation", "type: roundtrip, inverse: g", {}),
        ("there is no module 'ghost'", 'type: roundtrip, inverse: "ghost:f"', {}),
        ("type symmetry: f(x) has only one argument", "type: symmetry", {}),
        (
            "type commutativity: 'x' and 'y' have different domains",
            "type: commutativity",
            {"formula": "f(x, y) = x + y", "variables": "x: 0..9, y: 1..9"},
        ),
        ("type linearity: f has no parameter 'w'", "type: linearity, argument: w", {}),
        ("type additivity: 'x' is not drawn", "type: additivity, parametrize: {x: [1, 2]}", {}),
        (
            "type involution: the contract has several equations",
            "type: involution",
            {"more": 'g:\n  formula: "g(x) = x"\n'},
        ),
    ],
)
def test_what_is_missing_is_said(bench, message, claim, rest):
    bench.refuses(message, claim, **rest)
