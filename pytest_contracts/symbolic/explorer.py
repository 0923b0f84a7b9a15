"""The path engine: run the harness on symbolic values until every path is explored.

Stands on the library interface of CrossHair; its command line does not tell "confirmed" from "not
confirmed" by exit code. Runs in the worker process only: it replaces the interpreter's tracing.
"""

from __future__ import annotations

import builtins
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from pytest_contracts.asserting.tally import TALLY
from pytest_contracts.errors import ContractError
from pytest_contracts.symbolic.draws import Domain, Draws, Harness, Tally
from pytest_contracts.symbolic.exactness import watched

_NO_TIMEOUT = 2**32 - 1
"""Z3's own default."""
_UNKNOWN_REASONS = {
    "PathTimeout": "a path took too long",
    "UnknownSatisfiability": "the solver could not decide a condition",
    "CrosshairUnsupported": "the code uses a symbolic value in a way that cannot be modelled",
    "NotDeterministic": "the harness behaves differently when run again",
    "IgnoreAttempt": "the engine gave up a path, as where a model of its own did not fit",
}


QUERY_UNITS_PER_S = 500_000
"""Z3's units of work that one question may take, for each second of the harness's limit."""


@dataclass(slots=True)
class Exploration:
    """What the search found; ``failing`` holds the values of the first failing path.

    ``approximated`` means that every path passed, but on a model that is not exact (IEEE floats
    taken for reals): no confirmation, whatever else the engine found in the time that it had.
    ``inexact`` counts the steps that the engine and the machine may take differently, by kind.
    """

    tally: Tally
    paths: int = 0
    exhausted: bool = False
    approximated: bool = False
    unknown: dict[str, int] = field(default_factory=dict)
    inexact: Counter[str] = field(default_factory=Counter)
    failing: dict[str, Any] | None = None

    def note_unknown(self, error: BaseException) -> None:
        """Count a path that ended without an answer, by the reason why."""
        name = type(error).__name__
        self.unknown[name] = self.unknown.get(name, 0) + 1

    def unknown_text(self) -> str:
        """Say why paths ended without an answer."""
        return "; ".join(
            f"{_UNKNOWN_REASONS.get(name, name)} ({count} of {self.paths} paths)"
            for name, count in self.unknown.items()
        )


def explore(
    harness: Harness, bound: int | None, *, cpu_s: float, spent_s: float = 0.0
) -> Exploration:
    """Explore the paths of ``harness`` until one fails, all are done, or the CPU time is up.

    ``spent_s`` of the ``cpu_s`` are gone already. What the solver may do for one question is
    counted in its own units of work, not in seconds: it gives up at the same step on every machine,
    however busy that is, and the clock stops only what would not end.
    """
    from crosshair.core import (
        CallAnalysis,
        ExceptionFilter,
        PathOutcome,
        ResumedTracing,
        RootNode,
        VerificationStatus,
        deep_realize,
        explore_loop,
    )
    from crosshair.core_and_libs import AnalysisKind
    from crosshair.options import DEFAULT_OPTIONS
    from crosshair.util import IgnoreAttempt, NotDeterministic, UnexploredPath

    draws_type = _symbolic_draws()
    found = Exploration(Tally())
    raised: list[Exception] = []
    units = max(1, round(cpu_s * QUERY_UNITS_PER_S))
    over_reals = False

    def note_reals() -> None:
        nonlocal over_reals
        over_reals = True

    def run_path(space: Any) -> Any:  # pragma: no cover - runs under CrossHair's tracer
        _count_work(space, units)
        draws = draws_type(bound)
        found.paths += 1
        TALLY.begin()
        try:
            with ExceptionFilter() as outcome, ResumedTracing():
                harness(draws)
        except UnexploredPath as error:
            found.note_unknown(error)
            raise
        except NotDeterministic as error:
            found.note_unknown(error)
            return PathOutcome(CallAnalysis(VerificationStatus.UNKNOWN), True)
        finally:
            found.tally.note_domains(draws)
        # An assumption's signal can be swallowed by a bare `except:` in the code under test.
        if draws.discarded:
            return PathOutcome(CallAnalysis())
        if outcome.ignore:
            found.note_unknown(IgnoreAttempt())
            return PathOutcome(CallAnalysis(VerificationStatus.UNKNOWN))
        if outcome.user_exc is None and not TALLY.unheard:
            found.tally.note_counted(draws)
            return PathOutcome(CallAnalysis(VerificationStatus.CONFIRMED))
        failure = TALLY.unheard[0] if outcome.user_exc is None else outcome.user_exc[0]
        if isinstance(failure, (ContractError, MemoryError)):
            raised.append(failure)
            return PathOutcome(CallAnalysis(VerificationStatus.REFUTED), True)
        with ResumedTracing():
            space.detach_path(failure)
        found.failing = {name: deep_realize(value) for name, value in draws.values.items()}
        return PathOutcome(CallAnalysis(VerificationStatus.REFUTED), True)

    # A finite time limit also lifts CrossHair's default of giving up after five dull paths.
    options = replace(
        DEFAULT_OPTIONS,
        analysis_kind=[AnalysisKind.PEP316],
        per_condition_timeout=cpu_s - spent_s,
        per_path_timeout=cpu_s - spent_s,
    )
    with watched(lambda kind: found.inexact.update((kind,)), note_reals):
        result = explore_loop(options, RootNode(), run_path, stop_on_refutation=True)
    if raised:
        raise raised[0]
    found.exhausted = result.exhausted
    # The engine joins paths over the reals with paths over IEEE floats, and what it says of both
    # together depends on which of them it had the time to finish.
    found.approximated = bool(found.tally.counted) and (
        over_reals
        or result.top_analysis is None
        or result.top_analysis.verification_status != VerificationStatus.CONFIRMED
    )
    return found


def _count_work(space: Any, units: int) -> None:
    """Bound each question to the solver of this path by work instead of by wall time."""
    space.smt_timeout, space.smt_rlimit = None, units
    space.solver.set("timeout", _NO_TIMEOUT)
    space.solver.set("rlimit", units)


def _symbolic_draws() -> type[Draws]:
    """Return the class of symbolic draws; CrossHair is imported here, not with this module."""
    from crosshair.core import NoTracing
    from crosshair.core_and_libs import proxy_for_type
    from crosshair.libimpl.builtinslib import SymbolicBool, SymbolicBoundedInt
    from crosshair.statespace import prefer_true
    from crosshair.util import IgnoreAttempt

    class SymbolicDraws(Draws):  # pragma: no cover - runs under CrossHair's tracer
        """Draws that stand for all values at once."""

        def assume(self, condition: object) -> None:
            """Follow only the side of the path on which ``condition`` holds."""
            with NoTracing():
                holds = prefer_true(condition)
                if not holds:
                    self.discarded = True
                    raise IgnoreAttempt

        def _draw_int(
            self, name: str, lo: builtins.int | None, hi: builtins.int | None
        ) -> builtins.int:
            with NoTracing():
                known_lo = lo if type(lo) is int else None
                known_hi = hi if type(hi) is int else None
                self.domains[name] = Domain("int", known_lo, known_hi)
                if known_lo is not None and known_hi is not None and known_lo > known_hi:
                    self.discarded = True
                    raise IgnoreAttempt
                # Constant bounds belong to the variable; asking for the type's proxy instead would
                # try concrete values first and need a fork of the path per bound.
                value: int = SymbolicBoundedInt(name, int, known_lo, known_hi)
            if lo is not None and known_lo is None:
                self.assume(lo <= value)
            if hi is not None and known_hi is None:
                self.assume(value <= hi)
            return value

        def _draw_bool(self, name: str) -> builtins.bool:
            with NoTracing():
                self.domains[name] = Domain("bool", 0, 1)
                drawn: builtins.bool = SymbolicBool(name)
                return drawn

        def _draw_bytes(self, name: str, length: builtins.int) -> builtins.bytes:
            with NoTracing():
                self.domains[name] = Domain("bytes", length, length)
                value: builtins.bytes = proxy_for_type(bytes, name)
            self.assume(len(value) == length)
            return value

    return SymbolicDraws
