"""What this project's own conftest.py adds to pytest."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

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


def test_the_options_of_this_run_stay_out_of_the_runs_within() -> None:
    assert "PYTEST_ADDOPTS" not in os.environ
