"""Mutants of a small project: found, planted, judged, and what is said where one does not fit."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pytest_contracts import binding
from pytest_contracts.contract import Contract
from pytest_contracts.errors import ContractBindingError, ContractError
from pytest_contracts.ledger.verdict import Verdict
from pytest_contracts.mutation import (
    Judge,
    Row,
    kill_matrix,
    kill_row,
    locate,
    overlay,
    planted,
    planted_mutants,
    unkilled,
)
from tests.pytest_contracts.mutation.conftest import CONTRACT
from tests.within import Once

LEDGER = '{"run": {"end": "complete"}}'


class Judged(NamedTuple):
    """What one judge has said of the mutants, and of the contract as it is."""

    rows: dict[str, Row]
    """Of every claim."""
    helper: Row
    """Of the claims that are to kill the mutant ``helper``."""
    alone: str
    """What is said of a mutant in a module that nothing imports."""
    healthy: tuple[Verdict, ...]
    kept: list[str]
    ledger: str


@pytest.fixture
def judged(
    project: Callable[..., Contract], once: Once, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Judged:
    """What the judge says: a warm process, started once for all of these tests."""

    def run() -> Judged:
        contract = project()
        ledger = tmp_path / ".contracts" / "ledger.json"
        ledger.parent.mkdir()
        ledger.write_text(LEDGER, encoding="utf-8")
        monkeypatch.setenv("PYTEST_ADDOPTS", "--no-such-option-reaches-the-judge")
        with Judge(tmp_path, ["--contracts=contracts", "-p", "no:randomly"]) as judge:
            rows = {row.mutant.id: row for row in kill_matrix(contract, judge, every_claim=True)}
            helper = kill_row(contract, planted_mutants(contract)[1], judge)
            healthy = judge(contract, ["D-EQV-001"], examples=3).verdicts["D-EQV-001"]
            changed = project(CONTRACT.replace("PACKAGE.helper:FACTOR", "PACKAGE.alone:TWO"))
            package = next(p for p in tmp_path.iterdir() if p.name.startswith("doubling"))
            (package / "alone.py").write_text("TWO = 2\n", encoding="utf-8")
            with pytest.raises(ContractBindingError) as refused:
                kill_row(changed, planted_mutants(changed)[1], judge)
        kept = sorted(path.name for path in ledger.parent.iterdir())
        alone = str(refused.value)
        return Judged(rows, helper, alone, healthy, kept, ledger.read_text(encoding="utf-8"))

    return once("judged", run)


def test_the_matrix_tells_killers_from_survivors(judged: Judged) -> None:
    rows = judged.rows
    killed = {name: {c.claim for c in row.cells if c.killed} for name, row in rows.items()}
    assert killed == {
        "odd": {"D-EQV-001", "FALSIFY-D-001"},
        "helper": {"D-EQV-001", "FALSIFY-D-001"},
        "survivor": set(),
    }
    assert {cell.claim for cell in rows["helper"].cells if cell.expected} == {"D-EQV-001"}
    assert [cell.claim for cell in rows["survivor"].missed] == ["D-EQV-001"]
    assert not rows["odd"].missed
    # The changed implementation alone is judged, and the gate falls with its check.
    assert rows["odd"].judgement.verdicts["D-EQV-001"] == (Verdict.FALSIFIED,)
    assert rows["odd"].judgement.verdicts["F-D-001"] == (Verdict.FALSIFIED,)
    assert "double-v1.yaml" in rows["odd"].judgement.output


def test_neither_the_project_nor_its_ledger_notices(judged: Judged) -> None:
    assert (judged.kept, judged.ledger) == (["ledger.json"], LEDGER)
    assert judged.healthy == (Verdict.HELD, Verdict.HELD)


def test_a_claim_ends_at_its_first_counterexample(judged: Judged) -> None:
    # Both implementations are under test, and the first that falls says enough.
    assert len(judged.helper.judgement.verdicts["D-EQV-001"]) <= 2
    assert judged.helper.cells[0].killed


def test_a_mutant_that_nothing_imports_is_an_error(judged: Judged) -> None:
    assert re.search(r"yaml:\d+:\d+: mutant 'helper': none of the", judged.alone)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"n + n",', '"n - n",', "the text to replace, 'n - n', does not stand in"),
        ('"n + n",', '"n",', r"the text to replace, 'n', stands \d+ times in"),
        ('["n + n", "n + n + 1"]', '["n + n", "n + n"]', "it replaces 'n \\+ n' by itself"),
        ("target: double.fast", 'target: "PACKAGE.fist:double"', "there is no module"),
        ("target: double.fast", 'target: "PACKAGE.fast:dubble"', "has no attribute 'dubble'"),
        ("target: double.fast", "target: double.cuda", "double has no implementation 'cuda'"),
    ],
    ids=["absent", "twice", "unchanged", "no-module", "no-function", "not-bound"],
)
def test_what_does_not_fit_is_told_with_its_place(
    project: Callable[[str], Contract], old: str, new: str, message: str
) -> None:
    assert old in CONTRACT
    contract = project(CONTRACT.replace(old, new, 1))
    mutant = planted_mutants(contract)[0]
    with pytest.raises(ContractBindingError, match=message) as caught:
        locate(contract, mutant)
    assert caught.value.where == mutant.where
    line = contract.path.read_text(encoding="utf-8").splitlines()[mutant.where.line - 1]
    assert "id: odd" in line


def test_a_source_beside_the_module_counts_where_the_module_names_it(
    project: Callable[[str], Contract], tmp_path: Path
) -> None:
    contract = project(CONTRACT.replace('["n + n", "n + n + 1"]', '["2.0f", "3.0f"]'))
    defect = locate(contract, planted_mutants(contract)[0])
    assert (defect.source.name, defect.in_python) == ("fast.cu", False)
    copy = overlay(defect, tmp_path / "copy") / defect.source.relative_to(tmp_path)
    assert "3.0f" in copy.read_text(encoding="utf-8")
    assert "2.0f" in defect.source.read_text(encoding="utf-8")
    with pytest.raises(ContractBindingError, match="no Python module"), planted(defect):
        pass
    contract = project(CONTRACT.replace('["n + n", "n + n + 1"]', '["nothing", "something"]'))
    with pytest.raises(ContractBindingError, match="does not stand in"):
        locate(contract, planted_mutants(contract)[0])


def test_an_overlay_keeps_no_code_compiled_from_the_healthy_source(
    project: Callable[[], Contract], tmp_path: Path
) -> None:
    contract = project()
    defect = locate(contract, planted_mutants(contract)[0])
    caches = defect.source.parent / "__pycache__"
    caches.mkdir(exist_ok=True)
    for kept in ("fast.cpython-311.pyc", "fast.double-4.py311.nbi", "plain.cpython-311.pyc"):
        (caches / kept).touch()
    copy = overlay(defect, tmp_path / "copy") / caches.relative_to(tmp_path)
    assert not any(copy.glob("fast.*"))
    assert any(copy.glob("plain.*"))


def test_planting_in_the_process_ends_with_its_block(project: Callable[[], Contract]) -> None:
    contract = project()
    defect = locate(contract, planted_mutants(contract)[0])
    module = importlib.import_module(defect.module)
    before, registry = dict(vars(module)), dict(binding._registry)
    with planted(defect) as changed:
        assert changed is module
        assert module.double(4) == 9
    assert module.double(4) == 8
    assert vars(module) == before
    assert binding._registry == registry


def test_a_claim_that_nothing_kills_is_named_unless_the_gate_excuses_it(
    project: Callable[[str], Contract],
) -> None:
    (claim,) = unkilled(project(CONTRACT))
    assert claim.id == "FALSIFY-D-002"
    excuse = "  unkilled: [{claims: [FALSIFY-D-002], because: It follows from the others}]\n"
    assert unkilled(project(CONTRACT + excuse)) == ()
    assert unkilled(project(CONTRACT[: CONTRACT.index("qa_gate")])) == ()


@pytest.mark.parametrize(
    ("excuse", "message"),
    [
        ("{claims: [FALSIFY-D-001], because: why}", "'FALSIFY-D-001' kills a mutant"),
        ("{claims: [FALSIFY-D-003], because: why}", "claim 'FALSIFY-D-003' does not exist"),
        ("{claims: [FALSIFY-D-002]}", "because"),
        ("{claims: [], because: why}", "claims"),
    ],
)
def test_an_excuse_that_excuses_nothing_is_refused(
    project: Callable[[str], Contract], excuse: str, message: str
) -> None:
    with pytest.raises(ContractError, match=message) as caught:
        project(f"{CONTRACT}  unkilled: [{excuse}]\n")
    assert caught.value.where is not None
    assert caught.value.where.line == CONTRACT.count("\n") + 1


IMPORTS = """
import json, sys, pytest_contracts.items.file
print(json.dumps(sorted(sys.modules)))
from pytest_contracts.mutation import server
print(json.dumps(server._rehearse()))
"""


@pytest.fixture
def said(once: Once) -> list[Any]:
    """What a plain run imports, and what the rehearsal says, in a process of their own."""

    def run() -> list[Any]:
        words = [sys.executable, "-c", IMPORTS]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        return list(map(json.loads, done.stdout.splitlines()))

    return once("said", run)


def test_the_rehearsal_is_heard_to_its_end(said: list[Any]) -> None:
    """Else a fork would be the first to do what it is there for."""
    assert dict(said[1]) == {
        "FALSIFY-RH-001": Verdict.HELD,
        "FALSIFY-RH-002": Verdict.FALSIFIED,
        "F-RH-001": Verdict.FALSIFIED,
    }


def test_a_plain_run_imports_none_of_it(said: list[Any]) -> None:
    assert "pytest_contracts.items.file" in said[0]
    assert not [name for name in said[0] if ".mutation" in name]
