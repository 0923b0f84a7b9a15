"""pytest's own options, and other plugins, beside contracts: items behave as tests do."""

from __future__ import annotations

import json
import os
import random
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from tests.within import WORKERS

CLAIMS = """
proof_obligations:
  - {id: GOOD, type: invariant, property: P, formal: softmax(x) >= 0}
  - {id: BAD, type: invariant, property: P, formal: softmax(x) > 1}
  - {id: LAST, type: invariant, property: P, formal: softmax(x) <= 1}
qa_gate: {id: GATE, checks: [GOOD, LAST]}
"""
PATH = "contracts/kernels/softmax-v1.yaml"
ANY = """
from hypothesis import settings

settings.register_profile("any", derandomize=False, database=None)
settings.load_profile("any")
"""


@pytest.fixture
def claims(project):
    """A project with six items of which two fail, and a gate."""
    project.path = project.contract(CLAIMS)
    return project


def mend(project) -> None:
    text = project.path.read_text("utf-8")
    project.path.write_text(text.replace("softmax(x) > 1}", "softmax(x) < 2}"), "utf-8")


def ran(project) -> list[str]:
    """The items of the last run, in their order."""
    return list(project.ledger())


# -- options of pytest ---------------------------------------------------------------------------


def test_last_failed_runs_what_failed_until_it_holds(claims):
    claims.run(examples=3).assert_outcomes(passed=5, failed=2)
    claims.run("--lf", examples=3).assert_outcomes(failed=2)
    assert ran(claims) == ["BAD[reference]", "BAD[cpu]"]
    mend(claims)
    claims.run("--lf", examples=3).assert_outcomes(passed=2)
    claims.run("--lf", examples=3).assert_outcomes(passed=7)


def test_failed_first(claims):
    claims.run(examples=3)
    claims.run("--ff", examples=3).assert_outcomes(passed=5, failed=2)
    assert ran(claims)[:2] == ["BAD[reference]", "BAD[cpu]"]
    assert ran(claims)[-1] == "GATE"


def test_failed_gate_is_a_last_failed_item(project):
    path = project.contract(CLAIMS.replace("[GOOD, LAST]", "[GOOD, BAD]"))
    project.run(examples=3).assert_outcomes(passed=4, failed=3)
    project.run("--lf", examples=3).assert_outcomes(failed=3)
    text = path.read_text("utf-8").replace("softmax(x) > 1}", "softmax(x) < 2}")
    path.write_text(text, "utf-8")
    project.run("--lf", examples=3).assert_outcomes(passed=2, xfailed=1)
    project.run(examples=3).assert_outcomes(passed=7)


def test_stepwise_goes_on_where_it_stopped(claims):
    result = claims.run("--sw", examples=3)
    result.assert_outcomes(passed=2, failed=1)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    mend(claims)
    claims.run("--sw", examples=3).assert_outcomes(passed=4, xfailed=1, deselected=2)
    assert ran(claims)[0] == "BAD[reference]"
    assert claims.ledger()["GATE"]["message"].startswith("GOOD undecided or not run here")


def test_without_a_cache_nothing_is_kept(claims):
    claims.run("-p", "no:cacheprovider", examples=3).assert_outcomes(passed=5, failed=2)
    assert not (claims.pytester.path / ".pytest_cache").exists()


@pytest.mark.parametrize("quiet", [(), ("-q",), ("-qq",)])
def test_collect_only_runs_nothing_and_writes_nothing(claims, quiet):
    result = claims.run("--collect-only", *quiet, "--contracts-report=ledger.json")
    assert result.ret == pytest.ExitCode.OK
    text = result.stdout.str()
    if quiet == ("-qq",):
        assert f"{PATH}: 7" in text
    else:
        assert all(name in text for name in ("GOOD[reference]", "BAD[cpu]", "GATE"))
    assert "verified" not in text
    assert not (claims.pytester.path / ".contracts").exists()
    assert not (claims.pytester.path / "ledger.json").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-k", "GOOD and cpu"], ["GOOD[cpu]"]),
        (["-m", "gate"], ["GATE"]),
        (["-m", "obligation and not gate", "-k", "BAD"], ["BAD[reference]", "BAD[cpu]"]),
        ([f"{PATH}::BAD[cpu]", f"{PATH}::GOOD[cpu]"], ["BAD[cpu]", "GOOD[cpu]"]),
        ([f"--deselect={PATH}::BAD", "-k", "cpu"], ["GOOD[cpu]", "LAST[cpu]"]),
        ([f"--deselect={PATH}::BAD[cpu]", "-k", "cpu"], ["GOOD[cpu]", "LAST[cpu]"]),
    ],
)
def test_items_are_selected_as_tests_are(claims, arguments, expected):
    claims.run(*arguments, examples=3)
    assert ran(claims) == expected


@pytest.mark.parametrize(
    ("option", "failed"), [("-x", 1), ("--maxfail=1", 1), ("--maxfail=2", 2), ("--maxfail=3", 2)]
)
def test_run_stops_after_so_many_failures(claims, option, failed):
    claims.run(option, examples=3).assert_outcomes(
        passed=5 if option == "--maxfail=3" else 2, failed=failed
    )
    # A run that was cut short decides no gate.
    assert ("GATE" in ran(claims)) == (option == "--maxfail=3")


def test_junit_file_counts_what_the_terminal_counts(claims):
    claims.run("--junitxml=junit.xml", "-k", "not reference", examples=3)
    (suite,) = ElementTree.parse(claims.pytester.path / "junit.xml").getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("4", "1", "1")
    cases = {case.get("name"): case for case in suite}
    assert cases["BAD[cpu]"].find("failure") is not None
    assert cases["GATE"].find("skipped") is not None
    named = {p.get("name"): p.get("value") for p in cases["GOOD[cpu]"].iter("property")}
    assert (named["contract"], named["claim"]) == ("softmax-v1", "GOOD")


def test_durations_name_the_items(claims):
    result = claims.run("--durations=3", "--durations-min=0", "-vv", examples=3)
    slowest = [line for line in result.outlines if re.match(r"\d+\.\d+s (call|setup) ", line)]
    assert len(slowest) == 3
    assert all(f"{PATH}::" in line for line in slowest)


@pytest.mark.parametrize("option", ["--setup-plan", "--setup-only"])
def test_plan_runs_and_decides_nothing(claims, option):
    result = claims.run(option, examples=3)
    assert result.ret == pytest.ExitCode.OK
    assert "verified" not in result.stdout.str()
    assert not (claims.pytester.path / ".contracts").exists()


def test_setup_is_shown(claims):
    claims.run("--setup-show", "-k", "GOOD", examples=3).assert_outcomes(passed=2, deselected=5)


def test_warnings_as_errors_leave_a_quiet_claim_alone(claims):
    claims.run("-Werror", "-k", "not BAD", examples=3).assert_outcomes(passed=5, deselected=2)


def test_warning_of_the_code_under_test_falsifies_as_an_error(project):
    project.procedures("import warnings\ndef f():\n    assert warnings.warn('old') is None\n")
    project.contract("proof_obligations: [{id: A, type: safety, property: P, run: f}]")
    project.run("-Wdefault").assert_outcomes(passed=1, warnings=1)
    project.run("-Werror").assert_outcomes(failed=1)
    assert project.verdicts() == {"A": "FALSIFIED"}


@pytest.mark.parametrize("name", ["hypothesispytest", "xdist", "junitxml", "terminal", "warnings"])
def test_plugins_can_be_left_out(claims, name):
    result = claims.run_beside_all(f"-pno:{name}", "-k", "not BAD", examples=3)
    assert result.ret == pytest.ExitCode.OK
    assert set(claims.verdicts().values()) == {"HELD"}


def test_a_worker_stops_at_the_first_failure(claims):
    result = claims.run(*WORKERS, "-n1", "--dist=loadfile", "-x", examples=3)
    result.assert_outcomes(failed=1, passed=2)


# -- other plugins -------------------------------------------------------------------------------

DRAWS = """
import json
from pathlib import Path

def keep(request, n):
    with Path("draws.txt").open("a") as file:
        print(request.node.name, n, file=file)
    assert n >= 0
"""
DRAWING = """
proof_obligations:
  - {id: ONE, type: safety, property: P, run: keep, variables: {n: 0..1000000}}
  - {id: TWO, type: safety, property: P, run: keep, variables: {n: 0..1000000}}
  - {id: THREE, type: safety, property: P, run: keep, variables: {n: 0..1000000}}
  - {id: FOUR, type: safety, property: P, run: keep, variables: {n: 0..1000000}}
qa_gate: {id: GATE, checks: [ONE, TWO, THREE, FOUR]}
"""


@pytest.fixture
def drawing(project, monkeypatch):
    """A project that writes down what it draws."""
    pytest.importorskip("pytest_randomly")
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p randomly")
    monkeypatch.setattr("hypothesis.core.global_force_seed", None)
    project.procedures(DRAWS)
    project.contract(DRAWING)
    project.pytester.makeconftest(ANY)
    kept = random.getstate(), np.random.get_state()  # noqa: NPY002
    yield project
    random.setstate(kept[0])
    np.random.set_state(kept[1])  # noqa: NPY002


def drawn(project, *arguments: str, apart: bool = False) -> tuple[dict[str, list[str]], list[str]]:
    """Run; return what each item drew, and the order in which the items ran."""
    path = project.pytester.path / "draws.txt"
    path.write_text("")
    run = project.run_apart if apart else project.run
    result = run("-v", *arguments, examples=10)
    result.assert_outcomes(passed=5)
    found: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        name, number = line.split()
        found.setdefault(name, []).append(number)
    return found, ran(project)


def test_random_order_draws_the_same_under_one_seed_and_keeps_gates_last(drawing):
    orders = set()
    for seed in (1, 2, 3):
        arguments = (f"--randomly-seed={seed}", "--hypothesis-seed=7")
        first, order = drawn(drawing, *arguments)
        assert (first, order) == drawn(drawing, *arguments)
        assert sorted(first) == ["FOUR", "ONE", "THREE", "TWO"]
        assert order[-1] == "GATE"
        orders.add(tuple(order))
    assert len(orders) > 1, "the order is random"


def test_random_order_alone_makes_a_run_repeatable(drawing):
    first = drawn(drawing, "--randomly-seed=5")
    assert drawn(drawing, "--randomly-seed=5", apart=True) == first
    assert drawn(drawing, "--randomly-seed=6") != first


FLAKY = """
from pathlib import Path

def flaky(compared):
    path = Path("runs.txt")
    runs = len(path.read_text()) if path.exists() else 0
    path.write_text("x" * (runs + 1))
    compared(1)
    assert runs, "fails the first time"

def wrong(compared):
    compared(1)
    assert False, "never holds"
"""


@pytest.mark.parametrize("workers", [(), (*WORKERS, "-n1")], ids=["alone", "a worker"])
def test_repeated_item_is_judged_anew(project, workers, monkeypatch):
    pytest.importorskip("pytest_rerunfailures")
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:randomly -p rerunfailures")
    project.procedures(FLAKY)
    project.contract(
        """
        proof_obligations:
          - {id: FLAKY, type: safety, property: P, run: flaky}
          - {id: WRONG, type: safety, property: P, run: wrong}
          - {id: BAD, type: invariant, property: P, formal: softmax(x) > 1, applies_to: cpu}
        qa_gate: {id: GATE, checks: [FLAKY]}
        """
    )
    run = project.run_apart if workers else project.run
    result = run("--reruns=2", *workers, examples=3)
    outcomes = result.parseoutcomes()
    assert (outcomes["passed"], outcomes["failed"], outcomes["rerun"]) == (2, 2, 5)
    ledger = project.ledger()
    assert {name: item["verdict"] for name, item in ledger.items()} == {
        "FLAKY": "HELD",
        "WRONG": "FALSIFIED",
        "BAD[cpu]": "FALSIFIED",
        "GATE": "HELD",
    }
    assert ledger["FLAKY"]["compared"] == 1, "counts are those of the last run"
    assert ledger["FLAKY"]["message"] == ""


def test_coverage_sees_the_code_under_test(claims):
    result = claims.run_apart(
        "-p", "pytest_cov", "--cov=engine", "--cov-report=json:cov.json", "-k", "GOOD", examples=3
    )
    result.assert_outcomes(passed=2, deselected=5)
    report = json.loads((claims.pytester.path / "cov.json").read_text())
    lines = (claims.pytester.path / "engine.py").read_text().splitlines()
    number = next(i for i, line in enumerate(lines, 1) if "terms.sum()).astype" in line)
    assert number in report["files"]["engine.py"]["executed_lines"]


def test_time_limit_fails_the_claim(project):
    pytest.importorskip("pytest_timeout")
    project.procedures(
        "import signal, time\n"
        "def slow():\n    signal.raise_signal(signal.SIGALRM)\n    time.sleep(30)\n"
        "def quick():\n    assert time.time() > 0\n"
    )
    project.contract(
        """
        proof_obligations:
          - {id: SLOW, type: safety, property: P, run: slow}
          - {id: QUICK, type: safety, property: P, run: quick}
        """
    )
    # Nobody waits for it: the signal by which the plugin's clock speaks comes at once.
    project.run("-p", "timeout", "--timeout=300").assert_outcomes(passed=1, failed=1)
    record = project.ledger()["SLOW"]
    assert record["verdict"] == "FALSIFIED"
    assert "Timeout" in record["message"]


# -- what stands beside and around contracts -----------------------------------------------------

AFTER = """
def test_after():
    pass
"""


@pytest.mark.parametrize("reorder", ["items.reverse()", "items.sort(key=lambda i: i.name)"])
def test_an_ordinary_test_may_follow_a_gate(project, reorder):
    project.contract(CLAIMS.replace("softmax(x) > 1}", "softmax(x) < 2}"))
    project.pytester.makepyfile(test_z=AFTER)
    project.pytester.makeconftest(
        "import pytest\n"
        "@pytest.hookimpl(wrapper=True, tryfirst=True)\n"
        f"def pytest_collection_modifyitems(items):\n    yield\n    {reorder}\n"
    )
    result = project.run("contracts", "test_z.py", examples=3)
    result.assert_outcomes(passed=8)
    assert project.verdicts()["GATE"] == "HELD"


def test_new_files_first_may_put_a_test_behind_a_gate(project):
    project.contract(CLAIMS.replace("softmax(x) > 1}", "softmax(x) < 2}"))
    old = project.pytester.makepyfile(test_z=AFTER)
    os.utime(old, (1_000_000_000, 1_000_000_000))
    project.run("--nf", "contracts", "test_z.py", examples=3).assert_outcomes(passed=8)


def test_a_tear_down_that_fails_before_a_gate_is_an_error_of_its_own(project):
    project.contract(
        """
        proof_obligations: [{id: A, type: safety, property: P, run: f}]
        qa_gate: {id: GATE, checks: [A]}
        """
    )
    project.procedures("def f(brittle): assert brittle")
    project.pytester.makepyfile(test_z=AFTER)
    project.pytester.makeconftest(
        "import pytest\n"
        "@pytest.fixture(scope='module')\ndef brittle():\n    yield 1\n    raise OSError('kept')\n"
        "@pytest.hookimpl(wrapper=True, tryfirst=True)\n"
        "def pytest_collection_modifyitems(items):\n"
        "    yield\n    items.sort(key=lambda item: item.name == 'test_after')\n"
    )
    result = project.run("contracts", "test_z.py")
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(["*OSError: kept*"])


LINKED = """
proof_obligations: [{id: A, type: safety, property: P, equation: softmax, run: f}]
"""


@pytest.mark.parametrize("linked", ["file", "folder", "directory"])
def test_a_contract_may_be_a_symbolic_link(project, linked):
    path = project.contract(LINKED)
    project.procedures("def f(implementation, x):\n    assert len(implementation(x)) == len(x)\n")
    root = project.pytester.path
    if linked == "file":
        (root / "elsewhere").mkdir()
        for name in (path, path.with_name("softmax_v1.py")):
            name.rename(root / "elsewhere" / name.name)
        path.symlink_to(root / "elsewhere" / path.name)
    else:
        here = path.parent if linked == "folder" else root / "contracts"
        here.rename(root / "elsewhere")
        here.symlink_to(root / "elsewhere")
    project.run(examples=3).assert_outcomes(passed=2)
    project.run("contracts", examples=3).assert_outcomes(passed=2)
    project.run(f"{PATH}::A", contracts=True, examples=3).assert_outcomes(passed=2)


NAMING = """
from hypothesis import strategies as st
from pytest_contracts.errors import Unavailable

def pytest_contracts_strategies(config):
    return {"own": lambda: st.just(NUMBER)}

def pytest_contracts_parameters(config):
    return {"numbers": lambda: [NUMBER]}

def pytest_contracts_resources(config):
    return {"thing": lambda: None}
"""
NAMED = """
proof_obligations:
  - id: A
    type: safety
    property: P
    run: f
    requires: [thing]
    variables: {n: {strategy: own}}
    parametrize: {m: "numbers()"}
"""


def test_a_folder_s_conftest_speaks_to_the_contracts_below_it_whatever_their_names(project):
    project.contract(LINKED.replace("run: f", "formal: softmax(x) < 2"), "first-v1")
    for folder, number in (("one", 1), ("two", 2)):
        project.contract(NAMED, f"{folder}/z-v1")
        project.procedures(f"def f(n, m): assert n == m == {number}\n", f"{folder}/z_v1")
        conftest = project.pytester.path / "contracts" / folder / "conftest.py"
        conftest.write_text(NAMING.replace("NUMBER", str(number)), "utf-8")
    project.run(examples=3).assert_outcomes(passed=4)
    project.run("contracts/two", examples=3).assert_outcomes(passed=1)


def test_a_folder_s_conftest_is_silent_beside_it(project):
    project.contract(NAMED, "one/z-v1")
    project.contract(NAMED, "two/z-v1")
    for folder in ("one", "two"):
        project.procedures("def f(n, m): assert n == m == 1\n", f"{folder}/z_v1")
    conftest = project.pytester.path / "contracts" / "one" / "conftest.py"
    conftest.write_text(NAMING.replace("NUMBER", "1"), "utf-8")
    result = project.run(examples=3)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*VACUOUS: no resource is called 'thing'*"])
