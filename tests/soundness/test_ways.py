"""No green for what is false, untested, or compared with itself: each way beside its true twin.

A way is a small project with an ordinary mistake in it. What it claims must not be verified; the
twin, which differs in nothing but the mistake, must be.
"""

from __future__ import annotations

import pytest

from tests.soundness.conftest import Case, Judge, Judged
from tests.soundness.ways import IDENTITY, Way, case_of, check
from tests.within import Once

PROCEDURE = "  - {id: A, type: safety, property: P, equation: identity, run: f}"
FINE = "def identity(x):\n    return x.copy()\n"
WRONG = "def identity(x):\n    return x + 1\n"


def procedure(wrong: str, right: str, verdict: str = "VACUOUS", claims: str = PROCEDURE) -> Way:
    """A mistake in a procedure, about a wrong kernel; the twin is about the right one."""
    return Way(WRONG, FINE, claims, verdict, procedures=(wrong, right))


ASSERTING = "def f(implementation, x):\n    assert (implementation(x) == x).all()\n"
PASSING_OVER = (
    "def f(implementation, x):\n"
    "    try:\n        y = implementation(x)\n    except Exception:\n        return\n"
    "    assert (y == x).all()\n"
)
WAYS = {
    "one buffer for two results": Way(
        "import numpy as np\nKEPT = np.zeros(8)\n"
        "def identity(x):\n    KEPT[:len(x)] = x * 0.5\n    return KEPT[:len(x)]\n",
        FINE,
        "  - {id: A, type: invariant, property: P, formal: identity(identity(x)) = identity(x)}",
        "FALSIFIED",
    ),
    "no return": Way(
        "def identity(x):\n    x * 1\n",
        FINE,
        "  - {id: A, type: invariant, property: P, formal: identity(x) ≥ −100}",
        "FALSIFIED",
    ),
    "no return, twice": Way(
        "def identity(x):\n    x * 1\n",
        FINE,
        "  - {id: A, type: determinism, property: P}",
        "VACUOUS",
    ),
    "a list changed in place": Way(
        "def trim(t):\n    del t[3:]\n    return t\n",
        "def trim(t):\n    return t[:]\n",
        "  - {id: A, type: invariant, property: P, formal: len(trim(t)) = len(t)}",
        "FALSIFIED",
        """
  trim:
    formula: trim(t) = t
    variables: {t: {tokens: 50, length: 1..9}}
    implementations: {cpu: "kernels:trim"}
""",
    ),
    "a drawn array changed in place": Way(
        "def identity(x):\n    x[:] = 0\n    return x\n",
        FINE,
        PROCEDURE,
        "FALSIFIED",
        procedures=(
            "import kernels\ndef f(x):\n    y = kernels.identity(x)\n    assert (x == y).all()\n",
        )
        * 2,
    ),
    "integers of a list lose their last bits": Way(
        "def after(n):\n    return [n + 1 if n < 2**60 else n + 2]\n",
        "def after(n):\n    return [n + 1]\n",
        "  - {id: A, type: invariant, property: P, formal: 'after(n)[0] = n + 1'}",
        "FALSIFIED",
        """
  after:
    formula: after(n) = n + 1
    variables: {n: 1152921504606846976..1152921504606850000}
    implementations: {reference: "kernels:after"}
""",
    ),
    "a number in place of a vector": Way(
        "def identity(x):\n    return 0.0\n",
        "def identity(x):\n    return x * 0.0\n",
        "  - {id: A, type: equivalence, property: P, tolerance: 1.0e-6}",
        "FALSIFIED",
        IDENTITY.replace("identity(x) = x", "identity(x) = x * 0"),
    ),
    "a formula that compares nothing beside a template that does": Way(
        FINE,
        FINE,
        "  - {id: A, type: determinism, property: P, formal: @}",
        "VACUOUS",
    ),
    "any two numbers of one sign": Way(
        "def identity(x):\n    return x * 1.9\n",
        FINE,
        "  - {id: A, type: equivalence, property: P, tolerance: @, tolerance_kind: relative}",
        "VACUOUS",
    ),
    "a cosine taken for its tolerance": Way(
        FINE,
        FINE,
        "  - {id: A, type: equivalence, property: P, tolerance: @, tolerance_kind: cosine}",
        "VACUOUS",
        IDENTITY.replace("1..8", "2..8"),
    ),
    "the angle of one number": Way(
        "def identity(x):\n    return abs(x) + 1\n",
        "def identity(x):\n    return x\n",
        "  - {id: A, type: equivalence, property: P, tolerance: 0.001, tolerance_kind: cosine}",
        "VACUOUS",
        IDENTITY.replace("1..8", "@").replace("[-100, 100]", "[1, 100]"),
    ),
    "a coroutine": procedure("async " + ASSERTING, ASSERTING),
    "a generator": procedure(ASSERTING + "    yield\n", ASSERTING),
    "an answer in place of an assertion": procedure(
        ASSERTING.replace("assert", "return"), ASSERTING
    ),
    "an implementation that is never called": procedure(
        "def f(implementation, x):\n    assert (x == x).all()\n", ASSERTING
    ),
    "a default in place of the claim's tolerance": procedure(
        "def f(implementation, x, tolerance=1e9):\n"
        "    assert abs(implementation(x) - x).max() <= tolerance\n",
        "def f(implementation, x, tolerance):\n"
        "    assert abs(implementation(x) - x).max() <= tolerance\n",
        claims=PROCEDURE.replace("run: f", "run: f, tolerance: 1.0e-6"),
    ),
    "a default in place of a parameter": procedure(
        "def f(implementation, x, width=0):\n"
        "    assert width == 0 or (implementation(x) == x).all()\n",
        "def f(implementation, x, width):\n"
        "    assert width == 0 or (implementation(x) == x).all()\n",
        claims=PROCEDURE.replace("run: f", "run: f, parametrize: {width: [1]}"),
    ),
    "an assertion in a thread": procedure(
        "import threading\n"
        "def f(implementation, x):\n"
        "    def check():\n        assert (implementation(x) == x).all()\n"
        "    thread = threading.Thread(target=check)\n    thread.start()\n    thread.join()\n",
        ASSERTING,
        "FALSIFIED",
    ),
    "an exception that ends the check of an input": Way(
        "def identity(x):\n    if len(x) > 4:\n        raise IndexError(4)\n    return x.copy()\n",
        FINE,
        PROCEDURE,
        "FALSIFIED",
        procedures=(PASSING_OVER, PASSING_OVER),
    ),
    "a skip for some inputs": Way(
        "import pytest\n"
        "def identity(x):\n    if len(x) > 4:\n        pytest.skip('large')\n    return x.copy()\n",
        FINE,
        "  - {id: A, type: invariant, property: P, formal: identity(x) = x}",
        "VACUOUS",
    ),
    "a skip for the inputs that come first": Way(
        "import pytest\n"
        "def identity(x):\n    if len(x) < 4:\n        pytest.skip('small')\n    return x + 1\n",
        FINE,
        "  - {id: A, type: invariant, property: P, formal: identity(x) = x}",
        "FALSIFIED",
    ),
    "a skip for every input": Way(
        "import pytest\ndef identity(x):\n    pytest.skip('not today')\n",
        FINE,
        "  - {id: A, type: invariant, property: P, formal: identity(x) = x}",
        "VACUOUS",
    ),
    "what is missing for some inputs": Way(
        "from pytest_contracts.errors import Unavailable\n"
        "def identity(x):\n    if len(x) < 4:\n        raise Unavailable('no room', 'buy some')\n"
        "    return x.copy()\n",
        FINE,
        "  - {id: A, type: invariant, property: P, formal: identity(x) = x}",
        "VACUOUS",
    ),
    "a failure for which something is missing": procedure(
        *[
            "from pytest_contracts.errors import Unavailable\n"
            "def f(implementation, x):\n"
            "    try:\n        assert (implementation(x) == x).all()\n"
            "    except AssertionError:\n        raise Unavailable('no luck', 'try again')\n"
        ]
        * 2,
        "FALSIFIED",
    ),
    "a failure that is expected on the way": procedure(
        *[
            "import pytest\n"
            "def f(implementation, x):\n    if (implementation(x) != x).any():\n"
            "        pytest.xfail('known')\n    assert len(x)\n"
        ]
        * 2,
        "FALSIFIED",
    ),
    "a claim that says a thing is itself": Way(
        WRONG,
        FINE,
        "  - {id: A, type: invariant, property: P, formal: @}",
        "VACUOUS",
    ),
}
"""In claims and equations ``@`` is what only one of the two says; see ``SAID``."""

SAID = {
    "a claim that says a thing is itself": ("identity(x) = identity(x)", "identity(x) = x"),
    "a formula that compares nothing beside a template that does": (
        "identity(x) = x when min(x) > 1000",
        "identity(x) = x when min(x) > -1000",
    ),
    "any two numbers of one sign": ("1", "0.01"),
    "a cosine taken for its tolerance": ("0.999", "0.001"),
    "the angle of one number": ("1..1", "2..8"),
}


def case(name: str, twin: bool) -> Case:
    """Return a way, or its true twin."""
    return case_of(WAYS[name], twin, SAID.get(name, ("", ""))[twin])


@pytest.fixture
def judged(once: Once, judge: Judge) -> dict[str, Judged]:
    """All of these, in one run."""
    cases = {f"{name}, {twin}": case(name, twin) for name in WAYS for twin in (False, True)}
    return once("all", lambda: judge.together(cases, examples=20))


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("twin", [False, True], ids=["wrong", "right"])
def test_way(name: str, twin: bool, judged: dict[str, Judged]) -> None:
    check(WAYS[name], twin, judged[f"{name}, {twin}"])


@pytest.mark.parametrize("twin", [False, True], ids=["wrong", "right"])
def test_what_is_not_verified_fails_the_run(twin: bool, judge: Judge) -> None:
    name = "any two numbers of one sign"
    alone, result = judge.alone(case(name, twin))
    check(WAYS[name], twin, alone)
    assert result.ret == (pytest.ExitCode.OK if twin else pytest.ExitCode.TESTS_FAILED)
