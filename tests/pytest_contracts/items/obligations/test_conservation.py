"""Each measure holds on what keeps it and is falsified on what does not."""

from __future__ import annotations

import pytest

FORMULA = "f(x) = flip(x)"


@pytest.mark.parametrize(
    ("measure", "bad", "shown"),
    [
        ("sum, tolerance: 1e-3", "abs(x)", "Σ f(x) ≈ Σ x"),
        ("norm, tolerance: 1e-3", "x / 2", "‖f(x)‖ ≈ ‖x‖"),
        ("count", "x[1:]", "size(f(x)) = size(x)"),
        ("shape", "x.reshape(1, -1)", "shape(f(x)) = shape(x)"),
        ("dtype", "x.astype(np.float64)", "the dtype of f(x) is that of x"),
        ('"max(x) − min(x)", tolerance: 1e-3', "x * x", "measure(f(x)) ≈ measure(x)"),
    ],
)
def test_measure(bench, measure, bad, shown):
    code = f"def good(x):\n    return np.flip(x)\n\ndef bad(x):\n    return {bad}\n"
    claim = f"type: conservation, measure: {measure}"
    assert bench.judge(claim, code, formula=FORMULA) == {"good": "HELD", "bad": "FALSIFIED"}
    bench.shows(f"FALSIFIED: P: {shown}", "counterexample:")


def test_a_measure_may_weigh_with_the_other_arguments(bench):
    code = """
    def good(x, w):
        return x + w - w

    def bad(x, w):
        return x + w
    """
    assert bench.judge(
        'type: conservation, measure: "x·w", tolerance: 1e-3',
        code,
        formula="f(x, w) = x",
        variables="x: {dtype: float32, range: [-9, 9]}, w: 1..4",
    ) == {"good": "HELD", "bad": "FALSIFIED"}


@pytest.mark.parametrize(
    ("message", "measure"),
    [
        ("type conservation: it needs a measure", ""),
        ("the formula uses 'weight'", ", measure: sum(x·weight)"),
        ("expected ')'", ", measure: sum(x"),
        ("type conservation: the measure 'sum(n)' does not mention 'x'", ", measure: sum(n)"),
    ],
)
def test_what_is_missing_is_said(bench, message, measure):
    variables = "n: 1..6, x: {dtype: float32, shape: [n], range: [-9, 9]}"
    formula = "f(x, n) = flip(x)"
    bench.refuses(message, f"type: conservation{measure}", formula=formula, variables=variables)


def test_plain_numbers_have_no_dtype(bench):
    bench.refuses(
        "type conservation: the implementation 'reference' deals in plain numbers",
        "type: conservation, measure: dtype",
        implementations='reference: "maps:good"',
    )
