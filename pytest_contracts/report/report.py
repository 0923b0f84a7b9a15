"""What every report shows: the records of a run, and the contracts they speak of."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_contracts.ledger.contradictions import contradicted
from pytest_contracts.ledger.extent import Extent
from pytest_contracts.ledger.levels import contract_level
from pytest_contracts.ledger.records import Record, Unread
from pytest_contracts.ledger.verdict import Level, Outcome, Verdict

if TYPE_CHECKING:
    from pytest_contracts.contract import Contract
    from pytest_contracts.ledger.reading import StoredLedger


@dataclass(frozen=True)
class Place:
    """Where a claim stands; ``path`` has forward slashes and starts at the project's root."""

    path: str
    line: int
    column: int

    @classmethod
    def of(cls, where: str) -> Place:
        """Read ``path:line:column``."""
        path, line, column = where.rsplit(":", 2)
        return cls(path, int(line), int(column))


@dataclass(frozen=True)
class Section:
    """The records of one contract."""

    name: str
    path: str
    records: tuple[Record, ...]

    @property
    def claims(self) -> dict[str, tuple[Record, ...]]:
        """The records of each claim, the gate's last, as the run had them."""
        found: dict[str, list[Record]] = {}
        for record in sorted(self.records, key=lambda record: record.kind == "gate"):
            found.setdefault(record.claim, []).append(record)
        return {claim: tuple(records) for claim, records in found.items()}


@dataclass(frozen=True)
class Report:
    """A run as it is to be shown.

    ``root`` is where the records' paths start; ``repository`` is what CI checked out, which may be
    a folder above it; ``reproduce`` returns the command that runs one item again;
    ``bindings`` are files that bind existing contracts.
    """

    document: Mapping[str, Any]
    records: Sequence[Record]
    errors: Sequence[Unread]
    root: Path
    repository: Path
    reproduce: Callable[[Record], str] = lambda record: f"pytest '{record.nodeid}'"
    bindings: Sequence[Path] = ()
    baseline: StoredLedger | None = None
    thresholds: Sequence[str] = field(default_factory=list)

    @cached_property
    def title(self) -> str:
        """The project's name, from its ``pyproject.toml`` where that has one, else its folder's."""
        try:
            data = tomllib.loads((self.root / "pyproject.toml").read_text(encoding="utf-8"))
            name = data["project"]["name"]
        except (OSError, ValueError, KeyError, TypeError):
            name = None
        return name if isinstance(name, str) and name else self.root.name or "project"

    @cached_property
    def sections(self) -> tuple[Section, ...]:
        """The contracts by name."""
        return _sections(self.records)

    @cached_property
    def whole(self) -> tuple[Section, ...]:
        """The contracts with all that the run is held to, what it left out included."""
        return _sections(self.extent.whole)

    @cached_property
    def claims(self) -> tuple[Record, ...]:
        """All records but those of gates."""
        return tuple(record for record in self.records if record.kind != "gate")

    @cached_property
    def extent(self) -> Extent:
        """How the run ended, and what it left out."""
        return Extent.of(self.document, self.records)

    @property
    def contradictions(self) -> tuple[Record, ...]:
        """The proofs that another item of their obligation contradicts."""
        return tuple(record for record in self.records if contradicted(record))

    @property
    def verified(self) -> int:
        """How many items are verified, gates left out."""
        return sum(record.verified for record in self.claims)

    @cached_property
    def levels(self) -> dict[str, Level]:
        """The level of each contract that the run is held to, whether or not it ran."""
        names = {section.name for section in self.whole}
        return {name: contract_level(self.extent.of_contract(name)) for name in sorted(names)}

    def in_repository(self, path: str) -> str | None:
        """Return a record's path as seen from the repository's root, None for one outside."""
        whole = Path(os.path.abspath(self.root / path))
        if not whole.is_relative_to(self.repository):
            return None
        return whole.relative_to(self.repository).as_posix()

    def contract(self, section: Section) -> Contract | None:
        """Return a contract as its file has it now, None where the file cannot be read."""
        from pytest_contracts.contract import load
        from pytest_contracts.errors import ContractError

        try:
            return load(self.root / section.path, self.bindings)
        except (ContractError, OSError):
            return None


def repository_of(root: Path, environment: Mapping[str, str]) -> Path:
    """Return the folder that CI checked out, where the project is in it, else the project's root.

    GitHub names it in ``GITHUB_WORKSPACE``, GitLab in ``CI_PROJECT_DIR``.
    """
    for name in ("GITHUB_WORKSPACE", "CI_PROJECT_DIR"):
        if environment.get(name):
            folder = Path(environment[name]).resolve()
            if root.resolve().is_relative_to(folder):
                return folder
    return root


def _sections(records: Iterable[Record]) -> tuple[Section, ...]:
    found: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        found.setdefault((record.contract, Place.of(record.where).path), []).append(record)
    return tuple(Section(name, path, tuple(held)) for (name, path), held in sorted(found.items()))


def failed(record: Record) -> bool:
    """Tell whether the item made the run fail; an expected breach did not."""
    return record.outcome == Outcome.FAILED.value


def expected(record: Record) -> bool:
    """Tell whether the item was falsified, as its status says that it would be."""
    return record.verdict == Verdict.FALSIFIED.value and record.outcome == Outcome.XFAILED.value
