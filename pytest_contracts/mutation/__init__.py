"""Mutants: deliberate defects that a contract declares, and the claims that must notice them.

``defects`` finds the text that a mutant changes, ``overlays`` puts the change into a copy of the
package, ``in_process`` into the running one, ``judge`` has claims judged in forks of one warm
process, ``matrix`` sets what fell against what was expected, ``unkilled`` lists the claims that no
mutant has shown able to fail. Nothing here is imported by a run without mutants.

``kept`` is that matrix as evidence: what of a judgement counts (``outcome``), which files it rests
on (``loaded``, ``digests``) and what else (``surroundings``). ``rows`` reads what is kept or has it
judged, ``rota`` says what is judged in any case. A judge imports ``loaded`` alone of
these, and its judgements do not go stale with the others.
"""

from __future__ import annotations

from pytest_contracts.mutation.defects import Defect, locate, planted_mutants
from pytest_contracts.mutation.in_process import planted
from pytest_contracts.mutation.judge import Judge, Judgement
from pytest_contracts.mutation.matrix import Cell, Row, kill_matrix, kill_row
from pytest_contracts.mutation.overlays import overlay
from pytest_contracts.mutation.unkilled import unkilled

__all__ = [
    "Cell",
    "Defect",
    "Judge",
    "Judgement",
    "Row",
    "kill_matrix",
    "kill_row",
    "locate",
    "overlay",
    "planted",
    "planted_mutants",
    "unkilled",
]
