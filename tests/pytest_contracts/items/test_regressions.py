"""Inputs that broke a claim once: run first, checked against the domains, ready to be pasted."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

from pytest_contracts.analysis.validate import validate
from tests.within import ALONE, WORDS

HEAD = """
metadata: {version: 1.0.0, description: One rare input breaks it}
equations:
  f:
    formula: f(x) = 2·x
    variables:
      n: 1..4
      x: {dtype: float32, shape: [n], range: [-1000, 1000]}
    implementations: {cpu: "rare:double"}
"""
CLAIM = """
falsification_tests:
  - id: FALSIFY-R-001
    rule: Doubles
    formal: f(x) = 2·x
"""
RARE = """
import numpy as np


def double(x):
    return x + x + (x == np.float32(123.25))


def late(x):
    return x + x + (np.abs(x) > 50)
"""


@pytest.fixture
def rare(project):
    project.pytester.makepyfile(rare=RARE)
    return project


def write(project, *regressions, claim=CLAIM, head=HEAD):
    listed = "".join(f"\n      - {text}" for text in regressions)
    more = f"    regressions:{listed}\n" if regressions else ""
    return project.contract(claim.strip("\n") + "\n" + more, "rare-v1", head=head)


def test_a_regression_finds_what_one_drawn_example_misses(rare):
    write(rare)
    assert rare.run("-p", "no:cacheprovider", examples=1).ret == 0
    path = write(rare, "{n: 1, x: [7]}", "{n: 2, x: [0.5, 123.25]}")
    result = rare.run(examples=1)
    assert result.ret == 1
    line = rare.line(path, "123.25")
    result.stdout.fnmatch_lines(
        [
            "contracts/rare-v1.yaml:*: FALSIFIED: Doubles*",
            "*values:*[[]0.5, 123.25[]]*",
            f"  regression of line {line}:",
            "    n: 2",
            "    x: [[]0.5, 123.25[]]",
        ]
    )
    result.stdout.no_fnmatch_line("*counterexample:*")
    assert rare.ledger()["FALSIFY-R-001[cpu]"]["examples"] == 1, "the first regression held"


def test_regressions_come_before_what_is_drawn_and_do_not_count_as_drawn(rare):
    write(rare, "{n: 1, x: [7]}", "{n: 2, x: [0, 0]}")
    assert rare.run(examples=5).ret == 0
    assert rare.ledger()["FALSIFY-R-001[cpu]"]["examples"] == 7


def test_a_profile_without_explicit_examples_runs_regressions_all_the_same(rare):
    write(rare, "{n: 1, x: [123.25]}")
    settings.register_profile(
        "drawn-only",
        phases=[Phase.generate],
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    outer = settings.get_current_profile_name()
    settings.load_profile("drawn-only")
    try:
        assert rare.run(examples=1).ret == 1
    finally:
        settings.load_profile(outer)


def test_a_printed_counterexample_pasted_as_regression_fails_first(rare):
    head = HEAD.replace("rare:double", "rare:late")
    write(rare, head=head)
    shown = rare.run(examples=200).stdout.str()
    found = re.search(r"^  counterexample:\n((?:    .+\n)+)", shown, re.MULTILINE)
    assert found is not None
    pasted = textwrap.dedent(found[1]).rstrip()
    assert re.fullmatch(r"n: 1\nx: \[-?5[01]\.\d*\]|n: 1\nx: \[\S+\]", pasted), "it is minimal"
    write(rare, pasted.replace("\n", "\n        "), head=head)
    again = rare.run(examples=1).stdout.str()
    assert "  regression of line" in again
    assert found[1] in again


def test_a_printed_command_pasted_into_a_shell_reproduces(rare):
    write(rare, head=HEAD.replace("rare:double", "rare:late"))
    rare.pytester.makeini("[pytest]\npythonpath = .\n")
    first = rare.run(examples=200)
    shown = first.stdout.str()
    (command,) = re.findall(r"^  reproduce: +(pytest .+)$", shown, re.MULTILINE)
    plain = shlex.join([*shlex.split(command), *WORDS])
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    again = subprocess.run(
        plain,
        shell=True,
        cwd=rare.pytester.path,
        env={**os.environ, **ALONE, "PATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert again.returncode == 1, again.stdout + again.stderr

    def telling(text):
        return re.findall(r"^  (?:failing|values|left|right|error).*", text, re.MULTILINE)

    assert telling(again.stdout) == telling(shown)
    assert len(telling(shown)) >= 4
    assert "1 failed" in again.stdout


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{n: 1}", "regression: it lacks 'x'"),
        ("{x: [1]}", "regression: it lacks 'n'"),
        ("{n: 1, x: [1], y: 3}", "regression: 'y' is no variable of the claim"),
        ("{n: 2, x: [1]}", "x: [1] is no array of shape [2]"),
        ("{n: 1, x: 1}", "x: 1 is no array of shape [1]"),
        ("{n: 1, x: [[1]]}", "x: [1] is no number"),
        ("{n: 1, x: [word]}", "x: 'word' is no number"),
        ("{n: 1, x: [true]}", "x: True is no number"),
        ("{n: 1, x: [1001]}", "x: 1001 lies outside of [-1000.0, 1000.0]"),
        ("{n: 1, x: [1e300]}", "x: 1e+300 is beyond the range of float32"),
        ("{n: 1, x: [.nan]}", "x: nan lies outside of"),
        ("{n: 1, x: [.inf]}", "x: inf lies outside of"),
        ("{n: 9, x: [1]}", "n: 9 lies outside of 1..4"),
        ("{n: 1.5, x: [1]}", "n: 1.5 is no integer"),
        ("{n: [1], x: [1]}", "n: [1] is no integer"),
    ],
)
def test_values_that_do_not_fit_are_refused_where_they_stand(rare, text, message):
    path = write(rare, text)
    result = rare.run()
    assert result.ret == 1
    line = rare.line(path, f"- {text}")
    result.stdout.fnmatch_lines([f"contracts/rare-v1.yaml:{line}: VACUOUS: *{_plain(message)}*"])
    (report,) = validate([Path(path)])
    if "lacks" not in message:  # which variables are drawn is known once names lead to code
        assert [message in str(error) for error in report.errors] == [True]
        assert report.errors[0].where is not None
        assert report.errors[0].where.line == line


def _plain(text):
    return re.sub(r"([\[\]])", r"[\1]", text)


EVERY = """
metadata: {version: 1.0.0, description: Every kind of domain}
equations:
  f:
    formula: f(v) = v
    variables: {v: DOMAIN}
    implementations: {cpu: "rare:same"}
falsification_tests:
  - {id: FALSIFY-K-001, rule: kind, run: take, regressions: [{v: VALUE}]}
"""


DOMAINS = [
    ("0.5..2", "1", "3"),
    ("1..9", "3", "3.0"),
    ("{a, 2, 1e-6}", "a", "b"),
    ("[a, 2]", "2", "'2'"),
    ("7", "7", "8"),
    ("bool", "true", "1"),
    ("{dtype: float32, range: [0, 1], specials: [nan]}", ".nan", ".inf"),
    ("{dtype: int8, nonzero: true}", "-5", "0"),
    ("{dtype: int8}", "127", "128"),
    ("{dtype: bool}", "false", "0"),
    ("{dtype: int8, shape: [2], unique: true}", "[1, 2]", "[1, 1]"),
    ("{dtype: float16, shape: [1, 2]}", "[[1, 2]]", "[[1], [2]]"),
    ("{tokens: 8, length: 1..3}", "[7, 0]", "[8]"),
    ("{tokens: 8, length: 1..3}", "[1]", "[]"),
    ("{text: true, length: 1..3}", "ab", "abcd"),
    ("{text: true, alphabet: AB}", "AB", "AC"),
    ("{block: Q8_0, count: 1}", str([[0] * 34]), str([[0] * 33])),
    ("{block: Q8_0, count: 1}", str([[255] * 34]), str([[256] * 34])),
    ("{strategy: anything}", "{a: [1]}", None),
]
STRATEGY = """
import hypothesis.strategies as st

def pytest_contracts_strategies(config):
    return {"anything": lambda: st.none()}
"""


def write_of_a_kind(project, index: int) -> dict[str, Path]:
    """Write a contract with a value that the domain has, and one with a value that it has not."""
    domain, *values = DOMAINS[index]
    paths = {}
    for name, value in zip(("good", "bad"), values, strict=True):
        if value is not None:
            text = EVERY.replace("DOMAIN", domain).replace("VALUE", value)
            paths[name] = project.contract("", f"{name}-{index}-v1", head=text)
            procedure = "def take(v):\n    assert v is not NotImplemented\n"
            project.procedures(procedure, f"{name}_{index}_v1")
    return paths


def judged(project) -> dict[str, dict[str, str]]:
    """The verdicts of all kinds by contract, in one run."""
    project.pytester.makeconftest(STRATEGY)
    for index in range(len(DOMAINS)):
        write_of_a_kind(project, index)
    project.run("-p", "no:cacheprovider", examples=1)
    return project.verdicts_of()


@pytest.mark.parametrize("index", range(len(DOMAINS)), ids=[row[0] for row in DOMAINS])
def test_every_kind_of_domain_knows_its_values(rare, once, index):
    found = once("every kind", lambda: judged(rare))
    paths = write_of_a_kind(rare, index)
    assert ("bad" in paths) == (DOMAINS[index][2] is not None)
    for name, path in paths.items():
        verdict = "HELD" if name == "good" else "VACUOUS"
        assert found[f"{name}-{index}-v1"] == {"FALSIFY-K-001": verdict}
        assert bool(validate([path])[0].errors) == (name == "bad")


def test_a_regression_that_meets_no_precondition_is_vacuous(rare):
    claim = CLAIM.replace("f(x) = 2·x", "f(x) = 2·x when max(x) > 5")
    path = write(rare, "{n: 1, x: [3]}", claim=claim)
    result = rare.run(examples=5)
    assert result.ret == 1
    line = rare.line(path, "x: [3]")
    result.stdout.fnmatch_lines(
        [f"*rare-v1.yaml:{line}: VACUOUS: the regression does not meet the precondition"]
    )


def test_a_claim_that_draws_nothing_has_no_regressions(rare):
    claim = CLAIM.replace("f(x) = 2·x", "f(2) = 4")
    write(rare, "{n: 1, x: [3]}", claim=claim)
    result = rare.run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*VACUOUS: the claim draws nothing, so it has no regressions"])


@pytest.mark.parametrize("text", ["[1]", "3", "{1x: 3}"])
def test_the_schema_knows_regressions(rare, text):
    path = write(rare, text)
    (report,) = validate([path])
    assert "regressions" in str(report.errors[0])
