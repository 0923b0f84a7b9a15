"""Ways and their twins as cases: written, and looked at, alone or among others."""

from __future__ import annotations

import textwrap

from tests.soundness.conftest import Case, Judged
from tests.soundness.test_ways import CONTRACT, Way


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
