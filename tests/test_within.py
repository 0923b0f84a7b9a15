"""What tests share of the runs that they start: modules that stay, and results that are told."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest
from hypothesis.configuration import storage_directory

from tests.within import IMPORTS, Once, run_apart, run_here


def test_a_project_s_modules_are_forgotten_and_others_stay(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(own="VALUE = 1\n", test_it="import own, tabnanny\n\ndef test(): pass\n")
    pytester.syspathinsert()
    sys.modules.pop("tabnanny", None)
    run_here(pytester, "-p", "no:cacheprovider").assert_outcomes(passed=1)
    assert "own" not in sys.modules
    kept = sys.modules.pop("tabnanny")
    IMPORTS.put_back()
    assert sys.modules["tabnanny"] is kept


def test_a_module_that_stands_in_for_another_is_forgotten(pytester: pytest.Pytester) -> None:
    text = "import sys, json\nsys.modules['stands_in'] = json\n\ndef test(): pass\n"
    pytester.makepyfile(test_it=text)
    run_here(pytester, "-p", "no:cacheprovider").assert_outcomes(passed=1)
    assert "stands_in" not in sys.modules


def test_a_run_loads_no_plugin_that_it_does_not_name(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test(): pass\n")
    words = ("-p", "no:cacheprovider", "--contracts-strict", "--hypothesis-show-statistics")
    assert run_here(pytester, *words).ret == pytest.ExitCode.OK
    assert run_here(pytester, *words, "-n1").ret == pytest.ExitCode.USAGE_ERROR


def test_processes_of_a_project_share_what_hypothesis_reads_and_no_examples(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)  # where Hypothesis would keep no example
    text = """
        from hypothesis import given, strategies as st
        from own import VALUE

        @given(st.integers())
        def test(n): assert n is VALUE
    """
    pytester.makepyfile(own="VALUE = None\nREAD = 27182818\n", test_it=text)
    run_apart(pytester, "-p", "no:cacheprovider", "-o", "pythonpath=.").assert_outcomes(failed=1)
    read = hashlib.sha1((pytester.path / "own.py").read_bytes()).hexdigest()[:16]
    constants = pytester.path / ".hypothesis" / "constants"
    assert "27182818" in (constants / read).read_text("utf-8")
    assert constants.resolve() == storage_directory("constants").path.resolve()
    examples = pytester.path / ".hypothesis" / "examples"
    assert list(examples.iterdir())
    assert not examples.is_symlink()


def test_what_is_done_once_is_told_to_other_processes(tmp_path: Path) -> None:
    made: list[int] = []

    def make() -> int:
        made.append(len(made))
        return made[-1]

    here, there = Once(tmp_path, "a"), Once(tmp_path, "a")
    assert (here("x", make), here("x", make), there("x", make)) == (0, 0, 0)
    assert here("y", make) == 1
    assert Once(tmp_path, "b")("x", make) == 2


def test_what_fails_is_tried_again(tmp_path: Path) -> None:
    once = Once(tmp_path, "a")
    with pytest.raises(ZeroDivisionError):
        once("x", lambda: 1 / 0)
    assert once("x", lambda: 3) == 3
