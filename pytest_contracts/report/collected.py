"""What of the contracts was collected: noted by each process, added up by the one that reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

WORKER_OUTPUT = "contracts_collected"
"""The key under which a worker of xdist tells the controlling process."""


@dataclass
class Collected:
    """``retired`` are contract and claim of what is not collected any more.

    ``selected`` are the node ids of the items that are to run; ``narrowed`` says that contracts or
    items that exist were left out.
    """

    retired: dict[tuple[str, str], None] = field(default_factory=dict)
    selected: set[str] = field(default_factory=set)
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
        }

    def hear(self, told: Mapping[str, Any]) -> None:
        """Add what another process has noted; it may have collected a part that is not here."""
        self.retired |= dict.fromkeys((contract, claim) for contract, claim in told["retired"])
        self.selected |= set(told["selected"])
        self.narrowed |= told["narrowed"]


_KEY = pytest.StashKey[Collected]()
