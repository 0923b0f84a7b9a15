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

from tests.within import Once, run_here

ROOT = Path(__file__).resolve().parents[3]
TOOL = ROOT / "tools" / "fuzz_contracts.py"
SEED = 20_240_607
INPUTS = 500
OUTCOMES = {"accepted", "clause refused", "refused"}


FAULTS = {
    "none": ("", [f"--seed={SEED}", f"--count={INPUTS}", "--limit=60"]),
    "another exception": (
        "import pytest_contracts.domains.strategies as d; d.range_ends = lambda text: {}[text]",
        ["--seed=1", "--count=60", "--shrink=200"],
    ),
    "a hang": (
        "import time, pytest_contracts.domains.strategies as d; "
        "d.range_ends = lambda text: time.sleep(60)",
        ["--seed=1", "--count=9", "--limit=0.5", "--shrink=2"],
    ),
    "no place": (
        "import pytest_contracts.contract.yaml_tree as n\n"
        "from pytest_contracts.errors import ContractSyntaxError as E\n"
        "n.Source.error = lambda self, message, where, hint=None: E(message)",
        ["--seed=1", "--count=60", "--shrink=200"],
    ),
}
"""What is planted in the plugin before the tool runs, and the tool's options."""
RUNNER = """
import json, os, sys

sys.path.insert(0, sys.argv[1])
import fuzz_contracts

for name, (prepare, words) in json.loads(sys.argv[2]).items():
    child = os.fork()
    if not child:
        sys.stdout = open(name, "w", encoding="utf-8")
        sys.argv = ["fuzz", *words]
        exec(prepare)
        status = fuzz_contracts.main()
        sys.stdout.flush()
        os._exit(status)
    print(json.dumps([name, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])]))
"""


Campaigns = dict[str, tuple[int, dict[str, Any]]]


@pytest.fixture
def campaigns(once: Once, tmp_path: Path) -> Campaigns:
    """How the tool ends, and what it reports, of the plugin as it is and of each fault.

    Each has a process of its own, and all of them share the imports.
    """

    def run() -> Campaigns:
        words = [sys.executable, "-c", RUNNER, str(TOOL.parent), json.dumps(FAULTS)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=600, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        ended = dict(map(json.loads, done.stdout.splitlines()))
        texts = {name: (tmp_path / name).read_text("utf-8") for name in ended}
        assert all(texts.values()), done.stderr
        return {name: (ended[name], json.loads(text)) for name, text in texts.items()}

    return once("campaigns", run)


def test_every_broken_file_loads_or_is_refused_with_its_place(campaigns: Campaigns) -> None:
    status, report = campaigns["none"]
    print(json.dumps({key: report[key] for key in ("outcomes", "slowest", "memory_mib")}))
    assert report["failures"] == {}, json.dumps(report["failures"], indent=1, ensure_ascii=False)
    assert (status, report["inputs"]) == (0, INPUTS)
    by_outcome: Counter[str] = Counter()
    for name, count in report["outcomes"].items():
        by_outcome[name.partition(": ")[2]] += count
    # A sample whose files are all refused at once would say little of what comes after.
    assert set(by_outcome) == OUTCOMES
    assert min(by_outcome.values()) > INPUTS / 50


def test_another_exception_is_found_minimal_and_pasteable(campaigns: Campaigns) -> None:
    status, report = campaigns["another exception"]
    assert status == 1
    ((site, failure),) = report["failures"].items()
    assert site.startswith("KeyError strategies.py")
    assert failure["inputs"] > 5
    text = "\n".join(failure["minimal"])
    assert "metadata" in text
    assert len(text) < 2500


def test_a_hang_is_found(campaigns: Campaigns) -> None:
    status, report = campaigns["a hang"]
    assert status == 1
    assert any(site.startswith("Overtime") for site in report["failures"])


def test_an_error_without_a_place_is_found(campaigns: Campaigns) -> None:
    status, report = campaigns["no place"]
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
    pytester.syspathinsert()
    folder = pytester.path / "contracts"
    folder.mkdir()
    count = 40
    for index in range(count):
        (folder / f"m{index:03d}-v1.yaml").write_bytes(mutant(SEED, index)[1])
    result = run_here(
        pytester,
        *("-q", "-p", "no:cacheprovider", "--contracts=contracts"),
        *("--contracts-examples=2", "--tb=line", "-W", "error"),
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
