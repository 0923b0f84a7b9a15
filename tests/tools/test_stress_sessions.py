"""A short run of the random driver, and that it sees what it is there for.

So many calls of each thread, however long they take; ``STRESS_SECONDS`` makes it longer, and
`tools/stress_sessions.py --hours` is for nights.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.within import Once

TOOL = Path(__file__).parents[2] / "tools" / "stress_sessions.py"
SECONDS = float(os.environ.get("STRESS_SECONDS", "0"))
CALLS = 100

SHORT, MOST = 30, 20
"""Calls of a try with a planted defect, and how many tries it has to be seen in: threads meet as
they will."""

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timers")

DEFECTS = {
    "no owner": "import inference.decode.ownership as m; m.Ownership.claim = lambda *_: None",
    "stale streams": "import inference.decode.past as m; "
    "m.Past.changes = property(lambda s: 0, lambda s, v: None)",
    "keys of other layers": "import inference.decode.past as m; f = m.Past.snapshot; "
    "m.Past.snapshot = lambda s: (lambda i, k, v: (i, k[::-1], v))(*f(s))",
}


# One process imports what takes long and forks for every try, which may die.
DRIVER = """
import json, os, runpy, sys
from pathlib import Path
import inference
from inference.data import TINY_MODEL
tool, folder, (seconds, calls, short, most), defects = json.loads(sys.argv[1])
one_try = runpy.run_path(tool)["one_try"]
with inference.load(TINY_MODEL) as model:
    model.generate([3, 4], max_tokens=2)

def tried(seed, seconds, calls, before=""):
    file = Path(folder, "found.json")
    file.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        exec(before, {})
        file.write_text(json.dumps(one_try(seed, seconds, calls)))
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code, json.loads(file.read_text()) if code == 0 else {}

def is_seen(defect):
    tries = (tried(seed, 0, short, defect) for seed in range(most))
    return any(code or found["failures"] for code, found in tries)

print(json.dumps([tried(7, seconds, calls), {name: is_seen(defects[name]) for name in defects}]))
"""


class Tried(NamedTuple):
    """How a try of the healthy engine ended and what it found; which defects were seen."""

    code: int
    found: dict[str, Any]
    seen: dict[str, bool]
    errors: str


@pytest.fixture(scope="module")
def tried(once: Once, tmp_path_factory: pytest.TempPathFactory) -> Tried:
    def run() -> Tried:
        folder = str(tmp_path_factory.mktemp("tries"))
        given = json.dumps([str(TOOL), folder, [SECONDS, CALLS, SHORT, MOST], DEFECTS])
        done = subprocess.run(
            [sys.executable, "-P", "-c", DRIVER, given],
            capture_output=True, text=True, timeout=400 + SECONDS,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        (code, found), seen = json.loads(done.stdout)
        return Tried(code, found, seen, done.stderr)

    return once("tries", run)


def test_threads_alarms_and_callbacks_are_right_or_refused(tried: Tried) -> None:
    assert tried.code == 0, tried.errors
    found = tried.found
    assert found["failures"] == []
    assert found["compared"] > 20
    for name in ("advance", "fork", "generate", "stream", "refused", "interrupted"):
        assert found["counts"].get(name), f"{name} never happened: {found['counts']}"


@pytest.mark.parametrize("defect", DEFECTS)
def test_it_fails_on_a_planted_defect(defect: str, tried: Tried) -> None:
    assert tried.seen[defect]
