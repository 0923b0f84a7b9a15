"""What a run's outcome is called, what pytest is told, and what is shown of a failure."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import Phase, settings

FALSE_CLAIM = """
falsification_tests:
  - id: FALSIFY-SM-001
    rule: Small weights
    prediction: No weight exceeds a half
    formal: softmax(x) <= 1 / 2
    if_fails: The claim is wrong
"""


def test_failure_shows_clause_values_sides_counterexample_hint_and_command(project):
    path = project.contract(FALSE_CLAIM)
    result = project.run("contracts/kernels/softmax-v1.yaml::FALSIFY-SM-001[cpu]")
    result.assert_outcomes(failed=1)
    line = project.line(path, "FALSIFY-SM-001")
    result.stdout.fnmatch_lines(
        [
            f"*/softmax-v1.yaml:{line}: FALSIFIED: Small weights: softmax(x) ≤ 1 / 2",
            "  claim: *No weight exceeds a half",
            "  formal: softmax(x) <= 1 / 2",
            "  ran: *softmax = engine:softmax",
            "  failing: *softmax(x) ≤ 1 / 2",
            "  values: *softmax(?0.0?) ≤ 1 / 2",
            "  left?0?: *1.0",
            "  right?0?: *0.5",
            "  error: *0.5",
            "  counterexample:",
            "    n: 1",
            "    x: ?0.0?",
            "  if_fails: *The claim is wrong",
            "  reproduce: pytest --contracts=contracts "
            "'contracts/kernels/softmax-v1.yaml::FALSIFY-SM-001?cpu?'",
            "FAILED *FALSIFY-SM-001?cpu? - FALSIFIED: Small weights: softmax(x) ≤ 1 / 2",
        ]
    )
    assert "Traceback" not in result.stdout.str()
    assert "pytest_contracts/" not in result.stdout.str().partition("warnings summary")[0]


def test_counterexample_is_yaml_that_reproduces(project):
    yaml = pytest.importorskip("yaml")
    project.contract(
        """
        proof_obligations:
          - id: A
            type: invariant
            examples: 200
            property: False for large sums
            formal: sum(x) + 0·sum(softmax(x)) < 90.1
        """
    )
    text = project.run(examples=None).stdout.str()
    shown = re.search(r"counterexample:\n((?:    .*\n)+)", text)
    assert shown is not None
    inputs = yaml.safe_load(re.sub(r"(?m)^    ", "", shown[1]))
    assert len(inputs["x"]) == inputs["n"]
    assert sum(inputs["x"]) >= 90.1


def test_reproduce_command_reproduces(project):
    project.contract(FALSE_CLAIM)
    text = project.run(examples=20).stdout.str()
    command = re.search(r"reproduce: pytest (\S+) '(\S+cpu\])'", text)
    assert command is not None
    project.run(command[1], command[2], contracts=False).assert_outcomes(failed=1)


def test_junit_has_one_line_messages_and_the_place(project):
    path = project.contract(FALSE_CLAIM)
    project.run("--junitxml=junit.xml", examples=5)
    suite = ElementTree.parse(project.pytester.path / "junit.xml").getroot()[0]
    assert suite.get("failures") == "2"
    case = suite.findall("testcase")[1]
    assert case.get("name") == "FALSIFY-SM-001[cpu]"
    failure = case.find("failure")
    assert failure is not None
    assert failure.get("message") == "FALSIFIED: Small weights: softmax(x) ≤ 1 / 2"
    properties = {p.get("name"): p.get("value") for p in case.iter("property")}
    line = project.line(path, "FALSIFY-SM-001")
    assert properties["where"].startswith(f"contracts/kernels/softmax-v1.yaml:{line}:")
    assert properties["contract"] == "softmax-v1"


@pytest.mark.parametrize(
    ("claim", "line_of", "message"),
    [
        ("formal: softmax(x) >", "formal", "VACUOUS: expected a value"),
        ("formal: sofmax(x) > 0", "formal", "VACUOUS: the formula uses 'sofmax'"),
        ("formal: softmax(x) + 1", "formal", "VACUOUS: not a claim but a value"),
        (
            "formal: softmax(z) > 0\n    variables: {z: zoo}",
            "zoo",
            "VACUOUS: no strategy is called",
        ),
        ("formal: softmax(z) > 0\n    variables: {z: 5..2}", "5..2", "VACUOUS: the domain of 'z'"),
        ("formal: softmax(x) > 0\n    requires: [moon]", "id: A", "VACUOUS: no resource is called"),
        ("run: nothing", "run", "VACUOUS: softmax_v1.py has no function 'nothing'"),
    ],
)
def test_bad_clause_is_one_failing_item_without_a_stack(project, claim, line_of, message):
    project.procedures("def something(): pass")
    path = project.contract(
        f"""
proof_obligations:
  - id: A
    type: invariant
    property: P
    applies_to: [cpu]
    {claim}
  - {{id: B, type: invariant, property: Fine, formal: softmax(x) >= 0, applies_to: [cpu]}}
"""
    )
    if "run:" in claim:
        path.write_text(path.read_text().replace("    applies_to: [cpu]\n", ""))
    result = project.run(examples=5)
    result.assert_outcomes(failed=1, passed=1)
    text = result.stdout.str()
    assert f"contracts/kernels/softmax-v1.yaml:{project.line(path, line_of)}: {message}" in text
    assert "Traceback" not in text
    assert not re.search(r"pytest_contracts/\w+\.py:\d+", text)


def test_suggestion_for_a_misspelt_name(project):
    project.contract(
        "proof_obligations:\n  - {id: A, type: invariant, property: P, formal: sofmax(x) > 0}"
    )
    project.run().stdout.fnmatch_lines(["*Did you mean 'softmax'?*"])


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("engine:sofmax", "engine has no function 'sofmax'"),
        ("engin:softmax", "there is no module 'engin'"),
        ("broken:f", "importing broken failed: ZeroDivisionError: division by zero"),
        ("needy:f", "importing needy failed: No module named 'nothing_of_this_name'"),
        ("engine:math", "engine:math is a module, not a function"),
    ],
)
def test_bad_binding_is_one_failing_item_at_its_own_line(project, target, message):
    project.pytester.makepyfile(broken="1 / 0", needy="import nothing_of_this_name")
    path = project.contract(
        "proof_obligations:\n  - {id: A, type: invariant, property: P, formal: softmax(x) >= 0}"
    )
    path.write_text(path.read_text().replace("engine:softmax\n", f"{target}\n"))
    result = project.run(examples=5)
    result.assert_outcomes(failed=1, passed=1)
    line = project.line(path, "cpu:")
    result.stdout.fnmatch_lines([f"contracts/kernels/softmax-v1.yaml:{line}: VACUOUS: {message}*"])
    assert project.verdicts() == {"A[reference]": "HELD", "A[cpu]": "VACUOUS"}


@pytest.mark.parametrize(
    ("formal", "reason"),
    [
        ("softmax(x) > 2 when n > 99", "no input met the precondition"),
        ("∀ i ∈ 0..0: softmax(x)[i] > 2", "no input met the precondition"),
    ],
)
def test_claim_that_compares_nothing_is_vacuous(project, formal, reason):
    project.contract(
        f'proof_obligations:\n  - {{id: A, type: invariant, property: P, formal: "{formal}"}}'
    )
    result = project.run()
    result.assert_outcomes(failed=2)
    assert set(project.verdicts().values()) == {"VACUOUS"}
    assert f"VACUOUS: P: {reason}" in result.stdout.str()


def test_profile_that_draws_nothing_makes_every_property_vacuous(project):
    project.contract(
        "proof_obligations:\n  - {id: A, type: invariant, property: P, formal: softmax(x) >= 0}"
    )
    settings.register_profile("idle", phases=[Phase.explicit], database=None)
    settings.load_profile("idle")
    project.run().assert_outcomes(failed=2)
    assert set(project.verdicts().values()) == {"VACUOUS"}


def test_guard_counts_only_the_inputs_that_meet_it(project):
    project.contract(
        """
        proof_obligations:
          - {id: A, type: invariant, property: P, formal: softmax(x) = 1 when n = 1}
        """
    )
    project.run(examples=20).assert_outcomes(passed=2)
    for item in project.ledger().values():
        assert 0 < item["examples"] <= 20
        assert item["compared"] == item["examples"]


def test_claim_without_variables_runs_once(project):
    project.contract(
        "proof_obligations:\n"
        '  - {id: A, type: invariant, property: P, formal: "softmax([0, 0]) = 1 / 2"}'
    )
    project.run().assert_outcomes(passed=2)
    for item in project.ledger().values():
        assert (item["examples"], item["compared"], item["level"]) == (0, 2, "L2")


def test_words_alone_are_prose_and_an_error_when_strict(project):
    project.contract("proof_obligations:\n  - {id: A, type: safety, property: All is well}")
    result = project.run("-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*softmax-v1.yaml:*: PROSE: type safety needs formal or run*"])
    assert project.ledger()["A"]["level"] == "L0"
    project.run("--contracts-strict").assert_outcomes(failed=1)
    assert project.verdicts() == {"A": "PROSE"}


def test_missing_hardware_is_unavailable_with_the_remedy(project):
    path = project.contract(
        "proof_obligations:\n  - {id: A, type: invariant, property: P, formal: softmax(x) >= 0}"
    )
    path.write_text(path.read_text().replace("engine:softmax\n", "engine:far_away\n"))
    result = project.run("-rs")
    result.assert_outcomes(passed=1, skipped=1)
    line = project.line(path, "id: A")
    result.stdout.fnmatch_lines(
        [f"*softmax-v1.yaml:{line}: UNAVAILABLE: no accelerator here; rent one*"]
    )
    assert project.verdicts()["A[cpu]"] == "UNAVAILABLE"


def test_engine_may_use_its_own_error_for_missing_hardware(project):
    project.contract(
        "proof_obligations:\n  - {id: A, type: invariant, property: P, run: f}",
    )
    project.procedures(
        """
        class NoDevice(Exception):
            missing, remedy = "device", "buy one"

        def f():
            raise NoDevice("no device; buy one")
        """
    )
    project.run().assert_outcomes(skipped=1)
    assert project.ledger()["A"]["message"] == "no device; buy one"


def test_other_exceptions_of_an_implementation_falsify(project):
    project.pytester.makepyfile(fragile="def softmax(x):\n    return x[5]\n")
    path = project.contract(
        "proof_obligations:\n  - {id: A, type: invariant, property: P, formal: softmax(x) > -500}"
    )
    path.write_text(path.read_text().replace("engine:softmax\n", "fragile:softmax\n"))
    result = project.run("contracts/kernels/softmax-v1.yaml::A[cpu]")
    result.assert_outcomes(failed=1)
    assert project.verdicts()["A[cpu]"] == "FALSIFIED"
    result.stdout.fnmatch_lines(
        [
            "*FALSIFIED: P: IndexError: *",
            "  counterexample:",
            "    n: 1",
            "*fragile.py:2: IndexError",
        ]
    )


def test_wrong_shape_falsifies_equivalence(project):
    project.pytester.makepyfile(shapely="def softmax(x):\n    return x[:-1]\n")
    path = project.contract("proof_obligations:\n  - {id: A, type: equivalence, property: P}")
    path.write_text(path.read_text().replace("engine:softmax\n", "shapely:softmax\n"))
    result = project.run("contracts/kernels/softmax-v1.yaml::A[cpu]")
    assert project.verdicts()["A[cpu]"] == "FALSIFIED"
    result.stdout.fnmatch_lines(["*shapes ?0? and ?1? differ*"])


STATUS = """
proof_obligations:
  - {{id: A, type: invariant, property: P, formal: softmax(x) {claim}, status: {status}}}
"""


@pytest.mark.parametrize(
    ("status", "claim", "outcomes"),
    [
        ("ACTIVE", ">= 0", {"passed": 2}),
        ("ACTIVE", "> 1", {"failed": 2}),
        ("PROPOSED", ">= 0", {"xpassed": 2}),
        ("PROPOSED", "> 1", {"xfailed": 2}),
        ("BLOCKED", "> 1", {"skipped": 2}),
        ("BLOCKED", ">= 0", {"skipped": 2}),
        ("VIOLATED", ">= 0", {"failed": 2}),
        ("VIOLATED", "> 1", {"xfailed": 2}),
        ("PROPOSED", "> 1 when n > 99", {"failed": 2}),
    ],
)
def test_status_says_what_is_expected(project, status, claim, outcomes):
    project.contract(STATUS.format(status=status, claim=claim))
    project.run(examples=10).assert_outcomes(**outcomes)


def test_contract_status_covers_its_claims(project):
    path = project.contract(STATUS.format(status="ACTIVE", claim="> 1"))
    path.write_text(path.read_text().replace("kind: kernel,", "kind: kernel, status: PROPOSED,"))
    project.run(examples=10).assert_outcomes(xfailed=2)


def test_unexpected_pass_calls_for_promotion(project):
    path = project.contract(STATUS.format(status="PROPOSED", claim=">= 0"))
    result = project.run(examples=10)
    line = project.line(path, "id: A")
    result.stdout.fnmatch_lines(
        [f"*softmax-v1.yaml:{line}:*A?cpu? is PROPOSED, but it holds: promote it"]
    )


def test_breach_that_is_gone_says_so(project):
    project.contract(STATUS.format(status="VIOLATED", claim=">= 0"))
    result = project.run(examples=10)
    result.stdout.fnmatch_lines(["*XPASS(strict)* VIOLATED, but it holds*"])
    assert project.verdicts()["A[cpu]"] == "HELD"


def test_runxfail_shows_the_failure(project):
    project.contract(STATUS.format(status="PROPOSED", claim="> 1"))
    project.run("--runxfail", examples=10).assert_outcomes(failed=2)


def test_an_expected_failure_is_shown_in_its_own_terms(project):
    project.contract(STATUS.format(status="PROPOSED", claim="> 1"))
    result = project.run("--xfail-tb", "-rx", examples=10)
    result.assert_outcomes(xfailed=2)
    shown = ["*: FALSIFIED: P: softmax(x) > 1", "  values: *softmax(*) > 1", "  counterexample:"]
    result.stdout.fnmatch_lines(shown)
    assert ".py:" not in result.stdout.str()


def test_each_item_has_its_own_saved_examples(project, monkeypatch):
    for variable in ("CI", "GITHUB_ACTIONS", "GITLAB_CI"):  # there Hypothesis keeps no examples
        monkeypatch.delenv(variable, raising=False)
    project.contract(
        """
        proof_obligations:
          - {id: A, type: invariant, property: P, applies_to: [cpu],
             formal: sum(x + 0·softmax(x)) < 100}
          - {id: B, type: invariant, property: P, applies_to: [cpu],
             formal: sum(x + 0·softmax(x)) > -100}
        """
    )
    project.pytester.makeconftest(
        """
        from hypothesis import settings
        from hypothesis.database import DirectoryBasedExampleDatabase

        kept = DirectoryBasedExampleDatabase("examples")
        settings.register_profile("kept", database=kept, derandomize=False, deadline=None)
        settings.load_profile("kept")
        """
    )
    project.run(examples=200).assert_outcomes(failed=2)
    # What was saved comes first, and each item finds its own.
    project.run(examples=1).assert_outcomes(failed=2)
    assert {item["examples"] for item in project.ledger().values()} == {0}


def test_hypothesis_statistics_are_shown(project):
    project.contract(
        "proof_obligations:\n  - {id: A, type: invariant, property: P, formal: softmax(x) >= 0}"
    )
    result = project.run("--hypothesis-show-statistics", examples=12)
    result.stdout.fnmatch_lines(["*softmax-v1.yaml::A?cpu?:*", "*- 12 passing*"])


def test_claim_says_how_many_examples(project):
    project.contract(
        """
        proof_obligations:
          - {id: A, type: invariant, property: P, formal: softmax(x) >= 0, examples: 7}
        """
    )
    project.run(examples=None)
    assert {item["examples"] for item in project.ledger().values()} == {7}


def test_implementation_that_answers_differently_is_falsified(project):
    project.pytester.makepyfile(
        moody="""
        import itertools
        count = itertools.count()

        def softmax(x):
            return x + (next(count) % 3 == 2)
        """
    )
    path = project.contract(
        "proof_obligations:\n"
        '  - {id: A, type: invariant, property: P, formal: "softmax(x) ≈ x", tolerance: 0.5}'
    )
    path.write_text(path.read_text().replace("engine:softmax\n", "moody:softmax\n"))
    result = project.run("contracts/kernels/softmax-v1.yaml::A[cpu]")
    assert project.verdicts() == {"A[cpu]": "FALSIFIED"}
    result.stdout.fnmatch_lines(["  reason: *not deterministic: *"])
    assert "Traceback" not in result.stdout.str()


@pytest.mark.parametrize("formal", ["n = n", "true", "double(n) = 2·n", "sigmoid(n) < 2"])
def test_formula_that_calls_no_implementation_is_prose(project, formal):
    head = """
metadata: {version: 1.0.0, description: D}
equations:
  double: {formula: double(n) = 2·n, variables: {n: 1..9}}
  sigmoid: {formula: sigmoid(n) = n, variables: {n: 1..9}, implementations: {cpu: "engine:double"}}
"""
    project.contract(
        f"proof_obligations:\n  - {{id: A, type: invariant, property: P, variables: {{n: 1..9}}, "
        f"formal: '{formal}'}}\n"
        "qa_gate: {id: GATE, checks: [A]}",
        head=head,
    )
    project.run().assert_outcomes(skipped=2)
    assert set(project.verdicts().values()) == {"PROSE"}
    message = next(iter(project.ledger().values()))["message"]
    wanted = {"d": "bound to equation 'double'", "s": "'sigmoid' means the library's function"}
    assert message.startswith("not executable: ")
    assert message.endswith(wanted.get(formal[0], "the formula calls no implementation")) or (
        formal in ("n = n", "true")
    )
    project.run("--contracts-strict").assert_outcomes(failed=2)


AROUND = """
import pytest

@pytest.fixture
def bad_start():
    raise ValueError("no start")

@pytest.fixture
def bad_end():
    yield
    raise ValueError("no end")

@pytest.fixture
def not_here():
    pytest.skip("not here")

@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    yield
    if item.name == "LATE":
        raise ResourceWarning("left open")
"""


@pytest.mark.parametrize(
    ("claim", "verdict", "outcome", "message"),
    [
        ("{id: A, run: start", "VACUOUS", "failed", "set-up failed: ValueError: no start"),
        ("{id: A, run: end", "VACUOUS", "failed", "tear-down failed: ValueError: no end"),
        ("{id: A, run: fine, status: PROPOSED", "HELD", "xpassed", ""),
        ("{id: A, run: gone", "UNAVAILABLE", "skipped", "not here"),
        ("{id: A, run: typo", "VACUOUS", "failed", "set-up failed: there is no fixture 'nothing'"),
        ("{id: LATE, run: fine", "FALSIFIED", "failed", "ResourceWarning: left open"),
    ],
)
def test_failure_around_the_check_is_no_success(project, claim, verdict, outcome, message):
    project.pytester.makeconftest(AROUND)
    project.procedures(
        "import os\ndef start(bad_start): pass\ndef end(bad_end): assert os.sep\n"
        "def fine(): assert os.sep\n"
        "def gone(not_here): pass\ndef typo(nothing): pass\n"
    )
    name = "LATE" if "LATE" in claim else "A"
    project.contract(
        f"proof_obligations:\n  - {claim}, type: safety, property: P}}\n"
        f"qa_gate: {{id: GATE, checks: [{name}]}}"
    )
    result = project.run()
    record = project.ledger()[name]
    assert (record["verdict"], record["outcome"]) == (verdict, outcome)
    assert record["message"] == message
    assert project.verdicts()["GATE"] == verdict
    if outcome == "failed":
        assert result.ret == pytest.ExitCode.TESTS_FAILED
        assert "HELD" not in result.stdout.str()


def test_procedure_failure_shows_only_the_projects_frames(project):
    project.procedures(
        """
        def below(tmp_path_factory):
            deeper(5)

        def deeper(n):
            assert n < 3
        """
    )
    project.contract("proof_obligations:\n  - {id: A, type: safety, property: P, run: below}")
    text = project.run().stdout.str().partition("= FAILURES =")[2]
    assert "contracts/kernels/softmax_v1.py:6: AssertionError" in text
    assert "deeper(5)" in text
    assert "filled" not in text
    assert "items/properties.py" not in text
    assert str(project.pytester.path) not in text.partition("tmp_path_factory =")[0]


def test_reproduce_command_works_with_another_root(project, tmp_path_factory):
    path = project.contract(FALSE_CLAIM)
    root = tmp_path_factory.mktemp("root")
    text = project.run(f"--rootdir={root}", str(path), examples=20).stdout.str()
    command = re.search(r"reproduce: pytest (\S+) (\S+) '(\S+cpu\])'", text)
    assert command is not None
    assert command[3] == "contracts/kernels/softmax-v1.yaml::FALSIFY-SM-001[cpu]"
    project.run(*command.groups(), contracts=False).assert_outcomes(failed=1)
