"""A formula and the template of its type: both are checked where nothing must be guessed."""

from __future__ import annotations

import pytest

NUMBERS = "{dtype: float32, shape: [n], range: [-9, 9]}"
WHOLE = "n: 1..6, x: {dtype: int64, shape: [n], range: [-9, 9]}"
PAIR = f"n: 1..6, x: {NUMBERS}, y: {NUMBERS}"


def code(good: str, bad: str, parameters: str = "x") -> str:
    return (
        "import itertools\ncounter = itertools.count()\n"
        f"def good({parameters}):\n    return {good}\n\ndef bad({parameters}):\n    return {bad}\n"
    )


# The formula of each claim holds for both implementations: only the template tells them apart.
BOTH = [
    ("type: idempotency, formal: f(x) ≥ −9", "f(x) = abs(x)", "abs(x)", "abs(x) / 2", WHOLE),
    ("type: involution, formal: f(x) ≤ 99", "f(x) = −x", "-x", "x + 1", WHOLE),
    ("type: linearity, formal: f(0·x) = 0", "f(x) = 2·x", "2 * x", "x * x", WHOLE),
    ("type: additivity, tolerance: 1e-3, formal: f(0·x) = 0", "f(x) = 2·x", "2 * x", "x * x", None),
    ("type: homogeneity, formal: f(0·x) = 0", "f(x) = 2·x", "2 * x", "abs(x)", WHOLE),
    ("type: monotonicity, formal: f(x) ≥ −99", "f(x) = 2·x", "2 * x", "-2 * x", None),
    ("type: monotonicity, formal: f(k) ≥ −99", "f(k) = 2·k", "2 * k", "-2 * k", "k: 0..9"),
    ("type: ordering, formal: f(x) ≥ −99", "f(x) = 2·x", "2 * x", "-2 * x", None),
    ("type: commutativity, tolerance: 1e-3, formal: 'f(x, y) ≥ −99'", "f(x, y) = x + y",
     "x + y", "x - y", PAIR),
    ("type: conservation, measure: size(x), formal: f(x) ≥ −99", "f(x) = 2·x",
     "2 * x", "np.append(x, x)", None),
    ("type: determinism, formal: f(x) ≥ −99", "f(x) = x", "x", "x + next(counter)", None),
    ("type: frame, formal: f(x) ≥ −99", "f(x) = x", "x", "np.negative(x, out=x)", None),
    ("type: equivalence, formal: f(x) ≥ −99", "f(x) = 2·x", "2 * x", "3 * x", WHOLE),
]  # fmt: skip


def cases() -> dict[str, tuple[str, str, dict[str, str]]]:
    """Each claim, and under the name of its wrong twin one whose formula does not hold."""
    found = {}
    for claim, formula, good, bad, variables in BOTH:
        drawn = {} if variables is None else {"variables": variables}
        parameters = formula.partition("(")[2].partition(")")[0]
        rest = (code(good, bad, parameters), {"formula": formula, **drawn})
        wrong = f"{claim.partition('formal: ')[0]}formal: 'f({parameters}) > 1000'"
        found |= {claim: (claim, *rest), f"not {claim}": (wrong, *rest)}
    return found


@pytest.mark.parametrize("claim", [row[0] for row in BOTH])
def test_template_is_checked_beside_a_formula(bench, once, claim):
    judged = once("both", lambda: bench.together(cases()))
    assert judged[claim] == {"good": "HELD", "bad": "FALSIFIED"}
    # And the formula beside the template: one that is wrong fails what the template lets pass.
    assert judged[f"not {claim}"] == {"good": "FALSIFIED", "bad": "FALSIFIED"}


def test_bound_checks_the_codomain_beside_a_formula(bench):
    bench.judge("type: bound, formal: f(x) ≤ 9", "def good(x):\n    return x\n")
    assert bench.project.verdicts() == {"A[good]": "HELD"}
    text = bench.path.read_text("utf-8").replace(
        "formula: f", 'codomain: "[0, 9]^n"\n    formula: f'
    )
    bench.path.write_text(text, "utf-8")
    bench.project.run(examples=40)
    assert bench.project.verdicts() == {"A[good]": "FALSIFIED"}


@pytest.mark.parametrize(
    ("claim", "formula", "good", "variables"),
    [
        # Two parameters: the formula may be about the second.
        ("type: monotonicity, formal: 'f(x, y) + 0 = f(x, y)'", "f(x, y) = y − x", "y - x", PAIR),
        # Two domains: the parameters cannot change places.
        ("type: symmetry, tolerance: 1, formal: 'f(x, k) + 0 = f(x, k)'", "f(x, k) = k − x",
         "k - x", f"n: 1..6, x: {NUMBERS}, k: 0..9"),
        # Floats are not equal to the last bit.
        ("type: idempotency, formal: f(x) + 0 = f(x)", "f(x) = x / 3", "x / 3", None),
        # A matrix has no order.
        ("type: monotonicity, formal: f(x) + 0 = f(x)", "f(x) = −x", "-x",
         "n: 1..6, x: {dtype: float32, shape: [n, n], range: [-9, 9]}"),
        # Nothing says what is conserved, or what the inverse is.
        ("type: conservation, formal: f(x) + 0 = f(x)", "f(x) = −x", "-x", None),
        ("type: roundtrip, formal: f(x) + 0 = f(x)", "f(x) = −x", "-x", None),
    ],
)  # fmt: skip
def test_formula_speaks_alone_where_the_template_would_guess(
    bench, claim, formula, good, variables
):
    drawn = {} if variables is None else {"variables": variables}
    parameters = formula.partition("(")[2].partition(")")[0]
    assert bench.judge(
        claim, f"def good({parameters}):\n    return {good}\n", formula=formula, **drawn
    ) == {"good": "HELD"}


def test_key_of_the_template_asks_for_it(bench):
    claim = "type: monotonicity, argument: x, formal: 'f(x, y) + 0 = f(x, y)'"
    verdicts = bench.judge(
        claim, "def good(x, y):\n    return y - x\n", formula="f(x, y) = y − x", variables=PAIR
    )
    assert verdicts == {"good": "FALSIFIED"}
