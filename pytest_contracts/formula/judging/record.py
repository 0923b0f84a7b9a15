"""What a judgement keeps: how much it compared, and the comparison to report."""

from __future__ import annotations

from dataclasses import replace

from pytest_contracts.formula.evaluating.evaluation import Evaluation
from pytest_contracts.formula.judging.judgement import Finding, Truth
from pytest_contracts.formula.tree import Expr


class Record:
    """Counts what is compared outside guards, and keeps one finding.

    ``closest``: while all holds, the comparison that came closest to failing is kept.
    """

    def __init__(self, run: Evaluation, closest: bool) -> None:
        self.run = run
        self.closest = closest
        self.compared = 0
        self.ill_conditioned = 0
        self.counting = True
        self.shape: tuple[int, ...] = ()
        """The shape of what was compared last."""
        self.guarding: tuple[int, ...] = ()
        """The shape of what was compared last as a condition on each element."""
        self.finding: Finding | None = None

    def count(self, elements: int, ill_conditioned: int = 0) -> None:
        """Count compared elements and those set aside, unless they belong to a guard."""
        if self.counting:
            self.compared += elements
            self.ill_conditioned += ill_conditioned

    def compares(self, shape: tuple[int, ...], *, each: bool) -> None:
        """Note the shape of a comparison, and whether it may be meant as a guard of each element.

        That two arrays are equal, or one is finite, is said of the whole.
        """
        self.shape, self.guarding = shape, shape if each else ()

    def undefined(self, node: Expr, reason: str) -> Truth:
        """Keep a claim without a truth value."""
        self.count(1)
        self.keep(Finding(None, node, reason=reason))
        return None

    def keep(self, finding: Finding) -> None:
        """Keep the last failure; while all holds, the comparison that came closest to failing."""
        if finding.truth is True and not self.closest:
            return
        last = self.finding
        if (
            finding.truth is True
            and last is not None
            and (last.truth is not True or (last.error or 0.0) >= (finding.error or 0.0))
        ):
            return
        self.finding = replace(finding, bound=self.run.bound)
