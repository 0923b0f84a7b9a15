"""What the kills of this project's mutants rest on beside files."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_contracts.mutation import kept
from pytest_contracts.mutation.digests import Digests
from pytest_contracts.mutation.kept import RowId
from tests.contracts import matrix


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("ARGUMENTS", (*matrix.ARGUMENTS, "--contracts-examples=1")),
        ("PROFILE", "dev"),
        ("EXAMPLES", matrix.EXAMPLES + 1),
    ],
)
def test_what_the_judge_is_asked_makes_every_row_stale(
    monkeypatch: pytest.MonkeyPatch, name: str, other: object
) -> None:
    was = matrix.around()
    rows = replace(kept.read(matrix.KEPT, was, Digests(matrix.ROOT)), before=was)
    monkeypatch.setattr(matrix, name, other)
    now = replace(rows, now=matrix.around())
    for contract, mutant in matrix.ROWS:
        stale = now.stale(RowId.of(contract, mutant))
        assert stale.startswith("asked was --contracts=contracts")
