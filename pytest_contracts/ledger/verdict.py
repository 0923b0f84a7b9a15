"""What can be said of a claim after it ran, what pytest is told, and the level it earns."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_contracts.contract.model import ClaimKind, Status


class Verdict(StrEnum):
    """The closed list of verdicts; the spelling is the one in every machine-readable report.

    They stand in their one order, the one that calls loudest for a person first: gates take the
    first of their checks' verdicts, merged ledgers keep the first of two, reports sort by it.
    """

    FALSIFIED = "FALSIFIED"
    """There is a counterexample."""
    VACUOUS = "VACUOUS"
    """Nothing ran or nothing was compared: no input met the precondition, or the clause is bad."""
    LOST = "LOST"
    """It was collected, and nothing judged it: left out, skipped by a mark, or the run ended."""
    PROSE = "PROSE"
    """There is nothing to execute."""
    INCONCLUSIVE = "INCONCLUSIVE"
    """A symbolic engine ran out of time or met what it cannot model, or a gate lacks results."""
    STALE = "STALE"
    """It held on another machine, but what it rests on has changed since."""
    UNAVAILABLE = "UNAVAILABLE"
    """This machine lacks what the claim needs; the message says how to get it."""
    EVIDENCED = "EVIDENCED"
    """It cannot run here, but it held on another machine, and nothing has changed since."""
    HELD = "HELD"
    """A deterministic check held, or a property survived its examples."""
    CONFIRMED = "CONFIRMED"
    """All cases were enumerated, or all paths or values proved, under stated assumptions."""

    @property
    def rank(self) -> int:
        """Its place in the order: 0 calls loudest for a person."""
        return _RANKS[self]

    @property
    def verified(self) -> bool:
        """Whether the claim counts as verified."""
        return self in (Verdict.HELD, Verdict.CONFIRMED, Verdict.EVIDENCED)

    @property
    def refuted(self) -> bool:
        """Whether the claim as it stands is wrong, or says nothing."""
        return self in (Verdict.FALSIFIED, Verdict.VACUOUS)

    @property
    def absent(self) -> bool:
        """Whether the item could not run here, so that it says nothing either way."""
        return self in (Verdict.UNAVAILABLE, Verdict.STALE)

    @property
    def ran(self) -> bool:
        """Whether the code under test ran here and was judged."""
        return self in (Verdict.HELD, Verdict.CONFIRMED, Verdict.FALSIFIED)


_RANKS = {verdict: rank for rank, verdict in enumerate(Verdict)}


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the verdict that calls loudest for a person; there is at least one."""
    return min(verdicts, key=_RANKS.__getitem__)


class Outcome(StrEnum):
    """What pytest is told."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    XFAILED = "xfailed"
    XPASSED = "xpassed"


class Level(StrEnum):
    """How strong the evidence of one item is."""

    PROSE = "L0"
    TYPED = "L1"
    TESTED = "L2"
    PROPERTY = "L3"
    BOUNDED_PROOF = "L4"
    PROOF = "L5"


_PLAIN = {
    Verdict.HELD: Outcome.PASSED,
    Verdict.CONFIRMED: Outcome.PASSED,
    Verdict.FALSIFIED: Outcome.FAILED,
    Verdict.VACUOUS: Outcome.FAILED,
    Verdict.LOST: Outcome.SKIPPED,
    Verdict.INCONCLUSIVE: Outcome.XFAILED,
    Verdict.UNAVAILABLE: Outcome.SKIPPED,
    Verdict.EVIDENCED: Outcome.PASSED,
    Verdict.STALE: Outcome.SKIPPED,
    Verdict.PROSE: Outcome.SKIPPED,
}
_UNDECIDED = (Verdict.LOST, Verdict.PROSE, Verdict.INCONCLUSIVE)
_STRICT = {**_PLAIN, **dict.fromkeys(_UNDECIDED, Outcome.FAILED)}


def outcome(verdict: Verdict, *, status: Status = "ACTIVE", strict: bool = False) -> Outcome:
    """Return what pytest is told of a verdict on a claim of the given status.

    A PROPOSED claim may be false until the work is done, a VIOLATED one is a known breach: both are
    expected to be falsified, and the second must be. A BLOCKED one does not run.
    """
    if status in ("PROPOSED", "VIOLATED"):
        if verdict is Verdict.FALSIFIED:
            return Outcome.XFAILED
        if verdict.verified:
            return Outcome.FAILED if status == "VIOLATED" else Outcome.XPASSED
    return (_STRICT if strict else _PLAIN)[verdict]


PROPERTY_EXAMPLES = 10
"""How many counted examples make a property L3; a smaller domain has to be drawn whole."""


def level(
    kind: ClaimKind,
    verdict: Verdict,
    *,
    examples: int = 0,
    exhausted: bool = False,
    bounded: bool = True,
) -> Level:
    """Return the level that one item earns.

    ``examples`` are those drawn by Hypothesis; ``exhausted`` says that there are no others.
    """
    if verdict is Verdict.PROSE:
        return Level.PROSE
    if not verdict.verified:
        return Level.TYPED
    if kind == "harness":
        return Level.BOUNDED_PROOF if bounded else Level.PROOF
    enough = examples >= PROPERTY_EXAMPLES or (exhausted and examples > 0)
    return Level.PROPERTY if enough else Level.TESTED
