"""Hypothesis around a check: drawn inputs in, counterexample out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from inspect import Parameter, Signature
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, Verbosity, example, given, reject, seed, settings
from hypothesis.database import ExampleDatabase
from hypothesis.statistics import collector

from pytest_contracts.contract.model import Claim
from pytest_contracts.domains.regressions import Recorded
from pytest_contracts.errors import VacuousError
from pytest_contracts.items.observation import ENOUGH, Observation, is_absence
from pytest_contracts.ledger.records import text_digest

Body = Callable[..., None]


class NodeDatabase(ExampleDatabase):
    """Keeps each item's saved examples under its own node id.

    Hypothesis keys examples by the test function's source, which all items of one factory share.
    """

    def __init__(self, inner: ExampleDatabase, nodeid: str) -> None:
        super().__init__()
        self._inner = inner
        self._prefix = nodeid.encode() + b"\0"

    def save(self, key: bytes, value: bytes) -> None:
        """Save under the node's key."""
        self._inner.save(self._prefix + key, value)

    def fetch(self, key: bytes) -> Iterable[bytes]:
        """Yield the values of the node's key."""
        yield from self._inner.fetch(self._prefix + key)

    def delete(self, key: bytes, value: bytes) -> None:
        """Delete from the node's key."""
        self._inner.delete(self._prefix + key, value)


def item_settings(nodeid: str, examples: int | None, *, explicit: bool = False) -> settings:
    """Return the current profile's settings made fit for a claim.

    No deadline, since the first example may compile a kernel; guards may reject most inputs, since
    those that pass are counted and shown.
    """
    profile = settings.default
    assert profile is not None
    database = profile.database
    return settings(
        profile,
        max_examples=examples or profile.max_examples,
        deadline=None,
        database=None if database is None else NodeDatabase(database, nodeid),
        phases=[
            phase
            for phase in Phase
            if (phase in profile.phases and phase is not Phase.explain)
            or (explicit and phase is Phase.explicit)
        ],
        suppress_health_check=[
            *profile.suppress_health_check,
            HealthCheck.too_slow,
            HealthCheck.filter_too_much,
        ],
        report_multiple_bugs=False,
        verbosity=min(profile.verbosity, Verbosity.quiet),
        print_blob=False,
    )


@contextmanager
def noting_exhaustion(observation: Observation) -> Iterator[None]:
    """Note whether Hypothesis stops because there is nothing else to draw."""
    watched: Any = collector
    outer = watched.value
    profile = settings.default
    draws = profile is not None and Phase.generate in profile.phases

    def note(statistics: dict[str, Any]) -> None:
        if outer is not None:
            outer(statistics)
        stopped = statistics.get("stopped-because")
        observation.exhausted = draws and stopped == "nothing left to do"

    with watched.with_value(note):
        yield


def enough_of(claim: Claim, examples: int | None) -> int:
    """Return how many inputs must be counted: what the claim says, no more than are drawn."""
    stated = claim.extra.get("enough")
    profile = settings.default
    assert profile is not None
    # A run that draws fewer than 100 cannot ask for as many of those that a guard admits.
    share = max(1, (examples or profile.max_examples) // ENOUGH)
    return min(stated if isinstance(stated, int) else ENOUGH, share)


def seed_of(config: pytest.Config, nodeid: str) -> int | None:
    """Return the seed of an item's draws where the run is to be repeatable, None otherwise.

    pytest-randomly promises that a run is repeatable by its seed. It seeds `random`, which
    Hypothesis does not draw from; a seed or a derandomized profile of Hypothesis's own comes first.
    """
    if not config.pluginmanager.hasplugin("randomly"):
        return None
    run = config.getoption("randomly_seed", None)
    profile = settings.default
    if not isinstance(run, int) or not config.getoption("randomly_reset_seed", True):
        return None
    if config.getoption("--hypothesis-seed", None) is not None:
        return None
    if profile is not None and profile.derandomize:
        return None
    return int(text_digest([str(run), nodeid])[:16], 16)


def as_property(
    body: Body,
    strategy: st.SearchStrategy[dict[str, Any]],
    *,
    fixtures: Sequence[str],
    observation: Observation,
    nodeid: str,
    examples: int | None,
    regressions: Sequence[Recorded] = (),
    seeded: int | None = None,
) -> Callable[..., None]:
    """Return a Hypothesis test that runs ``body(inputs, **fixtures)`` on drawn inputs.

    It is made in full by its ``build()``, once the item is sure to run. Regressions run first, as
    explicit examples, whatever the profile's phases are. ``seeded`` fixes what is drawn.

    An input on which ``body`` compares or asserts nothing did not meet the precondition: it is
    rejected, and Hypothesis looks for another.
    """
    observation.drawn = True

    def claim(inputs: Mapping[str, Any], **filled: Any) -> None:
        before = observation.compared.total
        ill_before = observation.ill_conditioned
        asserted_before = observation.asserted
        observation.inputs = inputs
        if isinstance(inputs, _Undrawn):
            observation.absent(inputs.error)
            return
        observation.regression = next((r.where for r in regressions if r.inputs is inputs), None)
        with _noting_absence(observation) as absent:
            body(inputs, **filled)
        if absent:
            return
        compared = observation.compared.total - before
        silent = observation.asserts and observation.asserted == asserted_before
        observation.silent += silent
        if silent or (
            observation.counts and not compared and observation.ill_conditioned == ill_before
        ):
            if observation.regression is not None:
                raise VacuousError(
                    "the regression does not meet the precondition", where=observation.regression
                )
            reject()
        observation.examples += 1

    def build() -> Callable[..., None]:
        claim.__signature__ = _keywords("inputs", *fixtures)  # type: ignore[attr-defined]
        test = given(inputs=_drawn(strategy))(claim)
        if seeded is not None:
            test = seed(seeded)(test)
        for regression in reversed(regressions):
            test = example(inputs=regression.inputs)(test)
        return item_settings(nodeid, examples, explicit=bool(regressions))(test)

    def deferred(**filled: Any) -> None:
        raise AssertionError("build() makes the test that runs")

    deferred.__signature__ = _keywords(*fixtures)  # type: ignore[attr-defined]
    deferred.is_hypothesis_test = True  # type: ignore[attr-defined]
    deferred.build = build  # type: ignore[attr-defined]
    return deferred


class _Undrawn(dict[str, Any]):
    """Stands for inputs to whose drawing something was missing."""

    error: BaseException


@st.composite
def _drawn(draw: st.DrawFn, strategy: st.SearchStrategy[dict[str, Any]]) -> dict[str, Any]:
    try:
        return draw(strategy)
    except BaseException as error:
        if not is_absence(error):
            raise
        undrawn = _Undrawn()
        undrawn.error = error
        return undrawn


@contextmanager
def _noting_absence(observation: Observation) -> Iterator[list[BaseException]]:
    """Keep, and yield a list of, what says that something is missing; the verdict waits.

    Left at once, a run would be skipped for one input, and which one comes first is chance.
    """
    absent: list[BaseException] = []
    try:
        yield absent
    except BaseException as error:
        if not is_absence(error):
            raise
        absent.append(error)
        observation.absent(error)


def _keywords(*names: str) -> Signature:
    return Signature([Parameter(name, Parameter.KEYWORD_ONLY) for name in names])


def as_single(
    body: Body, *, fixtures: Sequence[str], observation: Observation
) -> Callable[..., None]:
    """Return a plain test that runs ``body({}, **fixtures)`` once."""

    def claim(**filled: Any) -> None:
        observation.inputs = {}
        with _noting_absence(observation):
            body({}, **filled)

    claim.__signature__ = _keywords(*fixtures)  # type: ignore[attr-defined]
    return claim


def as_failure(error: BaseException) -> Callable[[], None]:
    """Return a plain test that raises what was wrong with its clause."""

    def claim() -> None:
        raise error

    return claim
