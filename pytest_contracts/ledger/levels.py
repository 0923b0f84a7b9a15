"""The verification ladder, L0 to L5, computed from the records of a run and from nothing else.

An item's level is in its record. Here items add up to claims, harnesses to the obligations that
they prove, and claims to a contract. A level counts only where all below it are reached: a proof
does not lift an obligation whose property check did not hold or was never drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pytest_contracts.ledger.records import Record, claim_level
from pytest_contracts.ledger.verdict import Level, Verdict

LEVELS = tuple(Level)


@dataclass(frozen=True)
class Rung:
    """One level of a contract: how many of the claims that it asks about have reached it."""

    level: Level
    reached: int
    claims: int

    @property
    def complete(self) -> bool:
        """Whether every claim that the level asks about has reached it."""
        return self.reached == self.claims


def claim_levels(records: Iterable[Record]) -> dict[str, Level]:
    """Return the level of each claim of one contract, harnesses counted for their obligations.

    Gates are no claims, and a claim that is unavailable on this machine says nothing.
    """
    judged = _judged(records)
    levels = {claim: claim_level(held) for claim, held in judged.items()}
    for claim, held in judged.items():
        if held[0].kind == "obligation":
            proofs = [p for p in judged.values() if p[0].obligation == claim]
            levels[claim] = _with_proofs(levels[claim], proofs)
    return levels


def ladder(records: Iterable[Record]) -> tuple[Rung, ...]:
    """Return how far the claims of one contract have come, L1 first.

    L1 asks that every claim can be executed, L2 that every one that is no proof held, L3 to L5 ask
    about the obligations; about falsification tests or harnesses where a contract has no others.
    """
    records = list(records)
    judged = _judged(records)
    levels = claim_levels(records)
    kinds = {claim: held[0].kind for claim, held in judged.items()}
    checks = [claim for claim in levels if kinds[claim] != "harness"] or list(levels)
    subjects = [claim for claim in checks if kinds[claim] == "obligation"] or checks
    rungs = []
    for level in LEVELS[1:]:
        asked = list(levels) if level is Level.TYPED else subjects
        if level is Level.TESTED:
            asked = [*checks, *(c for c in levels if c not in checks and _refuted(judged[c]))]
        rungs.append(Rung(level, sum(levels[claim] >= level for claim in asked), len(asked)))
    return tuple(rungs)


def contract_level(records: Iterable[Record]) -> Level:
    """Return the highest level that a contract reached together with all below it."""
    rungs = ladder(records)
    if not rungs[0].claims:
        return Level.TYPED  # nothing could run here, so the schema is all that was checked
    reached = Level.PROSE
    for rung in rungs:
        if not rung.complete:
            break
        reached = rung.level
    return reached


def _judged(records: Iterable[Record]) -> dict[str, list[Record]]:
    """Return the records of each claim that could run here."""
    claims: dict[str, list[Record]] = {}
    for record in records:
        if record.kind != "gate" and not Verdict(record.verdict).absent:
            claims.setdefault(record.claim, []).append(record)
    return claims


def _with_proofs(level: Level, proofs: Sequence[Sequence[Record]]) -> Level:
    """Return an obligation's level in the light of its proofs."""
    if any(map(_refuted, proofs)):
        return min(level, Level.TYPED)
    if level < Level.PROPERTY or not proofs:
        return level
    return max(level, min(claim_level(proof) for proof in proofs))


def _refuted(records: Iterable[Record]) -> bool:
    return any(Verdict(record.verdict).refuted for record in records)
