"""From a harness to its verdict: choice of engine, isolation, replay."""

from __future__ import annotations

import math
import sys
import time
import traceback
from collections.abc import Collection, Mapping
from functools import partial
from types import FrameType
from typing import Any

from pytest_contracts.asserting.tally import TALLY
from pytest_contracts.errors import ContractBindingError, ContractError
from pytest_contracts.symbolic.draws import ConcreteDraws, Discarded, Harness, Tally
from pytest_contracts.symbolic.enumerate import (
    NotReproducible,
    TooLarge,
    enumerate_cases,
)
from pytest_contracts.symbolic.explorer import Exploration, explore
from pytest_contracts.symbolic.result import Solver, SymbolicResult, not_built
from pytest_contracts.symbolic.sampling import sample
from pytest_contracts.symbolic.worker import Limits, WorkerFailure, run_forked

STRATEGIES = ("exhaustive", "bounded_int")
SOLVERS = ("auto", "enumerate", "crosshair")
WALL_PER_CPU = 3.0
SAMPLING_SHARE = 0.25
"""Of the CPU time, what runs on the machine may take before the path engine has its turn."""
NO_PATH = "no path meets the assumptions"


def verify(
    function: Harness,
    *,
    bound: int | None = None,
    strategy: str = "bounded_int",
    solver: str = "auto",
    timeout_s: float = 20.0,
    asserting: bool = False,
    about: Collection[str] = (),
) -> SymbolicResult:
    """Judge a harness over all values it draws, in a process of its own.

    ``exhaustive`` runs every combination of the drawn values; ``bounded_int`` does so where there
    are at most 10⁶, and else explores every path symbolically. ``timeout_s`` is CPU
    seconds; three times as much wall time passes before the worker is killed. What a contract may
    name but is not built yet is INCONCLUSIVE.

    ``asserting`` tells that the harness's module counts its assertions: one that reaches none is
    VACUOUS. So is one that runs no Python of the packages ``about`` which it is.

    Raises:
        ContractBindingError: the strategy or solver does not exist, or the harness misuses ``k``.
    """
    if missing := not_built(strategy, solver):
        return SymbolicResult(verdict="INCONCLUSIVE", reason=missing)
    engines = _engines(strategy, solver)
    if not math.isfinite(timeout_s) or timeout_s <= 0:
        raise ContractBindingError(f"the time limit must be positive and finite, got {timeout_s}")
    _preload_crosshair()
    limits = Limits(cpu_s=timeout_s, wall_s=timeout_s * WALL_PER_CPU)
    task = partial(_decide, function, bound, engines, timeout_s, asserting, about)
    try:
        message = run_forked(task, limits)
    except WorkerFailure as failure:
        return SymbolicResult(
            verdict="INCONCLUSIVE", assumptions=_bound_text(bound), reason=str(failure)
        )
    if "contract_error" in message:
        raise ContractBindingError(message["contract_error"], hint=message["hint"])
    message["values"] = {name: _decoded(value) for name, value in message["values"].items()}
    message["assumptions"] = tuple(message["assumptions"])
    return SymbolicResult(**message)


def _engines(strategy: str, solver: str) -> tuple[Solver, ...]:
    """Return the engines to try, in order."""
    if strategy not in STRATEGIES:
        raise ContractBindingError(
            f"there is no strategy {strategy!r}",
            hint=f"Built strategies: {', '.join(STRATEGIES)}.",
        )
    if solver not in SOLVERS:
        raise ContractBindingError(
            f"there is no solver {solver!r}", hint=f"Built solvers: {', '.join(SOLVERS)}."
        )
    if solver == "crosshair":
        return ("crosshair",)
    if solver == "enumerate" or strategy == "exhaustive":
        return ("enumerate",)
    return ("enumerate", "crosshair")


def _preload_crosshair() -> None:
    """Import CrossHair before the fork, so that every worker finds it loaded."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import crosshair.core_and_libs  # noqa: F401


def _decide(
    function: Harness,
    bound: int | None,
    engines: tuple[Solver, ...],
    cpu_s: float,
    asserting: bool,
    about: Collection[str],
) -> dict[str, Any]:  # pragma: no cover - runs in the forked process
    """Run the engines in turn and return the fields of the result, as JSON can carry them."""
    start = time.process_time()
    from crosshair.auditwall import engage_auditwall

    engage_auditwall()
    ran = _watch(about)
    try:
        result = _run_engines(function, bound, engines, cpu_s)
    except ContractError as error:
        return {"contract_error": error.message, "hint": error.hint}
    if result["verdict"] == "CONFIRMED":
        if asserting and not result["asserted"]:
            reason = "no assertion was reached that anything could have made fail"
            result = {**result, "verdict": "VACUOUS", "reason": reason}
        elif about and not ran:
            reason = f"the harness runs nothing of {', '.join(sorted(about))}, which it is about"
            result = {**result, "verdict": "VACUOUS", "reason": reason}
    result.pop("asserted", None)
    return {
        "assumptions": (),
        "reason": "",
        "traceback": "",
        "covers": {},
        "bounded": True,
        **result,
        "values": {name: _encoded(value) for name, value in result.get("values", {}).items()},
        "cpu_s": round(time.process_time() - start, 3),
    }


def _watch(
    packages: Collection[str],
) -> list[str]:  # pragma: no cover - runs in the forked process
    """Return a list that receives the first function of the packages that runs."""
    ran: list[str] = []

    def note(frame: FrameType, event: str, argument: object) -> None:
        module = str(frame.f_globals.get("__name__", ""))
        if event == "call" and module.partition(".")[0] in packages:
            ran.append(module)
            sys.setprofile(None)

    if packages:
        sys.setprofile(note)
    return ran


def _run_engines(
    function: Harness, bound: int | None, engines: tuple[Solver, ...], cpu_s: float
) -> dict[str, Any]:
    start = time.process_time()
    if "enumerate" in engines:
        fallback = "crosshair" in engines
        try:
            return _by_enumeration(function, bound, cpu_s, give_up_early=fallback)
        except NotReproducible as error:
            return _inconclusive("enumerate", bound, str(error))
        except TooLarge as error:
            if not fallback:
                return _inconclusive("enumerate", bound, f"the domain is too large: {error}")
    return _by_paths(function, bound, cpu_s, start)


def _by_enumeration(
    function: Harness, bound: int | None, cpu_s: float, *, give_up_early: bool
) -> dict[str, Any]:
    found = enumerate_cases(function, bound, cpu_s=cpu_s, give_up_early=give_up_early)
    base = {"solver": "enumerate", "paths": found.cases, "covers": found.tally.covers}
    if found.failing is not None:
        return {
            **base,
            "assumptions": _bound_text(bound),
            **_replay(function, bound, found.failing),
        }
    if not found.complete:
        reason = f"stopped after {found.cases:,} cases: {cpu_s:g} s of CPU time used"
        return {**base, "verdict": "INCONCLUSIVE", "reason": reason}
    cases = f"all {found.cases:,} cases enumerated" if found.cases > 1 else "the only case run"
    if found.tally.counted < found.cases:
        cases += f", {found.tally.counted:,} of them within the assumptions"
    return {**base, **_all_covered(found.tally, cases, "no case meets the assumptions", bound)}


def _by_paths(function: Harness, bound: int | None, cpu_s: float, start: float) -> dict[str, Any]:
    """Try values on the machine, then explore every path.

    The engine's model of Python is not Python: what it proves stands only beside runs that agree.
    """
    tried = sample(function, bound, cpu_s=cpu_s * SAMPLING_SHARE)
    base = {"solver": "crosshair", "paths": tried.runs, "assumptions": _bound_text(bound)}
    if tried.failing is not None:
        return {**base, **_replay(function, bound, tried.failing)}
    found = explore(function, bound, cpu_s=cpu_s, spent_s=time.process_time() - start)
    base |= {"paths": found.paths, "covers": found.tally.covers}
    if found.failing is not None:
        return {**base, **_replay(function, bound, found.failing)}
    if reason := _undecided(found, cpu_s):
        return {**base, **_inconclusive("crosshair", bound, reason)}
    if not tried.complete:
        reason = f"all paths pass, but runs on the machine stopped after {tried.runs:,}: too slow"
        return {**base, **_inconclusive("crosshair", bound, reason)}
    if tried.meeting is not None and not found.tally.counted:
        reason = f"the engine says that {NO_PATH}, yet {_shown(tried.meeting)} does"
        return {**base, **_inconclusive("crosshair", bound, reason)}
    covered = _all_covered(found.tally, "over all paths", NO_PATH, bound)
    return {**base, "bounded": found.tally.bounded(), **covered}


def _undecided(found: Exploration, cpu_s: float) -> str:
    """Say why nothing follows from what was explored, "" where something does."""
    reasons = list(found.inexact)
    if found.unknown:
        reasons = [found.unknown_text(), *reasons]
    elif not found.exhausted:
        stopped = f"stopped after {found.paths:,} paths: {cpu_s:.3g} s of CPU time used"
        reasons = [stopped, *reasons]
    elif reasons:
        reasons[0] = f"all paths pass, but only in the engine's model: {reasons[0]}"
    elif found.approximated:
        reasons = ["all paths pass, but only on an inexact model of floats"]
    return "; ".join(reasons)


def _all_covered(tally: Tally, scope: str, empty: str, bound: int | None) -> dict[str, Any]:
    """Return CONFIRMED, or VACUOUS where nothing was checked."""
    assumptions = [text for text in (tally.domain_text(), scope, *_bound_text(bound)) if text]
    if not tally.counted:
        return {"verdict": "VACUOUS", "assumptions": assumptions, "reason": empty}
    if not tally.domains:
        reason = "the harness draws nothing, so it shows nothing beyond one run of its own"
        return {"verdict": "VACUOUS", "assumptions": assumptions, "reason": reason}
    uncovered = tally.uncovered()
    if uncovered:
        names = ", ".join(repr(name) for name in uncovered)
        reason = f"cover goal {names} is never reached"
        return {"verdict": "VACUOUS", "assumptions": assumptions, "reason": reason}
    return {"verdict": "CONFIRMED", "assumptions": assumptions, "asserted": tally.asserted}


def _replay(function: Harness, bound: int | None, values: Mapping[str, Any]) -> dict[str, Any]:
    """Run the harness on a counterexample's values: only what fails again is a counterexample."""
    from crosshair.auditwall import SideEffectDetected

    TALLY.begin()
    try:
        function(ConcreteDraws(values, bound))
        if TALLY.unheard:
            raise TALLY.unheard[0]
    except Discarded:
        reason = "the model's counterexample leaves the harness's domain when run"
    except SideEffectDetected as error:
        reason = f"the harness has side effects: {str(error).split(' It', 1)[0]}"
    except Exception as error:
        return {
            "verdict": "FALSIFIED",
            "values": dict(values),
            "reason": _failure_text(error),
            "traceback": "".join(traceback.format_exception(_trimmed(error))),
        }
    else:
        reason = "the model's counterexample is not reproduced by running it"
    shown = _shown(values)
    return {"verdict": "INCONCLUSIVE", "reason": f"{reason} ({shown})" if shown else reason}


def _shown(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {value!r}" for name, value in values.items())


def _trimmed(error: Exception) -> Exception:
    """Drop this module's own frame: the traceback begins in the harness."""
    frames = error.__traceback__
    return error.with_traceback(frames.tb_next if frames is not None else None)


def _failure_text(error: Exception) -> str:
    """Say what failed and where; for an assert without a message its source line stands in."""
    frames = traceback.extract_tb(error.__traceback__)
    message = str(error)
    if not frames:
        return f"{type(error).__name__}: {message}"
    last = frames[-1]
    what = message.split("\n", 1)[0] or last.line or ""
    return f"{type(error).__name__}: {what} ({last.filename}:{last.lineno})"


def _inconclusive(solver: Solver, bound: int | None, reason: str) -> dict[str, Any]:
    return {
        "solver": solver,
        "verdict": "INCONCLUSIVE",
        "assumptions": _bound_text(bound),
        "reason": reason,
    }


def _bound_text(bound: int | None) -> tuple[str, ...]:
    return () if bound is None else (f"bound {bound}",)


def _encoded(value: object) -> object:
    return {"bytes": value.hex()} if isinstance(value, bytes) else value


def _decoded(value: Any) -> Any:
    return bytes.fromhex(value["bytes"]) if isinstance(value, dict) else value
