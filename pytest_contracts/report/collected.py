"""What of the contracts was collected: noted by each process, added up by the one that reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_contracts.ledger.opened import Opened

WORKER_OUTPUT = "contracts_collected"
"""The key under which a worker of xdist tells the controlling process."""


@dataclass
class Collected:
    """``retired`` are contract and claim of what is not collected any more.

    ``entries`` are what is known of each item before it runs, by node id, in the words of a record;
    ``selected`` are the node ids of the items that are to run; ``narrowed`` says that contracts or
    items that exist were left out, and ``uncollected`` are the contract files among them.
    """

    retired: dict[tuple[str, str], None] = field(default_factory=dict)
    opened: Opened | None = None
    """What this process has opened."""
    digests: dict[str, str | None] = field(default_factory=dict)
    """Files by key, as they were when this run opened them; None where they changed."""
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)
    selected: set[str] = field(default_factory=set)
    uncollected: set[str] | None = None
    narrowed: bool = False

    @classmethod
    def of(cls, config: pytest.Config) -> Collected:
        """Return what this process has noted so far."""
        return config.stash.setdefault(_KEY, cls())

    def told(self) -> dict[str, Any]:
        """Return it as plain values, as they travel between processes."""
        return {
            "retired": list(self.retired),
            "selected": sorted(self.selected),
            "narrowed": self.narrowed,
            "digests": self.digests,
            "entries": self.entries,
            "uncollected": sorted(self.uncollected or ()),
        }

    def hear(self, told: Mapping[str, Any]) -> None:
        """Add what another process has noted; it may have collected a part that is not here."""
        self.retired |= dict.fromkeys((contract, claim) for contract, claim in told["retired"])
        self.selected |= set(told["selected"])
        self.narrowed |= told["narrowed"]
        self.entries |= told["entries"]
        self.note(told["digests"])
        # What one process has read is not left out, whatever the others read.
        left = set(told["uncollected"])
        self.uncollected = left if self.uncollected is None else self.uncollected & left

    def note(self, digests: Mapping[str, str | None]) -> None:
        """Add what a process has opened; where two saw different contents, the file changed."""
        for key, digest in digests.items():
            if self.digests.setdefault(key, digest) != digest:
                self.digests[key] = None

    @property
    def unselected(self) -> list[dict[str, Any]]:
        """The entries of the items that were collected and are not to run; BLOCKED never are."""
        return [
            entry
            for nodeid, entry in self.entries.items()
            if nodeid not in self.selected and entry.get("status") != "BLOCKED"
        ]


_KEY = pytest.StashKey[Collected]()
