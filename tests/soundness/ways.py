"""Ways and their twins as cases: written, and looked at, alone or among others."""

from __future__ import annotations

import textwrap
from typing import NamedTuple

from tests.soundness.conftest import Case, Judged

CONTRACT = """
metadata: {{version: 1.0.0, kind: kernel, description: d}}
equations:
{equations}
proof_obligations:
{claims}
"""
IDENTITY = """
  identity:
    formula: identity(x) = x
    variables:
      n: 1..8
      x: {dtype: float64, shape: [n], range: [-100, 100]}
    implementations: {cpu: "kernels:identity"}
"""


class Way(NamedTuple):
    """The mistake, and what it is without it; in equations and claims ``@`` is the function."""

    wrong: str
    right: str
    claims: str
    verdict: str
    equations: str = IDENTITY
    procedures: tuple[str, str] = ("", "")


def case_of(way: Way, twin: bool, said: str = "") -> Case:
    """Return the way, or its true twin, as a project; ``said`` stands for ``@``."""
    equations, claims = way.equations.replace("@", said), way.claims.replace("@", said)
    text = CONTRACT.format(equations=equations.strip("\n"), claims=claims)
    kernels = way.right if twin else way.wrong
    return Case(textwrap.dedent(text), kernels, way.procedures[twin])


def check(way: Way, twin: bool, judged: Judged) -> None:
    """See that the way is not verified, or that its twin is."""
    verdict = "HELD" if twin else way.verdict
    outcome = "passed" if twin else "failed"
    assert (judged.verdicts, judged.outcomes) == ({verdict}, {outcome}), judged.output
