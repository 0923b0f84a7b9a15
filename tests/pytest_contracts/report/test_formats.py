"""Which files a run writes, and what it refuses before anything runs."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from pytest_contracts.report.formats import FORMATS, Target, write_all
from tests.within import WORKERS

from .conftest import MIXED, make_record, make_report


def test_every_format_is_written_in_one_run(project):
    project.contract(MIXED)
    names = [f"out/r{extension}" for extension in FORMATS]
    project.run(*(f"--contracts-report={name}" for name in names), examples=3)
    for name in names:
        assert (project.pytester.path / name).stat().st_size > 300, name
    assert sorted(p.name for p in (project.pytester.path / "out").iterdir()) == sorted(
        Path(name).name for name in names
    )


@pytest.mark.parametrize("name", ["report.pdf", "report", ".json", "r.html.gz"])
def test_an_unknown_extension_is_refused_before_anything_runs(project, name):
    project.contract(MIXED)
    result = project.run(f"--contracts-report={name}", "--contracts-report=r.md")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    told = f"ERROR: --contracts-report: cannot tell the format of '{name}': known are .json, .html"
    assert told in result.stderr.str()
    assert not (project.pytester.path / "r.md").exists()
    assert not (project.pytester.path / ".contracts").exists()


def test_extensions_are_read_in_either_case(tmp_path):
    assert Target.of("R.SARIF", tmp_path, {}).extension == ".sarif"


def test_a_file_that_cannot_be_written_does_not_cost_the_others(tmp_path):
    (tmp_path / "taken").write_text("a file, not a folder")
    targets = [Target.of(name, tmp_path, {}) for name in ("taken/r.json", "r.md")]
    problems = write_all(targets, make_report(make_record()))
    assert len(problems) == 1
    assert problems[0].startswith(f"cannot write {tmp_path / 'taken' / 'r.json'}: ")
    assert (tmp_path / "r.md").exists()


def test_an_old_report_stays_whole_where_the_new_one_cannot_be_rendered(tmp_path, monkeypatch):
    path = tmp_path / "r.md"
    path.write_text("old")
    monkeypatch.setattr("pytest_contracts.report.markdown.render", lambda report: "\ud800")
    with pytest.raises(UnicodeEncodeError):
        Target.of("r.md", tmp_path, {}).write(make_report(make_record()))
    assert [p.name for p in tmp_path.iterdir()] == ["r.md"]
    assert path.read_text() == "old"


def test_the_step_summary_of_github_is_appended_to(project, monkeypatch):
    summary = project.pytester.path / "step_summary_1"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    project.contract(MIXED)
    project.run(f"--contracts-report={summary}", examples=2)
    text = summary.read_text("utf-8")
    assert text.startswith("before\n## ❌ Contracts: ")


def test_reports_are_the_controllers_under_xdist(project):
    project.contract(MIXED)
    (project.pytester.path / "contracts" / "bad.yaml").write_text("metadata: {version: 1, oops")
    files = [f"--contracts-report=r{extension}" for extension in FORMATS]
    files += ["--junitxml=j.xml", "--contracts-fail-under=level=L1"]
    project.run(*files, examples=3)
    alone = read(project)
    for path in project.pytester.path.glob("r.*"):
        path.unlink()
    shared = project.run(*files, *WORKERS, "-p", "no:cacheprovider", examples=3)
    assert read(project) == alone
    assert len(alone[0]) == 11
    assert sum("under the threshold: lowest level L0" in line for line in shared.outlines) == 1


def read(project):
    """What the files of a run say, in an order that does not depend on who came first."""
    folder = project.pytester.path
    texts = {path.suffix: path.read_text("utf-8") for path in folder.glob("r.*")}
    data = json.loads(texts[".json"])
    for extension in (".json", ".md", ".html", ".sarif"):
        assert "bad.yaml" in texts[extension], extension
        assert "not YAML" in texts[extension], extension
    return (
        {item["nodeid"]: item["verdict"] for item in data["items"]},
        data["errors"],
        sorted(re.findall(r'id="([^"]+)"', texts[".html"])),
        {
            name: (said["claim"], said["verdict"], said["level"])
            for name, said in junit_properties(folder / "j.xml").items()
            if said
        },
        texts[".svg"],
    )


def junit_properties(path):
    """The properties of each test case; each stands there once."""
    cases = {}
    for case in ET.parse(path).iter("testcase"):
        pairs = [(p.get("name"), p.get("value")) for p in case.iter("property")]
        assert len(pairs) == len(dict(pairs))
        cases[case.get("name")] = dict(pairs)
    return cases


def test_collecting_only_writes_nothing(project):
    project.contract(MIXED)
    project.run("--contracts-report=r.md", "--collect-only")
    assert not (project.pytester.path / "r.md").exists()


def test_a_run_without_items_still_writes_what_was_asked_for(project):
    project.contract(MIXED)
    project.run("--contracts-report=r.md", "--contracts-report=r.html", "-k", "no_such_name")
    assert "0 of 0 items" in (project.pytester.path / "r.md").read_text("utf-8")
    assert "Nothing ran" in (project.pytester.path / "r.html").read_text("utf-8")


def test_junit_carries_what_a_record_says(project):
    project.contract(MIXED)
    project.run("--junitxml=j.xml", examples=4)
    cases = junit_properties(project.pytester.path / "j.xml")
    for name, record in project.ledger().items():
        said = {key: record[key] for key in ("contract", "claim", "verdict", "level", "where")}
        said |= {key: str(record[key]) for key in ("examples", "compared")}
        if record["implementation"]:
            said["implementation"] = record["implementation"]
        assert cases[name] == said, name


def test_properties_of_the_user_are_kept_in_junit(project):
    project.contract(
        """
        falsification_tests:
          - {id: A, rule: R, prediction: P, run: check}
        """
    )
    project.procedures(
        """
        def check(record_property, compared):
            compared(1)
            assert compared.total == 1
            record_property("mine", "yes")
        """
    )
    project.run("--junitxml=j.xml", "-o", "junit_family=xunit1")
    [properties] = junit_properties(project.pytester.path / "j.xml").values()
    assert properties.items() >= {("mine", "yes"), ("verdict", "HELD")}
