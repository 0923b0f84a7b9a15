"""The templates of obligation types, and what an equation's name means in a formula."""

from __future__ import annotations

import pytest

from tests.within import unshrunk


def claim(text: str) -> str:
    """Return a contract's obligation in one line."""
    return f"proof_obligations:\n  - {{id: A, property: P, {text}}}"


def with_cpu(project, target: str, text: str) -> str:
    """Write a contract whose cpu implementation is another, run it, return cpu's verdict."""
    path = project.contract(text)
    path.write_text(path.read_text().replace("engine:softmax\n", f"{target}\n"))
    with unshrunk():
        project.run("-k", "cpu", examples=10)
    return project.verdicts()["A[cpu]"]


@pytest.mark.parametrize(
    ("tolerance", "sound", "unsound"),
    [
        ("tolerance: 8, tolerance_kind: ulp", "HELD", "FALSIFIED"),
        ("tolerance: 1e-6", "HELD", "FALSIFIED"),
        ("tolerance: 1e-6, tolerance_kind: cosine", "HELD", "FALSIFIED"),
        ("tolerance_kind: noise", "HELD", "FALSIFIED"),
        ("type: equivalence", "FALSIFIED", "FALSIFIED"),
    ],
)
def test_equivalence_compares_with_the_float64_definition(project, tolerance, sound, unsound):
    text = claim(f"type: equivalence, {tolerance.removeprefix('type: equivalence')}".rstrip(", "))
    assert with_cpu(project, "engine:softmax", text) == sound
    assert with_cpu(project, "engine:unstable", text) == unsound


def test_noise_catches_a_wrong_reduction_that_a_loose_constant_hides(project):
    project.pytester.makepyfile(
        sloppy="""
        import numpy as np

        def softmax(x):
            terms = np.exp((x - x.max()).astype(np.float16)).astype(np.float32)
            return terms / terms.sum()
        """
    )
    assert (
        with_cpu(project, "sloppy:softmax", claim("type: equivalence, tolerance: 1e-2")) == "HELD"
    )
    noisy = claim("type: equivalence, tolerance_kind: noise")
    assert with_cpu(project, "sloppy:softmax", noisy) == "FALSIFIED"


def test_ill_conditioned_inputs_are_counted_apart(project):
    project.contract(
        """
        proof_obligations:
          - {id: A, type: equivalence, property: P, tolerance_kind: noise}
        """,
        head="""
metadata: {version: 1.0.0, kind: kernel, description: A sum that cancels}
equations:
  rest:
    formula: rest(x) = (x + 1e9) − 1e9
    variables:
      x: {dtype: float32, range: [0.001, 1]}
    implementations: {cpu: "engine:math.fabs"}
""",
    )
    result = project.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*VACUOUS: *ill-conditioned*"])
    assert project.ledger()["A[cpu]"]["ill_conditioned"] > 0


def test_equivalence_with_a_formula_checks_the_definition_as_well(project):
    text = claim("type: equivalence, tolerance: 1e-6, formal: softmax(x) + 0 = softmax(x)")
    assert with_cpu(project, "engine:softmax", text) == "HELD"
    project.pytester.makepyfile(flat="def softmax(x):\n    return 0 * x\n")
    assert with_cpu(project, "flat:softmax", text) == "FALSIFIED"


def test_bound_takes_the_codomain(project):
    path = project.contract(claim("type: bound"))
    path.write_text(
        path.read_text().replace(
            "    implementations", '    codomain: "[0, 1]^n"\n    implementations'
        )
    )
    project.run().assert_outcomes(passed=2)
    path.write_text(path.read_text().replace("[0, 1]^n", "[0, 1/2]^n"))
    project.run().assert_outcomes(failed=2)
    path.write_text(path.read_text().replace('codomain: "[0, 1/2]^n"', 'codomain: "small numbers"'))
    project.run().assert_outcomes(skipped=1)


def test_idempotency(project):
    project.pytester.makepyfile(
        clip="def relu(x):\n    return x.clip(0)\n\ndef halve(x):\n    return x / 2\n"
    )
    head = """
metadata: {version: 1.0.0, kind: kernel, description: A clip}
equations:
  relu:
    formula: relu(x) = max(x, 0)
    variables:
      x: {dtype: float32, shape: [4], range: [-9, 9]}
    implementations: {cpu: "clip:relu", other: "clip:halve"}
"""
    project.contract(claim("type: idempotency"), head=head)
    project.run()
    assert project.verdicts() == {"A[cpu]": "HELD", "A[other]": "FALSIFIED"}


def test_monotonicity_follows_the_order_of_the_elements(project):
    project.pytester.makepyfile(
        backwards="import engine\n\ndef softmax(x):\n    return engine.softmax(-x)[:]\n",
        local="def softmax(x):\n    return -x\n",
    )
    assert with_cpu(project, "engine:softmax", claim("type: monotonicity")) == "HELD"
    assert with_cpu(project, "local:softmax", claim("type: monotonicity")) == "FALSIFIED"
    falling = claim("type: monotonicity, direction: decreasing")
    assert with_cpu(project, "local:softmax", falling) == "HELD"
    assert with_cpu(project, "engine:softmax", falling) == "FALSIFIED"


def test_monotonicity_of_matrices_needs_a_formula(project):
    path = project.contract(claim("type: monotonicity"))
    path.write_text(path.read_text().replace("shape: [n]", "shape: [1, n]"))
    result = project.run()
    result.stdout.fnmatch_lines(["*VACUOUS: monotonicity without formal is about vectors*"])


def test_determinism_compares_bits(project):
    project.pytester.makepyfile(
        dice="""
        import numpy as np
        import itertools
        count = itertools.count()

        def softmax(x):
            return x + np.float32(1e-3) * (next(count) % 2)

        def signed_zero(x):
            return 0 * x * (-1) ** next(count)

        def widening(x):
            return x.astype([np.float32, np.float64][next(count) % 2])
        """
    )
    assert with_cpu(project, "engine:softmax", claim("type: determinism")) == "HELD"
    for name in ("softmax", "signed_zero", "widening"):
        assert with_cpu(project, f"dice:{name}", claim("type: determinism")) == "FALSIFIED"


@pytest.mark.parametrize("kind", ["soundness", "safety", "liveness", "invariant"])
def test_types_without_template_are_prose_without_formula(project, kind):
    project.contract(claim(f"type: {kind}"))
    project.run().assert_outcomes(skipped=1)


def test_template_needs_a_definition_for_its_arguments(project):
    path = project.contract(claim("type: determinism"))
    path.write_text(
        "\n".join(line for line in path.read_text().splitlines() if "formula:" not in line)
    )
    result = project.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*equation 'softmax' has no definition f(x) = *"])


def test_every_implementation_stands_for_the_equation(project):
    project.contract(
        claim('type: invariant, formal: "softmax(x) ≈ definition(x)", tolerance: 1e-6')
    )
    project.run().assert_outcomes(passed=2)
    ran = {name: item["ran"] for name, item in project.ledger().items()}
    assert ran == {
        "A[reference]": {"softmax": "engine:softmax_reference"},
        "A[cpu]": {"softmax": "engine:softmax"},
    }


def test_computed_arguments_arrive_in_the_declared_dtype(project):
    # The engine's implementation asserts float32, its reference asserts plain lists.
    project.contract(claim('type: invariant, formal: "softmax(2·x + 1) ≥ 0"'))
    project.run().assert_outcomes(passed=2)


def test_arguments_are_copies(project):
    project.pytester.makepyfile(
        vandal="import engine\n\ndef softmax(x):\n    x[:] = 777\n    return x\n"
    )
    text = claim('type: invariant, formal: "softmax(x) = 777 and |x| <= 200"')
    assert with_cpu(project, "vandal:softmax", text) == "HELD"


TWO_EQUATIONS = """
metadata: {version: 1.0.0, kind: kernel, description: Two equations}
constants: {limit: 400}
equations:
  double:
    formula: double(n) = 2 * n
    variables: {n: 0..100}
    implementations: {cpu: "engine:double", odd: "engine:not_double"}
  quadruple:
    formula: quadruple(n) = double(double(n))
    variables: {n: 0..100}
"""


def test_other_equations_stand_for_their_definitions(project):
    project.contract(
        """
        proof_obligations:
          - {id: A, type: invariant, property: P, formal: quadruple(n) = double(double(n))}
          - {id: B, type: invariant, property: P, formal: double(n) <= limit}
          - {id: C, type: invariant, property: P, formal: quadruple(n) <= limit}
        """,
        head=TWO_EQUATIONS,
    )
    project.run(examples=60)
    assert project.verdicts() == {
        "A[cpu]": "HELD",
        "A[odd]": "FALSIFIED",
        "B[cpu]": "HELD",
        "B[odd]": "HELD",
        "C": "PROSE",
    }


def test_equation_without_definition_or_implementation_is_refused(project):
    project.contract(
        claim("type: invariant, equation: double, formal: double(n) = ghost(n)"),
        head=TWO_EQUATIONS.replace("formula: quadruple(n) = double(double(n))", "").replace(
            "quadruple", "ghost"
        ),
    )
    result = project.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*VACUOUS: equation 'ghost' has no formula and no implementation*"]
    )


def test_silent_fallback_is_falsified_by_name(project):
    path = project.contract(claim("type: equivalence, tolerance: 1e-6"))
    path.write_text(
        path.read_text().replace(
            "cpu: engine:softmax\n", "cpu: engine:softmax\n      cuda: engine:fallback\n"
        )
    )
    result = project.run()
    assert project.verdicts() == {
        "A[reference]": "HELD",
        "A[cpu]": "HELD",
        "A[cuda]": "FALSIFIED",
    }
    result.stdout.fnmatch_lines(["*A?cuda? - FALSIFIED: P: softmax as 'cuda' fell back to 'cpu'"])


def test_one_function_under_two_names_is_refused(project):
    path = project.contract(claim("type: equivalence, tolerance: 1e-6"))
    path.write_text(
        path.read_text().replace(
            "cpu: engine:softmax\n", "cpu: engine:softmax\n      cuda: engine:softmax\n"
        )
    )
    project.run()
    assert project.verdicts() == {"A[reference]": "HELD", "A[cpu]": "VACUOUS", "A[cuda]": "VACUOUS"}


def test_cuda_items_carry_the_gpu_marker(project):
    path = project.contract(claim("type: equivalence, tolerance: 1e-6"))
    path.write_text(path.read_text().replace("cpu: engine", "cuda: engine"))
    result = project.run("-m", "gpu", "--co", "-q")
    assert [line for line in result.outlines if "::" in line] == [
        "contracts/kernels/softmax-v1.yaml::A[cuda]"
    ]


def test_planted_defect_names_claim_line_and_implementation(project):
    path = project.contract(
        """
        falsification_tests:
          - id: FALSIFY-SM-001
            rule: Stability
            prediction: The weights sum to one however large the scores
            formal: "|Σ softmax(x) − 1| < ε"
            tolerance: 1.0e-6
            if_fails: The maximum is not subtracted
        """
    )
    path.write_text(path.read_text().replace("engine:softmax\n", "engine:unstable\n"))
    result = project.run(examples=60)
    result.assert_outcomes(passed=1, failed=1)
    line = project.line(path, "FALSIFY-SM-001")
    result.stdout.fnmatch_lines(
        [
            f"contracts/kernels/softmax-v1.yaml:{line}: FALSIFIED: Stability*",
            "  ran: *softmax = engine:unstable",
            "  if_fails: *The maximum is not subtracted",
        ]
    )
