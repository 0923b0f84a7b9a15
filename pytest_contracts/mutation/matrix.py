"""The kill matrix: which claim falls to which mutant, beside what the contract expects."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pytest_contracts.contract.model import Contract, Mutant
from pytest_contracts.ledger.verdict import Verdict
from pytest_contracts.mutation.defects import locate, planted_mutants
from pytest_contracts.mutation.judge import Judge, Judgement
from pytest_contracts.mutation.overlays import overlay


@dataclass(frozen=True, slots=True)
class Cell:
    """What became of one claim under one mutant."""

    claim: str
    expected: bool
    """Whether the contract says that the mutant must be killed by the claim."""
    verdicts: frozenset[Verdict]
    """Of the claim's items; none where none was selected."""

    @property
    def killed(self) -> bool:
        """Whether an item of the claim found a counterexample."""
        return Verdict.FALSIFIED in self.verdicts

    @property
    def absent(self) -> bool:
        """Whether nothing of the claim could run on this machine."""
        return bool(self.verdicts) and all(verdict.absent for verdict in self.verdicts)

    @property
    def missed(self) -> bool:
        """Whether a kill was expected, and could have happened here, and did not."""
        return self.expected and not self.killed and not self.absent


@dataclass(frozen=True, slots=True)
class Row:
    """One mutant against the claims that were judged."""

    mutant: Mutant
    cells: tuple[Cell, ...]
    judgement: Judgement

    @property
    def missed(self) -> tuple[Cell, ...]:
        """The claims that should have noticed the mutant and did not."""
        return tuple(cell for cell in self.cells if cell.missed)


def kill_row(contract: Contract, mutant: Mutant, judge: Judge, *, every_claim: bool = False) -> Row:
    """Plant a mutant in a copy of its package and judge the claims it names, or every claim.

    Raises:
        ContractBindingError: the mutant cannot be planted, or nothing that ran imported it.
        Unavailable: its target needs what this machine lacks.
    """
    defect = locate(contract, mutant)
    claims = tuple(c.id for c in contract.claims) if every_claim else mutant.killed_by
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        judgement = judge(contract, claims, defect, overlay(defect, Path(folder)))
    cells = (
        Cell(claim, claim in mutant.killed_by, frozenset(judgement.verdicts.get(claim, ())))
        for claim in claims
    )
    return Row(mutant, tuple(cells), judgement)


def kill_matrix(contract: Contract, judge: Judge, *, every_claim: bool = False) -> Iterator[Row]:
    """Yield the row of each mutant that the contract declares with a change."""
    for mutant in planted_mutants(contract):
        yield kill_row(contract, mutant, judge, every_claim=every_claim)
