"""Broken contract files: each loads, or is refused with its place.

A sample, the same on every run; `tools/fuzz_contracts.py` feeds as many as one likes.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
TOOL = ROOT / "tools" / "fuzz_contracts.py"
SEED = 20_240_607
INPUTS = 500
OUTCOMES = {"accepted", "clause refused", "refused"}


def campaign(*arguments: str, prepare: str = "") -> tuple[int, dict[str, Any]]:
    """Run the tool in a process of its own, after ``prepare`` has run there."""
    code = (
        f"import sys; sys.path.insert(0, {str(TOOL.parent)!r})\n{prepare}\n"
        f"import fuzz_contracts; sys.argv[0] = 'fuzz'; sys.exit(fuzz_contracts.main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=600
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_every_broken_file_loads_or_is_refused_with_its_place() -> None:
    status, report = campaign(f"--seed={SEED}", f"--count={INPUTS}", "--limit=60")
    print(json.dumps({key: report[key] for key in ("outcomes", "slowest", "memory_mib")}))
    assert report["failures"] == {}, json.dumps(report["failures"], indent=1, ensure_ascii=False)
    assert (status, report["inputs"]) == (0, INPUTS)
    by_outcome: Counter[str] = Counter()
    for name, count in report["outcomes"].items():
        by_outcome[name.partition(": ")[2]] += count
    # A sample whose files are all refused at once would say little of what comes after.
    assert set(by_outcome) == OUTCOMES
    assert min(by_outcome.values()) > INPUTS / 50


def test_another_exception_is_found_minimal_and_pasteable() -> None:
    prepare = (
        "import pytest_contracts.domains.strategies as d; d.range_ends = lambda text: {}[text]"
    )
    status, report = campaign("--seed=1", "--count=60", "--shrink=200", prepare=prepare)
    assert status == 1
    ((site, failure),) = report["failures"].items()
    assert site.startswith("KeyError strategies.py")
    assert failure["inputs"] > 5
    text = "\n".join(failure["minimal"])
    assert "metadata" in text
    assert len(text) < 2500


def test_a_hang_is_found() -> None:
    prepare = (
        "import time, pytest_contracts.domains.strategies as d; "
        "d.range_ends = lambda text: time.sleep(60)"
    )
    status, report = campaign("--seed=1", "--count=9", "--limit=0.5", "--shrink=2", prepare=prepare)
    assert status == 1
    assert any(site.startswith("Overtime") for site in report["failures"])


def test_an_error_without_a_place_is_found() -> None:
    prepare = (
        "import pytest_contracts.contract.yaml_tree as n\n"
        "from pytest_contracts.errors import ContractSyntaxError as E\n"
        "n.Source.error = lambda self, message, where, hint=None: E(message)"
    )
    status, report = campaign("--seed=1", "--count=60", "--shrink=200", prepare=prepare)
    assert status == 1
    assert any("no place" in failure["reason"] for failure in report["failures"].values())


ENGINE = """
import numpy as np


def f(x):
    terms = np.exp(np.float64(x) - np.max(x))
    return (terms / terms.sum()).astype(np.float32)


def f_reference(x):
    return f(np.array(x)).tolist()


def g(a, b):
    return 2.0 + b


def attention(q, k, v):
    return v


def nibble(u):
    return u & 15
"""


def test_a_sample_goes_through_pytest(pytester: pytest.Pytester) -> None:
    sys.path.insert(0, str(TOOL.parent))
    try:
        from contract_mutations import mutant  # type: ignore[import-not-found]
    finally:
        sys.path.remove(str(TOOL.parent))
    pytester.makepyfile(engine=ENGINE)
    folder = pytester.path / "contracts"
    folder.mkdir()
    count = 40
    for index in range(count):
        (folder / f"m{index:03d}-v1.yaml").write_bytes(mutant(SEED, index)[1])
    result = pytester.runpytest_subprocess(
        *("-q", "-p", "pytest_contracts.plugin", "-p", "no:cacheprovider", "--contracts=contracts"),
        *("--contracts-examples=2", "--tb=line", "-W", "error"),
        timeout=300,
    )
    # Clauses at fault fail, the other items run.
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    outcomes = result.parseoutcomes()
    assert outcomes["errors"] > count / 4
    assert outcomes["failed"] > 5
    assert outcomes["passed"] > 5
    text = result.stdout.str() + result.stderr.str()
    assert "INTERNALERROR" not in text
    assert "Traceback (most recent call last)" not in text
