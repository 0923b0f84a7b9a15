"""The pytest item of a claim: runs its check and turns what happened into a verdict."""

from __future__ import annotations

import textwrap
import traceback
import unittest
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from _pytest._code.code import ExceptionInfo, TerminalRepr, Traceback

from pytest_contracts.binding import code_of
from pytest_contracts.contract.meaning import claim_digest
from pytest_contracts.contract.model import Claim, Contract, FalsificationTest, Harness, Status
from pytest_contracts.errors import ContractError, Falsified, Travelling, VacuousError
from pytest_contracts.items.case import Case, effective_status, place
from pytest_contracts.items.evidenced import stand_in
from pytest_contracts.items.observation import (
    Inconclusive,
    Observation,
    Prose,
    is_unavailable,
    nothing_asserted,
)
from pytest_contracts.items.procedures import refuse_subtests
from pytest_contracts.items.process import leaves_the_process
from pytest_contracts.items.properties import noting_exhaustion
from pytest_contracts.ledger.evidence import Evidence
from pytest_contracts.ledger.records import Record, text_digest
from pytest_contracts.ledger.verdict import Outcome, Verdict, level, outcome
from pytest_contracts.report.failure import (
    aligned,
    counterexample_yaml,
    failure_repr,
    falsified_rows,
    falsified_text,
    reproduce_command,
)
from pytest_contracts.report.paths import relative
from pytest_contracts.where import Where

_MARKERS = {"falsification": "falsification", "obligation": "obligation", "harness": "symbolic"}
_GPU = {"cuda", "gpu"}
_UNDONE = {"monkeypatch", "mocker"}
"""Fixtures that put back, when they are torn down, what a procedure changes by them."""
_LEFT_OUT = "left out by a mark, a hook or a fixture that it did not ask for"


class ContractItem(pytest.Function):
    """One claim, for one implementation and one set of parameters."""

    def __init__(self, *, case: Case, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # pytest ≥ 9.2 compares ids by their parts, and takes "[cpu]" for a part only where its own
        # parametrize made it: without this, --lf would not know the items again.
        if hasattr(self, "_id"):
            self._id = type(self._id).parse(self.nodeid)
        self.case = case
        self.verdict: Verdict | None = None
        self.message = ""
        self.evidence: Evidence | None = None
        self._raised: BaseException | None = None
        self._failure: dict[str, str] = {}
        self._seconds = 0.0
        self._runs = False
        for name in _markers(case):
            self.add_marker(name)
        self.add_marker(pytest.mark.contract(self.contract.name))

    @property
    def contract(self) -> Contract:
        """The contract."""
        return self.case.contract

    @property
    def claim(self) -> Claim:
        """The claim."""
        return self.case.claim

    @property
    def observation(self) -> Observation:
        """What the run sees."""
        return self.case.observation

    @property
    def status(self) -> Status:
        """The claim's own status, or its contract's."""
        return effective_status(self.contract, self.claim)

    @property
    def entry(self) -> dict[str, Any]:
        """What the ledger knows of the item before it runs."""
        return self.case.entry

    @property
    def where_text(self) -> str:
        """The claim's place, as seen from the root of the project."""
        return place(self.claim.where, self.config.rootpath)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Return the place of the claim in its file, zero-based as pytest wants it."""
        return self.path, self.claim.where.line - 1, f"{self.contract.name}::{self.name}"

    def setup(self) -> None:
        """Ask for the required resources, then set up the fixtures; not for a blocked claim."""
        self._begin()
        if self.status == "BLOCKED":
            self.settle(Verdict.UNAVAILABLE, blocked_message(self.contract, self.claim))
        try:
            for name in self.claim.requires if self.case.error is None else ():
                self.case.names.resource(name, self.claim.where)()
            if self.case.parameters.unavailable is not None:
                raise self.case.parameters.unavailable
            super().setup()
        except (Exception, pytest.skip.Exception) as error:
            if verdict_of(error) is not Verdict.UNAVAILABLE:
                raise
            if isinstance(error, pytest.skip.Exception) and self._unasked(error):
                self.settle(Verdict.LOST, f"{_LEFT_OUT}: {error.msg}", error)
            self.settle(Verdict.UNAVAILABLE, message_of(error, Verdict.UNAVAILABLE))

    def _begin(self) -> None:
        """Make the test in full; forget an earlier run, where a plugin repeats items."""
        self.verdict, self.message, self.evidence = None, "", None
        self._raised, self._seconds = None, 0.0
        self.observation.reset()
        build = getattr(self.obj, "build", None)
        if build is not None:
            self.obj = build()

    def runtest(self) -> None:
        """Run the check and tell pytest what its verdict means."""
        __tracebackhide__ = True
        if self.verdict is not None:
            return
        try:
            if self.claim.run is not None:
                where = self.claim.run_where or self.claim.where
                refuse_subtests(self.claim.run, self.fixturenames, where)
            for step in self.case.prepare:
                step()
            self._check()
        except BaseException as raised:
            error = self._settled(raised)
            verdict = verdict_of(error)
            if verdict is None:
                raise
            self.settle(verdict, message_of(error, verdict), error)
        else:
            self.settle(self.observation.verdict, self.observation.message)

    def _check(self) -> None:
        """Run the test; what it does to the process is its counterexample."""
        __tracebackhide__ = True
        with leaves_the_process(self._actor(), blamed=not _UNDONE & set(self.fixturenames)):
            with noting_exhaustion(self.observation):
                self._runs = True
                try:
                    super().runtest()
                finally:
                    self._runs = False
            self.observation.conclude()
            self.observation.inputs = None  # no input is to blame for what is left behind

    def _actor(self) -> str:
        """Return whose work the check is, as the subject of a sentence."""
        if self.claim.run is not None:
            return self.claim.run
        called = ", ".join(self.observation.ran) or self.claim.id
        name = self.case.implementation
        return called if name is None else f"{called} as {name!r}"

    def _settled(self, error: BaseException) -> BaseException:
        """Return what an exception of Hypothesis's or unittest's stands for."""
        from hypothesis.errors import FlakyFailure, Unsatisfiable

        if isinstance(error, Unsatisfiable) and self.observation.silent:
            return nothing_asserted()

        if isinstance(error, FlakyFailure) and isinstance(error.exceptions[0], Falsified):
            inner = error.exceptions[0]
            inner.detail["reason"] = "not deterministic: the same input failed once and held once"
            return inner
        if isinstance(error, pytest.xfail.Exception):
            reason = "it calls pytest.xfail; a breach that is expected is status: VIOLATED"
            return Falsified(f"{self._actor()}: {error}", detail={"reason": reason})
        if isinstance(error, unittest.SkipTest):
            if self.observation.drawn and self.observation.inputs is None:
                return VacuousError("the Hypothesis profile runs no examples")
            return pytest.skip.Exception(str(error))
        return error

    def settle(self, verdict: Verdict, message: str, error: BaseException | None = None) -> None:
        """Fix the verdict and leave by the exit that pytest has for it."""
        __tracebackhide__ = True
        if verdict is Verdict.UNAVAILABLE and self.status != "BLOCKED":
            verdict, message, self.evidence = stand_in(self.case, message)
        self.verdict, self.message = verdict, message
        if isinstance(error, Falsified):
            self._failure = dict(falsified_rows(error))
        match outcome(verdict, status=self.status, strict=self.case.options.strict):
            case Outcome.SKIPPED:
                pytest.skip(f"{verdict}: {message}")
            case Outcome.XFAILED if not self.config.getoption("runxfail", False):
                self._raised = error
                pytest.xfail(self._expected(verdict, message))
            case Outcome.FAILED | Outcome.XFAILED:
                self._raised = error if error is not None else UnexpectedlyHeld(self.status)
                raise self._raised

    def reconsider(self, when: str, error: BaseException) -> None:
        """Revise the verdict for an exception that came from outside of the check.

        A failure before or after the check leaves nothing to rely on; one while the check ran, such
        as a warning turned into an error, is the code's under test.
        """
        skipped = isinstance(error, pytest.skip.Exception | pytest.xfail.Exception)
        if error is self._raised or (skipped and self.verdict is not None):
            return
        if skipped:  # by a mark or a hook: the machine lacks nothing, somebody left the claim out
            self.verdict = Verdict.LOST
            self.message = f"{_LEFT_OUT}: {error.msg}"  # type: ignore[attr-defined]
        elif when == "setup" and self.verdict is None:
            self.verdict = Verdict.VACUOUS
            self.message = f"set-up failed: {message_of(error, self.verdict)}"
        elif self.verdict in (None, Verdict.FALSIFIED, Verdict.VACUOUS):
            return
        elif when == "call":
            self.verdict = Verdict.FALSIFIED
            self.message = message_of(error, self.verdict)
        elif when == "teardown":
            self.verdict = Verdict.VACUOUS
            self.message = f"tear-down failed: {message_of(error, self.verdict)}"

    def _traceback_filter(self, excinfo: ExceptionInfo[BaseException]) -> Traceback:
        """Leave out the frames of this package and of Hypothesis."""
        theirs = excinfo.traceback.filter(
            lambda entry: not any(Path(entry.path).is_relative_to(own) for own in _own_folders())
        )
        if theirs:
            excinfo.traceback = theirs
        return super()._traceback_filter(excinfo)

    def _expected(self, verdict: Verdict, message: str) -> str:
        if verdict is Verdict.FALSIFIED:
            return f"{self.status}: {message}"
        return f"{verdict}: {message}"

    def repr_failure(
        self, excinfo: ExceptionInfo[BaseException], style: Any = None
    ) -> str | TerminalRepr:
        """Return the clause's failure in its own terms."""
        error = excinfo.value
        if self._runs:  # Hypothesis asks twice for each failing claim, to compare what it gets
            return "".join(traceback.format_exception_only(error))
        if isinstance(error, pytest.xfail.Exception) and self._raised is not None:
            error = self._raised  # what is shown of a failure that is expected is that failure
            if error.__traceback__ is not None:
                excinfo = ExceptionInfo.from_exception(error)
        if isinstance(error, UnexpectedlyHeld):
            return failure_repr(self._shown(self.claim.where), f"[XPASS(strict)] {error}", "")
        if isinstance(error, ContractError):
            where = self._shown(error.where or self.claim.where)
            headline, _, more = error.message.partition("\n")
            headline = f"{self.verdict or Verdict.VACUOUS}: {headline}"
            hint = error.hint and textwrap.indent(error.hint, "  ")
            rest = "\n\n".join(filter(None, (more, hint, self._context(error))))
            return failure_repr(where, headline, rest)
        if self.verdict is None and _draws_nothing(error):
            # Hypothesis's own pytest plugin raised it, outside of ``runtest``.
            self.verdict, self.message = Verdict.VACUOUS, str(error).partition("\n")[0]
        if self.verdict is None:
            return super().repr_failure(excinfo)
        stack: TerminalRepr | str | None = None
        if isinstance(error, Falsified):
            stack = error.detail.get("traceback")
        elif self.verdict is Verdict.FALSIFIED:
            stack = super().repr_failure(excinfo)
        headline_text = f"{self.verdict}: {self._title()}"
        return failure_repr(
            self._shown(self.claim.where), headline_text, self._context(error), stack
        )

    def _title(self) -> str:
        claim = self.claim
        title = claim.rule if isinstance(claim, FalsificationTest) else claim.statement
        return f"{title}: {self.message}" if self.message else title

    def _shown(self, where: Where) -> Where:
        return Where(relative(where.path, self.config), where.line, where.column)

    def _context(self, error: BaseException) -> str:
        claim = self.claim
        rows = [("claim", claim.statement)]
        if claim.formal is not None:
            rows.append(("formal", claim.formal))
        if claim.run is not None:
            rows.append(("run", f"{claim.run} in {self.contract.sibling.name}"))
        if claim.extra.get("because"):
            rows.append(("because", str(claim.extra["because"])))
        for equation, function in self.observation.witnessed.items():
            rows.append(("ran", f"{equation} = {function}"))
        parts = [aligned(rows)]
        if isinstance(error, Falsified):
            parts.append(falsified_text(error))
        counterexample = self._counterexample()
        if counterexample:
            indented = "\n".join(f"    {line}" for line in counterexample.splitlines())
            where = self.observation.regression
            title = "counterexample" if where is None else f"regression of line {where.line}"
            parts.append(f"  {title}:\n{indented}")
        closing = [("if_fails", claim.if_fails)] if claim.if_fails else []
        closing.append(("reproduce", reproduce_command(self.path, self.name, self.config)))
        parts.append(aligned(closing))
        return "\n\n".join(parts)

    def _counterexample(self) -> str:
        """Return the inputs on which the claim was falsified, as YAML."""
        inputs = self.observation.inputs
        return counterexample_yaml(inputs) if inputs and self.verdict is Verdict.FALSIFIED else ""

    def contract_report(self, report: pytest.TestReport) -> None:
        """Attach the item's record to the report that decides it, and correct what pytest shows."""
        if self.verdict is None and report.when == "setup" and report.passed:
            return
        if report.when == "teardown" and not report.failed:
            return
        self._seconds += report.duration
        if report.outcome == "skipped" and isinstance(report.longrepr, tuple):
            where = self._shown(self.claim.where)
            report.longrepr = (str(where.path), where.line, report.longrepr[2])
        verdict = self.verdict or Verdict.VACUOUS
        decided = outcome(verdict, status=self.status, strict=self.case.options.strict)
        if report.failed:
            decided = Outcome.FAILED
        elif decided is Outcome.FAILED:
            # Not even a skip, where strict. And pytest takes a group of skips for a skip, and a
            # failure for expected where a mark came while the claim ran: the verdict stands.
            vars(report).pop("wasxfail", None)
            report.outcome = "failed"
            report.longrepr = f"{self.where_text}: {verdict}: {self.message}"
        if decided is Outcome.XPASSED:
            report.wasxfail = f"{self.status}, but it holds: promote it to ACTIVE"
        record = self._record(report, verdict, decided)
        report.contracts_record = record.as_dict()  # type: ignore[attr-defined]
        own = record.properties
        names = {name for name, _ in own}
        others = [entry for entry in self.user_properties if entry[0] not in names]
        self.user_properties[:] = [*own, *others]
        report.user_properties = list(self.user_properties)

    def _record(self, report: pytest.TestReport, verdict: Verdict, decided: Outcome) -> Record:
        claim, seen, evidence = self.claim, self.observation, self.evidence
        earned = level(
            claim.kind,
            verdict,
            examples=seen.examples,
            exhausted=seen.exhausted,
            bounded=seen.bounded,
        )
        if verdict is Verdict.EVIDENCED and evidence is not None:
            earned = evidence.level
        tree = self.case.project.sources
        plugins = self.case.project.plugins(self.path)
        files = tree.files(seen.functions, self._fixture_functions(), plugins)
        opened = tree.data(files)
        sources = {"formula": claim_digest(self.contract, claim, self.case.implementation)}
        if files:
            sources["implementation"] = text_digest([*files, *map(tree.digest, files)])
        if opened:
            sources["opened"] = text_digest([*opened, *map(tree.digest, opened)])
        message = self.message or (
            str(getattr(report.longrepr, "reprcrash", "") or "") if report.failed else ""
        )
        return Record(
            nodeid=self.nodeid,
            contract=self.contract.name,
            claim=claim.id,
            kind=claim.kind,
            implementation=self.case.implementation,
            parameters=dict(self.case.parameters.labels),
            verdict=verdict.value,
            level=earned.value,
            examples=seen.examples,
            duration_s=round(self._seconds, 6),
            where=self.where_text,
            message=message,
            status=self.status,
            outcome=decided.value,
            compared=seen.compared.total,
            ill_conditioned=seen.ill_conditioned,
            ran=seen.witnessed,
            sources=sources,
            files=files,
            evidence={} if evidence is None else evidence.as_dict(),
            formulas=list(seen.formulas),
            guards=seen.guards,
            failure=self._failure,
            counterexample=self._counterexample(),
            obligation=claim.obligation if isinstance(claim, Harness) else None,
            exhausted=seen.exhausted,
            opened=opened,
        )

    def _unasked(self, error: BaseException) -> bool:
        """Tell whether a fixture raised an exception that the claim did not ask for."""
        known = self._fixtureinfo.name2fixturedefs
        asked: set[str] = set()
        waiting = list(self._fixtureinfo.argnames)
        while waiting:
            name = waiting.pop()
            if name not in asked:
                asked.add(name)
                waiting += [need for fixture in known.get(name, ()) for need in fixture.argnames]
        others = {code_of(f.func) for name in known.keys() - asked for f in known[name]}
        return any(frame.f_code in others for frame, _ in traceback.walk_tb(error.__traceback__))

    def _fixture_functions(self) -> list[Callable[..., Any]]:
        known = self._fixtureinfo.name2fixturedefs
        return [definition.func for definitions in known.values() for definition in definitions]


class UnexpectedlyHeld(Travelling, Exception):
    """A claim that is recorded as violated holds."""

    def __init__(self, status: Status) -> None:
        super().__init__(f"{status}, but it holds: the breach is gone, set its status to ACTIVE")


def blocked_message(contract: Contract, claim: Claim) -> str:
    """Return what a blocked claim waits for."""
    waits = claim.extra.get("blocked_by") or contract.metadata.extra.get("blocked_by")
    return f"BLOCKED, waits for {waits}" if waits else "BLOCKED; blocked_by: would say by what"


def verdict_of(error: BaseException) -> Verdict | None:
    """Return the verdict that an exception stands for, None for one that is no verdict."""
    if isinstance(error, pytest.skip.Exception) or is_unavailable(error):
        return Verdict.UNAVAILABLE
    if isinstance(error, Prose):
        return Verdict.PROSE
    if isinstance(error, Inconclusive):
        return Verdict.INCONCLUSIVE
    if isinstance(error, ContractError) or _draws_nothing(error):
        return Verdict.VACUOUS
    if isinstance(error, pytest.exit.Exception | KeyboardInterrupt | SystemExit | GeneratorExit):
        return None
    return Verdict.FALSIFIED


def _draws_nothing(error: BaseException) -> bool:
    from hypothesis.errors import FailedHealthCheck, InvalidArgument, Unsatisfiable

    return isinstance(error, Unsatisfiable | InvalidArgument | FailedHealthCheck)


def message_of(error: BaseException, verdict: Verdict) -> str:
    """Return one line about an exception."""
    if isinstance(error, pytest.skip.Exception):
        return str(error.msg)
    if is_unavailable(error):
        return str(error)
    if isinstance(error, ContractError):
        return error.message.splitlines()[0]
    if isinstance(error, Falsified):
        return error.claim
    if type(error).__name__ == "Unsatisfiable":
        return "no input met the precondition"
    if isinstance(error, Inconclusive | Prose):
        return str(error)
    if isinstance(error, pytest.FixtureLookupError):
        return error.msg or f"there is no fixture {error.argname!r}"
    first = next(iter(str(error).strip().splitlines()), "")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


@cache
def _own_folders() -> tuple[Path, ...]:
    import hypothesis

    return Path(__file__).parents[1], Path(hypothesis.__file__).parent


def _markers(case: Case) -> Iterable[str]:
    claim = case.claim
    yield _MARKERS[claim.kind]
    if case.implementation in _GPU or _GPU & set(claim.requires):
        yield "gpu"
    if "model" in claim.requires or "model" in claim.parametrize:
        yield "model"
    if claim.extra.get("slow"):
        yield "slow"
