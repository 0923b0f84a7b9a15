"""The kill matrix as evidence: what was judged once, and whether it still counts.

A file of it holds a sheet for each contract: a row for each mutant, one for the same claims on the
code as it is, and the files that judging any of them has loaded. A sheet counts as long as these
are what they were, and so are Python and the packages around. It goes stale by itself.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from pytest_contracts.contract.model import Contract, Mutant
from pytest_contracts.ledger import sealed
from pytest_contracts.ledger.evidence import EvidenceError
from pytest_contracts.mutation.digests import LISTING, Digests
from pytest_contracts.mutation.outcome import Outcome
from pytest_contracts.where import Where

SCHEMA = "pytest-contracts/kills/1"
AS_IT_IS = "as it is"
ABSENT = "could not run where it was recorded"
"""Why a row does not count although nothing has changed; judging it there again would not help."""
_DEPTH = 4
"""Down to where the file has a line for each entry."""


class RowId(NamedTuple):
    """Which row: a mutant of a contract, or the contract's claims on the code as it is."""

    sheet: str
    name: str

    @classmethod
    def of(cls, contract: Contract, mutant: Mutant | None) -> RowId:
        """Return the id of a row; None stands for the code as it is."""
        return cls(contract.name, AS_IT_IS if mutant is None else mutant.id)

    def __str__(self) -> str:
        return f"{self.sheet}, {self.name}"


@dataclass(frozen=True)
class Sheet:
    """Rows that were judged together, and the files that any of them has loaded."""

    loaded: frozenset[str]
    rows: Mapping[str, Outcome]


@dataclass(frozen=True)
class Kept:
    """What a file of evidence holds, beside what there is now."""

    sheets: Mapping[str, Sheet]
    files: Mapping[str, str]
    """The digests of what was loaded, as it was."""
    before: Mapping[str, str]
    """The surroundings as they were."""
    now: Mapping[str, str]
    digests: Digests

    @classmethod
    def nothing(cls, now: Mapping[str, str], digests: Digests) -> Kept:
        """Return what is held where there is no file."""
        return cls({}, {}, {}, now, digests)

    def outcome(self, row: RowId) -> Outcome | None:
        """Return how a row came out, None where nobody knows how it would now."""
        return None if self.stale(row) else self.sheets[row.sheet].rows[row.name]

    def stale(self, row: RowId) -> str:
        """Return why a row does not count, "" where it does."""
        sheet = self.sheets.get(row.sheet)
        if sheet is None or row.name not in sheet.rows:
            return "not recorded"
        for name in sorted(self.before.keys() | self.now.keys()):
            was, is_now = self.before.get(name, "none"), self.now.get(name, "none")
            if was != is_now:
                return f"{name} was {was}, is {is_now}"
        for name in sorted(sheet.loaded, key=lambda name: (name.endswith(LISTING), name)):
            if name not in self.files or self.digests(name) != self.files[name]:
                path = PurePosixPath(name)
                return f"{f'what lies in {path.parent}' if path.name == LISTING else name} changed"
        outcome = sheet.rows[row.name]
        # On the code as it is some implementations are away nearly everywhere, and the rest counts.
        return ABSENT if row.name != AS_IT_IS and outcome.absent(outcome.verdicts) else ""


def read(path: Path, now: Mapping[str, str], digests: Digests) -> Kept:
    """Return what a file of evidence holds, nothing where there is no file.

    Raises:
        EvidenceError: it cannot be read, is of another kind, or is not what was written.
    """
    if not path.exists():
        return Kept.nothing(now, digests)
    try:
        document = sealed.read(path)
    except sealed.UnreadableError as error:
        raise _refusal(path, str(error)) from None
    if document.get("schema") != SCHEMA:
        raise _refusal(path, f"no evidence of kills: its schema is not {SCHEMA}")
    if document.get("digest") != sealed.seal(document):
        raise _refusal(path, "not what was written: its digest does not fit its contents")
    try:
        everywhere = _flat(document["everywhere"])
        sheets = {
            name: Sheet(
                loaded=everywhere | _flat(sheet["loaded"]),
                rows={
                    row: Outcome.from_dict(kept, f"as kept in {path.name}")
                    for row, kept in sheet["rows"].items()
                },
            )
            for name, sheet in document["sheets"].items()
        }
        before, files = dict(document["surroundings"]), dict(document["files"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _refusal(path, f"no evidence of kills: {type(error).__name__}: {error}") from None
    return Kept(sheets, files, before, now, digests)


def text(sheets: Mapping[str, Sheet], now: Mapping[str, str], digests: Digests) -> str:
    """Return the file for sheets all of which were judged, or still count, with what is there now.

    One table of digests is enough for that reason.
    """
    loaded = [sheet.loaded for sheet in sheets.values()]
    everywhere = frozenset.intersection(*loaded) if loaded else frozenset()
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "surroundings": dict(now),
        "files": {name: digests(name) for name in sorted(frozenset().union(*loaded))},
        "everywhere": _by_folder(everywhere),
        "sheets": {
            name: {
                "loaded": _by_folder(sheet.loaded - everywhere),
                "rows": {row: outcome.as_dict() for row, outcome in sorted(sheet.rows.items())},
            }
            for name, sheet in sorted(sheets.items())
        },
    }
    document["digest"] = sealed.seal(document)
    return _lines(document) + "\n"


def _lines(value: Any, depth: int = 0) -> str:
    """Return JSON with a line for each entry, down to the depth of rows and lists of files."""
    if not isinstance(value, dict) or not value or depth == _DEPTH:
        return json.dumps(value, ensure_ascii=False)
    pad = " " * depth
    entries = (
        f"{pad} {json.dumps(key, ensure_ascii=False)}: {_lines(inner, depth + 1)}"
        for key, inner in value.items()
    )
    return "{\n" + ",\n".join(entries) + f"\n{pad}}}"


def _by_folder(names: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for path in map(PurePosixPath, sorted(names)):
        found[str(path.parent)].append(path.name)
    return dict(sorted(found.items()))


def _flat(by_folder: Mapping[str, list[str]]) -> frozenset[str]:
    paths = (PurePosixPath(folder, name) for folder, names in by_folder.items() for name in names)
    return frozenset(map(str, paths))


def _refusal(path: Path, message: str) -> EvidenceError:
    hint = "Make it anew with `python tools/renew_kills.py --all`, or delete it."
    return EvidenceError(message, where=Where(path, 1), hint=hint)
