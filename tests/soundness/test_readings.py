"""A formula is read as it is written, or refused: each misreading beside what says it well."""

from __future__ import annotations

import pytest

from tests.soundness.conftest import Judge, Judged
from tests.soundness.ways import IDENTITY, Way, case_of, check
from tests.within import Once

RELU = IDENTITY.replace("identity", "relu").replace("relu(x) = x", "relu(x) = max(x, 0)")
BY_SUM = "def relu(x):\n    return x * (x.sum() > 0)\n"
RIGHT = "import numpy as np\ndef relu(x):\n    return np.maximum(x, 0)\n"
GUARDED = "  - {id: A, type: invariant, property: P, formal: '@'}"
KEEP = "def identity(x):\n    return 10 * x\n"
TENFOLD = IDENTITY.replace("identity(x) = x", "identity(x) = @")


def guarded(wrong: str, right: str, kernel: str = BY_SUM) -> tuple[Way, tuple[str, str]]:
    """A claim about each element whose guard is about the whole array."""
    return Way(kernel, RIGHT, GUARDED, "VACUOUS", RELU), (wrong, right)


def product(
    wrong: str, right: str, kernel: str = "10 * x * (1 - x)"
) -> tuple[Way, tuple[str, str]]:
    """A definition of which a factor would be taken for a remark."""
    code = f"def identity(x):\n    return {kernel}\n"
    claim = "  - {id: A, type: equivalence, property: P, tolerance: 1.0e-6}"
    return Way(KEEP, code, claim, "VACUOUS", TENFOLD), (wrong, right)


WAYS = {
    "an array as a guard": guarded("x > 0 ⟹ relu(x) = x", "relu(x) = x where x > 0"),
    "an array behind when": guarded("relu(x) = 0 when x < 0", "relu(x) = 0 where x < 0"),
    "arrays joined as a guard": guarded(
        "x > 0 ∧ x < 9 ⟹ relu(x) = x", "relu(x) = x where (x > 0 ∧ x < 9)"
    ),
    "every element as a guard": guarded(
        "x ≥ 0 ⟹ relu(x) = x", "all(x ≥ 0) ⟹ relu(x) = x", kernel=BY_SUM
    ),
    "an array guards one number": guarded("x > 0 ⟹ relu(x) = x", "x ≥ 0 ⟹ Σ relu(x) ≥ 0"),
    "a factor taken for a remark": product("10·x (1 − x)", "10·x·(1 − x)"),
    "a name taken for a remark": product("10 (x)", "10·x (ten times)", "10 * x"),
    "a variable taken for a remark": product("10·x (n)", "10·x (n of them)", "10 * x"),
    "a condition taken for a remark": product("10·x (x > 0)", "10·x", "10 * x"),
    "a second claim taken for a remark": guarded(
        "relu(x) ≥ 0 (and relu(x) ≥ x)", "relu(x) ≥ 0 ∧ relu(x) ≥ x"
    ),
    "a bound taken for a remark": guarded(
        "relu(x) ≥ 0 (at most 100)", "relu(x) ≥ 0 ∧ relu(x) ≤ 100"
    ),
    "a chain that goes on behind a set": (
        Way(
            RIGHT,
            RIGHT,
            "  - {id: A, type: bound, property: P, formal: '@'}",
            "VACUOUS",
            RELU,
        ),
        ("relu(x) ∈ [0, 200] < 300", "relu(x) ∈ [0, 200] ∧ relu(x) < 300"),
    ),
}


@pytest.fixture
def judged(once: Once, judge: Judge) -> dict[str, Judged]:
    """All of these, in one run."""
    cases = {
        f"{name}, {twin}": case_of(way, twin, said[twin])
        for name, (way, said) in WAYS.items()
        for twin in (False, True)
    }
    return once("all", lambda: judge.together(cases, examples=20))


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("twin", [False, True], ids=["wrong", "right"])
def test_reading(name: str, twin: bool, judged: dict[str, Judged]) -> None:
    way, _ = WAYS[name]
    check(way, twin, judged[f"{name}, {twin}"])
