"""Claims about the whole run: complete only if every claim that the contracts state took part."""

from __future__ import annotations

import json
from typing import Any

import pytest

HEAD_OF_ALL = "metadata: {version: 1.0.0, kind: registry, description: All of them}"
CLAIMS = """
proof_obligations:
  - {id: GOOD, type: invariant, property: P, formal: softmax(x) >= 0}
"""
BAD = "  - {id: BAD, type: invariant, property: P, formal: softmax(x) > 1}\n"
SOON = BAD.replace("BAD", "SOON").replace("}", ", status: PROPOSED}")
OLD = BAD.replace("BAD", "OLD").replace("}", ", status: RETIRED}")
WORDS = "  - {id: WORDS, type: safety, property: P}\n"
AWAY = "  - {id: AWAY, type: invariant, property: P, run: away}\n"
UNSURE = "  - {id: UNSURE, type: invariant, property: P, run: unsure}\n"
EMPTY = "  - {id: EMPTY, type: invariant, property: P, formal: softmax(x) > 1 when n > 99}\n"
PROCEDURES = """
from pytest_contracts.errors import Unavailable
from pytest_contracts.items.observation import Inconclusive

def away():
    raise Unavailable("no moon", "go there")

def unsure():
    raise Inconclusive("out of time")
"""


def complete(project, second: str = "", *arguments: str, require: str = "held", over="'*-k-v1'"):
    """Write two contracts and one that wants them complete, run, return its record."""
    project.contract(CLAIMS, "one-k-v1")
    project.contract(CLAIMS + second, "two-k-v1")
    project.procedures(PROCEDURES, "two_k_v1")
    project.contract(
        f"""
        proof_obligations:
          - {{id: ALL, type: completeness, property: All, over: {over}, require: {require}}}
        """,
        "all-v1",
        head=HEAD_OF_ALL,
    )
    project.result = project.run(*arguments, examples=10)
    return project.ledger()["ALL"]


HELD = {
    "": ("HELD", "passed", "2 claims held"),
    OLD: ("HELD", "passed", "2 claims held"),
    BAD: ("FALSIFIED", "failed", "two-k-v1::BAD falsified"),
    SOON: ("FALSIFIED", "xfailed", "two-k-v1::SOON falsified"),
    EMPTY: ("VACUOUS", "failed", "two-k-v1::EMPTY vacuous"),
    WORDS: ("FALSIFIED", "failed", "two-k-v1::WORDS falsified"),
    UNSURE: ("INCONCLUSIVE", "xfailed", "two-k-v1::UNSURE undecided or not run here"),
    AWAY: ("UNAVAILABLE", "skipped", "two-k-v1::AWAY unavailable on this machine"),
}
"""What comes of claims that must have held, by the second of them."""
RAN = {
    "": "HELD",
    BAD: "HELD",
    UNSURE: "HELD",
    EMPTY: "VACUOUS",
    WORDS: "FALSIFIED",
    AWAY: "UNAVAILABLE",
}


def judged(project) -> dict[str, dict[str, dict[str, Any]]]:
    """What comes of each second claim, by what is required, in one run."""
    project.contract(CLAIMS, "one-k-v1")
    numbers = {second: f"{number}-k-v1" for number, second in enumerate(HELD)}
    for second, name in numbers.items():
        project.contract(CLAIMS + second, f"two-{name}")
        project.procedures(PROCEDURES, f"two_{name.replace('-', '_')}")
        claims = "".join(
            f"  - {{id: {require}, type: completeness, property: All,"
            f" over: [one-k-v1, two-{name}], require: {require}}}\n"
            for require in ("held", "ran")
        )
        project.contract(f"proof_obligations:\n{claims}", f"all-{name}", head=HEAD_OF_ALL)
    project.run(examples=10)
    ledger = json.loads((project.pytester.path / ".contracts" / "ledger.json").read_text("utf-8"))
    return {
        require: {
            second: {**item, "message": item["message"].replace(f"two-{name}", "two-k-v1")}
            for second, name in numbers.items()
            for item in ledger["items"]
            if (item["contract"], item["claim"]) == (f"all-{name}", require)
        }
        for require in ("held", "ran")
    }


@pytest.mark.parametrize("second", HELD)
def test_every_claim_must_have_held(project, once, second):
    record = once("judged", lambda: judged(project))["held"][second]
    assert (record["verdict"], record["outcome"], record["message"]) == HELD[second]
    assert record["kind"] == "obligation"
    assert record["level"] == ("L3" if record["verdict"] == "HELD" else "L1")


@pytest.mark.parametrize("second", RAN)
def test_or_at_least_run(project, once, second):
    record = once("judged", lambda: judged(project))["ran"][second]
    assert record["verdict"] == RAN[second]
    assert record["level"] == ("L2" if record["verdict"] == "HELD" else "L1")


def test_a_pattern_stands_for_all_contracts_that_it_fits(project):
    assert complete(project, BAD)["message"] == "two-k-v1::BAD falsified"
    assert complete(project)["message"] == "2 claims held"


def test_or_have_code_behind_every_equation(project):
    assert complete(project, require="bound")["message"] == "2 equations have implementations"
    path = project.pytester.path / "contracts" / "two-k-v1.yaml"
    project.contract(CLAIMS, "two-k-v1")
    path.write_text(path.read_text("utf-8").replace("engine:softmax\n", "gone:softmax\n"), "utf-8")
    project.run("-k", "ALL")
    record = project.ledger()["ALL"]
    assert record["verdict"] == "FALSIFIED"
    assert "two-k-v1::softmax: cpu: there is no module 'gone'" in record["message"]
    project.contract(
        CLAIMS, "three-k-v1",
        head="metadata: {version: 1.0.0, description: D}\n"
        "equations: {softmax: {formula: softmax(x) = x, variables: {x: 1..2}}}",
    )  # fmt: skip
    project.run(examples=3)
    record = project.ledger()["ALL"]
    assert (record["verdict"], record["outcome"]) == ("FALSIFIED", "failed")
    assert record["message"].startswith("three-k-v1::softmax has no implementation")


@pytest.mark.parametrize(
    "arguments",
    [
        ("-k", "not (GOOD and cpu)"),
        ("--deselect", "contracts/one-k-v1.yaml::GOOD[cpu]"),
        ("contracts/all-v1.yaml", "contracts/one-k-v1.yaml"),
        ("contracts/all-v1.yaml::ALL",),
    ],
)
def test_part_of_a_run_is_not_complete(project, arguments):
    record = complete(project, "", *arguments)
    assert (record["verdict"], record["outcome"]) == ("INCONCLUSIVE", "xfailed")


def test_strict_part_of_a_run_fails(project):
    record = complete(project, "", "-k", "ALL", "--contracts-strict")
    assert record["outcome"] == "failed"
    project.result.assert_outcomes(failed=1, deselected=4)


def test_pattern_without_a_contract_is_falsified(project):
    record = complete(project, over="[one-k-v1, three-k-v1]")
    assert (record["verdict"], record["message"]) == (
        "FALSIFIED",
        "no contract is called three-k-v1",
    )


def test_contract_that_cannot_be_read_is_not_complete(project):
    (project.pytester.path / "contracts").mkdir()
    (project.pytester.path / "contracts" / "bad-k-v1.yaml").write_text("nonsense: [")
    assert complete(project)["message"] == "bad-k-v1 cannot be loaded"


def test_blocked_completeness_waits(project):
    record = complete(project, BAD, require="held, status: BLOCKED, blocked_by: us")
    assert (record["verdict"], record["outcome"]) == ("UNAVAILABLE", "skipped")
    assert record["message"] == "BLOCKED, waits for us"


def test_completeness_in_words_is_prose(project):
    project.contract("proof_obligations:\n  - {id: A, type: completeness, property: All}")
    project.run()
    assert project.verdicts() == {"A": "PROSE"}


def test_over_beside_a_formula_says_nothing(project):
    project.contract(
        """
        proof_obligations:
          - {id: A, type: completeness, property: All, over: x, formal: softmax(x) >= 0}
        """
    )
    project.run()
    assert project.verdicts() == {"A": "VACUOUS"}
