"""``run`` claims: who fills a procedure's parameters, what it must count, what may be missing."""

from __future__ import annotations

import pytest

from pytest_contracts.errors import Unavailable
from pytest_contracts.items.parameters import label_of

HOOKS = """
import pytest
from pytest_contracts.errors import Unavailable

LAYERS = {"small": 2, "large": 3}

def pytest_contracts_parameters(config):
    def models(*more, absent=False):
        found = [config.getoption("--contracts-model") or "small", *more]
        return [*found, Unavailable("model huge is not here", "pull it")] if absent else found

    def layers(model):
        return range(LAYERS[model])

    def none():
        return []

    def locked():
        raise Unavailable("the cellar is locked", "find the key")

    def broken():
        raise ZeroDivisionError("no such luck")

    return {f.__name__: f for f in (models, layers, none, locked, broken)}

def pytest_contracts_resources(config):
    def key():
        raise Unavailable("no key", "cut one")

    return {"key": key, "air": lambda: None}

def pytest_contracts_strategies(config):
    import hypothesis.strategies as st
    return {"even": lambda most=10: st.integers(0, most // 2).map(lambda n: 2 * n)}

@pytest.fixture(scope="module")
def module_wide():
    return []

@pytest.fixture
def word():
    return "fixture"

@pytest.fixture
def locked_door():
    raise Unavailable("the door is locked", "knock")

@pytest.fixture
def crooked():
    raise RuntimeError("crooked fixture")
"""


@pytest.fixture
def hooked(project):
    """A project whose conftest answers the plugin's hooks."""
    project.pytester.makeconftest(HOOKS)
    return project


def run(project, procedures: str, *claims: str, arguments=()) -> dict[str, str]:
    """Write obligations ``A``, ``B``, … with the given keys, run them, return the verdicts."""
    project.procedures(procedures)
    lines = [
        f"  - {{id: {name}, type: invariant, property: P, {claim}}}"
        for name, claim in zip("ABCDEF", claims, strict=False)
    ]
    project.contract("\n".join(["proof_obligations:", *lines]))
    project.result = project.run(*arguments)
    return project.verdicts()


def test_parameters_expand_left_to_right_into_node_ids(hooked):
    verdicts = run(
        hooked,
        "def f(model, layer, flag): assert layer < 3 and model and flag",
        "run: f, parametrize:"
        " {model: \"models('large')\", layer: layers(model), flag: [1.5, true]}",
    )
    assert list(verdicts) == [
        f"A[{model}-{layer}-{flag}]"
        for model, layers in (("small", 2), ("large", 3))
        for layer in range(layers)
        for flag in ("1.5", "True")
    ]
    record = hooked.ledger()["A[large-2-True]"]
    assert record["parameters"] == {"model": "large", "layer": "2", "flag": "True"}


def test_option_for_the_model_reaches_the_hooks(hooked):
    verdicts = run(
        hooked,
        "def f(model): assert model == 'large'",
        'run: f, parametrize: {model: "models()"}',
        arguments=["--contracts-model=large"],
    )
    assert list(verdicts) == ["A[large]"]


def test_absent_value_is_one_skipped_item(hooked):
    verdicts = run(
        hooked,
        "def f(model, layer): assert model and layer >= 0",
        'run: f, parametrize: {model: "models(absent=True)", layer: "layers(model)"}',
    )
    assert verdicts == {
        "A[small-0]": "HELD",
        "A[small-1]": "HELD",
        "A[model-huge-is-not-here]": "UNAVAILABLE",
    }
    assert (
        "model huge is not here; pull it" in hooked.ledger()["A[model-huge-is-not-here]"]["message"]
    )


def test_hook_that_cannot_answer_is_one_skipped_item(hooked):
    verdicts = run(hooked, "def f(x): assert x", 'run: f, parametrize: {x: "locked()"}')
    assert verdicts == {"A[the-cellar-is-locked]": "UNAVAILABLE"}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("none()", "the parameters have no values"),
        ("broken()", "parameter 'x': broken() raised ZeroDivisionError: no such luck"),
        ("modles()", "no function is called 'modles'"),
        ("models(other)", "'other' is no earlier parameter"),
        ("models(1 + x)", "an argument is neither a name nor a literal"),
        ("models() + []", "is neither a list nor one call"),
        ("__import__('os').system('true')", "is neither a list nor one call"),
        ("models(*[1])", "an argument is neither a name nor a literal"),
        ("models(**{})", "is neither a list nor one call"),
        ("models(", "is neither a list nor one call"),
        ("layers(1)", "raised KeyError: 1"),
    ],
)
def test_bad_parametrize_is_one_failing_item(hooked, spec, message):
    verdicts = run(hooked, "def f(x): assert x", f'run: f, parametrize: {{x: "{spec}"}}')
    assert verdicts == {"A": "VACUOUS"}
    text = hooked.result.stdout.str()
    assert message in text
    assert "contracts/kernels/softmax-v1.yaml:12: VACUOUS" in text


def test_parameters_may_be_formula_variables(hooked):
    hooked.contract(
        """
        proof_obligations:
          - id: A
            type: invariant
            property: P
            formal: softmax(x)[k] ≤ 1
            parametrize: {k: [0, 1]}
            variables: {x: {dtype: float32, shape: [k + 1], range: [-1, 1]}}
        """
    )
    hooked.run()
    assert list(hooked.verdicts()) == ["A[reference-0]", "A[reference-1]", "A[cpu-0]", "A[cpu-1]"]
    assert set(hooked.verdicts().values()) == {"HELD"}


def test_fixtures_variables_and_counter_fill_the_rest(hooked):
    verdicts = run(
        hooked,
        """
        def f(n, x, even, word, module_wide, compared, tolerance, optional=1):
            assert x.shape == (n,) and even % 2 == 0
            assert word == "fixture" and tolerance == 0.5
            module_wide.append(n)
            compared(n, what="elements")
        """,
        "run: f, variables: {even: {strategy: even, most: 8}}, tolerance: 0.5",
        arguments=["-p", "no:randomly"],
    )
    # A function-scoped fixture under Hypothesis is refused, as in any test.
    assert verdicts == {"A": "VACUOUS"}
    hooked.result.stdout.fnmatch_lines(
        ["contracts/*softmax-v1.yaml:12: VACUOUS: P: *function-scoped fixture 'word'*"]
    )
    assert "function-scoped" in hooked.ledger()["A"]["message"]

    verdicts = run(
        hooked,
        """
        def f(n, x, even, module_wide, compared, tolerance, optional=1):
            assert x.shape == (n,) and even % 2 == 0 and tolerance == 0.5
            module_wide.append(n)
            compared(n, what="elements")

        def g(word, module_wide, tmp_path):
            assert word == "fixture" and len(module_wide) >= 10 and tmp_path.is_dir()
        """,
        "run: f, variables: {even: {strategy: even, most: 8}}, tolerance: 0.5",
        "run: g",
    )
    assert verdicts == {"A": "HELD", "B": "HELD"}
    records = hooked.ledger()
    assert records["A"]["examples"] == 10
    assert records["A"]["compared"] >= 10
    assert (records["A"]["level"], records["B"]["level"]) == ("L3", "L2")


def test_procedure_that_counts_nothing_is_vacuous(hooked):
    verdicts = run(
        hooked,
        """
        def nothing(compared): pass
        def zero(compared): compared(0, what="tensors")
        def drawn(n, compared): pass
        def some(compared):
            assert compared is not None
            compared(339, what="tensors")
        def negative(compared): compared(-1)
        """,
        "run: nothing",
        "run: zero",
        "run: drawn",
        "run: some",
        "run: negative",
    )
    assert verdicts == {
        "A": "VACUOUS",
        "B": "VACUOUS",
        "C": "VACUOUS",
        "D": "HELD",
        "E": "FALSIFIED",
    }
    assert hooked.ledger()["D"]["compared"] == 339


def test_assume_that_rejects_everything_is_vacuous(hooked):
    verdicts = run(
        hooked,
        """
        from hypothesis import assume
        def f(n): assume(False)
        def g(n):
            assume(n > 3)
            assert n > 3
        """,
        "run: f",
        "run: g",
    )
    assert verdicts == {"A": "VACUOUS", "B": "HELD"}


def test_failing_assertion_is_explained_by_pytest(hooked):
    verdicts = run(
        hooked,
        """
        def f(n):
            doubled = n * 2
            assert doubled < 10, "too much"
        """,
        "run: f",
    )
    assert verdicts == {"A": "FALSIFIED"}
    hooked.result.stdout.fnmatch_lines(
        [
            "contracts/kernels/softmax-v1.yaml:12: FALSIFIED: P: AssertionError: too much",
            "  run: *f in softmax_v1.py",
            "  counterexample:",
            "    n: 5",
            "*assert doubled < 10, ?too much?",
            "E *assert 10 < 10",
        ]
    )


def test_implementation_parameter_runs_once_per_implementation(hooked):
    verdicts = run(
        hooked,
        """
        def f(implementation, x, compared):
            y = implementation(x)
            assert len(y) == len(x)
            compared(len(y))
        """,
        "run: f",
        "run: f, applies_to: cpu",
    )
    assert verdicts == {"A[reference]": "HELD", "A[cpu]": "HELD", "B[cpu]": "HELD"}
    assert hooked.ledger()["A[cpu]"]["ran"] == {"softmax": "engine:softmax"}


def test_resources_are_asked_before_the_run(hooked):
    verdicts = run(
        hooked,
        "import os\ndef f(): raise SystemExit('must not run')\ndef g(): assert os.sep",
        "run: f, requires: [air, key]",
        "run: g, requires: [air]",
    )
    assert verdicts == {"A": "UNAVAILABLE", "B": "HELD"}
    assert hooked.ledger()["A"]["message"] == "no key; cut one"


def test_missing_resource_in_a_fixture_is_unavailable_and_a_fault_is_an_error(hooked):
    verdicts = run(
        hooked,
        "def f(locked_door): pass\ndef g(crooked): pass\ndef h(nowhere): pass",
        "run: f",
        "run: g",
        "run: h",
    )
    hooked.result.assert_outcomes(skipped=1, errors=2)
    assert verdicts == {"A": "UNAVAILABLE", "B": "VACUOUS", "C": "VACUOUS"}
    assert "crooked fixture" in hooked.ledger()["B"]["message"]


def test_skipping_procedure_is_unavailable(hooked):
    verdicts = run(hooked, "import pytest\ndef f(): pytest.skip('not today')\n", "run: f")
    assert verdicts == {"A": "UNAVAILABLE"}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def g(): pass", "softmax_v1.py has no function 'f'"),
        ("1 / 0", "importing softmax_v1.py failed: ZeroDivisionError"),
        ("def f(", "importing softmax_v1.py failed: SyntaxError"),
        ("def f(*args): pass", "f takes *args: parameters are filled by name"),
        ("f = 3", "softmax_v1.py has no function 'f'"),
    ],
)
def test_bad_procedures_are_one_failing_item(hooked, source, message):
    assert run(hooked, source, "run: f") == {"A": "VACUOUS"}
    assert message in hooked.result.stdout.str()


def test_missing_module_is_one_failing_item(hooked):
    hooked.contract("proof_obligations:\n  - {id: A, type: invariant, property: P, run: f}")
    hooked.run().stdout.fnmatch_lines(["*there is no module softmax_v1.py beside the contract*"])


def test_modules_of_two_contracts_do_not_meet(hooked):
    for folder, value in (("one", 1), ("two", 2)):
        hooked.procedures(
            f"def number(): return {value}\ndef f(): assert number() == {value}",
            f"{folder}/same_v1",
        )
        hooked.contract(
            f"proof_obligations:\n  - {{id: A{value}, type: invariant, property: P, run: f}}",
            f"{folder}/same-v1",
        )
    hooked.run().assert_outcomes(passed=2)


def test_two_plugins_may_not_give_one_name(hooked):
    hooked.pytester.makepyfile(
        rival="def pytest_contracts_strategies(config): return {'even': lambda: None}"
    )
    verdicts = run(
        hooked,
        "def f(even): assert even % 2 == 0",
        "run: f, variables: {even: even}",
        arguments=["-p", "rival"],
    )
    assert verdicts == {"A": "VACUOUS"}
    assert "two plugins give 'even'" in hooked.result.stdout.str()


def test_markers_tell_what_an_item_needs(hooked):
    hooked.procedures("def f(): pass\ndef g(model): assert model")
    hooked.contract(
        """
        proof_obligations:
          - {id: A, type: invariant, property: P, run: f, requires: [air], slow: true}
          - {id: B, type: invariant, property: P, run: g, parametrize: {model: "models()"}}
        """
    )
    for marker, expected in (("slow", "A"), ("model", "B[small]"), ("contract(name='x')", None)):
        listed = [line for line in hooked.run("--co", "-q", "-m", marker).outlines if "::" in line]
        assert [line.rpartition("::")[2] for line in listed] == ([expected] if expected else [])


def test_labels():
    class Named:
        name = "a model/with spaces"

    assert label_of(Named(), "x0") == "a-model-with-spaces"
    assert label_of(object(), "x0") == "x0"
    assert label_of("", "x0") == "x0"
    assert label_of(-1.5, "x0") == "-1.5"
    assert label_of(len, "x0") == "len"
    absent = Unavailable("gone", "look")
    absent.id = "qwen"
    assert label_of(absent, "x0") == "qwen"


def test_the_ledger_keeps_what_computed_the_values(project):
    project.procedures(
        "def f(compared):\n    compared(2, what='logits, fused', ran='lowered')\n    compared(3)\n"
        "    assert compared.total == 5\n"
    )
    project.contract("proof_obligations: [{id: A, type: safety, property: P, run: f}]")
    project.run()
    record = project.ledger()["A"]
    assert record["compared"] == 5
    assert record["ran"] == {"logits, fused": "lowered"}


def test_an_input_whose_state_cannot_be_told_is_handed_over(project):
    """Such as those of registered strategies that draw decimals or dates."""
    project.pytester.makeconftest(
        "from hypothesis import strategies as st\n"
        "def pytest_contracts_strategies(config):\n"
        "    return {'dates': st.dates}\n"
    )
    project.procedures("def f(day):\n    assert day.month <= 12\n")
    project.contract(
        "proof_obligations: [{id: A, type: safety, property: P, run: f, "
        "variables: {day: {strategy: dates}}}]"
    )
    project.run().assert_outcomes(passed=1)


def test_an_input_that_refuses_to_be_copied_is_handed_over(project):
    project.pytester.makeconftest(
        "import threading\n"
        "from hypothesis import strategies as st\n"
        "def pytest_contracts_strategies(config):\n"
        "    return {'locks': lambda: st.builds(threading.Lock)}\n"
    )
    project.pytester.makepyfile(locks="def free(lock):\n    return 0 if lock.locked() else 1\n")
    project.contract(
        "equations:\n"
        "  free:\n"
        "    formula: free(lock) = 1\n"
        "    variables: {lock: {strategy: locks}}\n"
        "    implementations: {cpu: 'locks:free'}\n"
        "proof_obligations: [{id: A, type: invariant, property: P, formal: free(lock) = 1}]\n",
        head="metadata: {version: 1.0.0, kind: kernel, description: d}",
    )
    project.run().assert_outcomes(passed=1)
