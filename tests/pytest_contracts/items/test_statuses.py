"""Statuses of claims and contracts, and the exit codes of a run."""

from __future__ import annotations

import json

import pytest

GOOD = "  - {id: GOOD, type: invariant, property: P, formal: softmax(x) >= 0}\n"
BAD = "  - {id: BAD, type: invariant, property: P, formal: softmax(x) > 1}\n"
WORDS = "  - {id: WORDS, type: safety, property: P}\n"


def with_status(claim: str, status: str, more: str = "") -> str:
    return claim.replace("}", f", status: {status}{more}}}")


def obligations(*claims: str) -> str:
    return "proof_obligations:\n" + "".join(claims)


def test_blocked_claim_does_not_run_and_says_what_it_waits_for(project):
    project.procedures("def never():\n    raise SystemExit\n")
    run = "  - {id: RUN, type: safety, property: P, run: never, requires: nothing-known}\n"
    more = ", blocked_by: the fix of the fused path"
    path = project.contract(
        obligations(with_status(BAD, "BLOCKED", more), with_status(run, "BLOCKED", more))
    )
    result = project.run("-rs")
    result.assert_outcomes(skipped=3)
    line = project.line(path, "BAD")
    reason = "BLOCKED, waits for the fix of the fused path"
    result.stdout.fnmatch_lines(
        [
            f"3 items unavailable: {reason}",
            f"SKIPPED [[]2[]] contracts/kernels/softmax-v1.yaml:{line}: UNAVAILABLE: {reason}",
        ]
    )
    assert {item["examples"] for item in project.ledger().values()} == {0}


def test_blocked_contract_speaks_for_its_claims(project):
    path = project.contract(obligations(BAD))
    text = path.read_text("utf-8").replace("kind: kernel,", "status: BLOCKED, blocked_by: us,")
    path.write_text(text, "utf-8")
    project.run("--contracts-strict").assert_outcomes(skipped=2)
    assert project.ledger()["BAD[cpu]"]["message"] == "BLOCKED, waits for us"


def test_blocked_check_keeps_its_gate_from_holding(project):
    project.contract(
        obligations(GOOD, with_status(BAD, "BLOCKED")) + "qa_gate: {id: GATE, checks: [GOOD, BAD]}"
    )
    project.run()
    assert project.verdicts()["GATE"] == "UNAVAILABLE"


def test_retired_claims_are_counted(project):
    project.contract(obligations(GOOD, with_status(BAD, "RETIRED"), with_status(WORDS, "RETIRED")))
    result = project.run(examples=3)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["2 claims are retired and not collected"])
    ledger = json.loads((project.pytester.path / ".contracts" / "ledger.json").read_text())
    assert ledger["retired"] == [
        {"contract": "softmax-v1", "claim": "BAD"},
        {"contract": "softmax-v1", "claim": "WORDS"},
    ]


def test_breach_is_strict_for_gates_too(project):
    project.contract(
        obligations(with_status(BAD, "VIOLATED"), with_status(GOOD, "VIOLATED"))
        + "qa_gate: {id: GATE, checks: [BAD]}"
    )
    result = project.run()
    result.assert_outcomes(xfailed=3, failed=2)
    assert result.ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.parametrize(
    ("claims", "arguments", "code"),
    [
        (GOOD, (), pytest.ExitCode.OK),
        (GOOD + WORDS, (), pytest.ExitCode.OK),
        (GOOD + WORDS, ("--contracts-strict",), pytest.ExitCode.TESTS_FAILED),
        (with_status(BAD, "PROPOSED"), (), pytest.ExitCode.OK),
        (with_status(GOOD, "PROPOSED"), (), pytest.ExitCode.OK),
        (with_status(BAD, "VIOLATED"), (), pytest.ExitCode.OK),
        (with_status(GOOD, "VIOLATED"), (), pytest.ExitCode.TESTS_FAILED),
        (with_status(BAD, "BLOCKED"), (), pytest.ExitCode.OK),
        (with_status(BAD, "RETIRED"), (), pytest.ExitCode.NO_TESTS_COLLECTED),
        (GOOD + BAD, (), pytest.ExitCode.TESTS_FAILED),
        (GOOD + BAD, ("-k", "GOOD"), pytest.ExitCode.OK),
        (GOOD, ("-k", "nothing"), pytest.ExitCode.NO_TESTS_COLLECTED),
        (GOOD, ("contracts/none.yaml",), pytest.ExitCode.USAGE_ERROR),
        (GOOD, ("--contracts=nowhere",), pytest.ExitCode.USAGE_ERROR),
        (GOOD, ("--contracts-examples=0",), pytest.ExitCode.USAGE_ERROR),
        (GOOD, ("test_broken.py", "contracts"), pytest.ExitCode.INTERRUPTED),
        (GOOD, ("bad", "contracts"), pytest.ExitCode.TESTS_FAILED),
    ],
)
def test_exit_codes(project, claims, arguments, code):
    project.contract(obligations(claims))
    project.pytester.makepyfile(test_broken="def f(: pass")
    bad = project.pytester.path / "bad" / "bad-v1.yaml"
    bad.parent.mkdir()
    bad.write_text("nonsense: [")
    extra = ("--contracts=bad",) if "bad" in arguments else ()
    result = project.run(*extra, *arguments, examples=3)
    assert result.ret == code


def test_bad_contract_file_fails_a_run_in_which_all_else_holds(project):
    project.contract(obligations(GOOD))
    project.contract("nonsense: [", "bad-v1", head="")
    result = project.run(examples=3)
    result.assert_outcomes(passed=2, errors=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_interrupt_is_no_verdict(project):
    """One from outside, that is: a child sends it, as a terminal would."""
    project.procedures(
        "import os, subprocess, time\n"
        "def f():\n"
        "    subprocess.run(['kill', '-INT', str(os.getpid())])\n"
        "    time.sleep(20)\n"
    )
    project.contract(obligations("  - {id: A, type: safety, property: P, run: f}\n", GOOD))
    result = project.run_apart(examples=3)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    kept = json.loads((project.pytester.path / ".contracts" / "ledger.json").read_text("utf-8"))
    assert kept["run"]["end"] == "interrupted"
    assert {item["verdict"] for item in kept["items"]} == {"LOST"}


def test_interrupt_that_code_raises_is_its_own(project):
    project.procedures("def f():\n    raise KeyboardInterrupt\n")
    project.contract(obligations("  - {id: A, type: safety, property: P, run: f}\n", GOOD))
    result = project.run(examples=3)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert project.ledger()["A"]["message"] == "f interrupts the run: KeyboardInterrupt"
