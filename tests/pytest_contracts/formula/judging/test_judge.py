"""Verdicts: what counts as compared, what failed and where, and that nothing passes unnoticed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from pytest_contracts.errors import FormulaError
from pytest_contracts.formula import Judgement, as_function, judge, parse, parse_definition

NAN = math.nan
X = np.array([1.0, 2.0, 3.0], dtype=np.float32)


def softmax(x: Any) -> Any:
    shifted = np.exp(x - np.max(x))
    return (shifted / shifted.sum()).astype(np.float32)


def judged(text: str, tolerance: float | None = None, **env: Any) -> Judgement:
    return judge(parse(text), {"x": X, "softmax": softmax, **env}, tolerance=tolerance)


HOLDS = [
    ("x > 0", 3),
    ("1 < 2", 1),
    ("0 < x < 10", 6),
    ("x = x", 3),
    ("x ≠ [9, 9, 9]", 3),
    ("x ≈ x + 0.001", 3),
    ("|Σ softmax(x) − 1| < ε", 1),
    ("softmax(x)_i > 0 for all i", 3),
    ("x > 0 ∧ x < 10", 6),
    ("x > 5 ∨ x > 0", 6),
    ("¬ x > 5", 3),
    ("x[0] < 0 ⟹ x[0] > 100", 0),
    ("x[0] > 0 ⟹ x < 100", 3),
    ("x < 100 when x[0] > 0", 3),
    ("x > 100 when x[0] > 50", 0),
    ("x > 1 where x > 1", 2),
    ("x > 1 where x > 50", 0),
    ("(x < 3 where x > 1) where x < 2.5", 1),
    ("x ≈ [1, 5, 3] where x ≠ 2", 2),
    ("finite(x) where x > 1", 2),
    ("x ∈ {2, 3} where x > 1", 2),
    ("x[0] > 0 ⟺ x[1] > 0", 2),
    ("x[0] > 5 ⟺ x[1] > 5", 2),
    ("∀ i ∈ 0..3: x_i > 0", 3),
    ("∀ i ∈ 0..0: false", 0),
    ("∃ i ∈ 0..3: x_i = 2", 2),
    ("∀ i ∈ 0..3: ∃ j ∈ 0..3: x_i = x_j", 6),
    ("x ∈ [1, 3]", 3),
    ("x ∉ {4, 5}", 3),
    ("finite(x)", 3),
    ("all(x > 0)", 3),
    ("true", 1),
    ("x > 0 if x[0] > 0 else false", 3),
    ("false if x[0] > 9 else x > 0", 3),
    ("shape(x) = [3]", 1),
    ("∞ = ∞", 1),
    ("zeros([0]) > 1", 0),
    ("2**200 + 1 > 2**200", 1),
]


@pytest.mark.parametrize(("text", "compared"), HOLDS)
def test_true_claims_hold_and_count_what_they_compared(text: str, compared: int) -> None:
    found = judged(text, tolerance=0.01)
    assert found.holds
    assert bool(found)
    assert found.compared == compared
    assert found.ill_conditioned == 0


FAILS = [
    ("x > 1", "x > 1", 1.0, 1.0, (0,), 0.0),
    ("x < [2, 2, 2.5]", "x < [2, 2, 2.5]", 3.0, 2.5, (2,), 0.5),
    ("0 < x < 2", "x < 2", 3.0, 2, (2,), 1.0),
    ("x = [1, 2, 4]", "x = [1, 2, 4]", 3.0, 4, (2,), 1.0),
    ("x ≈ [1, 2.5, 3.1]", "x ≈ [1, 2.5, 3.1]", 2.0, 2.5, (1,), 0.5),
    ("x > 0 ∧ x > 2", "x > 2", 1.0, 2, (0,), 1.0),
    ("x > 5 ∨ x > 7", "x > 7", 1.0, 7, (0,), 6.0),
    ("x[1] > 1 ⟹ x[1] > 5", "x[1] > 5", 2.0, 5, None, 3.0),
    ("x ≠ 2", "x ≠ 2", 2.0, 2, (1,), 0.0),
    ("x[0] > 0 ⟺ x[1] > 5", None, None, None, None, None),
    ("¬ x > 0", "x > 0", None, None, None, None),
    ("x ∈ [1, 2]", "x ∈ [1, 2]", 3.0, "[1, 2]", (2,), None),
    ("x ∉ 1..3", "x ∉ range(1, 3)", 1.0, "range(1, 3)", (0,), None),
    ("x > 2 where x > 1", "x > 2", 2.0, 2, (1,), 0.0),
    ("x ≈ [1, 2, 9] where x > 1", "x ≈ [1, 2, 9]", 3.0, 9, (2,), 6.0),
    ("∃ i ∈ 0..3: x_i > 5", "x[i] > 5", None, 5, None, None),
    ("∃ i ∈ 0..0: true", None, None, None, None, None),
    ("false", "false", None, None, None, None),
    ("x > 5 if x[0] > 0 else true", "x > 5", 1.0, 5, (0,), 4.0),
    ("shape(x) = [3, 1]", "shape(x) = [3, 1]", None, None, None, None),
    ("1 = 1 + 2**-52", "1 = 1 + 2⁻⁵²", 1, 1 + 2**-52, None, 2**-52),
]


@pytest.mark.parametrize(("text", "comparison", "left", "right", "index", "error"), FAILS)
def test_false_claims_fail_where_they_fail_worst(
    text: str, comparison: str | None, left: Any, right: Any, index: Any, error: float | None
) -> None:
    found = judged(text, tolerance=0.01)
    assert not found.holds
    if comparison is not None:
        assert found.comparison == comparison
    if left is not None:
        assert found.left == left
    if right is not None:
        assert found.right == right
    assert found.index == index or comparison is None or index is None
    if error is not None:
        assert found.error == pytest.approx(error)


NAN_CLAIMS = [
    "nan > 0",
    "nan ≤ 0",
    "nan = nan",
    "nan ≠ 0",
    "nan ≈ nan",
    "¬ nan > 0",
    "¬ (nan > 0 ∧ true)",
    "nan > 0 ⟹ false",
    "¬ (nan > 0 ⟹ false)",
    "¬ (nan > 0 ⟺ true)",
    "2**200 > nan",
    "nan > 2**200",
    "[2**200, 1] ≠ nan",
    "all([nan])",
    "any([nan])",
    "count([nan]) = 1",
    "where(nan, 1, 1) = 1",
    "nan > 0 ⟺ nan > 0",
    "nan > 0 ∨ false",
    "nan ∈ [0, 1]",
    "nan ∉ [0, 1]",
    "nan ∉ {1}",
    "nan ∉ 0..3",
    "[1, nan] > 0",
    "[1, nan] ≈ [1, nan]",
    "argmax([nan, nan]) = 0",
    "sorted([nan]) = [nan]",
    "count([nan] > 0) = 0",
    "all(¬ ([nan] > 0))",
    "∀ i ∈ 0..2: [nan, 1][i] ≠ 7",
    "∀ i ∈ 0..argmax([nan]): true",
    "¬ ∃ i ∈ 0..2: [nan, nan][i] > 7",
    "x > 0 where [nan, 1, 1] > 0",
    "true if nan > 0 else true",
    "nan > 0 ⟹ x > 100",
    "max([]) > 0",
    "1 // 0 = 0",
]


@pytest.mark.parametrize("text", NAN_CLAIMS)
def test_nan_never_passes(text: str) -> None:
    for kind in ("absolute", "relative", "ulp", "cosine"):
        found = judge(
            parse(text),
            {"x": X, "nan": NAN},
            tolerance=1e9,
            tolerance_kind=kind,  # type: ignore[arg-type]
        )
        assert not found.holds
        assert found.compared > 0 or "⟹" in text or "where" in text or "if" in text


def test_an_undefined_part_does_not_spoil_what_is_decided_without_it() -> None:
    assert judged("nan > 0 ∨ x > 0", nan=NAN).holds
    assert judged("nan > 0 ⟹ x > 0", nan=NAN).holds
    assert judged("∃ i ∈ 0..2: [nan, 1][i] > 0", nan=NAN).holds
    assert judged("isnan(nan)", nan=NAN).holds


def test_the_reason_names_the_side_that_is_nan() -> None:
    left = judged("[1, nan] > 0", nan=NAN)
    assert (left.reason, left.index) == ("NaN on the left", (1,))
    assert math.isnan(left.left)
    assert judged("0 < nan", nan=NAN).reason == "NaN on the right"
    assert judged("argmax([nan]) = 0", nan=NAN).reason.startswith("the order of elements")
    assert judged("shape(x) = [1, 2]").reason == "shapes [1] and [2] differ"


def test_guards_are_not_evaluated_beyond_need() -> None:
    calls = []

    def f(v: float) -> float:
        calls.append(v)
        return v

    assert judged("x[0] > 5 ⟹ f(1) = 1", f=f).holds
    assert judged("x[0] > 0 ∨ f(1) = 1", f=f).holds
    assert not judged("x[0] > 5 ∧ f(1) = 1", f=f).holds
    assert not calls


def test_the_formula_is_shown_with_its_values() -> None:
    found = judged("|Σ softmax(x) − 1| < ε", tolerance=1e-12)
    assert found.substituted == "|sum(softmax([1.0, 2.0, 3.0])) − 1| < 1e-12"
    assert found.comparison == "|Σ softmax(x) − 1| < ε"
    found = judged("∀ i ∈ 0..3: ∀ j ∈ 0..3: x_i ≤ x_j + 1")
    assert not found.holds
    assert found.substituted.endswith(", at i = 2, j = 0")
    wide = judged("y > 0 ∧ t = 3", y=np.zeros((4, 5)), t="text")
    assert "[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, …] (shape 4×5)" in wide.substituted


def test_an_implementation_that_errs_is_found() -> None:
    def off_by_one(x: Any) -> Any:
        shifted = np.exp(x - np.max(x[:-1]))
        return shifted / shifted[:-1].sum()

    found = judged("|Σ softmax(x) − 1| < ε", tolerance=1e-6, softmax=off_by_one)
    assert not found.holds
    assert found.left == pytest.approx(1.98, abs=0.01)
    assert found.right == 1e-6


def test_an_exception_of_the_implementation_is_its_own() -> None:
    def broken(_: Any) -> Any:
        raise ZeroDivisionError("inside")

    with pytest.raises(ZeroDivisionError, match="inside"):
        judged("softmax(x) > 0", softmax=broken)


def test_tolerance_kinds_reach_the_comparison() -> None:
    claim = parse("x ≈ y")
    near = np.nextafter(X, np.float32(10))
    env = {"x": X, "y": near}
    assert judge(claim, env, tolerance=1, tolerance_kind="ulp").holds
    assert not judge(claim, env, tolerance=0, tolerance_kind="ulp").holds
    assert judge(claim, env, tolerance=1e-6, tolerance_kind="relative").holds
    assert judge(claim, env, tolerance=1e-9, tolerance_kind="cosine").holds
    assert not judge(claim, env, tolerance=1e-9).holds
    zero = {"x": np.zeros(2), "y": np.full(2, 1e-20)}
    assert not judge(claim, zero, tolerance=1, tolerance_kind="ulp").holds
    assert judge(claim, zero, tolerance=1, tolerance_kind="ulp", floor=1e-19).holds


def test_noise_compares_with_the_definition_in_the_same_precision() -> None:
    definition = parse_definition("f(x) = sum(x) − x[0]")
    x = np.array([1e8, 1, 2, 3], dtype=np.float32)
    claim = parse("f(x) ≈ sum(x) − x[0]")

    def baseline(precision: Any, shaken: Any) -> dict[str, Any]:
        return {"x": x, "f": as_function(definition, precision=precision, shaken=shaken)}

    def of_well(precision: Any, shaken: Any) -> dict[str, Any]:
        return {**baseline(precision, shaken), "x": well}

    def plain(v: Any) -> Any:
        return np.float32(np.float32(v.sum()) - v[0])

    env = {"x": x, "f": plain}
    found = judge(claim, env, tolerance=4, tolerance_kind="noise", baseline=baseline)
    assert found.ill_conditioned == 1 or found.compared == 1
    well = np.array([1, 2, 3, 4], dtype=np.float32)
    wrong = judge(
        claim,
        {"x": well, "f": lambda v: np.float32(v.sum())},
        tolerance=4,
        tolerance_kind="noise",
        baseline=of_well,
    )
    assert not wrong.holds
    bound = judge(
        parse("∀ i ∈ 0..4: f(x)·x_i ≈ 9·x_i"),
        {"x": well, "f": as_function(definition)},
        tolerance=4,
        tolerance_kind="noise",
        baseline=of_well,
    )
    assert bound.holds
    assert bound.compared == 4
    masked = judge(
        parse("x ≈ [1, 2, 3, 9] where x < 4"),
        {"x": well},
        tolerance=4,
        tolerance_kind="noise",
        baseline=of_well,
    )
    assert masked.holds
    assert masked.compared == 3


FAULTS = [
    ("x + 1", "not a claim but a value"),
    ("x ≈ x", "the claim compares with ≈, but has no tolerance"),
    ("|x| < ε", "unknown name 'tolerance'"),
    ("x > [1, 2]", "shapes [3] and [2] do not fit together"),
    ("x[0] > 0 where x > 0", "'where' selects elements of a single number"),
    ("[1, 2] > 0 where x > 0", "the mask of shape [3] does not fit [2]"),
    ("softmax = softmax", "a function is compared by calling it"),
    ("(x > 0 where [1, 2] > 0) where x > 0", "shapes [3] and [2] do not fit together"),
    ("∀ i ∈ 0..10**9: true", "the evaluation takes more than"),
]


@pytest.mark.parametrize(("text", "message"), FAULTS)
def test_what_is_no_claim_is_an_error(text: str, message: str) -> None:
    with pytest.raises(FormulaError) as fault:
        judged(text)
    assert fault.value.message.startswith(message)


def test_noise_without_definitions_is_an_error() -> None:
    with pytest.raises(FormulaError, match="needs the equations' definitions"):
        judge(parse("x ≈ x"), {"x": X}, tolerance=4, tolerance_kind="noise")


def outcome_of(claim, env, closest, **options):
    """What a judgement says of truth and counts, or the error it raises."""
    try:
        found = judge(claim, env, closest=closest, **options)
    except FormulaError as error:
        return type(error), error.message
    return found.holds, found.compared, found.ill_conditioned


@pytest.mark.untraced
@pytest.mark.parametrize(
    "options", [{}, {"tolerance": 0.5}, {"tolerance": 3, "tolerance_kind": "ulp"}]
)
@pytest.mark.parametrize(
    "claim",
    [
        *(f"x {symbol} y" for symbol in ("<", "<=", ">", ">=", "==", "!=")),
        "x ≈ y", "0 ≤ x ≤ y", "x = x", "x ≤ y where x > 0", "x ≤ y implies y ≥ x", "not x > y",
        "∀ i ∈ 0..2: x[i] ≤ y[i]", "x[0] = 1", "sum(x) ≈ sum(y)", "n ≤ x", "n = m", "x + 0.5 ≈ x",
    ],
)  # fmt: skip
def test_one_look_sees_what_a_close_look_sees(claim, options):
    nan, inf = math.nan, math.inf
    vectors = [[1.0, 2.0, 3.0], [1.0, 2.5, 3.0], [0.0, nan, 1.0], [inf, -inf, 1.0], [], [2.0]]
    arrays = [np.array(v, dtype) for v in vectors for dtype in (np.float32, np.float64)]
    arrays += [np.array([1, 2, 3]), np.array([1 << 62, 2, 3]), np.ones((2, 3))]
    claim = parse(claim)
    for x in arrays:
        for y in arrays:
            env = {"x": x, "y": y, "n": 2, "m": (1 << 60) + 1}
            close = outcome_of(claim, env, True, **options)
            assert outcome_of(claim, env, False, **options) == close, (x, y)


def test_without_a_close_look_a_claim_that_holds_is_not_described():
    found = judge(parse("x ≤ 2"), {"x": np.ones(3)}, closest=False)
    assert (found.holds, found.compared, found.comparison, found.error) == (True, 3, "", None)
    found = judge(parse("x ≤ 2"), {"x": np.full(3, 3.0)}, closest=False)
    assert (found.holds, found.comparison, found.left, found.error) == (False, "x ≤ 2", 3.0, 1.0)
