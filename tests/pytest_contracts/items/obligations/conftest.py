"""A contract on one small function, with an implementation that keeps it and one that breaks it."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
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

    def judge(self, claim: str, code: str, **rest: Any) -> dict[str, str]:
        """Return the verdicts by implementation; ``code`` defines those called good and bad."""
        self.path = self.write(claim, code, **rest)
        self.result = self.project.run(examples=20)
        return _by_implementation(self.project.verdicts())

    def together(self, cases: Mapping[str, tuple[str, str, dict[str, str]]]) -> dict[str, Any]:
        """Judge many in one run: claim, code and the rest of each; return the verdicts of each."""
        for number, (claim, code, rest) in enumerate(cases.values()):
            self.write(claim, code, name=f"case{number}", maps=f"maps{number}", **rest)
        self.project.run(examples=20)
        found = self.project.verdicts_of()
        return {
            name: _by_implementation(found[f"case{number}"]) for number, name in enumerate(cases)
        }

    def write(
        self,
        claim: str,
        code: str,
        *,
        formula: str = "f(x) = 2·x",
        variables: str = VECTOR,
        implementations: str | None = None,
        more: str = "",
        name: str = "kernels/softmax-v1",
        maps: str = "maps",
    ) -> Path:
        """Write a contract, and the module of the functions that it is about."""
        code = textwrap.dedent(code)
        self.project.pytester.makepyfile(**{maps: f"import numpy as np\n\n{code}"})
        if implementations is None:
            named = [name for name in ("good", "bad") if f"def {name}(" in code]
            implementations = ", ".join(f'{name}: "{maps}:{name}"' for name in named)
        head = HEAD.format(
            claim=claim,
            formula=formula,
            variables=variables,
            implementations=implementations,
            more=textwrap.indent(textwrap.dedent(more).strip("\n") + "\n", "  ") if more else "",
        )
        path: Path = self.project.contract("", name, head=head)
        return path

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


def _by_implementation(verdicts: Mapping[str, str]) -> dict[str, str]:
    return {
        name.removeprefix("A[").removesuffix("]"): verdict for name, verdict in verdicts.items()
    }


@pytest.fixture
def bench(project) -> Bench:
    """A bench in an empty project."""
    return Bench(project)
