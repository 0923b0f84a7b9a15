"""No certificate for what did not run: parts, skips, interrupts, dead workers, a few examples.

The kernel is wrong, and one of two claims says so where it runs. Each way keeps that claim from
running; nothing that a reader could take for a certificate may then be green. The twins run the
whole, with a kernel that is right.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pytest_contracts.cli import app
from tests.within import WORKERS, run_apart, run_here

CONTRACT = """
metadata: {version: 1.0.0, description: One claim that holds and one that does not}
equations:
  f:
    formula: f(x) = x
    variables: {x: 1..400}
    implementations: {cpu: "kernels:f"}
proof_obligations:
  - {id: HOLDS, type: invariant, property: At least x, formal: f(x) ≥ x}
  - {id: SAYS, type: equivalence, property: The same, slow: true}
"""
WRONG = "def f(x):\n    return x + 1 if x > 2 else x\n"
RIGHT = "def f(x):\n    return x\n"
REPORTS = ("r.json", "r.md", "r.svg", "r.sarif", "r.html")


@dataclass
class Run:
    """What a run left behind."""

    folder: Path
    code: int
    output: str

    def json(self, name: str = "r.json") -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.folder / name).read_text("utf-8"))
        return document

    def text(self, name: str) -> str:
        return (self.folder / name).read_text("utf-8")

    @property
    def badge(self) -> str:
        found = re.search(r"<title>(.*)</title>", self.text("r.svg"))
        assert found
        return found[1]

    @property
    def successful(self) -> bool:
        return self.json("r.sarif")["runs"][0]["invocations"][0]["executionSuccessful"] is True

    def verdicts(self, name: str = "r.json") -> dict[str, str]:
        return {i["claim"]: i["verdict"] for i in self.json(name)["items"]}

    def pv(self, *words: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, list(words))
        return result.exit_code, result.output

    def merged(self) -> tuple[int, str]:
        target = self.folder / "merged.json"
        return self.pv("merge", str(self.folder / "r.json"), "-o", str(target), "--strict")

    def proof_status(self) -> int:
        ledger = self.folder / ".contracts" / "ledger.json"
        return self.pv("proof-status", str(ledger), str(self.folder / "contracts"))[0]


@dataclass
class Parts:
    """A small project, and the way to run it."""

    pytester: pytest.Pytester

    def __post_init__(self) -> None:
        self.contract("part-v1", CONTRACT)
        self.kernel(WRONG)
        self.pytester.makeini("[pytest]\ncontracts = contracts\ntestpaths = contracts\n")
        self.pytester.syspathinsert()

    def contract(self, name: str, text: str) -> None:
        folder = self.pytester.path / "contracts"
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")

    def kernel(self, text: str) -> None:
        (self.pytester.path / "kernels.py").write_text(text, encoding="utf-8")

    def run(self, *words: str, examples: int = 20, apart: bool = False) -> Run:
        start = run_apart if apart else run_here
        reports = [f"--contracts-report={name}" for name in REPORTS]
        result = start(self.pytester, f"--contracts-examples={examples}", *reports, *words)
        return Run(self.pytester.path, int(result.ret), result.stdout.str())


@pytest.fixture
def parts(pytester: pytest.Pytester) -> Parts:
    return Parts(pytester)


WORKER = (*WORKERS, "-n1")
"""One, where it does not matter that each of several runs a part only."""
HELD_TO = "--contracts-fail-under=binding=100,level=L3,verified=100"
ONE = "contracts/part-v1.yaml::HOLDS[cpu]"
OTHER = "contracts/part-v1.yaml::SAYS[cpu]"
SELECTIONS = {
    "by name": ["-k", "HOLDS"],
    "by marker": ["-m", "not slow"],
    "deselected": [f"--deselect={OTHER}"],
    "by node id": [ONE],
    "the first shard": ["-p", "pytest-split", "--splits=2", "--group=1"],
}
MARKED = """
import pytest

def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.{mark})
"""
LEAVING_OUT = {
    "a skip mark": MARKED.format(mark="skip(reason='slow')"),
    "a skipif mark": MARKED.format(mark="skipif(True, reason='slow')"),
    "an xfail mark that does not run": MARKED.format(mark="xfail(run=False)"),
    "an xfail mark": MARKED.format(mark="xfail(reason='flaky')"),
    "a hook that skips": """
import pytest

def pytest_runtest_setup(item):
    if item.get_closest_marker("slow"):
        pytest.skip("slow")
""",
    "a hook that skips the call": """
import pytest

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item):
    if item.get_closest_marker("slow"):
        pytest.skip("slow")
""",
    "a fixture that nobody asked for": """
import pytest

@pytest.fixture(autouse=True)
def quick(request):
    if request.node.get_closest_marker("slow"):
        pytest.skip("slow")
""",
    "a hook that drops it": """
def pytest_collection_modifyitems(items):
    items[:] = [item for item in items if not item.get_closest_marker("slow")]
""",
    "a hook that swallows it": """
import pytest

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item):
    return True if item.get_closest_marker("slow") else None
""",
}


def nothing_is_green(run: Run) -> None:
    assert run.code == 1
    assert "under the threshold: lowest level L1" in run.output
    assert "% of items verified (1 of 2)" in run.output
    assert re.search(r"^part-v1 +L1 ", run.output, re.MULTILINE)
    assert "100 %" not in run.badge
    assert "L3" not in run.badge
    assert "✅ Contracts" not in run.text("r.md")
    assert "100 %" not in run.text("r.md").partition("\n")[0]
    assert run.merged()[0] == 1


@pytest.mark.parametrize("words", SELECTIONS.values(), ids=SELECTIONS)
def test_a_part_has_not_the_level_of_the_whole(parts: Parts, words: Sequence[str]) -> None:
    run = parts.run(HELD_TO, *words)
    nothing_is_green(run)
    assert "partial run: 1 of 2 items; levels and thresholds are about the whole" in run.output
    assert run.json()["run"]["end"] == "complete"
    assert [entry["claim"] for entry in run.json()["run"]["unselected"]] == ["SAYS"]
    assert run.badge == "contracts: partial run: 1 of 2 verified, L1"


@pytest.mark.parametrize("conftest", LEAVING_OUT.values(), ids=LEAVING_OUT)
def test_what_a_project_leaves_out_is_not_verified(parts: Parts, conftest: str) -> None:
    parts.pytester.makeconftest(conftest)
    nothing_is_green(parts.run(HELD_TO))


@pytest.mark.parametrize("how", ["a skip mark", "a fixture that nobody asked for"])
def test_a_strict_run_lets_nobody_leave_out_a_claim(parts: Parts, how: str) -> None:
    parts.pytester.makeconftest(LEAVING_OUT[how])
    run = parts.run("--contracts-strict")
    assert run.code == 1
    assert run.verdicts() == {"HOLDS": "HELD", "SAYS": "LOST"}
    assert "LOST: left out by a mark, a hook or a fixture" in run.output


def test_a_part_with_a_worker_is_one_too(parts: Parts) -> None:
    run = parts.run(HELD_TO, *WORKER, "-m", "not slow")
    nothing_is_green(run)
    assert "partial run: 1 of 2 items" in run.output


def test_the_last_failures_are_a_part_and_the_whole_is_not(parts: Parts) -> None:
    parts.run()
    parts.contract("fine-v1", CONTRACT)
    parts.kernel(RIGHT)
    run = parts.run("--lf", HELD_TO)
    assert run.code == 1
    assert "1 contract file not read, so nothing of them ran: contracts/fine-v1.yaml" in run.output
    assert parts.run(HELD_TO).code == 0


def test_implementations_that_were_left_out_are_a_part(parts: Parts) -> None:
    more = CONTRACT.replace('cpu: "kernels:f"', 'cpu: "kernels:f", gpu: "kernels:g"')
    parts.contract("part-v1", more)
    parts.kernel(RIGHT + "\n\ndef g(x):\n    return x + 1\n")
    run = parts.run(HELD_TO, "--contracts-backend=cpu")
    assert run.code == 1
    assert "partial run: 2 of 4 items" in run.output


def test_a_part_may_be_declared_and_says_so(parts: Parts) -> None:
    run = parts.run(HELD_TO, "-m", "not slow", "--contracts-partial")
    assert run.code == 0
    assert "partial run: 1 of 2 items; levels and thresholds are about the part, as declared" in (
        run.output
    )
    assert run.badge == "contracts: partial run: 1 of 2 verified, L3"
    assert "## ⚠️ Contracts: partial" in run.text("r.md")
    assert run.json()["run"]["partial"]


AWAY = """
import pytest
from pytest_contracts.errors import Unavailable

def pytest_contracts_resources(config):
    def gpu():
        raise Unavailable("no GPU", "rent one")
    return {"gpu": gpu}
"""


@pytest.mark.parametrize(
    "words", [[], WORKERS, ["--contracts-partial"]], ids=["alone", "workers", "declared"]
)
def test_the_whole_is_as_green_as_before(parts: Parts, words: Sequence[str]) -> None:
    parts.kernel(RIGHT)
    run = parts.run(HELD_TO, *words)
    assert run.code == 0, run.output
    assert run.badge == "contracts: 100 % verified, L3"
    assert "## ✅ Contracts: 100 % verified" in run.text("r.md")
    assert run.successful
    assert "partial" not in run.output
    assert run.merged() == (0, run.merged()[1])
    assert run.proof_status() == 0
    assert run.json()["run"]["property_examples"] == 10


def test_what_this_machine_lacks_counts_neither_way(parts: Parts) -> None:
    parts.pytester.makeconftest(AWAY)
    parts.kernel(RIGHT)
    parts.contract("part-v1", CONTRACT.replace("slow: true", "requires: gpu"))
    run = parts.run("--contracts-fail-under=level=L3")
    assert run.code == 0
    assert run.verdicts() == {"HOLDS": "HELD", "SAYS": "UNAVAILABLE"}
    assert run.badge == "contracts: 50.0 % verified, L3"


ENDINGS = {
    "Ctrl-C": (
        "    import os, subprocess, time\n"
        "    subprocess.run(['kill', '-INT', str(os.getpid())])\n    time.sleep(20)\n",
        [], 2, "interrupted",
    ),
    "pytest.exit": ("    import pytest\n    pytest.exit('enough')\n", [], 2, "interrupted"),
    "pytest.exit with success": ("    return x\n", [], 2, "interrupted"),
    "-x": ("    return x - (x > 9)\n", ["-x"], 1, "stopped"),
    "--maxfail": ("    return x - (x > 9)\n", ["--maxfail=1"], 1, "stopped"),
}  # fmt: skip


@pytest.mark.parametrize("how", ENDINGS)
def test_a_run_that_was_cut_short_is_no_certificate(parts: Parts, how: str) -> None:
    body, words, code, end = ENDINGS[how]
    if how.endswith("success"):  # by a hook, since code under test that does it is falsified
        parts.pytester.makeconftest(
            "import pytest\ndef pytest_runtest_logfinish():\n    pytest.exit('x', returncode=0)\n"
        )
    parts.kernel("def f(x):\n" + body)
    run = parts.run(*words, apart=how == "Ctrl-C")
    assert run.code == code
    assert run.json()["run"]["end"] == end
    assert run.verdicts()["SAYS"] == "LOST"
    assert "LOST" in run.output
    assert "verified, L" not in run.badge
    assert "✅ Contracts" not in run.text("r.md")
    assert "Not a whole run" in run.text("r.html")
    assert not run.successful
    assert run.merged()[0] == 1
    assert run.proof_status() == 1
    source = str(run.folder / "r.json")
    assert run.pv("evidence", source, "-o", "e.json", "--device=here")[0] == 1


def test_an_internal_error_is_no_certificate(parts: Parts) -> None:
    parts.kernel(RIGHT)
    parts.pytester.makeconftest(
        "def pytest_runtest_logfinish(nodeid):\n    if 'HOLDS' in nodeid:\n        1 / 0\n"
    )
    run = parts.run()
    assert run.code == 3
    assert run.json()["run"]["end"] == "error"
    assert run.verdicts()["SAYS"] == "LOST"
    assert run.merged()[0] == 1


DYING = (
    "import ctypes\n\ndef f(x):\n    if x > 20:\n        ctypes.CDLL(None)._exit(0)\n    return x\n"
)
"""What no Python code can hear of."""


def test_a_claim_that_kills_its_worker_is_no_gap(parts: Parts) -> None:
    """Each death costs a worker, so one claim of five dies, between those that do not."""
    fine = CONTRACT.replace("kernels:f", "kernels2:f")
    middle, _, _ = CONTRACT.replace("HOLDS", "DIES").partition("  - {id: SAYS")
    for name, text in (("a-v1", fine), ("middle-v1", middle), ("part-v1", fine)):
        parts.contract(name, text)
    (parts.pytester.path / "kernels2.py").write_text(RIGHT)
    parts.kernel(DYING)
    run = parts.run(*WORKER, "--max-worker-restart=4")
    assert run.code == 1
    assert len(run.json()["items"]) == 5
    verdicts = run.verdicts()
    assert verdicts.pop("DIES") != "HELD"
    assert verdicts == {"HOLDS": "HELD", "SAYS": "HELD"}
    assert "verified, L" not in run.badge
    assert not run.successful
    assert run.merged()[0] == 1


def test_a_process_that_is_gone_leaves_no_green_of_an_earlier_run(parts: Parts) -> None:
    parts.kernel(RIGHT)
    assert parts.run().proof_status() == 0
    parts.kernel(DYING)
    run = parts.run(apart=True)
    assert not any((run.folder / name).exists() for name in REPORTS)
    assert run.json(".contracts/ledger.json")["run"]["end"] == "running"
    assert run.proof_status() == 1
    parts.kernel(RIGHT)
    again = parts.run(HELD_TO)
    assert again.code == 0
    assert again.proof_status() == 0


def test_a_run_that_was_cut_short_is_made_good_by_another(parts: Parts) -> None:
    parts.pytester.makeconftest(
        "import os, pytest\n"
        "def pytest_runtest_logfinish(nodeid):\n"
        "    if os.path.exists('cut'):\n        pytest.exit('enough')\n"
    )
    parts.kernel(RIGHT)
    (parts.pytester.path / "cut").touch()
    first = parts.run()
    assert first.verdicts() == {"HOLDS": "HELD", "SAYS": "LOST"}
    cut = first.folder / "cut.json"
    (first.folder / "r.json").rename(cut)
    (parts.pytester.path / "cut").unlink()
    whole = parts.run("-k", "SAYS")
    words = [str(cut), str(whole.folder / "r.json"), "-o", str(whole.folder / "m.json")]
    code, said = whole.pv("merge", *words, "--strict")
    assert code == 0, said
    assert "2 of 2 items verified" in said


@pytest.mark.parametrize("examples", [1, 9])
def test_a_few_examples_are_no_property(parts: Parts, examples: int) -> None:
    parts.kernel(RIGHT)
    run = parts.run("--contracts-fail-under=level=L3", examples=examples)
    assert run.code == 1
    assert re.search(r"^part-v1 +L2 ", run.output, re.MULTILINE)


def test_all_of_a_small_domain_is_a_property(parts: Parts) -> None:
    parts.kernel(RIGHT)
    parts.contract("part-v1", CONTRACT.replace("1..400", "1..3"))
    run = parts.run(HELD_TO)
    assert run.code == 0
    assert {item["examples"] for item in run.json()["items"]} == {3}
    assert all(item["exhausted"] for item in run.json()["items"])


def test_an_older_ledger_is_read_and_marked(parts: Parts) -> None:
    parts.kernel(RIGHT)
    run = parts.run()
    document = run.json()
    for key in ("end", "partial", "property_examples", "unselected", "uncollected"):
        del document["run"][key]
    (run.folder / "r.json").write_text(json.dumps(document), encoding="utf-8")
    code, said = run.merged()
    assert code == 0
    assert "does not say whether its run came to its end" in said
    assert run.json("merged.json")["run"]["end"] == "unknown"


def test_a_ledger_that_cannot_be_kept_is_a_warning(parts: Parts) -> None:
    parts.kernel(RIGHT)
    (parts.pytester.path / ".contracts").write_text("no folder")
    run = parts.run(HELD_TO)
    assert run.code == 0
    assert re.search(r"^warning: cannot write .*ledger\.json: ", run.output, re.MULTILINE)
    assert "Traceback" not in run.output
    assert run.verdicts() == {"HOLDS": "HELD", "SAYS": "HELD"}


def test_a_full_disk_at_the_end_is_a_warning(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object, **kwargs: object) -> tuple[int, str]:
        raise OSError(28, "No space left on device")

    parts.kernel(RIGHT)
    monkeypatch.setattr("pytest_contracts.files.tempfile.mkstemp", full)
    result = run_here(parts.pytester)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["warning: cannot write *ledger.json: No space left on device*"])
