"""Claims that no mutant has shown able to fail."""

from __future__ import annotations

from pytest_contracts.contract.model import Claim, Contract


def unkilled(contract: Contract) -> tuple[Claim, ...]:
    """Return the claims that no declared mutant must make fall and that the gate does not excuse.

    A contract without mutants has none.
    """
    gate = contract.qa_gate
    if gate is None or not gate.mutants:
        return ()
    excused = {claim for excuse in gate.unkilled for claim in excuse.claims}
    killers = {claim for mutant in gate.mutants for claim in mutant.killed_by}
    return tuple(claim for claim in contract.claims if claim.id not in killers | excused)
