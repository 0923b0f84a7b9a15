"""Views of a run: failure texts, counterexamples, the terminal summary, the JSON file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from pytest_contracts.errors import Falsified
from pytest_contracts.report.failure import (
    aligned,
    counterexample_yaml,
    failure_repr,
    falsified_text,
    show,
)
from pytest_contracts.where import Where

MIXED = """
proof_obligations:
  - {id: A, type: invariant, property: P, formal: softmax(x) >= 0}
  - {id: B, type: invariant, property: P, formal: softmax(x) > 1}
  - {id: C, type: safety, property: P}
"""


def test_counterexamples_read_back_as_the_same_inputs():
    inputs = {
        "n": 3,
        "x": np.array([0.1, -0.0, 3e38], np.float32),
        "edge": np.array([np.inf, -np.inf, np.nan], np.float32),
        "raw": np.array([[1, 255]], np.uint8),
        "eps": np.float32(1e-6),
        "flag": np.bool_(True),
        "text": "a: b\n",
        "ids": (1, 2),
        "table": {"k": np.int8(-3)},
        "empty": np.zeros((0, 2), np.float16),
    }
    read = yaml.safe_load(counterexample_yaml(inputs))
    for name in ("x", "edge", "raw"):
        np.testing.assert_array_equal(np.array(read[name], inputs[name].dtype), inputs[name])
    assert np.float32(read["eps"]) == inputs["eps"]
    assert read["x"][0] == 0.1
    assert np.signbit(read["x"][1])
    assert (read["n"], read["flag"], read["text"]) == (3, True, "a: b\n")
    assert (read["ids"], read["table"], read["empty"]) == ([1, 2], {"k": -3}, [])


def test_counterexamples_that_no_one_would_read_are_described():
    text = counterexample_yaml({"x": np.zeros((100, 10), np.float32), "model": Path})
    assert "float32 array of shape [100, 10]" in text
    assert "Path'>" in text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (np.float64(0.5), "0.5"),
        (0.1, "0.1"),
        (np.arange(3.0), "[0., 1., 2.]"),
        ("x" * 500, f"'{'x' * 196}..."),
    ],
)
def test_sides_are_short(value, shown):
    assert show(value) == shown


def test_long_arrays_are_abbreviated():
    assert len(show(np.arange(10_000))) < 100


def test_falsified_text_shows_what_is_known():
    text = falsified_text(
        Falsified(
            "a < b", substituted="1 < 0", left=1, right=0, error=1.0, tolerance=0.5, index=(2,)
        )
    )
    assert text.splitlines() == [
        "  failing:  a < b",
        "  values:   1 < 0",
        "  left[2]:  1",
        "  right[2]: 0",
        "  error:    1, tolerance 0.5",
    ]
    assert falsified_text(Falsified("a < b", detail={"reason": "NaN"})).splitlines() == [
        "  failing: a < b",
        "  reason:  NaN",
    ]


def test_table_aligns_and_indents_further_lines():
    assert aligned([("a", "1\n2"), ("bcd", "3")]) == "  a:   1\n       2\n  bcd: 3"
    assert aligned([]) == ""


def test_failure_repr_starts_with_place_and_headline():
    made = failure_repr(Where(Path("c.yaml"), 7, 3), "FALSIFIED: P", "  body", "a traceback")
    assert made.reprcrash is not None
    assert (made.reprcrash.path, made.reprcrash.lineno) == ("c.yaml", 7)
    assert made.reprcrash.message == "FALSIFIED: P"
    assert str(made).splitlines() == ["c.yaml:7: FALSIFIED: P", "", "  body", "", "a traceback"]


def test_summary_counts_verdicts_per_contract(project):
    project.contract(MIXED, "one-v1")
    project.contract("\n".join(MIXED.splitlines()[:3]), "another-v1")
    result = project.run(examples=10)
    lines = result.outlines
    start = next(i for i, line in enumerate(lines) if " contracts " in line and "===" in line)
    assert lines[start + 1 : start + 4] == [
        "another-v1  L3  2 held                      ",
        "one-v1      L0  2 held  2 falsified  1 prose",
        lines[start + 3],
    ]
    assert lines[start + 3].startswith("4 of 7 items verified: ")


def test_summary_says_once_what_is_missing(project):
    claims = [line for line in MIXED.splitlines() if "id: C" not in line]
    path = project.contract("\n".join(claims), "far-v1")
    path.write_text(
        path.read_text("utf-8").replace("engine:softmax\n", "engine:far_away\n"), "utf-8"
    )
    lines = project.run(examples=5).outlines
    assert [line for line in lines if " unavailable: " in line] == [
        "2 items unavailable: no accelerator here; rent one"
    ]


def test_summary_is_coloured_when_asked(project):
    project.contract(MIXED)
    text = project.run("--color=yes", examples=5).stdout.str()
    assert "\x1b[31m\x1b[1m2 falsified\x1b[0m" in text
    assert "\x1b[32m2 held" in text
    plain = project.run("--color=no", examples=5).stdout.str()
    assert "\x1b[" not in plain


def test_run_without_contracts_shows_and_writes_nothing(project):
    project.pytester.makepyfile(test_plain="def test_plain(): pass")
    result = project.run(contracts=False)
    assert "verified" not in result.stdout.str()
    assert "contracts:" not in result.stdout.str()
    assert not (project.pytester.path / ".contracts").exists()


def test_run_without_contracts_imports_nothing_heavy(project):
    project.pytester.makepyfile(
        test_plain="""
        import sys

        def test_plain():
            heavy = {"hypothesis", "numpy", "numba", "z3", "crosshair", "jsonschema", "yaml"}
            assert not heavy & sys.modules.keys()
        """
    )
    project.run_apart(
        "-p", "no:anyio", "-p", "no:randomly", contracts=False, examples=None
    ).assert_outcomes(passed=1)


def test_json_report_is_the_ledger(project):
    project.contract(MIXED)
    project.run("--contracts-report=out/report.json", examples=5)
    report = json.loads((project.pytester.path / "out" / "report.json").read_text("utf-8"))
    ledger = json.loads((project.pytester.path / ".contracts" / "ledger.json").read_text("utf-8"))
    assert report == ledger
    by_name = {item["nodeid"].rpartition("::")[2]: item for item in report["items"]}
    failed = by_name["B[cpu]"]
    assert failed["verdict"] == "FALSIFIED"
    assert failed["outcome"] == "failed"
    assert failed["message"] == "softmax(x) > 1"
    assert failed["contract"] == "softmax-v1"
    assert failed["where"].startswith("contracts/kernels/softmax-v1.yaml:13:")
    assert len(failed["sources"]["implementation"]) == 64


def test_source_digests_change_with_formula_and_implementation(project):
    def digests():
        project.run(examples=2)
        return project.ledger()["A[cpu]"]["sources"]

    path = project.contract("\n".join(MIXED.splitlines()[:3]))
    first = digests()
    engine = project.pytester.path / "engine.py"
    engine.write_text(engine.read_text() + "\n# changed\n")
    second = digests()
    assert second["formula"] == first["formula"]
    assert second["implementation"] != first["implementation"]
    path.write_text(path.read_text().replace(">= 0", ">= -1"))
    assert digests()["formula"] != first["formula"]


def test_report_that_cannot_be_written_is_an_error(project):
    project.contract(MIXED)
    (project.pytester.path / "taken").write_text("a file, not a folder")
    result = project.run(
        "--contracts-report=taken/report.json", "--contracts-report=r.md", examples=2
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert any(line.startswith("cannot write ") for line in result.outlines)
    assert any("items verified" in line for line in result.outlines)
    assert "2 of 5" in (project.pytester.path / "r.md").read_text("utf-8")


def test_records_are_open_to_other_plugins(project):
    project.contract("\n".join(MIXED.splitlines()[:3]))
    project.pytester.makeconftest(
        """
        def pytest_unconfigure(config):
            from pytest_contracts.plugin import records
            print("heard", [item["verdict"] for item in records(config)["items"]])
        """
    )
    assert "heard ['HELD', 'HELD']" in project.run(examples=2).stdout.str()
