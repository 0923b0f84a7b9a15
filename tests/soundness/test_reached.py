"""A procedure counts by the assertions that it reached: ways to reach none, beside true twins."""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from pytest_contracts.analysis.validate import validate
from tests.within import WORDS, alone, run_here

CONTRACT = """
metadata: {version: 1.0.0, kind: kernel, description: d}
equations:
  identity:
    formula: identity(x) = x
    variables:
      n: 1..8
      x: {dtype: float64, shape: [n], range: [-100, 100]}
    implementations: {cpu: "kernels:identity"}
falsification_tests:
"""
KERNELS = """
def identity(x):
    assert x.ndim == 1
    return x + SHIFT

SHIFT = 1.0
"""
HELPERS = """
import numpy as np

def check_same(a, b):
    assert np.array_equal(a, b)

def check_files(folder):
    for path in sorted(folder.glob("*.bin")):
        assert path.stat().st_size > 0

class Checker:
    def __init__(self, expected):
        self.expected = expected

    def check(self, value):
        np.testing.assert_array_equal(value, self.expected)

def fails_on(check, value):
    try:
        check(value)
    except AssertionError:
        return True
    return False
"""
IMPORTS = """
import contextlib, functools, math, threading, unittest
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
import numpy as np
import pytest
import helpers
from helpers import check_same
"""

NOTHING = {
    "a function of a library that nobody called": """
        def f(implementation, x):
            implementation(x)
            assert np.allclose
        """,
    "a list of comparisons": """
        def f(implementation, x):
            assert [a == b for a, b in zip(implementation(x), x)]
        """,
    "a loop over no files": """
        def f(implementation, x):
            y = implementation(x)
            for path in sorted(Path("no-such-folder").glob("*.bin")):
                assert path.stat().st_size == y.size
        """,
    "a loop on one line": """
        def f(implementation, x):
            y = implementation(x)
            for path in Path("no-such-folder").glob("*.bin"): assert (y == x).all()
        """,
    "a helper's loop over no files": """
        def f(implementation, x):
            implementation(x)
            helpers.check_files(Path("no-such-folder"))
        """,
    "all of nothing": """
        def f(implementation, x):
            y = implementation(x)
            assert all((y == np.load(path)).all() for path in Path("no-such").glob("*.npy"))
        """,
    "not any of nothing": """
        def f(implementation, x):
            y = implementation(x)
            assert not any((y != np.load(path)).any() for path in Path("no-such").glob("*.npy"))
        """,
    "no failure collected from nothing": """
        def f(implementation, x):
            y, failures = implementation(x), []
            for path in Path("no-such").glob("*.npy"):
                if (np.load(path) != y).any():
                    failures.append(path)
            assert not failures
        """,
    "nothing filtered": """
        def f(implementation, x):
            y = implementation(x)
            wrong = [path for path in Path("no-such").glob("*.npy") if (np.load(path) != y).any()]
            assert wrong == []
        """,
    "the largest error of nothing": """
        def f(implementation, x):
            y, worst = implementation(x), 0.0
            for path in Path("no-such").glob("*.npy"):
                worst = max(worst, abs(np.load(path) - y).max())
            assert worst < 1e-9
        """,
    "a flag that nothing turns": """
        def f(implementation, x):
            y, fine = implementation(x), True
            for path in Path("no-such").glob("*.npy"):
                fine = fine and (np.load(path) == y).all()
            assert fine
        """,
    "a tuple": """
        def f(implementation, x):
            assert ((implementation(x) == x).all(), "it differs")
        """,
    "true": """
        def f(implementation, x):
            implementation(x)
            assert True
        """,
    "a text": """
        def f(implementation, x):
            implementation(x)
            assert "the same as before"
        """,
    "constants": """
        EXPECTED = 3
        def f(implementation, x):
            implementation(x)
            found = 3
            assert 1 == 1
            assert found == EXPECTED
            assert len("abc") == 3
            assert math is not None or "it is there"
        """,
    "a message in place of the comparison": """
        def f(implementation, x):
            assert (implementation(x) == x).all() or "it differs"
        """,
    "a method that nobody calls": """
        def f(implementation, x):
            assert (implementation(x) == x).all
        """,
    "a function that nobody calls": """
        def f(implementation, x):
            implementation(x)
            def same():
                return False
            assert same
        """,
    "a generator that nobody asks": """
        def f(implementation, x):
            y = implementation(x)
            assert (a == b for a, b in zip(x, y))
        """,
    "an inner function that nobody calls": """
        def f(implementation, x):
            y = implementation(x)
            def check():
                assert (y == x).all()
        """,
    "a return before the assertion": """
        def f(implementation, x):
            y = implementation(x)
            if y is not None:
                return
            assert (y == x).all()
        """,
    "no assertion": """
        def f(implementation, x):
            implementation(x)
        """,
    "a count, and no assertion": """
        def f(implementation, x, compared):
            compared(implementation(x).size)
        """,
    "a lazy map": """
        def check(pair):
            assert pair[0] == pair[1]
        def f(implementation, x):
            map(check, zip(implementation(x), x))
        """,
}
LOST = {
    "a failure that becomes a skip": """
        def f(implementation, x):
            try:
                assert (implementation(x) == x).all()
            except AssertionError as error:
                pytest.skip(str(error))
        """,
    "an exception that is passed over": """
        def f(implementation, x):
            try:
                assert (implementation(x) == x).all()
            except Exception:
                pass
        """,
    "an assertion error that is passed over": """
        def f(implementation, x):
            assert x.ndim == 1
            try:
                np.testing.assert_array_equal(implementation(x), x)
            except AssertionError:
                print("it differs")
        """,
    "a bare except": """
        def f(implementation, x):
            for number in range(2):
                try:
                    check_same(implementation(x), x)
                except:
                    continue
        """,
    "an exception that is suppressed": """
        def f(implementation, x):
            with contextlib.suppress(Exception):
                assert (implementation(x) == x).all()
        """,
    "a return in finally": """
        def f(implementation, x):
            try:
                assert (implementation(x) == x).all()
            finally:
                return
        """,
    "an assertion in a pool that nobody asks": """
        def f(implementation, x):
            y = implementation(x)
            def check(number):
                assert (y == x).all()
            with ThreadPoolExecutor(2) as pool:
                pool.map(check, range(2))
        """,
    "a future that nobody asks": """
        def f(implementation, x):
            y = implementation(x)
            assert y is not x
            with ThreadPoolExecutor(1) as pool:
                pool.submit(check_same, y, x)
        """,
    "a multiprocessing pool that nobody asks": """
        from multiprocessing.pool import ThreadPool
        def f(implementation, x):
            y = implementation(x)
            with ThreadPool(1) as pool:
                pool.apply_async(check_same, (y, x))
                pool.close()
                pool.join()
        """,
}
TRUE = {
    "a function of another name": """
        from numpy.testing import assert_array_equal as check
        check(implementation(x), x)
        """,
    "a match that raises": """
        match bool((implementation(x) == x).all()):
            case False:
                raise AssertionError("it differs")
        """,
    "assert": "assert (implementation(x) == x).all()",
    "a helper": "check_same(implementation(x), x)",
    "a helper of a module": "helpers.check_same(implementation(x), x)",
    "a method": "helpers.Checker(x).check(implementation(x))",
    "a helper in a comprehension": "[check_same(a, b) for a, b in [(implementation(x), x)]]",
    "a helper as a callback": "list(map(check_same, [implementation(x)], [x]))",
    "a partial": "functools.partial(check_same, x)(implementation(x))",
    "numpy.testing": "np.testing.assert_allclose(implementation(x), x)",
    "unittest": "unittest.TestCase().assertTrue((implementation(x) == x).all())",
    "approx": "assert implementation(x) == pytest.approx(x)",
    "isclose": "assert math.isclose(implementation(x)[0], x[0])",
    "all": "assert all(a == b for a, b in zip(implementation(x), x))",
    "not any": "assert not any(a != b for a, b in zip(implementation(x), x))",
    "a filter": "wrong = [a for a, b in zip(implementation(x), x) if a != b]\nassert not wrong",
    "collected failures": """
        failures = []
        for a, b in zip(implementation(x), x):
            if a != b:
                failures.append(a)
        assert failures == []
        """,
    "the largest error": """
        worst = 0.0
        for a, b in zip(implementation(x), x):
            worst = max(worst, abs(a - b))
        assert worst == 0
        """,
    "nothing was heard": """
        heard = []
        for word in implementation(x)[:0]:
            heard.append(word)
        assert heard == []
        """,
    "a bare name": "same = (implementation(x) == x).all()\nassert same",
    "an attribute": "assert implementation(x).flags.c_contiguous",
    "raises": "implementation(x)\nwith pytest.raises(TypeError):\n    implementation()",
    "raises, called": "implementation(x)\npytest.raises(TypeError, implementation)",
    "a with block": "with np.errstate(all='raise'):\n    assert (implementation(x) == x).all()",
    "pytest.fail": "if (implementation(x) != x).any():\n    pytest.fail('it differs')",
    "raise": "if (implementation(x) != x).any():\n    raise ValueError('it differs')",
    "an expected refusal": """
        implementation(x)
        try:
            implementation()
        except TypeError:
            return
        raise AssertionError("it takes nothing")
        """,
    "a checker that must fail": """
        with pytest.raises(AssertionError):
            check_same(implementation(x), x + 1)
        """,
    "a failure that must come": """
        try:
            check_same(implementation(x), x + 1)
        except AssertionError:
            pass
        else:
            pytest.fail("they are not the same")
        """,
    "a failure that is looked at": "assert helpers.fails_on(lambda y: check_same(y, x + 1),"
    " implementation(x))",
    "an exception that is none of an assertion": """
        try:
            implementation(None)
        except Exception:
            pass
        assert (implementation(x) == x).all()
        """,
    "an inner function": """
        def check(y):
            assert (y == x).all()
        check(implementation(x))
        """,
    "a thread": """
        y = implementation(x)
        thread = threading.Thread(target=check_same, args=(y, x))
        thread.start()
        thread.join()
        assert not thread.is_alive()
        """,
    "a pool": """
        y = implementation(x)
        with ThreadPoolExecutor(2) as pool:
            pool.map(check_same, [y, y], [x, x])
        """,
    "a future that must fail": """
        y = implementation(x)
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(check_same, y, x + 1)
        assert isinstance(future.exception(), AssertionError)
        """,
    "real files": """
        y = implementation(x)
        for path in sorted(Path("contracts").glob("*.yaml")):
            assert path.stat().st_size > y.size
        """,
}


def judge(
    pytester: pytest.Pytester, procedures: dict[str, str], shift: str
) -> dict[str, dict[str, Any]]:
    """Run procedures about a kernel that adds ``shift``; return the records by their names."""
    folder = pytester.mkdir("contracts")
    names = {f"F{index}": name for index, name in enumerate(procedures)}
    claims = [f"  - {{id: {i}, rule: R, equation: identity, run: {i}}}" for i in names]
    (folder / "way-v1.yaml").write_text(CONTRACT.lstrip() + "\n".join(claims), encoding="utf-8")
    texts = [
        textwrap.dedent(procedures[name]).replace("def f(", f"def {i}(")
        for i, name in names.items()
    ]
    (folder / "way_v1.py").write_text("\n".join([IMPORTS, *texts]), encoding="utf-8")
    pytester.makepyfile(kernels=KERNELS.replace("1.0", shift), helpers=HELPERS)
    pytester.syspathinsert()
    result = run_here(
        pytester, "-p", "no:cacheprovider", "--contracts=contracts", "--contracts-examples=12",
        "-W", "ignore::pytest.PytestAssertRewriteWarning", "-W", "ignore::SyntaxWarning",
    )  # fmt: skip
    ledger = json.loads((pytester.path / ".contracts" / "ledger.json").read_text("utf-8"))
    verdicts = {item["verdict"] for item in ledger["items"]}
    assert (result.ret == pytest.ExitCode.OK) == (verdicts == {"HELD"})
    return {names[item["claim"]]: item for item in ledger["items"]}


def test_what_a_right_implementation_refuses(pytester: pytest.Pytester) -> None:
    expects = """
        def f(implementation, x):
            assert (implementation(x) == x).all()
            with pytest.raises(AssertionError):
                implementation(x.reshape(1, -1))
        """
    assert verdicts_of(judge(pytester, {"expects": expects}, "0.0")) == {"expects": "HELD"}


def verdicts_of(records: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {name: record["verdict"] for name, record in records.items()}


def test_nothing_asserted(pytester: pytest.Pytester) -> None:
    records = judge(pytester, NOTHING, "1.0")
    assert verdicts_of(records) == dict.fromkeys(NOTHING, "VACUOUS")
    assert all("no assertion was reached" in record["message"] for record in records.values())


def test_a_lost_failure_is_one(pytester: pytest.Pytester) -> None:
    assert verdicts_of(judge(pytester, LOST, "1.0")) == dict.fromkeys(LOST, "FALSIFIED")


def test_what_would_lose_a_failure_may_hold(pytester: pytest.Pytester) -> None:
    assert verdicts_of(judge(pytester, LOST, "0.0")) == dict.fromkeys(LOST, "HELD")


def test_an_assertion_counts(pytester: pytest.Pytester) -> None:
    procedures = {
        name: "def f(implementation, x):\n" + textwrap.indent(textwrap.dedent(body), "    ")
        for name, body in TRUE.items()
    }
    records = judge(pytester, procedures, "0.0")
    assert verdicts_of(records) == dict.fromkeys(TRUE, "HELD")
    assert {record["examples"] for record in records.values()} == {12}


PROOF = """
metadata: {version: 1.0.0, kind: kernel, description: d}
equations:
  blocks:
    formula: blocks(n, b) = ceil(n / b)
    variables: {n: 1..16, b: 1..4}
    implementations: {cpu: "kernels:blocks"}
proof_obligations:
  - {id: O, type: invariant, property: P, formal: "n ≤ blocks(n, b)·b"}
kani_harnesses:
"""
HARNESSES = {
    "a copy of the code": (
        "assert -(-n // b) * b >= n",
        "the harness runs nothing of kernels, which it is about",
    ),
    "a loop over nothing": (
        "covered = blocks(n, b)\n    for m in range(n, n): assert covered * b >= m",
        "no assertion was reached",
    ),
    "a tuple": ("assert (blocks(n, b) * b >= n, 'too few')", "no assertion was reached"),
    "no assertion": ("blocks(n, b)", "no assertion was reached"),
    "only where nothing counts": (
        "covered = blocks(n, b)\n    if n == 3:\n        assert covered * b >= n\n"
        "        k.assume(False)",
        "no assertion was reached",
    ),
    "enumerated": ("assert blocks(n, b) * b >= n", ""),
    "over paths": ("assert blocks(n, b) * b >= n", ""),
}


def test_harnesses(pytester: pytest.Pytester) -> None:
    folder = pytester.mkdir("contracts")
    names = {f"H{index}": name for index, name in enumerate(HARNESSES)}
    solvers = dict.fromkeys(HARNESSES, "enumerate") | {"over paths": "crosshair"}
    claims = [
        f"  - {{id: {i}, obligation: O, bound: 4, run: {i}, solver: {solvers[name]}}}"
        for i, name in names.items()
    ]
    (folder / "proof-v1.yaml").write_text(PROOF.lstrip() + "\n".join(claims), encoding="utf-8")
    draws = "    n = k.int('n', 1, k.bound)\n    b = k.int('b', 1, k.bound)\n"
    texts = [f"def {i}(k):\n{draws}    {HARNESSES[name][0]}" for i, name in names.items()]
    procedures = "\n".join(["from kernels import blocks", *texts])
    (folder / "proof_v1.py").write_text(procedures, encoding="utf-8")
    pytester.makepyfile(kernels="def blocks(n, b):\n    return -(-n // b)\n")
    pytester.syspathinsert()
    run_here(
        pytester, "-p", "no:cacheprovider", "--contracts=contracts", "-k", "H",
        "-W", "ignore::pytest.PytestAssertRewriteWarning", "-W", "ignore::SyntaxWarning",
    )  # fmt: skip
    ledger = json.loads((pytester.path / ".contracts" / "ledger.json").read_text("utf-8"))
    records = {names[item["claim"]]: item for item in ledger["items"] if item["claim"] in names}
    assert verdicts_of(records) == {
        name: "VACUOUS" if reason else "CONFIRMED" for name, (_, reason) in HARNESSES.items()
    }
    for name, (_, reason) in HARNESSES.items():
        assert reason in records[name]["message"]


def test_a_run_without_assertions_is_refused(pytester: pytest.Pytester) -> None:
    folder = pytester.mkdir("contracts")
    claim = "  - {id: F, rule: R, equation: identity, run: f}\n"
    (folder / "way-v1.yaml").write_text(CONTRACT.lstrip() + claim, encoding="utf-8")
    (folder / "way_v1.py").write_text("def f(x):\n    assert x.size > 99\n", encoding="utf-8")
    pytester.makepyfile(kernels=KERNELS)
    with alone():
        words = [*WORDS, "-p", "no:cacheprovider", "--contracts=contracts"]
        result = pytester.run(sys.executable, "-O", "-m", "pytest", *words)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: contracts cannot be judged under python -O: *"])


UNREAD = {
    "a parameter that the procedure does not take": (
        "run: f, parametrize: {width: [1, 2]}",
        "def f(x):\n    assert x.size < 9",
        "f never reads 'width'",
    ),
    "a parameter that it takes and does not read": (
        "run: f, parametrize: {width: [1, 2]}",
        "def f(x, width):\n    assert x.size < 9",
        "f never reads 'width'",
    ),
    "an input that it draws and does not read": (
        "run: f",
        "def f(implementation, x):\n    assert implementation(np.ones(3)).size == 3",
        "f never reads 'x'",
    ),
    "a variable of its own": (
        "run: f, variables: {k: 1..9}",
        "def f(x):\n    assert x.size < 9",
        "f never reads 'k'",
    ),
    "a variable that the formula does not have": (
        "formal: identity(x) = x, variables: {k: 1..9}",
        "",
        "the formula never reads 'k'",
    ),
    "a parameter that the formula does not have": (
        "formal: identity(x) = x, parametrize: {k: [1, 9]}",
        "",
        "the formula never reads 'k'",
    ),
    "read by a domain": (
        "formal: identity(z) = z, parametrize: {k: [1, 9]},"
        " variables: {z: {dtype: float64, shape: [k]}}",
        "",
        "",
    ),
    "read by a procedure": (
        "run: f, parametrize: {k: [1, 9]}, variables: {m: 1..9}",
        "def f(implementation, x, k, m):\n    assert implementation(x * k * m).size < 9",
        "",
    ),
    "read by a fixture": (
        "run: f, parametrize: {k: [1, 9]}",
        "def f(implementation, x, rootpath):\n    assert implementation(x).size < 9 and rootpath",
        "",
    ),
}


@pytest.mark.parametrize("name", UNREAD)
def test_what_is_stated_is_read(name: str, tmp_path: Path) -> None:
    claim, procedure, message = UNREAD[name]
    text = f"{CONTRACT.lstrip()}  - {{id: F, rule: R, equation: identity, {claim}}}\n"
    (tmp_path / "way-v1.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "way_v1.py").write_text(procedure, encoding="utf-8")
    (report,) = validate([tmp_path / "way-v1.yaml"])
    assert [message in error.message for error in report.errors] == [True] * bool(message)
