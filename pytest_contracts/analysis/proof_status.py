"""The levels that contracts declare, beside those that a run achieved."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pytest_contracts.contract import Contract
from pytest_contracts.ledger.levels import claim_levels
from pytest_contracts.ledger.records import Record
from pytest_contracts.ledger.verdict import Level, Verdict


@dataclass(frozen=True)
class Standing:
    """One claim that declares a level; ``achieved`` is None where it did not run or could not."""

    claim: str
    line: int
    declared: Level
    achieved: Level | None
    note: str = ""

    @property
    def under(self) -> bool:
        """Whether less was achieved than declared; what cannot run here says nothing either way."""
        if self.achieved is None:
            return self.note != UNAVAILABLE
        return self.achieved < self.declared


UNAVAILABLE = "unavailable on the machine of the run"
NOT_RUN = "not run"


def proof_status(contract: Contract, records: Iterable[Record]) -> tuple[Standing, ...]:
    """Return the standing of each claim of a contract that declares a level, in file order."""
    own = [record for record in records if record.contract == contract.name]
    achieved = claim_levels(own)
    absent = _absent(own)
    standings = []
    for claim in contract.claims:
        retired = "RETIRED" in (claim.status, contract.metadata.status)
        if claim.declared_level is None or retired:
            continue
        reached = achieved.get(claim.id)
        missing = UNAVAILABLE if claim.id in absent else NOT_RUN
        standings.append(
            Standing(
                claim=claim.id,
                line=claim.where.line,
                declared=Level(claim.declared_level),
                achieved=reached,
                note=missing if reached is None else "",
            )
        )
    return tuple(standings)


def _absent(records: Sequence[Record]) -> set[str]:
    """Return the claims of which no item could run."""
    return {record.claim for record in records if Verdict(record.verdict).absent}
