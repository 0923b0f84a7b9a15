"""What changed since a previous run, item by item."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_contracts.ledger.records import Record
from pytest_contracts.ledger.verdict import Outcome, Verdict
from pytest_contracts.report.json_report import schema


@dataclass(frozen=True)
class Baseline:
    """A previous run: when it started, and its records by node id."""

    started: str
    records: Mapping[str, Record]

    @classmethod
    def read(cls, path: Path) -> Baseline:
        """Read a ledger.

        Raises:
            ValueError: the file cannot be read, or is no ledger; the text says what is wrong.
        """
        from jsonschema import Draft202012Validator
        from jsonschema.exceptions import best_match

        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ValueError(f"cannot read {path}: {error.strerror or error}") from None
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path} is no JSON: {error}") from None
        wrong = best_match(Draft202012Validator(schema()).iter_errors(data))
        if wrong is not None:
            at = "".join(f"[{part!r}]" for part in wrong.absolute_path)
            raise ValueError(f"{path} is no ledger: {at}{': ' if at else ''}{wrong.message:.200}")
        records = (Record.from_dict(item) for item in data["items"])
        return cls(data["run"]["started"], {record.nodeid: record for record in records})


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
    def between(cls, baseline: Baseline, records: Iterable[Record]) -> Trend:
        """Compare a run with a previous one."""
        now = {record.nodeid: record for record in records}
        both = [(baseline.records[n], r) for n, r in now.items() if n in baseline.records]
        return cls(
            since=baseline.started,
            broken=tuple(new for old, new in both if wrong(new) and not wrong(old)),
            lost=tuple(n for o, n in both if o.verified and not n.verified and not wrong(n)),
            fixed=tuple(new for old, new in both if new.verified and wrong(old)),
            new=tuple(record for nodeid, record in now.items() if nodeid not in baseline.records),
            gone=tuple(r for nodeid, r in baseline.records.items() if nodeid not in now),
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
