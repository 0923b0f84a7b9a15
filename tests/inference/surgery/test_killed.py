"""Commands that write models, killed at random moments: the old state or the new one, no half.

``KILL_COUNT`` kills per command where somebody asks for more than the few of an ordinary run.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import inference
from inference.data import TINY_MODEL
from inference.staging import SUFFIX

KILLS = int(os.environ.get("KILL_COUNT", "4"))
ROOT = Path(inference.__file__).parents[1]

# One process runs every command once, which imports what takes long, and then forks for each, so
# that the kills fall into the work. It answers each line [folder, seconds or null, arguments] with
# [exit status, seconds taken].
DRIVER = """
import json, os, signal, sys, tempfile, time
from contextlib import redirect_stdout
from inference.cli import main
silent = open(os.devnull, "w")
for arguments in json.loads(sys.argv[1]):
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(silent):
        os.chdir(folder)
        assert main(arguments) == 0
        os.chdir("/")
assert "numba" not in sys.modules  # it takes as long to load as all else, and nobody multiplies
for line in sys.stdin:
    folder, seconds, arguments = json.loads(line)
    begin = time.perf_counter()
    child = os.fork()
    if child == 0:
        os.chdir(folder)
        sys.stdout = silent
        os._exit(main(arguments))
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(json.dumps([status, time.perf_counter() - begin]), flush=True)
"""

COMMANDS = {
    "import": ["import", str(TINY_MODEL), "-o", "x.apr"],
    "export": ["export", str(TINY_MODEL), "-o", "x.gguf"],
    "convert": ["convert", str(TINY_MODEL), "-o", "x.gguf", "--quantize", "q8_0"],
    "compress": ["export", str(TINY_MODEL), "-o", "x.apr", "--compress", "zstd"],
    "directory": ["export", str(TINY_MODEL), "-o", "x", "--max-shard-size", "2MB"],
    "set": ["export", str(TINY_MODEL), "-o", "x", "--format", "apr", "--max-shard-size", "300KB"],
}


Run = Callable[..., float]


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """Return a function that runs a command in a folder, killed after so many seconds if asked.

    It returns how long the command took.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", DRIVER, json.dumps([*COMMANDS.values()])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        to, answers = process.stdin, process.stdout

        def ask(arguments: list[str], folder: Path, kill_after: float | None = None) -> float:
            print(json.dumps([str(folder), kill_after, arguments]), file=to, flush=True)
            status, seconds = json.loads(answers.readline())
            assert status in ((0,) if kill_after is None else (0, -signal.SIGKILL))
            return float(seconds)

        yield ask
        to.close()


def state(folder: Path) -> dict[str, str]:
    """Digests of everything that is not hidden."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.parts)
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_a_killed_command_leaves_the_old_or_the_new(name: str, run: Run, tmp_path: Path) -> None:
    arguments = COMMANDS[name]
    target = arguments[arguments.index("-o") + 1]
    whole, folder = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    folder.mkdir()
    seconds = run(arguments, whole)
    new = state(whole)
    assert new
    choose = random.Random(name)
    seen: Counter[str] = Counter()
    for _ in range(KILLS):
        if target == "x":  # directories must be new
            shutil.rmtree(folder / target, ignore_errors=True)
        else:
            (folder / target).write_bytes(b"old")
        old = state(folder)
        run(arguments, folder, choose.uniform(0, seconds))
        now = state(folder)
        assert now in (old, new), f"half a file: {sorted(now)}"
        seen["new" if now == new else "old"] += 1
        hidden = [path.name for path in folder.iterdir() if path.name.startswith(".")]
        assert len(hidden) <= 1, "a killed command did not remove what the one before it left"
        seen["left behind"] += len(hidden)
    shutil.rmtree(folder / target, ignore_errors=True)
    (folder / f".{target}.killed00{SUFFIX}").write_bytes(b"half")
    run(arguments, folder)
    assert state(folder) == new
    assert [path.name for path in folder.iterdir()] == [target]
    print(f"{name}: {dict(seen)}")
