"""The terminal summary: one line per contract, then what calls for a person."""

from __future__ import annotations

from collections import Counter

import pytest

from pytest_contracts.ledger.contradictions import contradicted
from pytest_contracts.ledger.extent import Extent
from pytest_contracts.ledger.levels import contract_level
from pytest_contracts.ledger.records import Ledger, Record
from pytest_contracts.ledger.verdict import Outcome, Verdict

_COLORS: dict[Verdict, dict[str, bool]] = {
    Verdict.HELD: {"green": True},
    Verdict.CONFIRMED: {"green": True, "bold": True},
    Verdict.FALSIFIED: {"red": True, "bold": True},
    Verdict.VACUOUS: {"red": True},
    Verdict.LOST: {"red": True},
    Verdict.INCONCLUSIVE: {"yellow": True},
    Verdict.UNAVAILABLE: {"yellow": True},
    Verdict.EVIDENCED: {"green": True},
    Verdict.STALE: {"yellow": True},
    Verdict.PROSE: {"yellow": True},
}
"""One row a column of the summary, in the order in which people read them: what held first."""


def write_summary(reporter: pytest.TerminalReporter, ledger: Ledger) -> None:
    """Write the section: verdicts counted per contract, the level reached, calls to promote."""
    contracts: dict[str, list[Record]] = {}
    for record in ledger.records:
        contracts.setdefault(record.contract, []).append(record)
    extent = Extent.of(ledger.as_dict(), ledger.records)
    reporter.write_sep("=", "contracts")
    width = max(map(len, contracts), default=0)
    present = [v for v in _COLORS if any(r.verdict == v.value for r in ledger.records)]
    for name in sorted(contracts):
        records = contracts[name]
        counts = Counter(record.verdict for record in records)
        reporter.write(f"{name:<{width}}  {contract_level(extent.of_contract(name))}")
        for verdict in present:
            number = counts[verdict.value]
            text = f"{number} {verdict.lower()}" if number else ""
            reporter.write("  ")
            reporter.write(f"{text:<{_column(verdict, contracts)}}", **_COLORS[verdict])
        reporter.write_line("")
    _totals(reporter, ledger)
    for sentence in extent.sentences():
        reporter.write_line(sentence, red=bool(extent.cut), yellow=not extent.cut)
    _missing(reporter, ledger)
    if ledger.retired:
        noun = "claim is" if len(ledger.retired) == 1 else "claims are"
        reporter.write_line(f"{len(ledger.retired)} {noun} retired and not collected")
    for record in ledger.records:
        if contradicted(record):
            reporter.write_line(f"{record.nodeid}: {record.message}", red=True, bold=True)
        if record.outcome == Outcome.XPASSED.value:
            reporter.write_line(
                f"{record.where}: {record.nodeid} is {record.status}, but it holds: promote it",
                yellow=True,
            )


def _column(verdict: Verdict, contracts: dict[str, list[Record]]) -> int:
    most = max(
        sum(record.verdict == verdict.value for record in records) for records in contracts.values()
    )
    return len(f"{most} {verdict}")


def _totals(reporter: pytest.TerminalReporter, ledger: Ledger) -> None:
    claims = [record for record in ledger.records if record.kind != "gate"]
    verified = sum(record.verified for record in claims)
    examples = sum(record.examples for record in claims)
    compared = sum(record.compared for record in claims)
    reporter.write_line(
        f"{verified} of {len(claims)} items verified: {examples:,} examples drawn, "
        f"{compared:,} elements compared"
    )


def _missing(reporter: pytest.TerminalReporter, ledger: Ledger) -> None:
    """Write what this machine lacks, each thing once, and how to get it; then what stands in."""
    for verdict in (Verdict.LOST, Verdict.UNAVAILABLE, Verdict.STALE, Verdict.EVIDENCED):
        reasons = Counter(
            record.message
            for record in ledger.records
            if record.verdict == verdict.value and record.kind != "gate"
        )
        for reason, items in reasons.most_common():
            noun = "item" if items == 1 else "items"
            line = f"{items} {noun} {verdict.lower()}: {reason}"
            reporter.write_line(line, yellow=not verdict.verified, green=verdict.verified)
