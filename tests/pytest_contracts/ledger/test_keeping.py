"""What a run of a part leaves of the ledger of the whole."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pytest_contracts.cli import app
from tests.within import WORKERS

CONTRACT = """
metadata: {{version: 1.0.0, description: A contract under test}}
equations:
  double:
    formula: double(n) = 2·n
    variables: {{n: 0..50}}
    implementations: {{one: "{module}:double", two: "{module}:again"}}
proof_obligations:
  - {{id: EQV, type: equivalence, property: As defined}}
  - {{id: POS, type: invariant, property: No less than nothing, formal: double(n) >= 0}}
qa_gate: {{id: GATE, checks: [EQV, POS]}}
"""
CODE = """
def double(n):
    return 2 * n


def again(n):
    return n + n
"""
ALL = {"EQV[one]", "EQV[two]", "POS[one]", "POS[two]", "GATE"}


class Pair:
    """Two contracts on two modules, and the ledger that stays beside them."""

    def __init__(self, project) -> None:
        self.project = project
        self.root: Path = project.pytester.path
        for name in ("left", "right"):
            (self.root / f"{name}lib.py").write_text(CODE)
            self.contract(name).parent.mkdir(exist_ok=True)
            self.contract(name).write_text(CONTRACT.format(module=f"{name}lib"), "utf-8")

    def ran(self) -> dict[str, bytes]:
        """Run all; return the files that there are then."""
        self.run()
        return self.project.files()

    def begin(self, files: dict[str, bytes]) -> None:
        """Go on from a run of all."""
        self.project.write(files)
        self.first = self.document()["run"]["started"]
        self.age()

    def contract(self, name: str) -> Path:
        return self.root / "contracts" / f"{name}-v1.yaml"

    def run(self, *arguments: str) -> pytest.RunResult:
        return self.project.run("--contracts-report=own.json", *arguments)

    def age(self) -> None:
        """Make the ledger an hour older, as runs within a second begin at the same time."""
        path = self.root / ".contracts" / "ledger.json"
        self.first = "2026-01-01T00:00:00Z"
        path.write_text(path.read_text().replace(self.document()["run"]["started"], self.first))

    def document(self, name: str = ".contracts/ledger.json") -> dict[str, Any]:
        return json.loads((self.root / name).read_text("utf-8"))

    def kept(self) -> dict[str, set[str]]:
        """The names of the items that are kept from the first run, by contract."""
        found: dict[str, set[str]] = {"left-v1": set(), "right-v1": set()}
        for item in self.document()["items"]:
            if item["run"]:
                assert item["run"] == self.first
                found[item["contract"]].add(item["nodeid"].rpartition("::")[2])
        return found

    def edit(self, path: Path, old: str, new: str) -> None:
        text, before = path.read_text("utf-8"), path.stat()
        assert old in text
        path.write_text(text.replace(old, new), "utf-8")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 2_000_000_000))


@pytest.fixture
def pair(project, once) -> Pair:
    """Both, after a run of all: once, for all of these tests."""
    found = Pair(project)
    found.begin(once("ran", found.ran))
    return found


CLAIMS = ALL - {"GATE"}


@pytest.mark.parametrize(
    ("arguments", "left", "right"),
    [
        (["-k", "left and EQV"], {"POS[one]", "POS[two]"}, CLAIMS),
        (["-m", "gate"], CLAIMS, CLAIMS),
        (["--deselect", "contracts/left-v1.yaml::POS[one]"], {"POS[one]"}, set()),
        (["contracts/left-v1.yaml::POS[one]"], CLAIMS - {"POS[one]"}, CLAIMS),
        (["contracts/left-v1.yaml"], set(), CLAIMS),
        (["--contracts-backend=one"], {"EQV[two]", "POS[two]"}, {"EQV[two]", "POS[two]"}),
    ],
)
def test_a_part_keeps_the_rest(pair, arguments, left, right):
    pair.run(*arguments)
    assert pair.kept() == {"left-v1": left, "right-v1": right}
    items = pair.document()["items"]
    assert len(items) == 10
    assert {item["verdict"] for item in items} == {"HELD"}
    # Gates are decided from all records, kept ones included.
    checks = [gate["checks"] for gate in pair.document()["gates"]]
    assert [len(nodeids) for check in checks for nodeids in check.values()] == [2, 2, 2, 2]


def test_a_part_keeps_the_rest_where_a_worker_runs_it(pair):
    pair.run(*WORKERS, "-n1", "-k", "left and EQV")
    assert pair.kept() == {"left-v1": {"POS[one]", "POS[two]"}, "right-v1": CLAIMS}


def test_a_run_that_is_cut_short_keeps_what_it_did_not_reach(pair):
    pair.edit(pair.root / "leftlib.py", "2 * n", "3 * n")
    pair.run("-x")
    # The changed module's own records would no longer be true.
    assert pair.kept() == {"left-v1": set(), "right-v1": CLAIMS}
    verdicts = {item["nodeid"]: item["verdict"] for item in pair.document()["items"]}
    assert verdicts["contracts/left-v1.yaml::EQV[one]"] == "FALSIFIED"
    assert verdicts["contracts/left-v1.yaml::GATE"] == "FALSIFIED"
    assert verdicts["contracts/right-v1.yaml::GATE"] == "HELD"


def test_failed_first_keeps_the_rest(pair):
    pair.edit(pair.root / "leftlib.py", "n + n", "n + n + 1")
    pair.run()
    pair.age()
    pair.run("--lf")
    assert pair.kept() == {"left-v1": {"EQV[one]", "POS[one]", "POS[two]"}, "right-v1": CLAIMS}


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("leftlib.py", "n + n", "n * 2"),
        ("contracts/left-v1.yaml", "As defined", "In other words"),
    ],
)
def test_nothing_is_kept_that_rests_on_what_has_changed(pair, name, old, new):
    pair.edit(pair.root / name, old, new)
    pair.run("-k", "left and EQV and one")
    assert pair.kept() == {"left-v1": set(), "right-v1": CLAIMS}
    gate = {i["nodeid"]: i for i in pair.document()["items"]}["contracts/right-v1.yaml::GATE"]
    assert gate["verdict"] == "HELD"


def test_a_gate_over_what_was_dropped_is_open(pair):
    pair.edit(pair.root / "leftlib.py", "n + n", "n * 2")
    pair.run("-k", "left and EQV and one")
    gates = {i["contract"]: i for i in pair.document()["items"] if i["kind"] == "gate"}
    assert gates["left-v1"]["verdict"] == "INCONCLUSIVE"
    assert "not run here" in gates["left-v1"]["message"]


def test_a_contract_that_is_gone_takes_its_records_with_it(pair):
    pair.contract("right").unlink()
    pair.run("-k", "left and EQV")
    assert pair.kept() == {"left-v1": {"POS[one]", "POS[two]"}, "right-v1": set()}


def test_a_run_of_everything_replaces_the_ledger(pair):
    pair.run()
    assert pair.kept() == {"left-v1": set(), "right-v1": set()}
    assert len(pair.document()["items"]) == 10
    (pair.root / "test_more.py").write_text("def test_more(): pass")
    pair.age()
    pair.run("contracts", "test_more.py", "--deselect", "test_more.py::test_more")
    assert pair.kept() == {"left-v1": set(), "right-v1": set()}


def test_the_reports_of_a_part_are_about_the_part(pair):
    words = ("--contracts-partial", "--contracts-fail-under=verified=100")
    result = pair.run("-k", "left and EQV", *words)
    assert result.ret == pytest.ExitCode.OK
    assert len(pair.document("own.json")["items"]) == 2
    result.stdout.fnmatch_lines(["2 of 2 items verified:*"])
    pair.edit(pair.root / "leftlib.py", "n + n", "n + n + 1")
    words = ("--contracts-partial", "--contracts-fail-under=verified=50")
    result = pair.run("-k", "left and EQV and two", *words)
    result.stdout.fnmatch_lines(["under the threshold: 0 % of items verified (0 of 1)*"])


def test_the_whole_is_no_news_after_a_part(pair):
    pair.run("-k", "left and EQV")
    pair.run("--contracts-baseline=.contracts/ledger.json", "--contracts-report=news.md")
    news = (pair.root / "news.md").read_text("utf-8")
    assert "**new:** 0" in news
    assert "**gone:** 0" in news


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["run"].update(device="Moon Base 1"),
        lambda d: d["run"]["versions"].update(numpy="1.0"),
        lambda d: d["run"].update(python="2.7"),
        lambda d: d["files"].update({"contracts/binding.yaml": "0" * 64}),
        lambda d: [gate.pop("kind") for gate in d["gates"]],
        lambda d: d.pop("files"),
        lambda d: d.update(schema="other/1"),
    ],
)
def test_a_ledger_of_other_surroundings_is_replaced(pair, change):
    path = pair.root / ".contracts" / "ledger.json"
    document = pair.document()
    change(document)
    path.write_text(json.dumps(document))
    result = pair.run("-k", "left and EQV")
    assert result.ret == pytest.ExitCode.OK
    assert len(pair.document()["items"]) == 2


def test_what_is_kept_is_no_evidence(pair):
    pair.run("-k", "left and EQV")
    ledger = pair.root / ".contracts" / "ledger.json"
    words = ["evidence", str(ledger), "-o", "evidence.json", "--device=Earth"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert "contracts/right-v1.yaml::EQV[one]: HELD, but in an earlier run" in result.output
    assert "evidence.json: 2 items on Earth" in result.output
