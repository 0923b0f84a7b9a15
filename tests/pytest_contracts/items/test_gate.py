"""Gates: decided from the whole run; from several processes: see ``test_scale_out.py``."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest

CLAIMS = """
proof_obligations:
  - {id: GOOD, type: invariant, property: P, formal: softmax(x) >= 0}
  - {id: BAD, type: invariant, property: P, formal: softmax(x) > 1}
  - {id: EMPTY, type: invariant, property: P, formal: softmax(x) > 1 when n > 99}
  - {id: WORDS, type: safety, property: P}
  - {id: AWAY, type: invariant, property: P, run: away}
  - {id: UNSURE, type: invariant, property: P, run: unsure}
  - {id: SOON, type: invariant, property: P, formal: softmax(x) > 1, status: PROPOSED}
  - {id: HALF, type: invariant, property: P, run: half, parametrize: {part: [here, there]}}
"""

PROCEDURES = """
import pytest
from pytest_contracts.errors import Unavailable
from pytest_contracts.items.observation import Inconclusive

def away():
    raise Unavailable("no moon", "go there")

def unsure():
    raise Inconclusive("out of time")

def half(part):
    if part == "there":
        raise Unavailable("nothing there", "look")
    assert part == "here"
"""


def gate(project, *checks: str, arguments=()) -> dict[str, str]:
    """Write the claims and a gate over some of them, run, return the verdicts."""
    project.procedures(PROCEDURES)
    project.contract(CLAIMS + f"qa_gate: {{id: GATE, checks: [{', '.join(checks)}]}}")
    selected = () if "-k" in arguments else ("-k", " or ".join([*checks, "GATE"]))
    project.result = project.run(*selected, *arguments, examples=3)
    return project.verdicts()


GATES = [
    (["GOOD"], "HELD", "passed", "1 checks held"),
    (["GOOD", "BAD"], "FALSIFIED", "failed", "BAD falsified"),
    (["GOOD", "EMPTY"], "VACUOUS", "failed", "EMPTY vacuous"),
    (["EMPTY", "BAD"], "FALSIFIED", "failed", "BAD falsified"),
    (["GOOD", "WORDS"], "PROSE", "skipped", "WORDS not executable"),
    (["GOOD", "AWAY"], "UNAVAILABLE", "skipped", "AWAY unavailable on this machine"),
    (["AWAY", "UNSURE"], "INCONCLUSIVE", "xfailed", "UNSURE undecided or not run here"),
    (["SOON", "GOOD"], "FALSIFIED", "xfailed", "SOON falsified"),
    (["SOON", "BAD"], "FALSIFIED", "failed", "SOON, BAD falsified"),
    (["HALF"], "HELD", "passed", "1 checks held; HALF without HALF[there]"),
]


def judged(project) -> dict[str, dict[str, Any]]:
    """The records of all of these gates by contract, in one run; each over its own claims alone."""
    lines = CLAIMS.strip().splitlines()
    for index, (checks, *_) in enumerate(GATES):
        claims = [line for line in lines[1:] if line.split()[2].rstrip(",") in checks]
        gate = f"qa_gate: {{id: GATE, checks: [{', '.join(checks)}]}}"
        project.contract("\n".join([lines[0], *claims, gate]), f"gate-{index}-v1")
        project.procedures(PROCEDURES, f"gate_{index}_v1")
    project.run(examples=3)
    path = project.pytester.path / ".contracts" / "ledger.json"
    items = json.loads(path.read_text("utf-8"))["items"]
    return {item["contract"]: item for item in items if item["claim"] == "GATE"}


@pytest.mark.parametrize("index", range(len(GATES)), ids=[", ".join(row[0]) for row in GATES])
def test_gate_is_as_good_as_its_worst_check(project, once, index):
    record = once("gates", lambda: judged(project))[f"gate-{index}-v1"]
    _, verdict, outcome, message = GATES[index]
    assert record["verdict"] == verdict
    assert (record["outcome"], record["message"]) == (outcome, message)
    assert record["kind"] == "gate"


def test_strict_gate_fails_where_it_cannot_decide(project):
    gate(project, "GOOD", "UNSURE", arguments=["--contracts-strict"])
    assert project.ledger()["GATE"]["outcome"] == "failed"


def test_gate_alone_does_not_pass_for_want_of_results(project):
    verdicts = gate(project, "GOOD", arguments=["-k", "GATE"])
    assert verdicts == {"GATE": "INCONCLUSIVE"}
    project.result.assert_outcomes(xfailed=1, deselected=13)


def test_gate_wants_every_item_of_a_check(project):
    verdicts = gate(project, "GOOD", arguments=["-k", "GATE or (GOOD and cpu)"])
    assert verdicts == {"GOOD[cpu]": "HELD", "GATE": "INCONCLUSIVE"}


def test_failed_gate_fails_the_run_and_shows_its_checks(project):
    path = project.contract(CLAIMS + "qa_gate: {id: GATE, checks: [GOOD, BAD]}")
    project.procedures(PROCEDURES)
    result = project.run("--junitxml=junit.xml", "-k", "GOOD or BAD or GATE")
    result.assert_outcomes(passed=2, failed=3, deselected=9)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    line = project.line(path, "GATE")
    result.stdout.fnmatch_lines(
        [
            f"contracts/kernels/softmax-v1.yaml:{line}: FALSIFIED: BAD falsified",
            "  GOOD: HELD",
            "  BAD:  FALSIFIED (BAD?reference?, BAD?cpu?)",
            "  reproduce: pytest --contracts=contracts contracts/kernels/softmax-v1.yaml",
            "FAILED *softmax-v1.yaml::GATE - FALSIFIED: BAD falsified",
        ]
    )
    suite = ElementTree.parse(project.pytester.path / "junit.xml").getroot()[0]
    assert suite.get("tests") == "5"
    assert suite.findall("testcase")[-1].get("name") == "GATE"


def test_gates_run_after_all_contracts(project):
    text = CLAIMS.splitlines()[:3]
    project.contract("\n".join(text) + "\nqa_gate: {id: GATE-A, checks: [GOOD]}", "a-v1")
    project.contract("\n".join(text) + "\nqa_gate: {id: GATE-B, checks: [GOOD]}", "b-v1")
    project.run()
    assert list(project.verdicts())[-2:] == ["GATE-A", "GATE-B"]


def test_gate_of_confirmed_checks_says_so(project):
    project.procedures("def h(k):\n    assert k.int('n', 0, 3) < 4\n")
    project.contract(
        """
        kani_harnesses:
          - {id: KANI-1, property: P, run: h, bound: 3, strategy: exhaustive}
        qa_gate: {id: GATE, checks: [KANI-1]}
        """
    )
    project.run()
    assert project.verdicts() == {"KANI-1": "CONFIRMED", "GATE": "HELD"}
    assert {item["level"] for item in project.ledger().values()} == {"L4"}


def test_gates_add_one_line_to_the_progress(project):
    claims = "\n".join(CLAIMS.splitlines()[:3])
    for name in ("one-v1", "two-v1"):
        project.contract(f"{claims}\nqa_gate: {{id: GATE, checks: [GOOD]}}", name)
    lines = project.run(examples=5).outlines
    assert sum(line.startswith("contracts/one-v1.yaml") for line in lines) == 1
    (gates,) = (line for line in lines if line.startswith("gates "))
    assert gates.split() == ["gates", "..", "[100%]"]
    lines = project.run("-v", examples=5).outlines
    assert sum(line.startswith("contracts/one-v1.yaml::GATE") for line in lines) == 1
    assert not any(line.startswith("gates") for line in lines)
    assert "gates" not in project.run("-q", examples=5).stdout.str()
