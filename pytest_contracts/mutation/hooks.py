"""The plugin of a run that looks for kills: which items run, for how long, and who listens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import Phase, settings

from pytest_contracts.ledger.verdict import Verdict
from pytest_contracts.report.outputs import Outputs
from pytest_contracts.report.recorder import Recorder

PROFILE = "pytest-contracts-mutants"


class Listener(Recorder):
    """A recorder that writes nothing: what is judged here is not the project as it is."""

    def _begin(self) -> None:
        """Leave the project's ledger as it is: no run of the project has begun."""

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Leave the project's ledger alone."""


class Verdicts:
    """Runs chosen claims and their gate, and keeps their verdicts.

    With a defect planted (``module`` is not None), a claim ends at its first counterexample, which
    is not shrunk, and a claim with items for the changed ``implementation`` is judged on these.
    """

    def __init__(
        self,
        claims: Sequence[str],
        gate: str | None,
        implementation: str | None,
        module: str | None,
    ) -> None:
        self._claims = frozenset(claims)
        self._gate = gate
        self._implementation = implementation
        self._planted = module is not None
        self._killed: set[str] = set()
        self._recorder: Recorder | None = None

    @property
    def items(self) -> list[tuple[str, str]]:
        """The claim and the verdict of each item that ran, in order."""
        assert self._recorder is not None
        return [(record.claim, record.verdict) for record in self._recorder.ledger.records]

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Listen in the place of the recorder that writes; do without shrinking."""
        config.pluginmanager.unregister(name="contracts-recorder")
        self._recorder = Listener(config, Outputs())
        config.pluginmanager.register(self._recorder, "contracts-recorder")
        if self._planted:
            phases = [Phase.explicit, Phase.generate]
            settings.register_profile(PROFILE, settings(database=None, phases=phases))
            settings.load_profile(PROFILE)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Deselect every other claim."""
        own = {_claim(item) for item in items if _implementation(item) == self._implementation}
        chosen = [item for item in items if self._wants(item, own)]
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        items[:] = chosen

    def _wants(self, item: pytest.Item, own: set[str]) -> bool:
        claim = _claim(item)
        if claim == self._gate:
            return True
        if claim not in self._claims:
            return False
        elsewhere = self._implementation is not None and claim in own
        return not elsewhere or _implementation(item) == self._implementation

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        """Leave out what could only say again that the mutant is killed."""
        return True if self._planted and _claim(item) in self._killed else None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note which claims have found a counterexample."""
        record: dict[str, Any] = getattr(report, "contracts_record", {})
        if record.get("verdict") == Verdict.FALSIFIED:
            self._killed.add(record["claim"])


def _claim(item: pytest.Item) -> str:
    """Return the id of an item's claim, or of its gate."""
    case = getattr(item, "case", None)
    return item.name if case is None else case.claim.id


def _implementation(item: pytest.Item) -> str | None:
    case = getattr(item, "case", None)
    return None if case is None else case.implementation
