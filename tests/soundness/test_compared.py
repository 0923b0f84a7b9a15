"""Nothing is compared with itself, and what was compared is counted where it was compared.

Each way is a small project with an ordinary mistake in it; its twin, which differs in nothing but
the mistake, must stay verified.
"""

from __future__ import annotations

import textwrap
from typing import NamedTuple

import pytest

from tests.soundness.conftest import Case, Judge, Judged
from tests.within import Once

VECTOR = "n: 1..8, x: {dtype: float64, shape: [n], range: [-100, 100]}"

TWO = VECTOR + ", y: {dtype: float64, shape: [n], range: [-100, 100]}"


def doubling(slow: str = "kernels:slow", variables: str = VECTOR) -> str:
    """Two implementations of one equation, one compared with the other."""
    return textwrap.dedent(f"""
        metadata: {{version: 1.0.0, kind: kernel, description: d}}
        equations:
          f:
            formula: f(x) = 2·x
            variables: {{{variables}}}
            implementations: {{slow: "{slow}", fast: "kernels:fast"}}
        proof_obligations:
          - {{id: A, type: equivalence, property: P, to: slow, tolerance: 1.0e-6}}
        """)


def claims(*lines: str, formula: str = "f(x) = x", variables: str = VECTOR) -> str:
    """One implementation of one equation, and claims about it."""
    head = textwrap.dedent(f"""
        metadata: {{version: 1.0.0, kind: kernel, description: d}}
        equations:
          f: {{formula: "{formula}", variables: {{{variables}}},
              implementations: {{cpu: "kernels:f"}}}}
        proof_obligations:
        """)
    return head + "".join(f"  - {{id: A{i}, {line}}}\n" for i, line in enumerate(lines))


def formal(text: str, more: str = "") -> str:
    """A claim by formula."""
    return f'type: invariant, property: P, formal: "{text}"{more}'


class Way(NamedTuple):
    """Contract and kernels, with the mistake and without it; what is said of the mistake."""

    wrong: tuple[str, str]
    right: tuple[str, str]
    verdict: str
    says: str


def kernels(
    wrong: str, right: str, contract: str, verdict: str = "FALSIFIED", says: str = ""
) -> Way:
    """A mistake in the code."""
    return Way((contract, wrong), (contract, right), verdict, says)


def contracts(wrong: str, right: str, code: str, verdict: str, says: str = "") -> Way:
    """A mistake in the contract."""
    return Way((wrong, code), (right, code), verdict, says)


SCALAR = "x: {dtype: float64, range: [-100, 100]}"
"""What compiled functions take: one for arrays takes four times as long to compile."""
SLOW = "def slow(x):\n    return x * 2\n"
COMPILED = "import numpy as np\nfrom numba import njit\n@njit\ndef slow(x):\n    return x * 2\n"
TWICE = "def fast(x):\n    return x + x\n"
HELPER = "def helper(x):\n    return x + x\n"
FALLBACKS = {
    "a compiled function": kernels(
        COMPILED + "def fast(x):\n    return slow(x)\n",
        COMPILED + TWICE,
        doubling(variables=SCALAR),
    ),
    "a compiled function, by functools": kernels(
        COMPILED + "import functools\nagain = functools.partial(slow)\n"
        "def fast(x):\n    return list(map(again, [x]))[0]\n",
        COMPILED + "import functools\nagain = functools.partial(np.add)\n"
        "def fast(x):\n    return list(map(again, [x], [x]))[0]\n",
        doubling(variables=SCALAR),
    ),
    "a compiled function inside of a compiled one": kernels(
        COMPILED + "@njit\ndef fast(x):\n    return slow(x) + 0\n",
        COMPILED + "@njit\ndef other(x):\n    return x + x\n"
        "@njit\ndef fast(x):\n    return other(x)\n",
        doubling(variables=SCALAR),
    ),
    "a compiled function inside of a helper": kernels(
        COMPILED + "@njit\ndef helper(x):\n    return slow(x) + 0\n"
        "def fast(x):\n    return helper(x)\n",
        COMPILED + "@njit\ndef helper(x):\n    return slow(x) + 0\n" + TWICE,
        doubling(variables=SCALAR),
    ),
    "a ufunc": kernels(
        "import numpy as np\ndef fast(x):\n    return np.exp(x)\n",
        "import numpy as np\nfrom numba import njit\n@njit\ndef helper(x):\n    return np.exp(x)\n"
        "def fast(x):\n    return helper(x) * np.cos(x * 0)\n",
        doubling(slow="numpy:exp", variables=SCALAR.replace("100", "2")),
    ),
    "a ufunc of one's own": kernels(
        "import numpy as np\nslow = np.frompyfunc(lambda x: 2 * x, 1, 1)\n"
        "def fast(x):\n    return slow(x)\n",
        "import numpy as np\nslow = np.frompyfunc(lambda x: 2 * x, 1, 1)\n"
        "def fast(x):\n    return 2 * x\n",
        doubling(variables="x: {dtype: float64, range: [-2, 2]}"),
    ),
    "an array function": kernels(
        "import numpy as np\ndef fast(x):\n    return np.flip(x)\n",
        "def fast(x):\n    return x[::-1]\n",
        doubling(slow="numpy:flip"),
    ),
    "a builtin function": kernels(
        "import math\ndef fast(x):\n    return math.exp(x)\n",
        "import numpy as np\ndef fast(x):\n    return float(np.exp(x))\n",
        doubling(slow="math:exp", variables="x: {dtype: float64, range: [-2, 2]}"),
    ),
    "a cache around the reference": kernels(
        "import functools\n@functools.lru_cache\n"
        + SLOW
        + "for x in range(9):\n    slow(x)\ndef fast(x):\n    return slow(x)\n",
        "import functools\n@functools.lru_cache\n" + SLOW + TWICE,
        doubling(variables="x: 0..8"),
    ),
    "a thread of its own": kernels(
        SLOW + "import threading\ndef fast(x):\n    found = []\n"
        "    thread = threading.Thread(target=lambda: found.append(slow(x)))\n"
        "    thread.start()\n    thread.join()\n    return found[0]\n",
        SLOW + HELPER + "import threading\ndef fast(x):\n    found = []\n"
        "    thread = threading.Thread(target=lambda: found.append(helper(x)))\n"
        "    thread.start()\n    thread.join()\n    return found[0]\n",
        doubling(),
    ),
    "a pool that was there before": kernels(
        SLOW + "from concurrent.futures import ThreadPoolExecutor\n"
        "POOL = ThreadPoolExecutor(1)\nPOOL.submit(int).result()\n"
        "def fast(x):\n    return POOL.submit(slow, x).result()\n",
        SLOW + HELPER + "from concurrent.futures import ThreadPoolExecutor\n"
        "POOL = ThreadPoolExecutor(1)\nPOOL.submit(int).result()\n"
        "def fast(x):\n    return POOL.submit(helper, x).result()\n",
        doubling(),
    ),
    "a bound method": kernels(
        "class Slow:\n    def run(self, x):\n        return x * 2\nKEPT = Slow()\nslow = KEPT.run\n"
        "def fast(x):\n    return KEPT.run(x)\n",
        "class Slow:\n    def run(self, x):\n        return x * 2\nKEPT = Slow()\nslow = KEPT.run\n"
        + TWICE,
        doubling(),
    ),
}
"""How an implementation can come to compute with the one that it is compared with."""

RELU = "import numpy as np\ndef f(x):\n    return np.maximum(x, 0)\n"
SUM = "import numpy as np\ndef f(x):\n    return x if x.sum() > 0 else np.zeros_like(x)\n"
RELUS = "f(x) = max(x, 0)"
SHORT = "def f(x):\n    return x[: max(1, x.size - 1)]\n"
LONG = "import numpy as np\ndef f(x):\n    return np.append(x, 0)\n"
SAME = "def f(x):\n    return x.copy()\n"
ARRAYS = "about the elements of an array"


def guarded(wrong: str, right: str) -> Way:
    """A condition that seems to be about each element."""
    return contracts(
        claims(formal(wrong), formula=RELUS),
        claims(formal(right), formula=RELUS),
        RELU,
        "VACUOUS",
        ARRAYS,
    )


INPUTS = {
    "a guard that is an array": guarded("x > 0 ⟹ f(x) = x", "f(x) = x where x > 0"),
    "an array after when": guarded("f(x) = 0 when x < 0", "f(x) = 0 when all(x < 0)"),
    "an array that chooses": guarded(
        "f(x) = x if x > 0 else f(x) ≥ 0", "f(x) = x if all(x > 0) else f(x) ≥ 0"
    ),
    "a membership as a guard": guarded("x in [0, 100] ⟹ f(x) = x", "f(x) = x where x in [0, 100]"),
    "a guard turned round": guarded("x < 0 ∨ f(x) = x", "all(x < 0) ∨ f(x) ≥ x"),
    "a guard both ways": guarded("f(x) > 0 ⟺ x > 0", "all(f(x) > 0) ⟺ all(x > 0)"),
    "an element is lost": kernels(SHORT, SAME, claims(formal("∀ i: f(x)_i = x_i"))),
    "an element is lost, for all": kernels(SHORT, SAME, claims(formal("f(x)_i = x_i for all i"))),
    "an element is lost from a sum": kernels(
        SHORT, SAME, claims(formal("sum(f(x)[i] - x[i] for i in range(len(f(x)))) = 0"))
    ),
    "an element too many": kernels(LONG, SAME, claims(formal("∀ i: x_i = f(x)_i"))),
    "a row is lost": kernels(
        "def f(x):\n    return x[:, :-1]\n",
        SAME,
        claims(
            formal("∀ i, j: f(x)_{i,j} = x_{i,j}"),
            variables="m: 1..3, n: 2..3, x: {dtype: float64, shape: [m, n], range: [-9, 9]}",
        ),
    ),
}
"""How an input can seem to be looked at as a whole."""

NUMBER = "x: {dtype: int64, range: [0, 1000000]}"
LARGE = "x: {dtype: int64, range: [100, 1000000]}"
SEVEN = ", regressions: [{x: 7}]"
NUMBERS = "x: {dtype: int64, range: [0, 9]}"
IDENTITY = "def f(x):\n    return x\n"


def rare(variables: str) -> str:
    """A guard that one number meets."""
    return claims(formal("f(x) = x when x = 7"), variables=variables)


MONOTONE = 'type: monotonicity, property: P, formal: "f(x) = x"'
COUNTS = {
    "a part of a conjunction that compares nothing": contracts(
        claims(formal("f(x) = x ∧ (min(x) > 1000 ⟹ f(x) ≥ 0)")),
        claims(formal("f(x) = x ∧ (min(x) > -1000 ⟹ f(x) ≥ -100)")),
        SAME,
        "VACUOUS",
        "nothing was compared by the part min(x) > 1000 ⟹ f(x) ≥ 0",
    ),
    "a template that compares nothing beside a formula": contracts(
        claims(MONOTONE, variables=VECTOR.replace("1..8", "1..1")),
        claims(MONOTONE, variables=VECTOR.replace("1..8", "2..8")),
        SAME,
        "VACUOUS",
        "nothing was compared by f(x) = largest_up_to(x, f(x))",
    ),
    "a guard that no input meets": contracts(
        rare(variables=LARGE),
        rare(variables=NUMBERS),
        IDENTITY,
        "VACUOUS",
        "no input met the precondition",
    ),
    "a part that too few meet, unless fewer will do": contracts(
        claims(formal("f(x) = x ∧ (x = 7 ⟹ f(x) > 0)", SEVEN), variables=NUMBER),
        claims(formal("f(x) = x ∧ (x = 7 ⟹ f(x) > 0)", SEVEN + ", enough: 1"), variables=NUMBER),
        IDENTITY,
        "INCONCLUSIVE",
        "say enough: for fewer",
    ),
    "a part that too few meet": contracts(
        claims(formal("f(x) = x ∧ (x = 7 ⟹ f(x) > 0)", SEVEN), variables=NUMBER),
        claims(formal("f(x) = x ∧ (x % 3 = 0 ⟹ f(x) ≥ 0)"), variables=NUMBER),
        IDENTITY,
        "INCONCLUSIVE",
        "inputs were compared by the part x = 7 ⟹ f(x) > 0",
    ),
}
"""How a claim can compare less than it seems to."""

ONE = VECTOR.replace("1..8", "1..1")
MANY = VECTOR.replace("1..8", "2..8")
PAIR = "x: {dtype: int64, range: [0, @]}, y: {dtype: int64, range: [0, @]}"
TOTAL = "def f(x):\n    return float(x.sum())\n"
LEAST = "def f(x, y):\n    return min(x, y)\n"


def telling(claim: str, wrong: str, right: str, code: str, formula: str) -> Way:
    """A claim on inputs that could not tell a difference."""
    return contracts(
        claims(claim, formula=formula, variables=wrong),
        claims(claim, formula=formula, variables=right),
        code,
        "VACUOUS",
    )


ORDERS = {
    "a permutation of one element": telling(
        formal("f(flip(x)) ≈ f(x)", ", tolerance: 1.0e-6"), ONE, MANY, TOTAL, "f(x) = sum(x)"
    ),
    "a permutation of equal elements": telling(
        formal("f(flip(x)) ≈ f(x)", ", tolerance: 1.0e-6"),
        MANY.replace("[-100, 100]", "[1, 1]"),
        MANY,
        TOTAL,
        "f(x) = sum(x)",
    ),
    "a permutation of equal elements that moves": telling(
        formal("f(flip(x)) = flip(f(x))"),
        MANY.replace("[-100, 100]", "[1, 1]"),
        MANY,
        SAME,
        "f(x) = x",
    ),
    "arguments that are the same": telling(
        "type: commutativity, property: P",
        PAIR.replace("@", "0"),
        PAIR.replace("@", "9"),
        LEAST,
        "f(x, y) = min(x, y)",
    ),
    "the order of one element": telling(
        formal("argsort(f(x)) = argsort(x)"), ONE, MANY, SAME, "f(x) = x"
    ),
    "the order of equal elements": telling(
        "type: ordering, property: P", MANY.replace("[-100, 100]", "[1, 1]"), MANY, SAME, "f(x) = x"
    ),
}
"""Inputs on which a claim about order could not have failed."""

TWICE_DEFINED = """
metadata: {version: 1.0.0, kind: kernel, description: d}
equations:
  f: {formula: "f(x) = x", variables: {x: 0..9}, implementations: {cpu: "kernels:f"}}
  g: {formula: "@(x) = x + 1", variables: {x: 0..9}, implementations: {cpu: "kernels:f"}}
proof_obligations:
  - {id: A, type: invariant, property: P, formal: "f(x) = x"}
"""
RESULTS = {
    "one dict for two results": kernels(
        "KEPT = {'calls': 0}\ndef f(x):\n    KEPT['calls'] += 1\n    return KEPT\n",
        "def f(x):\n    return {'calls': 1}\n",
        claims(formal("f(x) = f(y)"), variables=TWO),
    ),
    "a result of Nones": kernels(
        "def f(x):\n    return None, None\n",
        "def f(x):\n    return 1, 2\n",
        claims(formal("f(x) = f(y)"), variables=TWO),
    ),
    "an empty result": kernels(
        "def f(x):\n    return x[x > 0]\n",
        SAME,
        claims(formal("f(x) ≥ -100")),
    ),
    "one number in a difference": kernels(
        "import numpy as np\ndef f(x):\n    return np.zeros(1)\n",
        "def f(x):\n    return x * 0\n",
        claims(formal("abs(f(x) - 0·x) ≤ 1.0e-6"), formula="f(x) = 0·x"),
    ),
    "an axis too many": kernels(
        "import numpy as np\ndef f(x):\n    return np.exp(x - x.max())[:, None]\n",
        "import numpy as np\ndef f(x):\n    return np.exp(x - x.max())\n",
        claims(formal("f(x) ≤ 1"), formula="f(x) = e where e = exp(x − max(x))"),
    ),
    "a name that two equations define": contracts(
        TWICE_DEFINED.replace("@", "f"),
        TWICE_DEFINED.replace("@", "g"),
        IDENTITY,
        "VACUOUS",
        "'f' is defined by two equations, f and g",
    ),
}
"""How both sides can come to be one thing, or none."""

WAYS: dict[str, Way] = {
    **RESULTS,
    **COUNTS,
    **ORDERS,
    **INPUTS,
    **{
        f"fallback to {name}": way._replace(says="f as 'fast' fell back to 'slow'")
        for name, way in FALLBACKS.items()
    },
}


TRUE = {
    "a number where the definition has one": (
        "import numpy as np\ndef f(x):\n    return x.max()\n",
        claims(formal("f(x) ≥ x"), formula="f(x) = max(x)"),
    ),
    "a guard about all of an array beside a claim about one number": (
        RELU, claims(formal("x > 0 ⟹ sum(f(x)) > 0"), formula=RELUS)
    ),
    "a module's number that stays, and arguments that cannot change": (
        "COUNT = 3\ndef f(x):\n    return x\n",
        claims('type: frame, property: P, state: "kernels:COUNT"', variables=NUMBERS),
    ),
    "arrays that are equal, as a guard": (
        RELU,
        claims(
            formal("x = y ⟹ f(x) = f(y)"),
            formula=RELUS,
            variables="n: 1..2, x: {dtype: int64, shape: [n], range: [0, 1]},"
            " y: {dtype: int64, shape: [n], range: [0, 1]}",
        ),
    ),
    "what is said of an array as a guard": (
        RELU,
        claims(formal("finite(x) ⟹ f(x) ≥ 0"), formula=RELUS),
    ),
    "either of two arrays": (RELU, claims(formal("f(x) = x ∨ f(x) ≥ 0"), formula=RELUS)),
    "a range that the author wrote": (
        LONG, claims(formal("∀ i ∈ 0..n: f(x)_i = x_i"), formula="f(x) = concat(x, [0])")
    ),
    "a guard that keeps an index inside": (
        LONG,
        claims(formal("∀ i: i < n ⟹ f(x)_i = x_i"), formula="f(x) = concat(x, [0])"),
    ),
    "prefixes of one more element": (
        "import numpy as np\ndef f(x):\n    return np.append(0, np.cumsum(x))\n",
        claims(
            formal("∀ i ∈ 0..n: f(x)_{i+1} ≈ f(x)_i + x_i", ", tolerance: 1.0e-9"),
            formula="f(x) = concat([0], cumsum(x))",
        ),
    ),
    "an order that broadcasts the inputs": (
        "def f(x):\n    return x - 1\n",
        claims(
            formal("f(x) ≤ max(x, axis=0)"),
            formula="f(x) = x − 1",
            variables="m: 1..3, n: 1..3, x: {dtype: float64, shape: [m, n], range: [-9, 9]}",
        ),
    ),
}  # fmt: skip
"""What must stay verified although it looks like one of the ways."""


@pytest.fixture
def judged(once: Once, judge: Judge) -> dict[str, Judged]:
    """All of these, in one run."""
    cases = {f"true {name}": Case(contract, code) for name, (code, contract) in TRUE.items()}
    for name, way in WAYS.items():
        cases |= {f"wrong {name}": Case(*way.wrong), f"right {name}": Case(*way.right)}
    return once("all", lambda: judge.together(cases, examples=20))


@pytest.mark.parametrize("name", TRUE)
def test_true_claim(name: str, judged: dict[str, Judged]) -> None:
    case = judged[f"true {name}"]
    assert (case.verdicts, case.outcomes) == ({"HELD"}, {"passed"}), case.output


@pytest.mark.parametrize("name", WAYS)
def test_way_is_not_verified(name: str, judged: dict[str, Judged]) -> None:
    way, case = WAYS[name], judged[f"wrong {name}"]
    outcome = "xfailed" if way.verdict == "INCONCLUSIVE" else "failed"
    assert (case.verdicts, case.outcomes) == ({way.verdict}, {outcome}), case.output
    assert all(way.says in item["message"] for item in case.items)


@pytest.mark.parametrize("name", WAYS)
def test_its_twin_is(name: str, judged: dict[str, Judged]) -> None:
    case = judged[f"right {name}"]
    assert (case.verdicts, case.outcomes) == ({"HELD"}, {"passed"}), case.output
