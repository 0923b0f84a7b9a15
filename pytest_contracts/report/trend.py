"""What changed since a previous run, item by item."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pytest_contracts.ledger.reading import StoredLedger
from pytest_contracts.ledger.records import Record
from pytest_contracts.ledger.verdict import Outcome, Verdict


@dataclass(frozen=True)
class Trend:
    """The items whose standing changed.

    ``broken`` are wrong now and were not; ``lost`` were verified and are neither that nor wrong;
    ``fixed`` are verified now and were wrong; ``new`` and ``gone`` are in one of the runs only.
    """

    since: str
    broken: tuple[Record, ...]
    lost: tuple[Record, ...]
    fixed: tuple[Record, ...]
    new: tuple[Record, ...]
    gone: tuple[Record, ...]

    @classmethod
    def between(cls, previous: StoredLedger, records: Iterable[Record]) -> Trend:
        """Compare a run with a previous one."""
        said = "; ".join(previous.extent.sentences())
        now = {record.nodeid: record for record in records}
        before = previous.by_nodeid()
        both = [(before[n], r) for n, r in now.items() if n in before]
        return cls(
            since=f"{previous.started}, which is no whole: {said}" if said else previous.started,
            broken=tuple(new for old, new in both if wrong(new) and not wrong(old)),
            lost=tuple(n for o, n in both if o.verified and not n.verified and not wrong(n)),
            fixed=tuple(new for old, new in both if new.verified and wrong(old)),
            new=tuple(record for nodeid, record in now.items() if nodeid not in before),
            gone=tuple(r for nodeid, r in before.items() if nodeid not in now),
        )

    @property
    def groups(self) -> tuple[tuple[str, tuple[Record, ...]], ...]:
        """The changes under the words that reports use, those that call for a person first."""
        return (
            ("newly failing", self.broken),
            ("no longer verified", self.lost),
            ("fixed", self.fixed),
            ("new", self.new),
            ("gone", self.gone),
        )


def wrong(record: Record) -> bool:
    """Tell whether an item was refuted, said nothing, or failed."""
    return Verdict(record.verdict).refuted or record.outcome == Outcome.FAILED.value
