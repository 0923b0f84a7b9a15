"""One meaning of tolerance: each way in which it would let a wrong kernel pass, and a true twin."""

from __future__ import annotations

import pytest

from tests.soundness.conftest import Judge, Judged
from tests.soundness.ways import Way, case_of, check
from tests.within import Once

NUMPY = "import numpy as np\n"
LOSE = NUMPY + "def f(x):\n    return np.zeros_like(x)\n"
SOFTMAX = """
  f:
    formula: f(x) = exp(x − max(x)) / Σ exp(x − max(x))
    variables:
      n: 2..16
      x: {dtype: float32, shape: [n], range: [-10, 10]}
    implementations: {cpu: "kernels:f"}
"""
SOFT = NUMPY + "def f(x):\n    y = np.exp(x - x.max())\n    return y / y.sum()\n"


def equation(
    formula: str, dtype: str = "float64", low: float = -10, high: float = 10, more: str = ""
) -> str:
    """An equation f of a vector."""
    return f"""
  f:
    formula: f(x) = {formula}
    variables:
      n: 1..8
      x: {{dtype: {dtype}, shape: [n], range: [{low}, {high}]{more}}}
    implementations: {{cpu: "kernels:f"}}
"""


def kernel(text: str, imports: str = NUMPY) -> str:
    return f"{imports}def f(x):\n    with np.errstate(all='ignore'):\n        return {text}\n"


def claim(kind: str, tolerance: float | str = 4, formal: str = "", what: str = "") -> str:
    """A claim of one kind of tolerance: of equivalence unless it has a formula or a type."""
    said = f", formal: '{formal}'" if formal else ""
    what = what or ("invariant" if formal else "equivalence")
    return (
        f"  - {{id: A, property: P, type: {what}, equation: f,"
        f" tolerance: {tolerance}, tolerance_kind: {kind}{said}}}"
    )


def integers(right: str, wrong: str, formal: str, kind: str = "absolute") -> Way:
    """A function of integers beyond 2^53, wrong in the last bits."""
    domain = "[1152921504606846976, 1152921504607846976]"  # from 2^60
    numbers = f"""
  f:
    formula: f(x) = {right}
    variables: {{n: 1..6, x: {{dtype: int64, shape: [n], range: {domain}}}}}
    implementations: {{cpu: "kernels:f"}}
"""
    claims = claim(kind, 0.5, formal) if formal else claim(kind, 0.5)
    return Way(kernel(wrong), kernel(right), claims, "FALSIFIED", numbers)


RISE = equation("tanh(x)", "float32")
LOGSUMEXP = equation("log(Σ exp(x − max(x))) + max(x)", low=-700, high=700)
WAYS = {
    # ≈ has the claim's kind wherever it stands.
    "≈ inside all": Way(
        LOSE, SOFT, claim("ulp", 64, "all(f(x) ≈ definition(x))"), "FALSIFIED", SOFTMAX
    ),
    "≈ inside count": Way(
        LOSE, SOFT, claim("ulp", 64, "count(f(x) ≈ definition(x)) = n"), "FALSIFIED", SOFTMAX
    ),
    "≈ inside any": Way(
        LOSE,
        SOFT,
        claim("relative", 0.001, "¬any(¬(f(x) ≈ definition(x)))"),
        "FALSIFIED",
        SOFTMAX,
    ),
    "≈ below a quantifier": Way(
        LOSE,
        SOFT,
        claim("ulp", 64, "∀ i ∈ 0..n: f(x)[i] ≈ definition(x)[i]"),
        "FALSIFIED",
        SOFTMAX,
    ),
    "≈ of noise inside all": Way(
        LOSE, SOFT, claim("noise", 8, "all(f(x) ≈ definition(x))"), "FALSIFIED", SOFTMAX
    ),
    "a slack of four ulp in an order of elements": Way(
        kernel("-np.tanh(x)"),
        kernel("np.tanh(x)"),
        claim("ulp", 4, what="monotonicity"),
        "FALSIFIED",
        RISE,
    ),
    "a slack of four ulp in an order of numbers": Way(
        kernel("1 / (1 + np.exp(x))"),
        kernel("1 / (1 + np.exp(-x))"),
        claim("ulp", 4, what="monotonicity"),
        "FALSIFIED",
        """
  f:
    formula: f(x) = 1 / (1 + exp(−x))
    variables: {x: {dtype: float32, range: [-10, 10]}}
    implementations: {cpu: "kernels:f"}
""",
    ),
    "a slack that adds up": Way(
        kernel("-0.001 * np.argsort(np.argsort(x, kind='stable')) + 0 * x"),
        kernel("np.unique(x, return_inverse=True)[1] // 2 - 0.001 * (x > 0)"),
        claim("absolute", 0.0015, what="monotonicity"),
        "FALSIFIED",
        equation("x"),
    ),
    "an order that ties hide": Way(
        kernel("np.where(np.arange(x.size) == 0, 5, x)"),
        kernel("np.round(x)"),  # plateaus rise weakly
        claim("absolute", 0, what="monotonicity"),
        "FALSIFIED",
        equation("x", "int64", 1, 3),
    ),
    "different ranks of equal elements": Way(
        kernel("np.argsort(np.argsort(x, kind='stable'), kind='stable')"),
        kernel("np.unique(x, return_inverse=True)[1]"),
        claim("absolute", 0, what="ordering"),
        "FALSIFIED",
        equation("x", "int64", 1, 3),
    ),
    # Infinity, zero, sign and precision.
    "infinity is near 1e100 in ulp": Way(
        kernel("np.exp(x.astype(np.float32)).astype(np.float64)"),
        kernel("np.exp(x)"),
        claim("ulp"),
        "FALSIFIED",
        equation("exp(x)", low=89, high=700),
    ),
    "float32 within four ulp of float64": Way(
        kernel("np.exp(x.astype(np.float32)).astype(np.float64)"),
        kernel("np.exp(x)"),
        claim("ulp"),
        "FALSIFIED",
        equation("exp(x)"),
    ),
    "the other side of zero in ulp": Way(
        kernel("-x"),
        kernel("x * 1.0"),
        claim("ulp"),
        "FALSIFIED",
        equation("x", low=-1e-3, high=1e-3, more=", specials: [zero, subnormal]"),
    ),
    "half precision in ulp": Way(
        kernel("x + np.float16(0.05)"),
        kernel("x * np.float16(2) / np.float16(2)"),
        claim("ulp"),
        "FALSIFIED",
        equation("x", "float16"),
    ),
    # float64 against a definition of more precision.
    "a float32 softmax in float64 noise": Way(
        SOFT.replace("(x - x.max())", "((x - x.max()).astype(np.float32))").replace(
            "y / y.sum()", "(y / y.sum()).astype(np.float64)"
        ),
        SOFT,
        claim("noise"),
        "FALSIFIED",
        SOFTMAX.replace("float32", "float64"),
    ),
    "a logarithm of sums more precise than float64": Way(
        kernel("np.float64(np.log(np.exp(x.astype(np.float32) - x.max()).sum()) + x.max())"),
        kernel("logsumexp(x)", NUMPY + "from scipy.special import logsumexp\n"),
        claim("noise"),
        "FALSIFIED",
        LOGSUMEXP,
    ),
    "a difference that cancels in any precision": Way(
        kernel("np.expm1(x) * (1 + 1e-7)"),
        kernel("np.expm1(x)"),
        claim("noise"),
        "FALSIFIED",
        equation("exp(x) − 1", low=-1, high=1, more=", specials: [subnormal, zero]"),
    ),
    "a difference that cancels, in ulp": Way(
        kernel("np.expm1(x) * (1 + 1e-7)"),
        kernel("np.expm1(x)"),
        claim("ulp"),
        "FALSIFIED",
        equation("exp(x) − 1", low=-1, high=1),
    ),
    "a law that does not hold of the definition": Way(
        SOFT, kernel("np.abs(x)"), claim("noise", what="idempotency"), "FALSIFIED", "@"
    ),
    "half precision in its own noise": Way(
        kernel("np.exp(x) * np.float16(1.02)"),
        kernel("np.exp(x)"),
        claim("noise"),
        "FALSIFIED",
        equation("exp(x)", "float16", -4, 4),
    ),
    "long vectors by their angle": Way(
        kernel("np.roll(x, 1)"),
        kernel("x * np.float32(3)"),
        claim("cosine", 1e-6),
        "FALSIFIED",
        equation("3·x", "float32", 1, 10).replace("1..8", "300..400"),
    ),
    # Integers are compared as integers.
    "integers in a template": integers("x + 1", "x", ""),
    "integers as floats": integers("x + 1", "(x + 1).astype(np.float64)", "f(x) = x + 1"),
    "integers as floats, near": integers("x + 1", "(x + 1).astype(np.float64)", "f(x) ≈ x + 1"),
    "integers below a count": integers("x + 1", "x + 2", "count(f(x) ≈ x + 1) = n"),
    "integers among others": integers("x + 1", "(x + 1.0)", "f(x)[0] ∈ {x[0] + 1}"),
    "integers in noise": integers("x + 1", "x + 2", "", "noise"),
    # Tolerances that say nothing.
    "ε beside ulp": Way(SOFT, SOFT, claim("ulp", 64, "@"), "VACUOUS", SOFTMAX),
    "an absolute tolerance of 1e300": Way(LOSE, SOFT, claim("absolute", "@"), "VACUOUS", SOFTMAX),
    "a factor on the noise that leaves no digit": Way(
        LOSE, SOFT, claim("noise", "@"), "VACUOUS", SOFTMAX
    ),
    "a number of ulp that leaves no digit": Way(LOSE, SOFT, claim("ulp", "@"), "VACUOUS", SOFTMAX),
}
SAID = {
    "a law that does not hold of the definition": (SOFTMAX, equation("|x|", "float32")),
    "ε beside ulp": ("|f(x) − definition(x)| ≤ ε", "f(x) ≈ definition(x)"),
    "an absolute tolerance of 1e300": ("1.0e+300", "1.0e-6"),
    "a factor on the noise that leaves no digit": ("1.0e+6", "4"),
    "a number of ulp that leaves no digit": ("1.0e+7", "64"),
}


def said(name: str, twin: bool) -> tuple[Way, str]:
    way, words = WAYS[name], SAID.get(name, ("", ""))[twin]
    return (way._replace(equations=words) if way.equations == "@" else way), words


@pytest.fixture
def judged(once: Once, judge: Judge) -> dict[str, Judged]:
    """All of these, in one run."""
    cases = {}
    for name in WAYS:
        for twin in (False, True):
            way, words = said(name, twin)
            cases[f"{name}, {twin}"] = case_of(way, twin, words)
    return once("all", lambda: judge.together(cases, examples=20))


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("twin", [False, True], ids=["wrong", "right"])
def test_tolerance(name: str, twin: bool, judged: dict[str, Judged]) -> None:
    way, _ = said(name, twin)
    check(way, twin, judged[f"{name}, {twin}"])


def test_float64_noise_needs_more_precision_than_float64(
    judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    way = WAYS["a float32 softmax in float64 noise"]
    monkeypatch.setattr("pytest_contracts.items.formulas.has_wider", lambda precision: False)
    judged, _ = judge.alone(case_of(way, True))
    assert judged.verdicts == {"UNAVAILABLE"}
    assert all("longdouble is float64 on this platform" in i["message"] for i in judged.items)
