"""Which modules count their assertions: helpers of procedures, and nothing of what is judged."""

from __future__ import annotations

import json

import pytest

from tests.within import run_here

CONTRACT = """
metadata: {version: 1.0.0, description: Procedures alone}
falsification_tests:
  - {id: A, rule: It doubles, run: doubles}
qa_gate:
  id: G
  checks: [A]
  falsification:
    - {id: thrice, target: "engine.core:double", replace: ["2 *", "3 *"], killed_by: [A]}
"""
PROCEDURE = """
import support
from engine import core


def doubles():
    support.same(core.double(2), 4)
    assert "@asserting" in vars(support)
    assert "@asserting" not in vars(core)
"""


def test_what_a_mutant_changes_is_judged_and_no_helper(pytester: pytest.Pytester) -> None:
    """Else a whole engine would be rewritten, and Numba could not compile what counts."""
    (pytester.path / "engine").mkdir()
    (pytester.path / "contracts").mkdir()
    for name, text in {
        "engine/__init__.py": "",
        "engine/core.py": "def double(x):\n    print(x)\n    return 2 * x\n",
        "support.py": "def same(x, y):\n    assert x == y\n",
        "contracts/double-v1.yaml": CONTRACT,
        "contracts/double_v1.py": PROCEDURE,
    }.items():
        (pytester.path / name).write_text(text, encoding="utf-8")
    pytester.syspathinsert()
    run_here(pytester, "--contracts=contracts").assert_outcomes(passed=2)
    ledger = json.loads((pytester.path / ".contracts" / "ledger.json").read_text("utf-8"))
    assert {item["verdict"] for item in ledger["items"]} == {"HELD"}
