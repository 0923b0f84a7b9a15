"""The rows of a kill matrix: read where what was kept still counts, judged where it does not."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import NamedTuple

from pytest_contracts.contract.model import Contract, Mutant
from pytest_contracts.mutation.defects import locate
from pytest_contracts.mutation.digests import with_folders
from pytest_contracts.mutation.judge import Judge
from pytest_contracts.mutation.kept import Kept, RowId
from pytest_contracts.mutation.loaded import names
from pytest_contracts.mutation.matrix import kill_row
from pytest_contracts.mutation.outcome import Outcome, named_claims

EXAMPLES = 20
"""Drawn for a claim on the code as it is; how well it holds is for its own run to tell."""


class Contradicted(AssertionError):
    """What was kept says something else of the same code than the judge does."""


class Judged(NamedTuple):
    """A row as it came out now, and the files that it rests on."""

    outcome: Outcome
    loaded: frozenset[str]


def judged(contract: Contract, mutant: Mutant | None, judge: Judge, root: Path) -> Judged:
    """Judge the claims that a mutant names; without a mutant all that any mutant names."""
    if mutant is None:
        judgement = judge(contract, named_claims(contract), examples=EXAMPLES)
        changed = [str(contract.path)]
    else:
        judgement = kill_row(contract, mutant, judge).judgement
        changed = [str(contract.path), str(locate(contract, mutant).source)]
    loaded = with_folders({*judgement.loaded, *names(changed, root, {})})
    return Judged(Outcome.of(judgement, contract, root), loaded)


class Rows:
    """Rows as they are asked for; ``again`` are those that are judged in any case.

    ``judge`` is called for the judge when one is needed, since starting one takes seconds.
    """

    def __init__(
        self, kept: Kept, judge: Callable[[], Judge], root: Path, again: Collection[RowId] = ()
    ) -> None:
        self._kept = kept
        self._judge = judge
        self._root = root
        self._again = frozenset(again)

    def outcome(self, contract: Contract, mutant: Mutant | None) -> Outcome:
        """Return how a mutant, or the code as it is, came out.

        Raises:
            Contradicted: it was judged, and came out differently from what is kept of it.
        """
        row = RowId.of(contract, mutant)
        kept = self._kept.outcome(row)
        if kept is not None and row not in self._again:
            return kept
        found = judged(contract, mutant, self._judge(), self._root).outcome
        if kept is not None and found != kept:
            claims = named_claims(contract) if mutant is None else mutant.killed_by
            # Where something cannot run that could where this was recorded, there is less to tell.
            if found.absent(claims) == kept.absent(claims):
                raise Contradicted(_difference(row, kept, found))
        return found


def _difference(row: RowId, kept: Outcome, found: Outcome) -> str:
    return (
        f"{row}: kept is {kept.as_dict()},\nand now it is {found.as_dict()}.\n"
        "Nothing that it rests on has changed: what decides is not among that, or chance is.\n"
        f"{found.output}"
    )
