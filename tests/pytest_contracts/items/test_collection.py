"""Which files become items, what the items are called, and how pytest selects them."""

from __future__ import annotations

import pytest

TWO_CLAIMS = """
proof_obligations:
  - {id: SM-EQV-001, type: equivalence, property: As defined, tolerance: 8, tolerance_kind: ulp}
falsification_tests:
  - id: FALSIFY-SM-001
    rule: Normalization
    prediction: The weights sum to one
    formal: "|Σ softmax(x) − 1| < ε"
    tolerance: 1.0e-6
"""


def names(result: pytest.RunResult) -> list[str]:
    """Return the node ids that ``--co -q`` lists."""
    return [line for line in result.outlines if "::" in line]


def test_node_ids_are_claims_with_implementations(project):
    project.contract(TWO_CLAIMS)
    result = project.run("--co", "-q")
    assert names(result) == [
        "contracts/kernels/softmax-v1.yaml::SM-EQV-001[reference]",
        "contracts/kernels/softmax-v1.yaml::SM-EQV-001[cpu]",
        "contracts/kernels/softmax-v1.yaml::FALSIFY-SM-001[reference]",
        "contracts/kernels/softmax-v1.yaml::FALSIFY-SM-001[cpu]",
    ]


def test_good_contract_holds_and_counts_what_it_did(project):
    project.contract(TWO_CLAIMS)
    result = project.run(examples=30)
    result.assert_outcomes(passed=4)
    for item in project.ledger().values():
        assert item["verdict"] == "HELD"
        assert item["examples"] == 30
        assert item["compared"] >= 30
        assert item["level"] == "L3"
    result.stdout.fnmatch_lines(
        ["softmax-v1 * L3 * 4 held*", "4 of 4 items verified: 120 examples*"]
    )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-k", "FALSIFY-SM"], 2),
        (["-k", "cpu"], 2),
        (["-m", "obligation"], 2),
        (["-m", "falsification"], 2),
        (["-m", "gpu"], 0),
        (["-m", "hypothesis"], 4),
        (["-k", "softmax-v1"], 4),
        (["--deselect", "contracts/kernels/softmax-v1.yaml::SM-EQV-001[cpu]"], 3),
        (["contracts/kernels/softmax-v1.yaml::FALSIFY-SM-001[cpu]"], 1),
        (["contracts/kernels/softmax-v1.yaml::FALSIFY-SM-001"], 2),
        (["contracts/kernels"], 4),
    ],
)
def test_pytest_selects_items_as_it_selects_tests(project, arguments, expected):
    project.contract(TWO_CLAIMS)
    assert len(names(project.run("--co", "-q", *arguments))) == expected


def test_only_contracts_run_when_a_directory_is_given(project):
    project.contract(TWO_CLAIMS)
    project.pytester.makepyfile(test_plain="def test_plain(): pass")
    assert len(names(project.run("--co", "-q"))) == 4
    assert names(project.run("--co", "-q", "test_plain.py")) == ["test_plain.py::test_plain"]


def test_plain_run_takes_tests_and_contracts(project):
    project.contract(TWO_CLAIMS)
    project.pytester.makepyfile(**{"tests/test_plain": "def test_plain(): pass"})
    project.pytester.makeini(
        "[pytest]\naddopts = --strict-markers\ncontracts = contracts\ntestpaths = tests contracts\n"
    )
    assert len(names(project.run("--co", "-q", contracts=False))) == 5


def test_yaml_outside_the_contract_directories_is_left_alone(project):
    project.contract(TWO_CLAIMS)
    project.pytester.makefile(".yaml", other="a: 1")
    project.contract("a: 1", "notes", head="").rename(project.pytester.path / "notes.yml")
    assert len(names(project.run("--co", "-q", "."))) == 4


def test_missing_directory_is_a_usage_error(project):
    result = project.run("--contracts=nowhere", contracts=False)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*there is no directory nowhere*"])


def test_a_configured_directory_that_is_not_there_is_told(project):
    """A slip in the key would leave out every contract, and the run would be green."""
    project.pytester.makeini("[pytest]\ncontracts = nowhere\n")
    project.pytester.makepyfile("def test_nothing(): pass")
    result = project.run("-Wdefault", contracts=False, examples=None)
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["*ContractWarning: there is no directory nowhere, which*"])


def test_item_location_is_the_line_of_the_claim(project):
    path = project.contract(TWO_CLAIMS)
    items, _ = project.pytester.inline_genitems(
        "-p", "pytest_contracts.plugin", "--contracts=contracts"
    )
    where = {item.name: item.reportinfo() for item in items}
    found, line, title = where["FALSIFY-SM-001[cpu]"]
    assert found == path
    assert line + 1 == project.line(path, "FALSIFY-SM-001")
    assert title == "softmax-v1::FALSIFY-SM-001[cpu]"


def test_applies_to_narrows_the_implementations(project):
    project.contract(
        """
        proof_obligations:
          - {type: invariant, property: Positive, formal: softmax(x) >= 0, applies_to: [cpu]}
        """
    )
    assert names(project.run("--co", "-q")) == [
        "contracts/kernels/softmax-v1.yaml::SOFTMAX-INV-001[cpu]"
    ]


def test_retired_claims_are_not_collected(project):
    project.contract(
        """
        proof_obligations:
          - {id: A, type: invariant, property: Old, formal: softmax(x) > 2, status: RETIRED}
          - {id: B, type: invariant, property: New, formal: softmax(x) <= 1}
        """
    )
    assert {name.rpartition("::")[2] for name in names(project.run("--co", "-q"))} == {
        "B[reference]",
        "B[cpu]",
    }


def test_bad_file_is_one_error_with_its_line_and_the_others_run(project):
    project.contract(TWO_CLAIMS)
    bad = project.contract("proof_obligations:\n  - {id: X, typo: invariant}", "bad-v1")
    worse = project.contract("metadata: [", "worse-v1", head="")
    result = project.run(examples=5)
    result.assert_outcomes(passed=4, errors=2)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    text = result.stdout.str()
    assert f"\ncontracts/bad-v1.yaml:{project.line(bad, 'typo')}: " in text
    assert f"\ncontracts/worse-v1.yaml:{project.line(worse, '[') + 1}: not YAML" in text
    assert "ERROR contracts/worse-v1.yaml - not YAML" in text
    assert "Traceback" not in text


def test_broken_test_module_still_stops_the_run(project):
    project.contract("proof_obligations:\n  - {id: X, typo: invariant}", "bad-v1")
    project.contract(TWO_CLAIMS)
    project.pytester.makepyfile(test_broken="import nothing_of_this_name")
    result = project.run("contracts", "test_broken.py")
    assert result.ret == pytest.ExitCode.INTERRUPTED


def test_contract_without_claims_is_refused(project):
    project.contract("")
    result = project.run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*softmax-v1.yaml:1:*the contract claims nothing*"])


def test_two_items_with_one_node_id_are_refused(project):
    path = project.contract(
        """
        proof_obligations:
          - {id: A, type: invariant, property: One, run: f, parametrize: {word: ["a b", "a-b"]}}
        """
    )
    project.procedures("def f(word): assert word")
    result = project.run()
    result.assert_outcomes(errors=1)
    line = project.line(path, "id: A")
    result.stdout.fnmatch_lines([f"*softmax-v1.yaml:{line}: duplicate item 'A?a-b?'*line {line}*"])


def test_gate_name_cannot_repeat_a_claim(project):
    project.contract(TWO_CLAIMS + "qa_gate: {id: 'SM-EQV-001[cpu]', checks: [SM-EQV-001]}")
    result = project.run()
    result.assert_outcomes(errors=1)


def test_decorated_implementations_are_collected_too(project):
    project.contract(
        "proof_obligations:\n  - {id: A, type: invariant, property: P, formal: softmax(x) >= 0}"
    )
    project.pytester.makepyfile(
        extra="""
        from pytest_contracts.binding import contract
        import engine

        @contract("softmax-v1", equation="softmax", implementation="extra")
        def softmax(x):
            return engine.softmax_reference(x.tolist())
        """
    )
    project.pytester.makeconftest("import extra")
    assert "A[extra]" in project.run("--co", "-q").stdout.str()
    project.run(examples=3)
    # It is a reference in disguise: the witness sees through it.
    assert project.verdicts()["A[extra]"] == "FALSIFIED"


def test_header_names_directory_and_options(project):
    project.contract(TWO_CLAIMS)
    result = project.run("--co", "--contracts-strict", examples=7)
    result.stdout.fnmatch_lines(["contracts: 0.1.0, contracts, examples=7, strict"])


def test_examples_must_be_positive(project):
    assert project.run(examples=0).ret == pytest.ExitCode.USAGE_ERROR


def test_last_failed_runs_what_failed(project):
    project.contract(
        """
        proof_obligations:
          - {id: A, type: invariant, property: Right, formal: softmax(x) >= 0}
          - {id: B, type: invariant, property: Wrong, formal: softmax(x) > 1}
        """
    )
    project.pytester.runpytest_inprocess("-p", "pytest_contracts.plugin", "--contracts=contracts")
    result = project.run("--lf", examples=5)
    result.assert_outcomes(failed=2)


def test_first_failure_stops_with_x(project):
    project.contract(
        """
        proof_obligations:
          - {id: B, type: invariant, property: Wrong, formal: softmax(x) > 1}
          - {id: A, type: invariant, property: Right, formal: softmax(x) >= 0}
        qa_gate: {id: F-SM, checks: [A, B]}
        """
    )
    result = project.run("-x", examples=5)
    result.assert_outcomes(failed=1)
    judged = {name: verdict for name, verdict in project.verdicts().items() if verdict != "LOST"}
    assert list(judged) == ["B[reference]"]


def depends(project, name: str, *needs: str):
    """Write a contract that depends on others."""
    listed = ", ".join(needs)
    head = f"metadata: {{version: 1.0.0, dialect: strict, description: D, depends_on: [{listed}]}}"
    return project.contract("proof_obligations:\n  - {id: A, property: P, type: safety}",
                            name, head=head)  # fmt: skip


def test_missing_dependency_is_one_error_with_its_line(project):
    depends(project, "one-v1", "two-v1")
    depends(project, "two-v1", "thre-v1")
    depends(project, "three-v1")
    result = project.run()
    result.assert_outcomes(errors=1, skipped=2)
    result.stdout.fnmatch_lines(
        [
            "contracts/two-v1.yaml:1: depends on 'thre-v1', which is no contract here",
            "*Did you mean 'three-v1'?*",
        ]
    )


def test_cycle_is_one_error(project):
    depends(project, "one-v1", "two-v1")
    depends(project, "two-v1", "one-v1")
    depends(project, "user-v1", "one-v1")
    result = project.run()
    result.assert_outcomes(errors=1, skipped=2)
    result.stdout.fnmatch_lines(
        ["contracts/one-v1.yaml:1: cyclic depends_on: one-v1 → two-v1 → one-v1"]
    )


def test_file_alone_finds_its_dependencies(project):
    depends(project, "one-v1", "two-v1")
    depends(project, "deeper/two-v1")
    project.run("contracts/one-v1.yaml").assert_outcomes(skipped=1)


def test_backend_option_chooses_the_implementation(project):
    project.contract(
        """
        proof_obligations:
          - {id: A, type: invariant, property: P, formal: softmax(x) >= 0}
          - {id: B, type: invariant, property: P, run: f}
        """
    )
    project.procedures("import os\ndef f(): assert os.sep")
    project.run("--contracts-backend=cpu", examples=5).assert_outcomes(passed=2)
    assert set(project.verdicts()) == {"A[cpu]", "B"}
    project.run("--contracts-backend=cuda", examples=5).assert_outcomes(passed=1)
    assert set(project.verdicts()) == {"B"}


def test_part_of_the_contracts_finds_its_dependencies_among_the_configured(project):
    depends(project, "model/one-v1", "two-v1")
    depends(project, "kernels/two-v1")
    arguments = ("--contracts=contracts/model",)
    assert project.run(*arguments, contracts=False).ret == pytest.ExitCode.TESTS_FAILED
    project.pytester.makeini("[pytest]\ncontracts = contracts\n")
    result = project.run(*arguments, contracts=False)
    result.assert_outcomes(skipped=1)
    assert list(project.ledger()) == ["A"]
    (project.pytester.path / "contracts/kernels/two-v1.yaml").unlink()
    project.run(*arguments, contracts=False).assert_outcomes(errors=1)


def test_wrong_backend_name_runs_what_concerns_no_implementation(project):
    project.contract(TWO_CLAIMS)
    result = project.run("--contracts-backend=gpu", examples=3)
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
