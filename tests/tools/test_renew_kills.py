"""The renewal of recorded kills: only what is stale is judged, and nothing false is written."""

from __future__ import annotations

import os
import runpy
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from pytest_contracts.contract import Contract
from pytest_contracts.ledger.verdict import Verdict
from pytest_contracts.mutation import Defect, Judgement, planted_mutants
from pytest_contracts.mutation.digests import Digests
from pytest_contracts.mutation.kept import Kept, RowId, read
from tests.contracts import matrix
from tests.pytest_contracts.mutation.conftest import Scripted, project

TOOL = Path(__file__).parents[2] / "tools" / "renew_kills.py"
__all__ = ["project"]


CLAIMS = ("D-EQV-001", "FALSIFY-D-001", "F-D-001")


class Judge(Scripted):
    """Says that each mutant is killed but those that survive, and that all holds without one."""

    survivors: frozenset[str] = frozenset()

    def __call__(
        self, contract: Contract, claims: Any, defect: Defect | None = None, *_: Any, **__: Any
    ) -> Judgement:
        killed = defect is not None and defect.mutant.id not in self.survivors
        self.exit_code = int(killed)
        self.verdicts = dict.fromkeys(CLAIMS, (Verdict.FALSIFIED if killed else Verdict.HELD,))
        return super().__call__(contract)


@pytest.fixture
def judge(
    project: Callable[[], Contract], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Judge:
    """Of a small project, all of whose files are old, in the place of the matrix of this one."""
    contract, judge = project(), Judge(tmp_path)
    judge.loaded = tuple(f"{path.name}/helper.py" for path in tmp_path.glob("doubling*"))
    for path in (p for p in tmp_path.rglob("*") if p.is_file()):
        os.utime(path, (1e9, 1e9))
    monkeypatch.setattr(matrix, "ROOT", tmp_path)
    monkeypatch.setattr(matrix, "KEPT", tmp_path / "evidence" / "mutants" / "kills.json")
    monkeypatch.setattr(matrix, "around", lambda: {"numpy": "2.4.6"})
    monkeypatch.setattr(matrix, "judge", lambda: nullcontext(judge))
    rows = [(contract, mutant) for mutant in (*planted_mutants(contract), None)]
    monkeypatch.setattr(matrix, "ROWS", rows)
    return judge


def renew(*words: str) -> int:
    return int(runpy.run_path(str(TOOL))["main"](words))


def kept() -> Kept:
    return read(matrix.KEPT, matrix.around(), Digests(matrix.ROOT))


def reasons() -> dict[str, str]:
    held = kept()
    return {str(RowId.of(*row)): held.stale(RowId.of(*row)) for row in matrix.ROWS}


def test_what_is_stale_is_judged_and_what_counts_is_left(
    judge: Judge, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert renew() == 0
    assert set(reasons().values()) == {""}
    assert judge.asked == 4
    out = capsys.readouterr().out
    assert "double-v1: not recorded\n  4 new\n" in out
    assert out.endswith("evidence/mutants/kills.json: 4 of 4 rows\n")
    written = matrix.KEPT.read_text(encoding="utf-8")
    assert renew() == 0
    assert "all 4 rows count; nothing to do" in capsys.readouterr().out
    assert judge.asked == 4
    assert renew("--all") == 0
    assert "double-v1: asked for\n  4 the same\n" in capsys.readouterr().out
    assert judge.asked == 8
    assert matrix.KEPT.read_text(encoding="utf-8") == written
    source = tmp_path / judge.loaded[0].replace("helper", "fast")
    source.write_text("def double(n):\n    return n + n  # twice\n", encoding="utf-8")
    os.utime(source, (1e9, 1e9))
    assert renew() == 0
    assert judge.asked == 12
    out = capsys.readouterr().out
    assert out.startswith(f"double-v1: {source.parent.name}/fast.py changed\n  4 the same\n")
    assert set(reasons().values()) == {""}


def test_a_claim_that_misses_its_mutant_is_told_and_not_written(
    judge: Judge, capsys: pytest.CaptureFixture[str]
) -> None:
    judge.survivors = frozenset({"survivor"})
    assert renew() == 1
    told = capsys.readouterr()
    assert "double-v1: not recorded\n  3 new, 1 not as the contract says\n" in told.out
    assert "D-EQV-001 does not notice survivor" in told.err
    assert reasons() == {
        "double-v1, odd": "",
        "double-v1, helper": "",
        "double-v1, survivor": "not recorded",
        "double-v1, as it is": "",
    }
    assert renew() == 1  # until somebody has done something about it
    judge.survivors = frozenset()
    assert renew() == 0
    assert set(reasons().values()) == {""}


def test_what_changes_meanwhile_is_not_written(
    judge: Judge, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    os.utime(tmp_path / judge.loaded[0], (4e9, 4e9))
    assert renew() == 2
    assert f"what rests on {judge.loaded[0]} is left out" in capsys.readouterr().err
    assert kept().sheets == {}


def test_a_damaged_file_is_made_anew(judge: Judge, capsys: pytest.CaptureFixture[str]) -> None:
    matrix.KEPT.parent.mkdir(parents=True)
    matrix.KEPT.write_text("{}", encoding="utf-8")
    assert renew() == 0
    assert "its schema is not" in capsys.readouterr().out
    assert set(reasons().values()) == {""}
