"""The items of what the whole run decides: quality gates, and claims of completeness.

A gate cannot be decided by the process that happens to collect it, since under xdist the claims it
checks run elsewhere. So its item only announces itself (one passed set-up report that carries the
gate), and the process that hears all reports decides it once the last one is in.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_contracts.contract.model import ClaimKind, Contract, QaGate
from pytest_contracts.items.case import place
from pytest_contracts.ledger.gates import GateNotice
from pytest_contracts.report.decided import announcement
from pytest_contracts.report.failure import reproduce_command
from pytest_contracts.report.paths import relative
from pytest_contracts.where import Where


class DecidedLast(pytest.Item):
    """An item whose verdict comes after the run; ``turn`` orders them among each other."""

    turn = 1
    kind: ClaimKind = "gate"

    def __init__(self, *, contract: Contract, where: Where, marker: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.contract = contract
        self.where = where
        self.add_marker(marker)
        self.add_marker(pytest.mark.contract(contract.name))

    def reportinfo(self) -> tuple[Path, int, str]:
        """Return the place of the claim in its file, zero-based."""
        return self.path, self.where.line - 1, f"{self.contract.name}::{self.name}"

    def runtest(self) -> None:
        """Do nothing: ``pytest_runtest_protocol`` never gets here."""
        raise AssertionError("it is decided after the run")

    @property
    def entry(self) -> dict[str, Any]:
        """What the ledger knows of the item before it is decided, in the words of a record."""
        return {
            "nodeid": self.nodeid,
            "contract": self.contract.name,
            "claim": self.name,
            "kind": self.kind,
            "where": place(self.where, self.config.rootpath),
        }

    def notice(self) -> GateNotice:
        """Return what is to be decided."""
        raise NotImplementedError

    def described(self, checks: Mapping[str, list[str]], **more: Any) -> GateNotice:
        """Return the notice of this item with its checks."""
        return GateNotice(
            nodeid=self.nodeid,
            location=self.location,
            contract=self.contract.name,
            gate=self.name,
            where=place(self.where, self.config.rootpath),
            path=str(relative(self.where.path, self.config)),
            line=self.where.line,
            checks=checks,
            reproduce=reproduce_command(self.path, "", self.config),
            **more,
        )

    def announce(self) -> pytest.TestReport:
        """Return the set-up report that carries the gate to where it is decided."""
        return announcement(self.notice(), self.keywords)


class GateItem(DecidedLast):
    """A contract's quality gate."""

    turn = 2

    def __init__(
        self, *, contract: Contract, gate: QaGate, by_claim: Mapping[str, list[str]], **kwargs: Any
    ) -> None:
        super().__init__(contract=contract, where=gate.where, marker="gate", **kwargs)
        self.gate = gate
        self.by_claim = by_claim

    def notice(self) -> GateNotice:
        """Return the gate with the items of its checks."""
        return self.described(
            {check: list(self.by_claim.get(check, ())) for check in self.gate.checks}
        )
