"""Two incidents that looked green: INC-23, a silent fallback, and INC-24, one tolerance for all."""

from __future__ import annotations

import json

import pytest

from tests.within import unshrunk

HEAD = """
metadata: {version: 1.0.0, description: A reduction}
equations:
  total:
    formula: total(x) = sum(x, axis=0)
    variables:
      n: 2..32
      # Distinct, so that the baseline is the worst of many sums and not a lucky one.
      x: {dtype: float32, shape: [n, 64], range: [-10, 10], unique: true}
    implementations: {cpu: "engine24:IMPLEMENTATION"}
falsification_tests:
  - {id: FALSIFY-S-001, rule: Sum, formal: total(x) ≈ definition(x), TOLERANCE}
"""
ENGINE = """
import numpy as np


def honest(x):
    return np.sum(x, axis=0, dtype=np.float32)


def other_order(x):
    result = np.zeros(x.shape[1], np.float32)
    for row in x[::-1]:
        result += row
    return result


def drops_small_terms(x):
    return np.sum(np.where(np.abs(x) < np.abs(x).max() / 5000, np.float32(0), x), axis=0)


def half_precision(x):
    return np.sum(x.astype(np.float16), axis=0, dtype=np.float32)
"""
LOOSE = "tolerance: 1.0"
TIGHT = "tolerance: 1e-6, tolerance_kind: relative"
NOISE = "tolerance: 4, tolerance_kind: noise"


CLAIMS = {"loose": LOOSE, "tight": TIGHT, "noise": NOISE}
REDUCTIONS = ("honest", "other_order", "drops_small_terms", "half_precision")


def judged(project) -> dict[str, str]:
    """The verdicts of each claim about each reduction."""
    project.pytester.makepyfile(engine24=ENGINE)
    for reduction in REDUCTIONS:
        for claim, tolerance in CLAIMS.items():
            text = HEAD.replace("IMPLEMENTATION", reduction).replace("TOLERANCE", tolerance)
            project.contract("", f"{claim}-{reduction}", head=text)
    with unshrunk():
        project.run("-p", "no:cacheprovider", examples=100)
    path = project.pytester.path / ".contracts" / "ledger.json"
    items = json.loads(path.read_text("utf-8"))["items"]
    return {item["contract"]: item["verdict"] for item in items}


@pytest.mark.parametrize(
    ("implementation", "loose", "tight", "noise"),
    [
        ("honest", "HELD", "FALSIFIED", "HELD"),
        ("other_order", "HELD", "FALSIFIED", "HELD"),
        ("drops_small_terms", "HELD", "FALSIFIED", "FALSIFIED"),
        ("half_precision", "HELD", "FALSIFIED", "FALSIFIED"),
    ],
)
def test_inc_24_no_constant_tells_a_wrong_reduction_from_rounding(
    project, once, implementation, loose, tight, noise
):
    found = once("INC-24", lambda: judged(project))
    verdicts = {claim: found[f"{claim}-{implementation}"] for claim in CLAIMS}
    assert verdicts == {"loose": loose, "tight": tight, "noise": noise}


FALLBACK = """
import numpy as np

LAUNCHES = []


def reference(x):
    return [2.0 * v for v in x]


def cpu(x):
    return x + x


def launch(x):
    if not LAUNCHES:
        raise RuntimeError("the launch failed")


def cuda(x):
    try:
        return launch(x)
    except RuntimeError:
        return cpu(x)


def honest(x):
    return 2 * x
"""


@pytest.mark.parametrize(("function", "verdict"), [("cuda", "FALSIFIED"), ("honest", "HELD")])
def test_inc_23_a_gpu_check_that_fell_back_to_its_reference_is_not_green(
    project, function, verdict
):
    project.pytester.makepyfile(engine23=FALLBACK)
    project.contract(
        """
        proof_obligations:
          - {id: D-EQV-001, type: equivalence, property: Both double, to: cpu, tolerance: 1e-6}
        """,
        "double-v1",
        head=f"""
metadata: {{version: 1.0.0, description: Doubling}}
equations:
  double:
    formula: double(x) = 2·x
    variables: {{x: {{dtype: float32, shape: [4], range: [-9, 9]}}}}
    implementations: {{cpu: "engine23:cpu", cuda: "engine23:{function}"}}
""",
    )
    result = project.run()
    assert project.verdicts() == {"D-EQV-001[cuda]": verdict}
    if verdict == "FALSIFIED":
        result.stdout.fnmatch_lines(
            [
                "*FALSIFIED: Both double: double as 'cuda' fell back to 'cpu'*",
                "*named: *cuda = engine23:cuda",
                "*ran: *cpu, another implementation of double",
            ]
        )
