"""Several processes and machines: gateways of xdist, and counterexamples that travel."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.within import ALONE, WORDS

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


settings.register_profile("shared", database=database(), deadline=None)
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


def judge(folder: Path, database: str | None, *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTEST_ADDOPTS", "CI", "EXAMPLES")}
    kept |= ALONE
    return subprocess.run(
        [sys.executable, "-m", "pytest", *WORDS, "-p", "no:cacheprovider", "contracts", *arguments],
        cwd=folder,
        env=kept if database is None else {**kept, "EXAMPLES": database},
        capture_output=True,
        text=True,
        timeout=600,
    )


def counterexample(output: str) -> str:
    return output.partition("  counterexample:\n")[2].partition("\n\n")[0]


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


def replayed_elsewhere(tmp_path: Path, database: str) -> None:
    """See that what one checkout finds, another one with a single example replays first."""
    first = checkout(tmp_path / "here" / "project", examples=200)
    second = checkout(tmp_path / "there", examples=1)
    before = judge(second, database)
    assert before.returncode == 0, before.stdout
    found = judge(first, database)
    assert found.returncode == 1, found.stdout
    again = judge(second, database)
    assert again.returncode == 1, again.stdout
    assert counterexample(again.stdout) == counterexample(found.stdout) != ""
    assert "n: 1" in counterexample(found.stdout)


def test_a_counterexample_travels_through_redis(tmp_path: Path, redis: str) -> None:
    replayed_elsewhere(tmp_path, redis)


def test_a_counterexample_travels_through_a_shared_folder(tmp_path: Path) -> None:
    replayed_elsewhere(tmp_path, str(tmp_path / "examples"))


GATE = """
qa_gate: {id: F-L-001, checks: [FALSIFY-L-001, FALSIFY-L-002]}
"""


@pytest.mark.parametrize(
    "gateways",
    [
        ("--dist=load", f"--tx=2*popen//python={sys.executable}"),
        ("--dist=loadfile", f"--tx=popen//python={sys.executable}//id=a", "--tx=popen//id=b"),
    ],
)
def test_gateways_of_xdist_give_one_ledger(tmp_path: Path, gateways: tuple[str, ...]) -> None:
    folder = checkout(tmp_path / "project", examples=5)
    path = folder / "contracts" / "late-v1.yaml"
    text = path.read_text("utf-8")
    second = (
        text[text.index("  - {id") :].replace("001", "002").replace("f(x) = 2·x", "len(f(x)) = n")
    )
    path.write_text(
        text.replace("range: [-1000, 1000]", "range: [-50, 50]") + second + GATE, "utf-8"
    )
    done = judge(folder, None, "-p", "xdist", *gateways)
    assert done.returncode == 0, done.stdout + done.stderr
    ledger = json.loads((folder / ".contracts" / "ledger.json").read_text("utf-8"))
    found = {item["nodeid"].rpartition("::")[2]: item["verdict"] for item in ledger["items"]}
    assert found == {
        "FALSIFY-L-001[cpu]": "HELD",
        "FALSIFY-L-002[cpu]": "HELD",
        "F-L-001": "HELD",
    }
