"""What one item sees while it runs: how much was compared, on which inputs, by which code."""

from __future__ import annotations

import unittest
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from pytest_contracts.errors import Falsified, VacuousError
from pytest_contracts.ledger.verdict import PROPERTY_EXAMPLES, Verdict
from pytest_contracts.where import Where


class Inconclusive(Exception):
    """A symbolic engine, or a gate, cannot decide."""


class Prose(Exception):
    """The claim has nothing to execute."""


def is_unavailable(error: BaseException) -> bool:
    """Tell whether an exception says that this machine lacks something.

    Any exception with ``missing`` and ``remedy`` does, so that an engine need not import this
    package to say so.
    """
    return hasattr(error, "missing") and hasattr(error, "remedy")


def is_skip(error: BaseException) -> bool:
    """Tell whether an exception leaves a test out, as ``pytest.skip`` does."""
    return isinstance(error, pytest.skip.Exception | unittest.SkipTest)


def is_absence(error: BaseException) -> bool:
    """Tell whether an exception would have a check left out for something that is missing."""
    return is_skip(error) or is_unavailable(error)


class Compared:
    """Counts what a procedure compared: ``compared(n_elements, what="...")``.

    ``ran`` are the ways in which what was compared had been computed, where the procedure says.
    """

    def __init__(self) -> None:
        self.total = 0
        self.what: dict[str, int] = {}
        self.ran: dict[str, str] = {}

    def __call__(self, n_elements: int, what: str = "elements", *, ran: str | None = None) -> None:
        """Add ``n_elements`` to the count; ``ran`` says what computed them, for the ledger."""
        if n_elements < 0:
            raise ValueError(f"compared {n_elements} {what}: a count cannot be negative")
        self.total += int(n_elements)
        self.what[what] = self.what.get(what, 0) + int(n_elements)
        if ran is not None:
            self.ran[what] = ran


ENOUGH = PROPERTY_EXAMPLES
"""How many inputs must be counted, unless the claim asks for less or there are no more."""


@dataclass
class Tally:
    """What became of the inputs of a formula, or of a part of one.

    Of ``drawn`` inputs ``met`` met its guards, and ``elements`` were looked at.
    """

    drawn: int = 0
    met: int = 0
    elements: int = 0

    def add(self, elements: int) -> None:
        """Count an input."""
        self.drawn += 1
        self.met += elements > 0
        self.elements += elements


def nothing_asserted() -> VacuousError:
    """Return the error of a procedure that ended without an assertion that could have failed."""
    return VacuousError(
        "no assertion was reached that anything could have made fail",
        hint="Assert on what the implementation returns; a loop over nothing, a tuple, a constant"
        " or a function that nobody calls asserts nothing.",
    )


@dataclass
class Observation:
    """Filled while the item runs; read when its record is written.

    ``examples`` are the drawn inputs that met the precondition; ``counts`` tells whether the claim
    is one that compares, so that comparing nothing makes it vacuous; ``ran`` maps an equation to
    the function that computed it, and ``functions`` are all whose source the verdict rests on;
    ``regression`` is the place in the file where the current inputs are recorded, if they are.
    ``formulas`` are the texts that were judged. ``asserts`` tells that the claim is a procedure,
    ``asserted`` counts its runs in which an assertion was reached and held, ``silent`` the others.
    """

    verdict: Verdict = Verdict.HELD
    examples: int = 0
    drawn: bool = False
    counts: bool = False
    asserts: bool = False
    asserted: int = 0
    silent: int = 0
    compared: Compared = field(default_factory=Compared)
    ill_conditioned: int = 0
    absences: int = 0
    """On how many inputs something was said to be missing."""
    absence: BaseException | None = None
    """What said so first."""
    refuted: bool = False
    """Whether what was said to be missing has been seen to be here, or was none's to say."""
    answered: bool = False
    """Whether an implementation has answered."""
    own_absence: BaseException | None = None
    """What an implementation said last of itself, which others that answer do not refute."""
    inputs: Mapping[str, Any] | None = None
    regression: Where | None = None
    ran: dict[str, str] = field(default_factory=dict)
    functions: list[Callable[..., Any]] = field(default_factory=list)
    formulas: tuple[str, ...] = ()
    tallies: dict[str, Tally] = field(default_factory=dict)
    """By formula, template and part of a conjunction."""
    enough: int = ENOUGH
    exhausted: bool = False
    """Whether there is no input left that was not drawn."""
    misfit: Falsified | None = None
    """That a result has not the shape of its definition, which counts where all else holds."""
    bounded: bool = True
    message: str = ""
    demands: list[Callable[[], str | None]] = field(default_factory=list)
    """What must be true at the end; each says what is missing, or None."""

    @property
    def witnessed(self) -> dict[str, str]:
        """What really ran: functions by equation, and what a procedure said of its comparisons."""
        return {**self.ran, **self.compared.ran}

    def reset(self) -> None:
        """Forget an earlier run of the item, but not what its claim is about."""
        self.verdict, self.message, self.bounded = Verdict.HELD, "", True
        self.examples = self.ill_conditioned = self.asserted = self.silent = 0
        self.compared.total = 0
        self.compared.what.clear()
        self.compared.ran.clear()
        self.absences, self.absence, self.refuted = 0, None, False
        self.answered, self.own_absence = False, None
        self.inputs = None
        self.regression = None
        self.ran.clear()
        self.tallies.clear()
        self.exhausted = False

    def judged(self, formula: str, elements: int) -> None:
        """Note how many elements a formula, or a part of one, has looked at on one input."""
        self.tallies.setdefault(formula, Tally()).add(elements)

    def absent(self, error: BaseException) -> None:
        """Note that on this input something was said to be missing; the other inputs still run.

        Of an input nobody may say so by a skip: that leaves out what the claim is about. Nor may
        anybody but the implementation itself once one has answered: what is judged is here.
        """
        self.absences += 1
        self.absence = self.absence or error
        self.refuted |= self.drawn and is_skip(error)
        self.refuted |= self.answered and error is not self.own_absence

    def missing(self) -> BaseException:
        """Return what becomes of a check to which something was said to be missing.

        It is missing where nothing ran without it: on no input of many, and, where there is but one
        run, before anything was asserted or compared. The order of the inputs does not matter.
        """
        assert self.absence is not None
        begun = not self.drawn and (self.asserted or self.compared.total)
        if self.examples:
            how = f"{self.absences} inputs were skipped while {self.examples} others ran"
        elif self.refuted:
            how = "inputs were skipped by the code that is to take them, or after it had answered"
        elif begun:
            how = "it was skipped after it had begun"
        else:
            return self.absence
        return VacuousError(
            f"{how}, so nothing is missing here: {self.absence}",
            hint="For inputs that the claim is not about state a guard, or call assume. What the"
            " machine must have, name under requires:, or ask for a fixture that skips.",
        )

    @property
    def guards(self) -> dict[str, list[int]]:
        """How many inputs met the guards of each formula that has some, and of how many."""
        return {
            text: [tally.met, tally.drawn]
            for text, tally in self.tallies.items()
            if tally.met < tally.drawn
        }

    def conclude(self) -> None:
        """Raise VacuousError where the run, though nothing failed, says nothing.

        Raises:
            Inconclusive: it says too little.
        """
        if self.absence is not None:
            raise self.missing()
        if self.asserts and not self.asserted:
            raise nothing_asserted()
        if self.drawn and not self.examples:
            raise VacuousError("no input met the precondition")
        if self.counts and not self.compared.total:
            if self.ill_conditioned:
                count = self.ill_conditioned
                raise VacuousError(
                    f"nothing was compared: all {count} elements are ill-conditioned",
                    hint="Narrow the domain to inputs on which the definition can be computed.",
                )
            raise VacuousError("nothing was compared")
        for demand in self.demands:
            if (missing := demand()) is not None:
                raise VacuousError(missing)
        if not self.counts:
            return
        for text, tally in self.tallies.items():
            if not tally.elements:
                raise VacuousError(f"nothing was compared by {text}")
        if not self.drawn or self.exhausted:
            return
        met = {text: tally.met for text, tally in self.tallies.items()} or {
            "the procedure": self.examples
        }
        for text, count in met.items():
            if count < self.enough:
                raise Inconclusive(
                    f"only {count} inputs were compared by {text}, not {self.enough}: draw inputs "
                    "that meet its guards, from narrower domains, or say enough: for fewer"
                )
