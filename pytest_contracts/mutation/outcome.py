"""What of a judgement is asserted, and therefore kept: few facts, and none that a clock changes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from pytest_contracts.contract.model import Contract, Mutant
from pytest_contracts.ledger.verdict import Verdict
from pytest_contracts.mutation.defects import planted_mutants
from pytest_contracts.mutation.judge import Judgement

_EXPLANATION = re.compile(r"counterexample|AssertionError|left|values|Error")


def named_claims(contract: Contract) -> list[str]:
    """Return the claims that some mutant must be killed by."""
    return sorted({claim for m in planted_mutants(contract) for claim in m.killed_by})


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the claims of a contract came out on a mutant, or on the code as it is."""

    exit_code: int
    verdicts: Mapping[str, frozenset[Verdict]]
    """Of each claim, and of the gate; a claim none of whose items ran is not there."""
    told: frozenset[str]
    """The claims whose line in the contract the output calls FALSIFIED."""
    explained: bool
    """Whether the output says by what something was falsified."""
    output: str = field(default="", compare=False, repr=False)

    @classmethod
    def of(cls, judgement: Judgement, contract: Contract, root: Path) -> Self:
        """Return the outcome of a judgement; the output names files from ``root``."""
        path, output = contract.path.resolve().relative_to(root.resolve()), judgement.output
        told = (c.id for c in contract.claims if f"{path}:{c.where.line}: FALSIFIED" in output)
        verdicts = {claim: frozenset(found) for claim, found in judgement.verdicts.items()}
        explained = _EXPLANATION.search(output) is not None
        return cls(judgement.exit_code, verdicts, frozenset(told), explained, output)

    def killed(self, claims: Iterable[str]) -> list[str]:
        """Return those of the claims that found a counterexample."""
        return [claim for claim in claims if Verdict.FALSIFIED in self.verdicts.get(claim, ())]

    def absent(self, claims: Iterable[str]) -> list[str]:
        """Return those of the claims of which nothing could run on this machine."""
        found = ((claim, self.verdicts.get(claim)) for claim in claims)
        return [claim for claim, seen in found if seen and all(v.absent for v in seen)]

    def as_dict(self) -> dict[str, Any]:
        """Return what is kept, as JSON has it."""
        words = {claim: " ".join(sorted(found)) for claim, found in sorted(self.verdicts.items())}
        return {
            "exit_code": self.exit_code,
            "explained": self.explained,
            "told": sorted(self.told),
            "verdicts": words,
        }

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any], output: str) -> Self:
        """Return what was kept; ``output`` stands in for what was printed."""
        verdicts = {
            claim: frozenset(map(Verdict, words.split()))
            for claim, words in kept["verdicts"].items()
        }
        return cls(
            int(kept["exit_code"]),
            verdicts,
            frozenset(kept["told"]),
            bool(kept["explained"]),
            output,
        )


def complaints(outcome: Outcome, contract: Contract, mutant: Mutant | None) -> Iterator[str]:
    """Yield what is not as it must be, for a mutant or for the code as it is; nothing where all is.

    What could not run here is no complaint, and no evidence either.
    """
    if mutant is None:
        yield from _of_the_original(outcome, contract)
        return
    killed = outcome.killed(mutant.killed_by)
    absent = outcome.absent(mutant.killed_by)
    for claim in mutant.killed_by:
        if claim not in killed and claim not in absent:
            yield f"{mutant.where}: {claim} does not notice {mutant.id}"
    if not killed:
        return
    if outcome.exit_code != 1:
        yield f"{mutant.where}: the exit code with {mutant.id} is {outcome.exit_code}, not 1"
    for claim in killed:
        if claim not in outcome.told:
            yield f"{mutant.where}: the output does not call {claim} FALSIFIED in its line"
    if not outcome.explained:
        yield f"{mutant.where}: the output does not say by what {killed[0]} was falsified"
    gate = contract.qa_gate
    assert gate is not None
    if set(killed) & set(gate.checks) and outcome.verdicts.get(gate.id) != frozenset(
        {Verdict.FALSIFIED}
    ):
        yield f"{mutant.where}: the gate {gate.id} does not fall with {killed[0]}"


def _of_the_original(outcome: Outcome, contract: Contract) -> Iterator[str]:
    if outcome.exit_code != 0:
        yield f"{contract.path}: the exit code without a mutant is {outcome.exit_code}, not 0"
    for claim in named_claims(contract):
        seen = outcome.verdicts.get(claim, frozenset())
        held = all(v in (Verdict.HELD, Verdict.CONFIRMED) or v.absent for v in seen)
        if not seen or not held:
            words = " ".join(sorted(seen)) or "not there"
            yield f"{contract.path}: {claim} is {words} without a mutant"
