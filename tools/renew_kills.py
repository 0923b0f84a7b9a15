"""Judge the mutants whose evidence is stale again, and write what came of it.

    python tools/renew_kills.py [--all]

Writes ``evidence/mutants/kills.json``, which the tests of the mutants read; commit it. Takes about
a second of CPU time for each mutant that is judged. Exit status: 0 all is as the contracts say, 1
it is not, 2 a file changed meanwhile; such rows are left out, and the tests judge them.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from pytest_contracts.contract import Contract, Mutant
from pytest_contracts.files import write_text
from pytest_contracts.ledger.evidence import EvidenceError
from pytest_contracts.mutation import Judge
from pytest_contracts.mutation.digests import Digests
from pytest_contracts.mutation.kept import ABSENT, Kept, RowId, Sheet, read, text
from pytest_contracts.mutation.outcome import Outcome, complaints
from pytest_contracts.mutation.rows import judged

Declared = tuple[Contract, Mutant | None]


class Renewal:
    """One run over the matrix; what it has to say is printed as it comes."""

    def __init__(self, kept: Kept, judge: Judge, root: Path) -> None:
        self._kept = kept
        self._judge = judge
        self._root = root
        self.complaints: list[str] = []
        self.sheets: dict[str, Sheet] = {}

    def sheet(self, name: str, rows: Iterable[Declared]) -> None:
        """Judge the rows of a sheet, which go stale together."""
        before = self._kept.sheets.get(name)
        found: dict[str, Outcome] = {}
        loaded: set[str] = set()
        words: Counter[str] = Counter()
        for contract, mutant in rows:
            row = RowId.of(contract, mutant)
            outcome, files = judged(contract, mutant, self._judge, self._root)
            complaint = [*complaints(outcome, contract, mutant)]
            self.complaints += complaint
            if complaint:
                words["not as the contract says"] += 1
                continue
            found[row.name] = outcome
            loaded |= files
            was = before.rows.get(row.name) if before is not None else None
            words["new" if was is None else "the same" if was == outcome else "another"] += 1
        if found:
            self.sheets[name] = Sheet(frozenset(loaded), found)
        print(f"  {', '.join(f'{number} {word}' for word, number in words.items())}", flush=True)

    def leave_out_changed(self, moment_ns: int) -> set[str]:
        """Return the files that changed since; what was judged with them could be of two states."""
        changed = self._kept.digests.changed_since
        names = {name for sheet in self.sheets.values() for name in sheet.loaded}
        found = {name for name in names if changed(name, moment_ns)}
        self.sheets = {k: sheet for k, sheet in self.sheets.items() if not found & sheet.loaded}
        return found


def by_sheet(rows: Iterable[Declared]) -> dict[str, list[Declared]]:
    """Return the rows of each sheet; the code as it is first, since what it compiles is kept."""
    found: dict[str, list[Declared]] = {}
    for contract, mutant in sorted(rows, key=lambda row: row[1] is not None):
        found.setdefault(RowId.of(contract, mutant).sheet, []).append((contract, mutant))
    return found


def why_stale(kept: Kept, rows: Iterable[Declared]) -> str:
    """Return why a sheet does not count, "" where it does."""
    reasons = (kept.stale(RowId.of(*row)) for row in rows)
    return next((reason for reason in reasons if reason not in ("", ABSENT)), "")


def main(arguments: Sequence[str] | None = None) -> int:
    """Renew, and say what was done."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--all", action="store_true", help="judge also what still counts")
    options = parser.parse_args(arguments)
    from tests.contracts.matrix import KEPT, ROOT, ROWS, around, judge

    digests, now = Digests(ROOT), around()
    try:
        kept = read(KEPT, now, digests)
    except EvidenceError as error:
        print(f"{error}\nAll is judged anew.")
        kept = Kept.nothing(now, digests)
    sheets = by_sheet(ROWS)
    reasons = {name: why_stale(kept, rows) for name, rows in sheets.items()}
    if not options.all and not any(reasons.values()) and kept.sheets.keys() == sheets.keys():
        print(f"{KEPT.relative_to(ROOT)}: all {len(ROWS)} rows count; nothing to do")
        return 0
    began = time.time_ns()
    with judge() as judging:
        renewal = Renewal(kept, judging, ROOT)
        for name, rows in sheets.items():
            if not options.all and not reasons[name]:
                renewal.sheets[name] = kept.sheets[name]
                continue
            print(f"{name}: {reasons[name] or 'asked for'}", flush=True)
            renewal.sheet(name, rows)
    for complaint in renewal.complaints:
        print(complaint, file=sys.stderr)
    changed = renewal.leave_out_changed(began)
    write_text(text(renewal.sheets, now, digests), KEPT)
    number = sum(len(sheet.rows) for sheet in renewal.sheets.values())
    print(f"{KEPT.relative_to(ROOT)}: {number} of {len(ROWS)} rows")
    if changed:
        names = ", ".join(sorted(changed))
        print(f"what rests on {names} is left out: changed meanwhile; run again", file=sys.stderr)
        return 2
    return 1 if renewal.complaints else 0


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    sys.exit(main())
