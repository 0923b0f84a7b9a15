"""What this project's own conftest.py adds to pytest."""

from __future__ import annotations

import importlib
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, core, given, settings
from hypothesis import strategies as st

from inference import Model
from inference.data import TINY_MODEL
from pytest_contracts.binding import contract
from pytest_contracts.items.process import put_back

ROOT = Path(__file__).parents[1]


def collected(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "--co", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("no-such-model", "no-such-model is neither a file nor a known id"),
        ("pyproject.toml", "pyproject.toml is no GGUF file"),
        ("contracts", "contracts is neither a file nor a known id"),
    ],
)
def test_model_that_cannot_be_judged_is_a_usage_error(model: str, message: str) -> None:
    done = collected("contracts/pipeline/pass-at-k.yaml", f"--contracts-model={model}")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert f"ERROR: --contracts-model takes a GGUF file or the id of a model; {message}" in (
        done.stderr
    )
    assert "known ids: tiny, " in done.stderr
    assert done.stdout == ""


def test_model_is_the_one_that_the_contracts_judge() -> None:
    path = "contracts/model/apr-vs-gguf-forward-parity-v1.yaml"
    done = collected(path, "--contracts-model=tiny", "-k", "PARITY-008")
    items = [line.rpartition("::")[2] for line in done.stdout.splitlines() if "::" in line]
    assert items
    assert {item.partition("[")[2].partition("-")[0] for item in items} == {"tiny"}


def test_the_golden_tests_of_a_model_come_together_whichever_module_has_them() -> None:
    done = collected("tests/inference/engine", "-m", "model")
    tests = [line.split("::")[1] for line in done.stdout.splitlines() if "::" in line]
    models = [test.partition("[")[2].rstrip("]").partition("-")[0] for test in tests]
    changes = [
        model for model, before in zip(models, ["", *models], strict=False) if model != before
    ]
    assert len(changes) == len(set(models)) > 1, changes


def test_the_gguf_package_reads_a_file_once(
    gguf_reader: Callable[[Path], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    memmap = np.memmap
    found = gguf_reader(TINY_MODEL)
    assert np.memmap is memmap
    assert type(found.tensors[0].data) is np.ndarray  # of which nobody keeps books
    assert not found.tensors[0].data.flags.owndata  # but it lies in the file
    monkeypatch.setattr("gguf.GGUFReader.__init__", None)
    assert gguf_reader(TINY_MODEL) is found


def test_a_model_is_opened_once_and_has_one_tokenizer(
    load_cached: Callable[[Path, Any], Model],
) -> None:
    f32, fused = (load_cached(TINY_MODEL, numerics) for numerics in ("f32", "fused"))
    assert (f32.numerics, fused.numerics) == ("f32", "fused")
    assert f32.tokenizer is fused.tokenizer
    assert load_cached(TINY_MODEL, "f32") is f32


def test_what_the_command_prints_of_a_model_is_printed_once(
    printed_trace: Callable[[Path], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = printed_trace(TINY_MODEL)
    assert printed.count("ffn_swigl:") == 4
    monkeypatch.setattr("inference.cli.main", None)
    assert printed_trace(TINY_MODEL) is printed


def test_the_options_of_this_run_stay_out_of_the_runs_within() -> None:
    assert "PYTEST_ADDOPTS" not in os.environ


def test_profiles_say_which_examples_are_drawn_and_none_looks_at_the_clock() -> None:
    profiles = {n: settings.get_profile(n) for n in ("dev", "ci", "explore", "deep")}
    assert {name for name, one in profiles.items() if one.derandomize} == {"dev", "ci"}
    assert {name for name, one in profiles.items() if one.database is None} == {"dev", "ci"}
    for one in profiles.values():
        assert one.deadline is None
        assert one.suppress_health_check == (HealthCheck.too_slow,)
        assert one.phases == tuple(Phase)


def test_what_is_imported_does_not_decide_what_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not settings().derandomize:
        pytest.skip("under this profile others are drawn on purpose")

    def drawn() -> list[str]:
        found: list[str] = []
        same = settings(settings.get_profile("ci"), max_examples=300)
        given(st.text())(same(lambda text: found.append(text)))()
        return found

    before = drawn()
    source = tmp_path / "strings.py"
    source.write_text(f"{[f'made up {number}' for number in range(99)]}", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "strings", importlib.import_module("strings"))
    assert drawn() == before
    assert not any("made up" in text for text in before)


def _registers() -> None:
    contract("made-up-v1", equation="f", implementation="cpu")(lambda: 0)


def _loads() -> None:
    settings.register_profile("left", max_examples=3)
    settings.load_profile("left")


LEFT: dict[str, Callable[[], object]] = {
    "random": lambda: random.random(),
    "random, seeded": lambda: random.seed(1),
    "numpy.random": lambda: np.random.random(),  # noqa: NPY002
    "NumPy's error state": lambda: np.seterr(all="ignore"),
    "the environment": lambda: os.environ.update(MADE_UP="1"),
    "the environment, less": lambda: os.environ.pop("PATH"),
    "the current directory": lambda: os.chdir("/"),
    "sys.path": lambda: sys.path.append("/made/up"),
    "a module": lambda: sys.modules.pop("json"),
    "an implementation": _registers,
    "a profile": _loads,
    "a seed": lambda: setattr(core, "global_force_seed", 3),
    "a handler": lambda: signal.signal(signal.SIGUSR1, lambda *_: None),
    "a trace function": lambda: sys.settrace(lambda *_: None),
    "a profile function": lambda: sys.setprofile(lambda *_: None),
    "a profile function of threads": lambda: threading.setprofile(lambda *_: None),
}


@pytest.mark.parametrize("what", LEFT)
def test_what_a_test_leaves_changed_is_seen_and_put_back(
    what: str, pytestconfig: pytest.Config
) -> None:
    shared = pytestconfig.pluginmanager.get_plugin(str(Path(__file__).with_name("conftest.py")))
    assert shared is not None
    outer: list[str] = []
    changes: list[str] = []
    with put_back(shared.LEFT, outer), put_back(shared.LEFT, changes):
        LEFT[what]()
    assert len(changes) == 1, changes
    assert outer == []


def test_a_test_that_leaves_things_changed_fails_and_the_next_one_does_not(
    pytester: pytest.Pytester,
) -> None:
    pytester.makeconftest(Path(__file__).with_name("conftest.py").read_text("utf-8"))
    pytester.makepyfile(
        """
        import os, random

        def test_draws():
            assert random.random() < 1

        def test_sets():
            os.environ["MADE_UP"] = "1"

        def test_finds():
            assert "MADE_UP" not in os.environ
        """
    )
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=3, errors=2)
    result.stdout.fnmatch_lines(["the test changes the environment: MADE_UP is new"])


def test_the_files_that_took_the_most_cpu_seconds_come_first(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makeconftest(Path(__file__).with_name("conftest.py").read_text("utf-8"))
    pytester.makepyfile(
        test_little="def test_it(): pass",
        test_much="def test_it(): sum(range(10**7))",
        test_apart="import subprocess, sys\n"
        "def test_it(): subprocess.run([sys.executable, '-c', 'sum(range(5 * 10**7))'])",
    )
    table = pytester.path / "table"
    monkeypatch.setenv("CPU_BY_FILE", str(table))
    pytester.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=3)
    names = [line.split()[1] for line in table.read_text("utf-8").splitlines()]
    assert names == ["test_apart.py", "test_much.py", "test_little.py"]
