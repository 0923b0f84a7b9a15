"""Several processes and machines: what workers tell, and counterexamples that travel."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.pytest_contracts.conftest import Project
from tests.within import WORKERS, Once, run_apart, run_here

Run = Callable[..., pytest.RunResult]
Patch = pytest.MonkeyPatch

QUIET = ("-p", "no:unraisableexception", "-p", "no:cacheprovider")
CONTRACT = """
metadata: {version: 1.0.0, description: Wrong beyond fifty}
equations:
  f:
    formula: f(x) = 2·x
    variables:
      n: 1..4
      x: {dtype: float32, shape: [n], range: [-1000, 1000]}
    implementations: {cpu: "late:double"}
falsification_tests:
  - {id: FALSIFY-L-001, rule: Doubles, formal: f(x) = 2·x, examples: EXAMPLES}
"""
LATE = """
import numpy as np


def double(x):
    return x + x + (np.abs(x) > 50)
"""
CONFTEST = """
import os

from hypothesis import settings
from hypothesis.database import DirectoryBasedExampleDatabase


def database():
    where = os.environ.get("EXAMPLES")
    if where is None:
        return None
    if not where.startswith("redis:"):
        return DirectoryBasedExampleDatabase(where)
    from hypothesis.extra.redis import RedisExampleDatabase
    from redis import Redis

    return RedisExampleDatabase(Redis.from_url(where), key_prefix=b"contracts:")


settings.register_profile("shared", database=database(), derandomize=False, deadline=None)
settings.load_profile("shared")
"""


def checkout(folder: Path, *, examples: int) -> Path:
    """Write the project into a folder, as a checkout of it on some machine."""
    (folder / "contracts").mkdir(parents=True)
    text = CONTRACT.replace("EXAMPLES", str(examples))
    (folder / "contracts" / "late-v1.yaml").write_text(text, encoding="utf-8")
    (folder / "late.py").write_text(LATE, encoding="utf-8")
    (folder / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\npythonpath = .\ncontracts = contracts\n", "utf-8")
    return folder


def counterexample(told: pytest.RunResult) -> str:
    return told.stdout.str().partition("  counterexample:\n")[2].partition("\n\n")[0]


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[str]:
    """A Redis of this test's own, on a free port of the loopback device."""
    pytest.importorskip("redis", reason="the client is not installed: pip install redis")
    server = shutil.which("redis-server")
    if server is None:
        pytest.skip("there is no redis-server: apt-get install redis-server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tmp_path / "redis"
    folder.mkdir()
    words = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    process = subprocess.Popen([server, *words], stdout=subprocess.DEVNULL)
    try:
        for _ in range(1200):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(timeout=20)


def replayed_elsewhere(project: Project, database: str, last: Run, patch: Patch) -> None:
    """See that what one checkout finds, another one with a single example replays first."""
    patch.delenv("CI", raising=False)
    patch.setenv("EXAMPLES", database)
    first = checkout(project.pytester.path / "here" / "project", examples=200)
    second = checkout(project.pytester.path / "there", examples=1)

    def judged(folder: Path, run: Run) -> pytest.RunResult:
        patch.chdir(folder)
        return run(project.pytester, *QUIET, "contracts")

    before = judged(second, run_here)
    assert before.ret == 0, before.stdout
    found = judged(first, run_here)
    assert found.ret == 1, found.stdout
    again = judged(second, last)
    assert again.ret == 1, again.stdout
    assert counterexample(again) == counterexample(found) != ""
    assert "n: 1" in counterexample(found)


def test_a_counterexample_travels_through_redis(
    project: Project, redis: str, monkeypatch: Patch
) -> None:
    replayed_elsewhere(project, redis, run_here, monkeypatch)


def test_a_counterexample_travels_through_a_shared_folder_to_another_process(
    project: Project, tmp_path: Path, monkeypatch: Patch
) -> None:
    replayed_elsewhere(project, str(tmp_path / "examples"), run_apart, monkeypatch)


ONE = """
proof_obligations:
  - {id: GOOD, type: invariant, property: P, formal: softmax(x) >= 0}
  - {id: LAST, type: invariant, property: P, formal: softmax(x) <= 1}
  - {id: OLD, type: invariant, property: P, formal: softmax(x) > 1, status: RETIRED}
qa_gate: {id: GATE-one, checks: [GOOD, LAST]}
"""
TWO = """
falsification_tests:
  - {id: BAD, rule: Small weights, prediction: None exceeds a half, formal: softmax(x) <= 1 / 2}
  - {id: FINE, rule: Weights, prediction: None is negative, formal: softmax(x) >= 0}
  - {id: WORDS, rule: Old, prediction: Nobody can execute this, status: RETIRED}
qa_gate: {id: GATE-two, checks: [BAD, FINE]}
"""
ALL = """
metadata: {version: 1.0.0, kind: registry, description: All of them}
proof_obligations:
  - {id: ALL, type: completeness, property: All, over: one-v1}
qa_gate: {id: GATE-all, checks: [ALL]}
"""
DRAWS_ANY = """
from hypothesis import settings

settings.register_profile("any", derandomize=False, database=None)
settings.load_profile("any")
"""
SEED = "--hypothesis-seed=3"


class Told(NamedTuple):
    """What a run has told: how it ended, on the terminal and in the ledger."""

    outcomes: dict[str, int]
    lines: list[str]
    ledger: dict[str, Any]


def told(project: Project, *words: str) -> Told:
    ledger = project.pytester.path / ".contracts" / "ledger.json"
    ledger.unlink(missing_ok=True)  # it would stand in for what this run does not hear of
    result = project.run(*words, SEED, examples=5)
    return Told(result.parseoutcomes(), result.outlines, json.loads(ledger.read_text("utf-8")))


@pytest.fixture
def runs(project: Project, once: Once, monkeypatch: Patch) -> tuple[Told, Told]:
    """What a run alone tells, and what one tells that two workers share, claim by claim."""
    monkeypatch.setattr("hypothesis.core.global_force_seed", None)
    project.pytester.makeconftest(DRAWS_ANY)
    project.contract(ONE, "one-v1")
    project.contract(TWO, "two-v1")
    project.contract(ALL, "all-v1", head="")
    return once("runs", lambda: (told(project), told(project, *WORKERS, "--dist=load")))


def test_workers_give_the_same_ledger(runs: tuple[Told, Told]) -> None:
    def summary(told: Told) -> dict[str, tuple[Any, ...]]:
        kinds = ("verdict", "outcome", "level", "examples", "message", "counterexample")
        return {item["nodeid"]: tuple(map(item.get, kinds)) for item in told.ledger["items"]}

    alone, shared = runs
    assert summary(shared) == summary(alone)
    checks = [{gate["gate"]: gate["checks"] for gate in run.ledger["gates"]} for run in runs]
    assert checks[0] == checks[1]
    assert shared.outcomes == alone.outcomes == {"passed": 9, "failed": 3}
    assert len(summary(shared)) == 12


def test_gates_hear_all_processes(runs: tuple[Told, Told]) -> None:
    _, shared = runs
    verdicts = {item["claim"]: item["verdict"] for item in shared.ledger["items"]}
    assert (verdicts["GATE-one"], verdicts["GATE-two"]) == ("HELD", "FALSIFIED")
    pytest.LineMatcher(shared.lines).fnmatch_lines(
        [
            "*FALSIFIED: BAD falsified",
            "7 of 9 items verified: 30 examples drawn*",
            "FAILED *GATE-two - FALSIFIED: BAD falsified",
        ]
    )


def test_completeness_hears_all_processes_and_comes_before_its_gate(
    runs: tuple[Told, Told],
) -> None:
    _, shared = runs
    verdicts = {item["claim"]: item["verdict"] for item in shared.ledger["items"]}
    assert (verdicts["ALL"], verdicts["GATE-all"]) == ("HELD", "HELD")


def test_claims_that_each_worker_finds_retired_are_counted_once(runs: tuple[Told, Told]) -> None:
    for run in runs:
        assert "2 claims are retired and not collected" in run.lines
        assert run.ledger["retired"] == [
            {"contract": "one-v1", "claim": "OLD"},
            {"contract": "two-v1", "claim": "WORDS"},
        ]


def test_a_failure_in_a_worker_is_told_in_full(runs: tuple[Told, Told]) -> None:
    _, shared = runs
    pytest.LineMatcher(shared.lines).fnmatch_lines(
        ["*two-v1.yaml:*: FALSIFIED: Small weights*", "  counterexample:"]
    )
    pytest.LineMatcher(shared.lines).fnmatch_lines(
        ["FAILED *BAD?cpu? - FALSIFIED: Small weights: softmax(x) ≤ 1 / 2"]
    )
