"""Evidence: what held where a resource was, judged again where it is not."""

from __future__ import annotations

import json
import os
import re
import textwrap

import pytest
from typer.testing import CliRunner

from pytest_contracts.cli import app
from pytest_contracts.ledger.evidence import EvidenceError, extract, read
from pytest_contracts.ledger.reading import read as read_ledger
from pytest_contracts.ledger.sealed import seal
from tests.within import WORKERS

RUN = {"started": "2026-01-01T00:00:00Z", "duration_s": 1.0}

CONFTEST = """
from pathlib import Path

import pytest

from pytest_contracts.errors import Unavailable

HERE = Path(__file__).with_name("moon")


def pytest_contracts_resources(config):
    def moon():
        if not HERE.exists():
            raise Unavailable("no moon", "go there")

    return {"moon": moon}


@pytest.fixture
def base():
    if not HERE.exists():
        pytest.skip("the base is on the moon")


def pytest_contracts_device(config):
    return "Moon Base 1" if HERE.exists() else None
"""

ENGINE = """
from helper import factor


def double(n):
    return factor("kernel.cu") * n


def other(n):
    return n + n
"""

CONTRACT = """
metadata: {version: 1.0.0, description: A contract under test}
equations:
  double:
    formula: double(n) = 2·n
    variables: {n: 0..50}
    implementations: {cpu: "moonlib:other", moon: "moonlib:double"}
proof_obligations:
  - {id: EQV, type: equivalence, property: As defined, requires: moon, applies_to: moon}
  - {id: RUN, type: invariant, property: By procedure, run: check, parametrize: {k: [3, 4]}}
  - {id: HERE, type: invariant, property: Anywhere, formal: double(n) >= 0, applies_to: cpu}
  - id: BAD
    type: invariant
    property: Wrong
    formal: double(n) < 0
    requires: moon
    applies_to: moon
qa_gate: {id: GATE, checks: [EQV, RUN]}
"""


class Moon:
    """A project, and the way between the machine that has the resource and the one that has not."""

    def __init__(self, project) -> None:
        self.project = project
        self.root = project.pytester.path
        self.evidence = self.root / "evidence" / "moon.json"
        files = {
            "conftest.py": CONFTEST,
            "moonlib.py": ENGINE,
            "helper.py": 'NAME = "kernel.cu"\ndef factor(name):\n    return 2\n',
            "kernel.cu": '#include "kernel.cuh"\n',
            "kernel.cuh": "// two\n",
            "unrelated.py": "",
        }
        for name, text in files.items():
            (self.root / name).write_text(text)
        self.contract = project.contract(CONTRACT, "moon-v1", head="")
        project.procedures("def check(k, base):\n    assert k in (3, 4)\n", "moon_v1")

    def there(self, *arguments: str) -> None:
        """Run where the resource is, and keep the evidence."""
        (self.root / "moon").write_text("")
        self.project.run("--contracts-report=ledger.json", *arguments)
        (self.root / "moon").unlink()

    def keep(self) -> str:
        result = CliRunner().invoke(
            app, ["evidence", str(self.root / "ledger.json"), "-o", str(self.evidence)]
        )
        assert result.exit_code == 0, result.output
        return result.output

    def here(self, *arguments: str) -> pytest.RunResult:
        """Run where the resource is not."""
        return self.project.run(*arguments)

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.root / name
        text, before = path.read_text("utf-8"), path.stat()
        assert old in text
        path.write_text(text.replace(old, new), "utf-8")
        # Python keeps a module's time of change in whole seconds, and an edit is one within them.
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 2_000_000_000))


@pytest.fixture
def moon(project, once) -> Moon:
    """A project that has run where the resource is: once, for all of these tests."""
    found = Moon(project)

    def there() -> dict[str, bytes]:
        found.there()
        return project.files()

    project.write(once("there", there))
    return found


def rewritten(path, **changes) -> None:
    """Change a document and give it the digest that it would have had."""
    document = {**json.loads(path.read_text()), **changes}
    document["digest"] = seal(document)
    path.write_text(json.dumps(document))


def test_without_evidence_items_are_unavailable(moon):
    result = moon.here()
    verdicts = moon.project.verdicts()
    assert verdicts == {
        "EQV[moon]": "UNAVAILABLE",
        "RUN[3]": "UNAVAILABLE",
        "RUN[4]": "UNAVAILABLE",
        "HERE[cpu]": "HELD",
        "BAD[moon]": "UNAVAILABLE",
        "GATE": "UNAVAILABLE",
    }
    result.stdout.fnmatch_lines(["* items unavailable: no moon; go there"])


def test_fresh_evidence_passes_and_says_where_and_when(moon):
    output = moon.keep()
    assert "left out: contracts/moon-v1.yaml::BAD[moon]: FALSIFIED" in output
    assert output.endswith("evidence/moon.json: 4 items on Moon Base 1\n")
    result = moon.here("-v")
    result.assert_outcomes(passed=5, skipped=1)
    result.stdout.re_match_lines(
        [
            r".*::EQV\[moon\] EVIDENCED \(Moon Base 1, \d{4}-\d\d-\d\d\) +\[.*",
            r"moon-v1 .* 2 held  1 unavailable  3 evidenced",
            r"4 of 5 items verified: .*",
            r"1 item evidenced: held on Moon Base 1, .* \(moon.json\); here: no moon; go there",
        ]
    )
    ledger = moon.project.ledger()
    record = ledger["EQV[moon]"]
    assert (record["verdict"], record["outcome"], record["level"]) == ("EVIDENCED", "passed", "L3")
    assert (record["examples"], record["compared"]) == (0, 0)
    assert record["evidence"]["device"] == "Moon Base 1"
    assert ledger["BAD[moon]"]["verdict"] == "UNAVAILABLE"
    gate = ledger["GATE"]
    assert gate["verdict"] == "HELD"
    assert "EQV evidenced EQV[moon]" in gate["message"]


def test_evidence_names_what_it_rests_on(moon):
    moon.keep()
    document = json.loads(moon.evidence.read_text())
    items = {(item["claim"], item["implementation"]): item for item in document["items"]}
    kernel = ["conftest.py", "helper.py", "kernel.cu", "kernel.cuh", "moonlib.py"]
    assert items["EQV", "moon"]["files"] == kernel
    assert items["RUN", None]["files"] == ["conftest.py", "contracts/moon_v1.py"]
    assert "unrelated.py" not in document["files"]
    assert document["device"] == "Moon Base 1"
    assert re.fullmatch(r"\d{4}(-\d\d){2}T(\d\d:){2}\d\dZ", document["date"])


@pytest.mark.parametrize(
    ("item", "name", "old", "new"),
    [
        ("EQV[moon]", "moonlib.py", "n + n", "n * 2"),
        ("EQV[moon]", "helper.py", "return 2", "return 1 + 1"),
        ("EQV[moon]", "kernel.cu", "#include", "// changed\n#include"),
        ("EQV[moon]", "kernel.cuh", "two", "three"),
        ("RUN[3]", "conftest.py", "the base is", "the base was"),
        ("RUN[3]", "contracts/moon_v1.py", "(3, 4)", "(4, 3)"),
    ],
)
def test_changed_source_makes_it_stale_and_is_named(moon, item, name, old, new):
    moon.keep()
    moon.edit(name, old, new)
    result = moon.here("-rs", f"contracts/moon-v1.yaml::{item}")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines([f"*STALE: {name} changed since it held on Moon Base 1*"])
    assert moon.project.verdicts() == {item: "STALE"}
    assert moon.project.ledger()[item]["level"] == "L1"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("= 2·n\n", "= 2·n + 0\n"),
        ("n: 0..50", "n: 0..51"),
        ("moon: \"moonlib:double\"", "moon: \"moonlib:other2\""),
        ("As defined, requires", "As defined, tolerance: 1, requires"),
    ],
)  # fmt: skip
def test_changed_claim_makes_it_stale(moon, old, new):
    moon.keep()
    moon.edit("contracts/moon-v1.yaml", old, new)
    moon.here("-k", "EQV")
    record = moon.project.ledger()["EQV[moon]"]
    assert record["verdict"] == "STALE"
    assert record["message"].startswith("the claim in moon-v1.yaml changed since it held on Moon")


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("contracts/moon-v1.yaml", "double(n) = 2·n", "double(n) = 2 * n"),
        ("contracts/moon-v1.yaml", "As defined", "In other words"),
        ("contracts/moon-v1.yaml", "implementations: {", "implementations: {x: moonlib:third, "),
        ("unrelated.py", "", "x = 1\n"),
    ],
)
def test_what_changes_nothing_leaves_it_fresh(moon, name, old, new):
    moon.keep()
    moon.edit(name, old, new)
    moon.here("-k", "EQV and moon")
    assert moon.project.verdicts()["EQV[moon]"] == "EVIDENCED"


def test_removed_source_makes_it_stale(moon):
    moon.keep()
    (moon.root / "kernel.cuh").unlink()
    moon.here("-k", "EQV")
    assert moon.project.ledger()["EQV[moon]"]["message"].startswith("kernel.cuh changed")


@pytest.mark.parametrize(
    ("old", "new", "item"),
    [
        ("id: EQV", "id: OTHER", "OTHER[moon]"),
        ("moon: \"moonlib", "sun: \"moonlib", "EQV[sun]"),
        ("[3, 4]", "[5]", "RUN[5]"),
    ],
)  # fmt: skip
def test_evidence_of_another_item_is_not_used(moon, old, new, item):
    moon.keep()
    moon.edit("contracts/moon-v1.yaml", old, new)
    if "sun" in new:
        moon.edit("contracts/moon-v1.yaml", "applies_to: moon", "applies_to: sun")
    moon.edit("contracts/moon-v1.yaml", "qa_gate: {id: GATE, checks: [EQV, RUN]}\n", "")
    moon.here()
    assert moon.project.verdicts()[item] == "UNAVAILABLE"


def test_item_that_can_run_runs(moon):
    moon.keep()
    moon.edit("helper.py", "return 2", "return 3")
    moon.there()
    assert moon.project.verdicts()["EQV[moon]"] == "FALSIFIED"


def test_evidence_is_not_evidence_again(moon):
    moon.keep()
    moon.here("--contracts-report=ledger.json")
    with pytest.raises(EvidenceError, match=r"on what device"):
        extract(read_ledger(moon.root / "ledger.json"), device=None)
    document, refused = extract(read_ledger(moon.root / "ledger.json"), device="Earth")
    assert [item["claim"] for item in document["items"]] == ["HERE"]
    assert "contracts/moon-v1.yaml::EQV[moon]: EVIDENCED" in refused


def test_later_evidence_comes_first_and_any_fresh_one_counts(moon):
    moon.keep()
    older = moon.evidence.with_name("older.json")
    older.write_text(moon.evidence.read_text())
    rewritten(older, date="2001-01-01T00:00:00Z", device="Old Base")
    moon.here("-k", "EQV")
    assert "Moon Base 1" in moon.project.ledger()["EQV[moon]"]["message"]
    files = json.loads(moon.evidence.read_text())["files"]
    rewritten(moon.evidence, files={**files, "helper.py": "0" * 64})
    moon.here("-k", "EQV")
    assert "Old Base" in moon.project.ledger()["EQV[moon]"]["message"]


def test_a_run_of_a_part_keeps_what_fresh_evidence_stands_for(moon):
    moon.keep()
    moon.here()
    moon.here("-k", "HERE")
    kept = moon.project.kept_ledger()["EQV[moon]"]
    assert (kept["verdict"], bool(kept["run"])) == ("EVIDENCED", True)


@pytest.mark.parametrize("gone", ["evidence", "source"])
def test_a_run_of_a_part_keeps_nothing_that_evidence_does_not_stand_for(moon, gone):
    moon.keep()
    moon.here()
    if gone == "evidence":
        moon.evidence.unlink()
    else:
        moon.edit("helper.py", "return 2", "return 1 + 1")
    moon.here("-k", "HERE")
    assert "EQV[moon]" not in moon.project.kept_ledger()


def break_digest(path):
    path.write_text(path.read_text().replace("Moon Base 1", "Moon Base 2"))


def swap_verdict(path):
    items = json.loads(path.read_text())["items"]
    rewritten(path, items=[{**items[0], "verdict": "EVIDENCED"}])


def raise_level(path):
    items = json.loads(path.read_text())["items"]
    rewritten(path, items=[{**items[0], "level": "L5"}])


def leave_root(path):
    files = json.loads(path.read_text())["files"]
    rewritten(path, files={**files, "../secret": "0" * 64})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (break_digest, "its digest does not fit its contents"),
        (lambda path: path.write_text("{"), "not JSON"),
        (lambda path: path.write_text("[]"), "not a JSON object"),
        (lambda path: path.write_bytes(b"\xff{}"), "not JSON"),
        (lambda path: path.write_text("[" * 100_000), "not JSON"),
        (swap_verdict, "items/0/verdict: 'EVIDENCED' is not one of"),
        (raise_level, "EQV claims L5"),
        (leave_root, "not evidence: files"),
        (lambda path: rewritten(path, items=[]), "not evidence: items"),
        (lambda path: rewritten(path, extra=1), "not evidence: the document"),
        (lambda path: path.write_text((path.parents[1] / "ledger.json").read_text()),
         "a whole ledger, not evidence"),
    ],
)  # fmt: skip
def test_damaged_evidence_is_one_usage_error(moon, damage, message):
    moon.keep()
    damage(moon.evidence)
    with pytest.raises(EvidenceError, match=re.escape(message)):
        read(moon.evidence)
    result = moon.here()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    errors = result.stderr.str()
    assert errors.count("ERROR") == 1
    assert message in errors
    assert "evidence/moon.json:1:" in errors
    assert "pv evidence" in errors
    assert "passed" not in result.stdout.str()


def test_damaged_evidence_does_not_stop_other_tests(moon):
    moon.keep()
    break_digest(moon.evidence)
    (moon.root / "tests").mkdir()
    (moon.root / "tests" / "test_plain.py").write_text("def test_plain(): pass\n")
    moon.project.run("tests/test_plain.py").assert_outcomes(passed=1)


def test_damaged_evidence_is_one_usage_error_with_workers(moon):
    moon.keep()
    break_digest(moon.evidence)
    result = moon.project.run(*WORKERS, "-n1")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert result.stderr.str().count("ERROR") == 1


def test_evidence_counts_in_every_process(moon):
    moon.keep()
    result = moon.project.run(*WORKERS, "-n1", "-k", "not BAD")
    result.assert_outcomes(passed=5)
    assert moon.project.verdicts()["GATE"] == "HELD"


def test_folder_of_evidence_is_configurable(moon):
    moon.keep()
    moon.evidence.rename(moon.evidence.parent.parent / "elsewhere.json")
    moon.project.pytester.makeini("[pytest]\ncontracts_evidence = .\n")
    (moon.root / "ledger.json").unlink()
    moon.here("-k", "EQV")
    assert moon.project.verdicts()["EQV[moon]"] == "EVIDENCED"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": "other/1"}, "is no ledger: ['schema']"),
        ({"files": None}, "is no ledger: ['files']"),
        ({"run": {**RUN, "device": None}}, "does not say on what device"),
        ({"items": []}, "nothing in the ledger is evidence"),
        ({"items": [{"nodeid": "x"}]}, "is no ledger: ['items'][0]"),
    ],
)
def test_what_is_no_ledger_gives_no_evidence(moon, change, message):
    path = moon.root / "ledger.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    result = CliRunner().invoke(app, ["evidence", str(path), "-o", str(moon.evidence)])
    assert result.exit_code == 1
    assert message in result.output
    assert not moon.evidence.exists()


def test_a_ledger_of_an_older_version_gives_no_evidence(moon):
    path = moon.root / "ledger.json"
    document = json.loads(path.read_text())
    del document["files"]
    path.write_text(json.dumps(document))
    result = CliRunner().invoke(app, ["evidence", str(path), "-o", str(moon.evidence)])
    assert result.exit_code == 1
    assert "the ledger names no files: it is of an older version" in result.output


def test_source_that_changed_during_the_run_gives_no_evidence(moon):
    path = moon.root / "ledger.json"
    document = json.loads(path.read_text())
    document["files"]["helper.py"] = "0" * 64
    path.write_text(json.dumps(document))
    assert "EQV[moon]: HELD, but a source changed while the run went on" in moon.keep()


def test_verdict_of_a_dispatch_without_sources_gives_no_evidence(moon):
    path = moon.root / "ledger.json"
    document = json.loads(path.read_text())
    for item in document["items"]:
        item["files"] = [] if item["claim"] == "EQV" else item["files"]
    path.write_text(json.dumps(document))
    assert "EQV[moon]: HELD, but no source file is known" in moon.keep()


def test_implementation_that_raises_unavailable_while_running_is_evidenced(moon):
    moon.edit("moonlib.py", "    return factor", textwrap.indent(textwrap.dedent(
        """
        from conftest_like import here
        here()
        return factor"""), "    ").lstrip("\n"))  # fmt: skip
    (moon.root / "conftest_like.py").write_text(
        "from pathlib import Path\nfrom pytest_contracts.errors import Unavailable\n"
        "def here():\n    if not Path(__file__).with_name('moon').exists():\n"
        "        raise Unavailable('no moon', 'go there')\n"
    )
    moon.edit("contracts/moon-v1.yaml", "As defined, requires: moon", "As defined")
    moon.there()
    moon.keep()
    moon.here("-k", "EQV and moon")
    assert moon.project.verdicts()["EQV[moon]"] == "EVIDENCED"
