"""Nothing is compared with itself, and what was compared is counted where it was compared.

Each way is a small project with an ordinary mistake in it; its twin, which differs in nothing but
the mistake, must stay verified.
"""

from __future__ import annotations

import json
import textwrap
from typing import Any, NamedTuple

# What inner runs load is forgotten after each, and extension modules load only once.
import numba
import numpy as np
import pytest

import pytest_contracts.items.file
import pytest_contracts.report.recorder  # noqa: F401

VECTOR = "n: 1..8, x: {dtype: float64, shape: [n], range: [-100, 100]}"


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


@pytest.fixture(scope="module", autouse=True)
def loaded() -> None:
    """Let Numba load what it loads to compile, once for all inner runs."""
    numba.njit(lambda x: np.exp(x) * 2)(np.zeros(1))


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


def run(
    pytester: pytest.Pytester, contract: str, code: str, *more: str
) -> tuple[list[dict[str, Any]], pytest.RunResult]:
    """Return the ledger's items, and what pytest said."""
    folder = pytester.mkdir("contracts")
    (folder / "way-v1.yaml").write_text(contract, encoding="utf-8")
    pytester.makepyfile(kernels=code)
    pytester.syspathinsert()
    result = pytester.runpytest_inprocess(
        "-p", "pytest_contracts.plugin", "-p", "no:randomly", "-p", "no:rerunfailures",
        "-p", "no:cacheprovider", "--contracts=contracts", "--contracts-examples=40", *more,
    )  # fmt: skip
    ledger = json.loads((pytester.path / ".contracts" / "ledger.json").read_text("utf-8"))
    return ledger["items"], result


SLOW = "def slow(x):\n    return x * 2\n"
COMPILED = "import numpy as np\nfrom numba import njit\n@njit\ndef slow(x):\n    return x * 2\n"
TWICE = "def fast(x):\n    return x + x\n"
HELPER = "def helper(x):\n    return x + x\n"
FALLBACKS = {
    "a compiled function": kernels(
        COMPILED + "def fast(x):\n    return slow(x)\n",
        COMPILED + TWICE,
        doubling(),
    ),
    "a compiled function, by functools": kernels(
        COMPILED + "import functools\nagain = functools.partial(slow)\n"
        "def fast(x):\n    return list(map(again, [x]))[0]\n",
        COMPILED + "import functools\nagain = functools.partial(np.add)\n"
        "def fast(x):\n    return list(map(again, [x], [x]))[0]\n",
        doubling(),
    ),
    "a compiled function inside of a compiled one": kernels(
        COMPILED + "@njit\ndef fast(x):\n    return slow(x) + 0\n",
        COMPILED + "@njit\ndef other(x):\n    return x + x\n"
        "@njit\ndef fast(x):\n    return other(x)\n",
        doubling(),
    ),
    "a compiled function inside of a helper": kernels(
        COMPILED + "@njit\ndef helper(x):\n    return slow(x) + 0\n"
        "def fast(x):\n    return helper(x)\n",
        COMPILED + "@njit\ndef helper(x):\n    return slow(x) + 0\n" + TWICE,
        doubling(),
    ),
    "a ufunc": kernels(
        "import numpy as np\ndef fast(x):\n    return np.exp(x)\n",
        "import numpy as np\nfrom numba import njit\n@njit\ndef helper(x):\n    return np.exp(x)\n"
        "def fast(x):\n    return helper(x) * np.cos(x * 0)\n",
        doubling(slow="numpy:exp", variables=VECTOR.replace("100", "2")),
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

WAYS: dict[str, Way] = {
    **{
        f"fallback to {name}": way._replace(says="f as 'fast' fell back to 'slow'")
        for name, way in FALLBACKS.items()
    },
}


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("twin", [False, True], ids=["wrong", "right"])
def test_way(name: str, twin: bool, pytester: pytest.Pytester) -> None:
    way = WAYS[name]
    items, result = run(pytester, *(way.right if twin else way.wrong))
    assert {item["verdict"] for item in items} == {"HELD" if twin else way.verdict}, (
        result.stdout.str()
    )
    assert twin or all(way.says in item["message"] for item in items)
    failing = pytest.ExitCode.OK if way.verdict == "INCONCLUSIVE" else pytest.ExitCode.TESTS_FAILED
    assert result.ret == (pytest.ExitCode.OK if twin else failing)
