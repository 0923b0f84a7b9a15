"""Which tests coverage traces, seen from what it says it saw."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.tracing import EVERY

CONFTEST = """
from tests.conftest import pytest_collection_modifyitems, pytest_runtest_protocol

pytest_plugins = ["pytester"]
"""
CASES = 2 * EVERY + 1
SEEN = {0, EVERY, 2 * EVERY}
LIBRARY = "def f(n):\n" + "".join(
    f"    if n == {n}:\n        return {n}\n" for n in range(3 * CASES)
)
TESTS = f"""
import sys

import pytest
from library import f


@pytest.mark.parametrize("n", range({CASES}))
def test_cases(n):
    assert f(n) == n


def test_alone():
    assert f({CASES}) == {CASES}


def test_alone_again():
    assert f({CASES + 1}) == {CASES + 1}


@pytest.mark.untraced
def test_marked():
    assert sys.gettrace() is None
    assert f({CASES + 2}) == {CASES + 2}
"""
INNER = "from library import f\n" + "".join(
    f"\n\ndef test_within_{n}(pytester):\n    assert f({2 * CASES + n})\n" for n in range(CASES)
)


@pytest.mark.parametrize("workers", [(), ("-p", "xdist", "-n1")], ids=["alone", "a worker"])
def test_the_first_of_several_alike_and_a_few_more_are_traced(
    workers: tuple[str, ...], pytester: pytest.Pytester
) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(library=LIBRARY, test_cases=TESTS, test_inner=INNER)
    root = str(Path(__file__).parents[1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", root)
        words = (
            "-p",
            "pytest_cov",
            "--cov=library",
            "--cov-report=json",
            "-o",
            "pythonpath=.",
            "-o",
            "markers=untraced",
        )
        done = pytester.runpytest_subprocess(*words, *workers)
    done.assert_outcomes(passed=2 * CASES + 3)
    report = json.loads((pytester.path / "coverage.json").read_text("utf-8"))
    executed = report["files"]["library.py"]["executed_lines"]
    returned = {line // 2 - 1 for line in executed if line % 2 and line > 1}
    assert returned == SEEN | {CASES, CASES + 1} | {2 * CASES + n for n in SEEN}
