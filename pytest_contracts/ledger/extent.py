"""How much of what was collected a ledger speaks of: how its run ended, and what it left out.

Whoever shows a ledger, or takes it for a certificate, asks here: a part is not the whole, and a run
that was cut short is no certificate. A ledger of an older version does not say; its extent is
unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_contracts.ledger.records import End, Record
from pytest_contracts.ledger.verdict import Verdict

_ENDS: Mapping[End, str] = {
    End.RUNNING: "the run did not end: its process was killed, or ended itself",
    End.INTERRUPTED: "the run was interrupted",
    End.STOPPED: "the run was stopped early, as -x and --maxfail do",
    End.ERROR: "the run ended in an error",
    End.INCOMPLETE: "the run ended without a verdict on all that it was to run",
}


@dataclass(frozen=True)
class Extent:
    """What of the collected claims a ledger speaks of.

    ``declared`` says that a part was all that was wanted (``--contracts-partial``);
    ``unselected`` are the items that were collected and left out, each as a LOST record, and
    ``uncollected`` the contract files that were not even read.
    """

    end: End
    declared: bool
    unselected: tuple[Record, ...]
    uncollected: tuple[str, ...]
    records: Sequence[Record]

    @classmethod
    def of(cls, document: Mapping[str, Any], records: Sequence[Record]) -> Extent:
        """Return the extent of a ledger's document, whose records are given."""
        run = document["run"]
        return cls(
            end=End(run.get("end", End.UNKNOWN)),
            declared=bool(run.get("partial")),
            unselected=tuple(map(Record.lost, run.get("unselected", ()))),
            uncollected=tuple(run.get("uncollected", ())),
            records=records,
        )

    @property
    def cut(self) -> str:
        """Why the run is no certificate, "" where it came to its end or does not say."""
        return _ENDS.get(self.end, "")

    @property
    def unheard(self) -> tuple[Record, ...]:
        """The items that were to run, and of which nothing was heard."""
        return tuple(record for record in self.records if record.unheard)

    @property
    def lost(self) -> bool:
        """Whether nothing judged one of the items, for whatever reason."""
        return any(record.verdict == Verdict.LOST.value for record in self.records)

    @property
    def partial(self) -> bool:
        """Whether claims that exist were left out of the run."""
        return bool(self.unselected or self.uncollected)

    @property
    def whole(self) -> tuple[Record, ...]:
        """The records that levels and shares are about: of the whole, or of a declared part."""
        return (*self.records, *(() if self.declared else self.unselected))

    @property
    def missing(self) -> tuple[str, ...]:
        """The contract files that the whole would have, and that were not read."""
        return () if self.declared else self.uncollected

    def of_contract(self, contract: str) -> tuple[Record, ...]:
        """Return the records that the level of a contract is about."""
        return tuple(record for record in self.whole if record.contract == contract)

    def sentences(self) -> Iterator[str]:
        """Yield what must be said beside every figure of the ledger; nothing of a whole run."""
        if self.cut:
            lost = len(self.unheard)
            yield f"{self.cut}: {_items(lost)} LOST" if lost else self.cut
        if self.partial:
            ran, left = _claims(self.records), _claims(self.unselected)
            part = f"partial run: {ran} of {_items(ran + left)}"
            if self.uncollected:
                number = len(self.uncollected)
                part += f", and {number} contract {'file' if number == 1 else 'files'} not read"
            meant = "the part, as declared" if self.declared else "the whole"
            yield f"{part}; levels and thresholds are about {meant}"


def _claims(records: Iterable[Record]) -> int:
    return sum(record.kind != "gate" for record in records)


def _items(number: int) -> str:
    return f"{number:,} item" if number == 1 else f"{number:,} items"


def counted(records: Iterable[Record]) -> tuple[int, int]:
    """Return how many items are verified, and of how many; gates are no claims."""
    claims = [record for record in records if record.kind != "gate"]
    return sum(Verdict(record.verdict).verified for record in claims), len(claims)
