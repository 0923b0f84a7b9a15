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
        self.finding: Finding | None = None
        self.parts: dict[int, tuple[Expr, int]] = {}

    def count(self, elements: int, ill_conditioned: int = 0) -> None:
        """Count compared elements and those set aside, unless they belong to a guard."""
        if self.counting:
            self.compared += elements
            self.ill_conditioned += ill_conditioned

    @property
    def looked_at(self) -> int:
        """How many elements have been counted, those set aside included."""
        return self.compared + self.ill_conditioned

    def part(self, node: Expr, elements: int) -> None:
        """Count what a part of a conjunction has looked at; in a guard nothing counts."""
        if self.counting:
            _, before = self.parts.get(id(node), (node, 0))
            self.parts[id(node)] = (node, before + elements)

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
