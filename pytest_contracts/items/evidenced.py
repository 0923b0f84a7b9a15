"""What becomes of an item that cannot run here: evidence from another machine may stand in."""

from __future__ import annotations

from pytest_contracts.contract.meaning import claim_digest
from pytest_contracts.items.case import Case
from pytest_contracts.ledger.evidence import Evidence, Key
from pytest_contracts.ledger.verdict import Verdict


def stand_in(case: Case, missing: str) -> tuple[Verdict, str, Evidence | None]:
    """Return the verdict on an unavailable item, a message, and the evidence that gave it.

    The latest evidence that is still fresh counts; without one, the latest tells what has changed.
    """
    key = Key.of(
        case.contract.name, case.claim.id, case.implementation, dict(case.parameters.labels)
    )
    found = case.project.evidence.about(key)
    if not found:
        return Verdict.UNAVAILABLE, missing, None
    claim = claim_digest(case.contract, case.claim, case.implementation)
    changes = [evidence.changed(claim, case.project.sources.digest) for evidence in found]
    for evidence, change in zip(found, changes, strict=True):
        if change is None:
            word = evidence.verdict.lower()
            return Verdict.EVIDENCED, f"{word} {evidence.described()}; here: {missing}", evidence
    what = changes[0]
    if what == "the claim":
        what = f"the claim in {case.contract.path.name}"
    message = f"{what} changed since it held {found[0].described()}; {missing}"
    return Verdict.STALE, message, found[0]
