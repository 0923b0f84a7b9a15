"""The contracts found in the wild, bound to this engine: what runs, what holds, what does not."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.within import Once, run_here, unshrunk

Records = list[dict[str, Any]]

ROOT = Path(__file__).parents[2]
CORPUS = ROOT / "tests" / "corpus"
HOW_TO = ROOT / "docs" / "how-to" / "run-existing-contracts.md"

# Whether the last bit of these differs is up to BLAS and to the examples.
BORDERLINE = {
    "GQ-EQV-001", "FALSIFY-GQ-002", "FALSIFY-LP-002", "LP-INV-001", "FALSIFY-LP-003",
    "TE-EQV-001", "SA-BND-002", "FALSIFY-SM-003", "ASCL-BND-003", "FALSIFY-GQ-001",
    "GQ-BND-001", "FALSIFY-GQ-003",
}  # fmt: skip


def explained() -> dict[str, str]:
    """Return the claims in the how-to's table of falsified ones, with the cause of each."""
    row = re.compile(r"^\| [\w-]+-v1 \| (?P<claim>[A-Z0-9-]+) \| (?P<cause>.+) \|$", re.M)
    return {match["claim"]: match["cause"] for match in row.finditer(HOW_TO.read_text("utf-8"))}


def judge(pytester: pytest.Pytester, folder: Path, *words: str) -> Records:
    """Run contracts as this project runs its own, and return the records."""
    report = pytester.path / "report.json"
    given = ["--rootdir=.", "-c", str(ROOT / "pyproject.toml"), "-q", "--tb=no", "--noconftest"]
    given += ["-p", "no:cacheprovider", "-p", "no:unraisableexception", "--contracts-examples=10"]
    given += [f"--contracts-report={report}", f"--contracts={folder}", str(folder)]
    with unshrunk():
        result = run_here(pytester, *given, *words)
    said = result.stdout.str() + result.stderr.str()
    assert result.ret in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED), said[-3000:]
    items: Records = json.loads(report.read_text("utf-8"))["items"]
    return items


@pytest.fixture
def records(once: Once, pytester: pytest.Pytester) -> Records:
    """What comes of the whole corpus."""
    return once("the corpus", lambda: judge(pytester, CORPUS))


@pytest.mark.untraced
def test_every_claim_of_the_corpus_has_a_verdict(records: Records) -> None:
    claims = {(record["contract"], record["claim"]) for record in records}
    assert len(claims) == 723
    executable = {
        (record["contract"], record["claim"]) for record in records if record["verdict"] != "PROSE"
    }
    assert len(executable) == 91
    counted = Counter(record["verdict"] for record in records)
    # That a temperature of 1 changes nothing compares a call with itself.
    vacuous = [record["claim"] for record in records if record["verdict"] == "VACUOUS"]
    assert vacuous == ["SA-EQV-002"]
    assert counted.keys() == {"HELD", "FALSIFIED", "PROSE", "VACUOUS"}
    assert counted["PROSE"] == 723 - 91
    assert counted["HELD"] + counted["FALSIFIED"] == 112
    assert counted["HELD"] >= 80


def test_prose_says_why(records: Records) -> None:
    reasons = [record["message"] for record in records if record["verdict"] == "PROSE"]
    for beginning in (
        "not a formula: ",
        "in words only: ",
        "no binding for ",
        "it has no formal",
        "a proof that another tool runs",
    ):
        assert sum(reason.startswith(beginning) for reason in reasons) > 10, beginning
    assert all(reasons)


def test_what_is_falsified_is_explained_and_nothing_else_is(records: Records) -> None:
    falsified = {record["claim"] for record in records if record["verdict"] == "FALSIFIED"}
    causes = explained()
    assert falsified <= causes.keys()
    assert causes.keys() - falsified <= BORDERLINE


@pytest.mark.untraced
def test_a_broken_implementation_falsifies_the_bound_claims(
    pytester: pytest.Pytester, records: Records
) -> None:
    shutil.copy(CORPUS / "softmax-kernel-v1.yaml", pytester.path)
    (pytester.path / "broken.py").write_text(
        "import numpy as np\n\n\n"
        "def softmax(x):\n"
        "    terms = np.exp(x - x.max())\n"
        "    return terms / (terms.sum() + 1)\n\n\n"
        "def reference(x):\n"
        "    return softmax(np.array(x)).tolist()\n",
        "utf-8",
    )
    binding = (CORPUS / "binding.yaml").read_text("utf-8")
    binding = binding.replace("inference.kernels.softmax.cpu:softmax", ".broken:softmax")
    binding = binding.replace("inference.kernels.softmax.reference:softmax", ".broken:reference")
    kept = binding.index("  - contract: activation-kernel-v1.yaml")
    (pytester.path / "mutant.yaml").write_text(binding[:kept], "utf-8")
    given = f"--contracts-binding={pytester.path / 'mutant.yaml'}"
    verdicts = {
        (record["claim"], record["implementation"]): record["verdict"]
        for record in judge(pytester, pytester.path, given)
    }
    held = {
        (record["claim"], record["implementation"])
        for record in records
        if record["contract"] == "softmax-kernel-v1" and record["verdict"] == "HELD"
    }
    for claim in ("SM-INV-001", "FALSIFY-SM-005"):
        for implementation in ("cpu", "reference"):
            assert (claim, implementation) in held
            assert verdicts[claim, implementation] == "FALSIFIED"


def test_without_a_binding_nothing_runs(pytester: pytest.Pytester) -> None:
    shutil.copy(CORPUS / "softmax-kernel-v1.yaml", pytester.path)
    records = judge(pytester, pytester.path)
    assert {record["verdict"] for record in records} == {"PROSE"}
