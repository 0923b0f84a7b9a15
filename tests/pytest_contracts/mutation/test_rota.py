"""A tenth of the rows, by turns."""

from __future__ import annotations

from pathlib import Path

from pytest_contracts.mutation.kept import RowId
from pytest_contracts.mutation.rota import code_digest, drawn

ROWS = [RowId(f"contract-{i // 10}", f"mutant-{i}") for i in range(95)]


def test_a_tenth_is_drawn_the_same_for_everybody() -> None:
    assert len(drawn(ROWS, "a")) == 10
    assert drawn(ROWS, "a") == drawn(ROWS[::-1], "a")
    assert drawn(ROWS, "a") <= {*ROWS}
    assert drawn(ROWS[:1], "a") == {ROWS[0]}
    assert drawn([], "a") == frozenset()


def test_every_row_has_its_turn_as_the_code_changes() -> None:
    assert drawn(ROWS, "a") != drawn(ROWS, "b")
    assert frozenset().union(*(drawn(ROWS, str(code)) for code in range(100))) == {*ROWS}


def test_the_code_is_what_its_files_hold(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "code.py").write_text("1")
    (tmp_path / "data.bin").write_bytes(b"\xff")
    found = [code_digest(tmp_path)]
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "code.pyc").write_bytes(b"compiled")
    assert [code_digest(tmp_path)] == found
    (tmp_path / "a" / "code.py").write_text("2")
    found.append(code_digest(tmp_path))
    (tmp_path / "a" / "code.py").rename(tmp_path / "a" / "more.py")
    found.append(code_digest(tmp_path))
    (tmp_path / "data.bin").unlink()
    found.append(code_digest(tmp_path))
    assert len({*found}) == 4
