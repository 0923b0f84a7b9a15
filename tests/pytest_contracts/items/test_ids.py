"""Node ids: one for each item, and each selects its item again, whoever hands them out."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

import pytest

from tests.within import WORKERS

ROOT = Path(__file__).parents[3]
HARD = """
metadata: {version: 1.0.0, kind: kernel, description: Hard names}
equations:
  softmax:
    formula: softmax(x) = exp(x − max(x)) / Σ exp(x − max(x))
    variables:
      n: 1..16
      x: {dtype: float32, shape: [n], range: [-200, 200]}
    implementations: {reference: "engine:softmax_reference", größe: "engine:softmax"}
"""
CLAIMS = """
proof_obligations:
  - {id: A-1.x_y, type: invariant, property: P, formal: softmax(x) >= 0}
  - {id: A-1, type: invariant, property: P, formal: softmax(x) <= 1, equation: softmax}
  - id: WORDS
    type: safety
    property: P
    run: f
    parametrize:
      word: ["a::b", "[x]", "é ü", "p/q", "x]y[z", "", "-k", "#", "A-1[cpu]"]
      n: [1, 2]
qa_gate: {id: G.1, checks: [A-1, WORDS]}
"""
PROCEDURE = "def f(word, n):\n    assert isinstance(word, str) and n\n"
COLLECT = ("--co", "-q", "-p", "no:cacheprovider")


@pytest.fixture
def hard(project):
    """A project whose names are as hard as names of contracts may be."""
    for name in ("sub dir/ünï/wäy one-v1", "kernels/softmax-v1"):
        project.contract(CLAIMS, name, head=HARD)
        project.procedures(PROCEDURE, name.replace("-", "_"))
    return project


def collected(project, *arguments: str) -> list[str]:
    result = project.run(*COLLECT, *arguments, examples=None)
    assert result.ret == pytest.ExitCode.OK, result.stdout.str()
    return [line for line in result.outlines if "::" in line]


def test_every_id_selects_its_item_and_no_other(hard):
    ids = collected(hard)
    assert len(ids) == len(set(ids)) == 2 * (2 + 2 + 18 + 1)
    for nodeid in ids[::9]:
        assert collected(hard, nodeid) == [nodeid]
    # All at once, backwards: one that selected another item, or two, would show. Gates come last.
    backwards = [nodeid for nodeid in reversed(ids) if not nodeid.endswith("G.1")]
    assert collected(hard, *backwards) == backwards


def test_every_id_of_this_project_s_contracts_selects_its_item():
    folder = ROOT / "contracts" / "kernels"
    seen = []

    class Seen:
        def pytest_collection_finish(self, session: pytest.Session) -> None:
            seen.append({item.nodeid: getattr(item, "turn", 0) for item in session.items})

    def ids(*arguments: str) -> dict[str, int]:
        words = ("-c", str(ROOT / "pyproject.toml"), "-qq", "-p", "no:unraisableexception")
        words += (*COLLECT, *arguments)
        assert pytest.main([*words], plugins=[Seen()]) == pytest.ExitCode.OK
        return seen.pop()

    found = ids(str(folder))
    assert len(found) > 50
    assert len(set(found.values())) > 1, "some come last, whatever the order they are asked for in"
    backwards = list(reversed(found))
    backwards.sort(key=found.__getitem__)
    assert list(ids(*(str(ROOT / item) for item in backwards))) == backwards


GATEWAYS = (f"--tx=popen//python={sys.executable}//id=a", "--tx=1*popen//id=b")


@pytest.mark.parametrize(
    "words",
    [
        (*(word for word in WORKERS if word != "-n2"), *GATEWAYS, "--dist=loadfile"),
        (*WORKERS, "-n1", "--dist=loadscope"),
    ],
    ids=["files among two", "scopes for one"],
)
def test_whichever_way_xdist_hands_them_out_all_run_once(hard, words):
    expected = Counter(nodeid.rpartition("::")[2] for nodeid in collected(hard))
    result = hard.run(*words, "--junitxml=junit.xml", examples=2)
    result.assert_outcomes(passed=sum(expected.values()))
    assert cases(hard) == expected


def test_each_worker_may_run_all(hard):
    total = len(collected(hard))
    result = hard.run(*WORKERS, "--dist=each", examples=2)
    result.assert_outcomes(passed=2 * total - 2)  # gates are decided once


def cases(project) -> Counter[str | None]:
    """The names of the test cases in the JUnit file, how often each."""
    tree = ElementTree.parse(project.pytester.path / "junit.xml")
    found = list(tree.iter("testcase"))
    assert {case.get("classname") for case in found} == {
        "contracts.sub dir.ünï.wäy one-v1.yaml",
        "contracts.kernels.softmax-v1.yaml",
    }
    return Counter(case.get("name") for case in found)


def test_junit_has_one_case_for_each_item(hard):
    expected = Counter(nodeid.rpartition("::")[2] for nodeid in collected(hard))
    hard.run("--junitxml=junit.xml", examples=2)
    assert cases(hard) == expected


SUBTESTS = "proof_obligations: [{id: A, type: safety, property: P, run: f}]"


@pytest.mark.parametrize(
    ("procedure", "fixture"),
    [
        ("def f(subtests):\n    with subtests.test(i=1):\n        assert 1 == 2\n", ""),
        (
            "def f(each):\n    with each(i=1):\n        assert 1 == 2\n",
            "import pytest\n@pytest.fixture\ndef each(subtests):\n    return subtests.test\n",
        ),
    ],
)
def test_subtests_are_refused_in_our_words(project, procedure, fixture):
    path = project.contract(SUBTESTS)
    project.procedures(procedure)
    project.pytester.makeconftest(fixture)
    result = project.run()
    result.assert_outcomes(failed=1)
    assert project.verdicts() == {"A": "VACUOUS"}
    line = project.line(path, "id: A")
    result.stdout.fnmatch_lines([f"*:{line}: VACUOUS: f asks for subtests, whose failures*"])


def test_a_parameter_may_be_called_subtests(project):
    project.contract(SUBTESTS.replace("run: f", "run: f, parametrize: {subtests: [1]}"))
    project.procedures("def f(subtests):\n    assert subtests == 1\n")
    project.run().assert_outcomes(passed=1)
