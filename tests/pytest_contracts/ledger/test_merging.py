"""Two runs, each of a half: their ledgers merged are the ledger of the whole run."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pytest_contracts.cli import app

CLAIMS = """
proof_obligations:
  - id: SM-INV-001
    type: invariant
    property: Sums to one
    formal: "|Σ softmax(x) − 1| < ε"
    tolerance: 1e-5
  - {id: SM-BND-001, type: bound, property: Between zero and one, formal: "softmax(x) ∈ [0, 1]"}
falsification_tests:
  - id: FALSIFY-SM-001
    rule: Order
    formal: "x_i < x_j ⟹ softmax(x)_i ≤ softmax(x)_j for all i, j"
qa_gate:
  id: F-SM-001
  checks: [SM-INV-001, SM-BND-001, FALSIFY-SM-001]
"""
# What differs between two runs of the same items, and nothing else.
VARYING = ("duration_s",)


@pytest.fixture
def halves(project, once):
    """A project with one contract, and a function that runs a part of it, once for all tests."""
    project.contract(CLAIMS)
    project.pytester.makeconftest(
        """
        from hypothesis import settings

        settings.register_profile("same", derandomize=True, deadline=None)
        settings.load_profile("same")
        """
    )

    def ran(*arguments: str) -> bytes:
        path = project.pytester.path / "ran.json"
        project.run(f"--contracts-report={path}", "-p", "no:cacheprovider", *arguments)
        return path.read_bytes()

    def run(name: str, *arguments: str) -> Path:
        path = project.pytester.path / f"{name}.json"
        path.write_bytes(once(" ".join(arguments), lambda: ran(*arguments)))
        return path

    return run


def merge(*paths: Path, options: tuple[str, ...] = ()) -> tuple[int, str, Path]:
    target = paths[0].with_name("merged.json")
    result = CliRunner().invoke(app, ["merge", *map(str, paths), "-o", str(target), *options])
    return result.exit_code, result.output, target


def items(path: Path) -> dict[str, dict[str, Any]]:
    found = json.loads(path.read_text("utf-8"))["items"]
    return {i["nodeid"]: {k: v for k, v in i.items() if k not in VARYING} for i in found}


def edit(path: Path, name: str, change) -> Path:
    document = json.loads(path.read_text("utf-8"))
    change(document)
    target = path.with_name(f"{name}.json")
    target.write_text(json.dumps(document), encoding="utf-8")
    return target


def test_two_halves_are_the_whole(halves) -> None:
    whole = halves("whole")
    # pytest-split decides which half an item is in; the gate is in one of them, undecided.
    first = halves("first", "-p", "pytest-split", "--splits=2", "--group=1")
    second = halves("second", "-p", "pytest-split", "--splits=2", "--group=2")
    gate = "contracts/kernels/softmax-v1.yaml::F-SM-001"
    assert len(items(first)) + len(items(second)) == len(items(whole)) == 7
    assert items(first).keys() & items(second).keys() == set()
    undecided = (items(first) | items(second))[gate]
    assert undecided["verdict"] == "INCONCLUSIVE"
    status, output, merged = merge(first, second)
    assert status == 0, output
    assert items(merged) == items(whole)
    assert items(merged)[gate]["verdict"] == "HELD"
    assert "softmax-v1  L3  7 held" in output
    assert "6 of 6 items verified" in output


def test_a_merged_ledger_fits_the_schema_and_can_be_merged_again(halves) -> None:
    import jsonschema

    first, second = halves("first", "-k", "INV"), halves("second", "-k", "not INV")
    _, _, merged = merge(first, second)
    schema = Path(__file__).parents[3] / "pytest_contracts" / "ledger" / "ledger.schema.json"
    jsonschema.validate(
        json.loads(merged.read_text("utf-8")), json.loads(schema.read_text("utf-8"))
    )
    again = merged.with_name("once.json")
    shutil.copy(merged, again)
    status, _, twice = merge(again, second)
    assert status == 0
    assert items(twice) == items(again)


def test_a_falsified_half_fails_the_gate_of_the_whole(project) -> None:
    text = CLAIMS.replace("[0, 1]", "[0, 0.5]")
    project.contract(text)
    paths = []
    for name, word in (("a", "INV or F-SM-001"), ("b", "BND or FALSIFY")):
        path = project.pytester.path / f"{name}.json"
        project.run(f"--contracts-report={path}", "-k", word)
        paths.append(path)
    status, output, merged = merge(*paths)
    assert status == 1
    verdicts = {name.rpartition("::")[2]: item["verdict"] for name, item in items(merged).items()}
    assert verdicts["F-SM-001"] == "FALSIFIED"
    assert "fails: contracts/kernels/softmax-v1.yaml::F-SM-001: FALSIFIED" in output
    assert "softmax-v1  L1" in output


def test_the_worse_of_two_verdicts_is_kept_and_told(halves) -> None:
    first = halves("first")
    nodeid = "contracts/kernels/softmax-v1.yaml::SM-INV-001[cpu]"

    def worsen(document):
        item = next(item for item in document["items"] if item["nodeid"] == nodeid)
        item |= {"verdict": "FALSIFIED", "outcome": "failed", "level": "L1"}

    second = edit(first, "second", worsen)
    for paths in ((first, second), (second, first)):
        status, output, merged = merge(*paths)
        assert status == 1
        assert items(merged)[nodeid]["verdict"] == "FALSIFIED"
        assert f"conflict: {nodeid}: " in output
        assert "kept FALSIFIED" in output
        assert (
            items(merged)["contracts/kernels/softmax-v1.yaml::F-SM-001"]["verdict"] == "FALSIFIED"
        )


@pytest.mark.parametrize("absent", ["UNAVAILABLE", "STALE", "EVIDENCED"])
def test_what_one_machine_lacks_the_other_judges(halves, absent: str) -> None:
    first = halves("first")

    def lack(document):
        for item in document["items"]:
            if item["implementation"] == "cpu":
                item |= {"verdict": absent, "outcome": "skipped", "level": "L1", "examples": 0}

    second = edit(first, "second", lack)
    status, output, merged = merge(second, first)
    assert status == 0, output
    assert items(merged) == items(first)
    assert "conflict" not in output


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["items"][0]["sources"].update(formula="0" * 64), "has another formula in"),
        (
            lambda d: d["items"][0]["sources"].update(implementation="0" * 64),
            "has another implementation in",
        ),
        (lambda d: d["files"].update({"engine.py": "0" * 64}), "engine.py is not the same file"),
        (
            lambda d: d["run"]["versions"].update({"pytest-contracts": "9"}),
            "is not the same version",
        ),
        (lambda d: d["run"].update(commit="a" * 40), None),
        (lambda d: d["gates"][0]["checks"].update(more=["x"]), "checks other items"),
        (lambda d: d["gates"][0].update(colour="red"), None),
        (lambda d: d.pop("gates"), "does not say what its gates check"),
        (lambda d: d.update(schema="other/1"), "is no ledger: ['schema']"),
        (lambda d: d["items"][0].update(verdict="FINE"), "is no ledger: ['items'][0]['verdict']"),
        (lambda d: d["items"][0].pop("claim"), "is no ledger: ['items'][0]: 'claim' is a required"),
        (lambda d: d.update(items=3), "is no ledger: ['items']"),
    ],
)
def test_ledgers_of_different_states_are_refused(halves, change, message) -> None:
    first = halves("first", "-k", "INV or F-SM-001")
    second = edit(first, "second", change)
    status, output, merged = merge(first, second)
    if message is None:  # only one side says it, so there is nothing to compare
        assert status == 0, output
        return
    assert status == 2
    assert message in output
    assert not merged.exists()


def test_different_commits_are_refused(halves) -> None:
    first = halves("first", "-k", "INV")
    one = edit(first, "one", lambda d: d["run"].update(commit="a" * 40))
    other = edit(first, "other", lambda d: d["run"].update(commit="b" * 40))
    status, output, _ = merge(one, other)
    assert status == 2
    assert "the checkout is not the same commit" in output


@pytest.mark.parametrize("text", ["", "[]", "{", "null", "[" * 100_000, '{"schema": 1}', "\ud800"])
def test_what_is_no_ledger_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    status, output, merged = merge(path)
    assert status == 2
    assert str(path) in output
    assert not merged.exists()
    assert merge(tmp_path / "nobody.json")[0] == 2


def test_a_gate_that_cannot_be_decided_fails_only_where_strict(halves) -> None:
    first = halves("first", "-k", "INV or F-SM-001")
    assert merge(first)[0] == 0
    status, output, _ = merge(first, options=("--strict",))
    assert status == 1
    assert "undecided or not run here" in output


def test_merging_takes_neither_pytest_nor_what_draws(halves, tmp_path: Path) -> None:
    first = halves("first")
    code = """
import sys
from pytest_contracts.cli import app
app(sys.argv[1:], standalone_mode=False)
heavy = {"pytest", "_pytest", "hypothesis", "numpy", "numba"} & sys.modules.keys()
assert not heavy, heavy
"""
    words = ["merge", str(first), "-o", str(tmp_path / "merged.json")]
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert items(tmp_path / "merged.json") == items(first)
