"""What of a judgement must be so, and what is said where it is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_contracts.contract import Contract
from pytest_contracts.ledger.verdict import Verdict
from pytest_contracts.mutation import Judgement, planted_mutants
from pytest_contracts.mutation.outcome import Outcome, complaints, named_claims

FELL = frozenset({Verdict.FALSIFIED})
HELD = frozenset({Verdict.HELD})
AWAY = frozenset({Verdict.UNAVAILABLE})
RED = Outcome(
    1,
    {"D-EQV-001": FELL, "FALSIFY-D-001": FELL, "F-D-001": FELL},
    frozenset({"D-EQV-001", "FALSIFY-D-001"}),
    explained=True,
)
GREEN = Outcome(
    0, {"D-EQV-001": HELD | AWAY, "FALSIFY-D-001": HELD, "F-D-001": HELD}, frozenset(), False
)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({}, None),
        ({"verdicts": {**RED.verdicts, "D-EQV-001": HELD}}, "D-EQV-001 does not notice odd"),
        ({"verdicts": {"D-EQV-001": FELL, "F-D-001": FELL}}, "FALSIFY-D-001 does not notice odd"),
        ({"verdicts": {**RED.verdicts, "D-EQV-001": AWAY}}, None),
        ({"verdicts": {"D-EQV-001": AWAY, "FALSIFY-D-001": AWAY}, "exit_code": 0}, None),
        ({"exit_code": 2}, "the exit code with odd is 2, not 1"),
        ({"told": frozenset({"D-EQV-001"})}, "does not call FALSIFY-D-001 FALSIFIED in its line"),
        ({"explained": False}, "the output does not say by what D-EQV-001 was falsified"),
        ({"verdicts": {**RED.verdicts, "F-D-001": HELD}}, "F-D-001 does not fall with D-EQV-001"),
        (
            {"verdicts": {**RED.verdicts, "F-D-001": HELD | FELL}},
            "F-D-001 does not fall with D-EQV-001",
        ),
    ],
)
def test_a_mutant_is_noticed_by_all_that_are_named(
    project: Callable[[], Contract], changes: dict[str, Any], complaint: str | None
) -> None:
    contract = project()
    mutant = planted_mutants(contract)[0]
    found = [*complaints(replace(RED, **changes), contract, mutant)]
    assert len(found) == (complaint is not None)
    assert all(text.startswith(f"{mutant.where}: ") for text in found)
    assert complaint is None or found[0].endswith(complaint)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({}, None),
        ({"exit_code": 1}, "the exit code without a mutant is 1, not 0"),
        (
            {"verdicts": {**GREEN.verdicts, "D-EQV-001": HELD | FELL}},
            "D-EQV-001 is FALSIFIED HELD without a mutant",
        ),
        (
            {"verdicts": {"D-EQV-001": HELD, "F-D-001": HELD}},
            "FALSIFY-D-001 is not there without a mutant",
        ),
    ],
)
def test_the_code_as_it_is_holds(
    project: Callable[[], Contract], changes: dict[str, Any], complaint: str | None
) -> None:
    contract = project()
    assert named_claims(contract) == ["D-EQV-001", "FALSIFY-D-001"]
    found = [*complaints(replace(GREEN, **changes), contract, None)]
    assert found == ([] if complaint is None else [f"{contract.path}: {complaint}"])


def test_an_outcome_is_of_what_was_printed(project: Callable[[], Contract], tmp_path: Path) -> None:
    contract = project()
    line = next(c.where.line for c in contract.claims if c.id == "D-EQV-001")
    output = f"contracts/double-v1.yaml:{line}: FALSIFIED: it is not\n"
    judgement = Judgement(1, {"D-EQV-001": (Verdict.HELD, Verdict.FALSIFIED)}, output)
    outcome = Outcome.of(judgement, contract, tmp_path)
    assert outcome == Outcome(1, {"D-EQV-001": HELD | FELL}, frozenset({"D-EQV-001"}), False)
    told = Outcome.of(replace(judgement, output=f"{output}  counterexample:\n"), contract, tmp_path)
    assert told.explained
    assert Outcome.from_dict(told.as_dict(), "") == told
