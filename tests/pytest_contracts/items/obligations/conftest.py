"""A contract on one small function, with an implementation that keeps it and one that breaks it."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Any

import pytest

HEAD = """
metadata: {{version: 1.0.0, kind: kernel, description: A function under contract}}
equations:
  f:
    formula: {formula}
    variables: {{{variables}}}
    implementations: {{{implementations}}}
{more}proof_obligations:
  - {{id: A, property: P, {claim}}}
"""
VECTOR = "n: 1..6, x: {dtype: float32, shape: [n], range: [-9, 9]}"


@dataclass
class Bench:
    """Judges a claim about a function for each of its implementations."""

    project: Any
    result: Any = None

    def judge(
        self,
        claim: str,
        code: str,
        *,
        formula: str = "f(x) = 2·x",
        variables: str = VECTOR,
        implementations: str | None = None,
        more: str = "",
    ) -> dict[str, str]:
        """Return the verdicts by implementation; ``code`` defines those called good and bad."""
        code = textwrap.dedent(code)
        self.project.pytester.makepyfile(maps=f"import numpy as np\n\n{code}")
        if implementations is None:
            named = [name for name in ("good", "bad") if f"def {name}(" in code]
            implementations = ", ".join(f'{name}: "maps:{name}"' for name in named)
        head = HEAD.format(
            claim=claim,
            formula=formula,
            variables=variables,
            implementations=implementations,
            more=textwrap.indent(textwrap.dedent(more).strip("\n") + "\n", "  ") if more else "",
        )
        self.path = self.project.contract("", head=head)
        self.result = self.project.run(examples=40)
        return {
            name.removeprefix("A[").removesuffix("]"): verdict
            for name, verdict in self.project.verdicts().items()
        }

    def shows(self, *patterns: str) -> None:
        """Assert that the run printed lines like these."""
        self.result.stdout.fnmatch_lines([f"*{pattern}*" for pattern in patterns])

    def refuses(self, message: str, claim: str, code: str = "", **rest: str) -> None:
        """Assert that the claim is one failing item, which names its line and what is missing."""
        code = code or "def good(x, *rest):\n    return x\n"
        self.judge(claim, code, **{"implementations": 'good: "maps:good"', **rest})
        self.result.assert_outcomes(failed=1)
        line = self.project.line(self.path, "id: A")
        self.shows(f"{self.path.name}:{line}*VACUOUS: {message}")


@pytest.fixture
def bench(project) -> Bench:
    """A bench in an empty project."""
    return Bench(project)
