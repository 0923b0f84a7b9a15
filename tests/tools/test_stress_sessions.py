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
from typing import Any

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "stress_sessions.py"
SECONDS = float(os.environ.get("STRESS_SECONDS", "0"))
CALLS = 100

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timers")

DEFECTS = {
    "no owner": "import inference.decode.ownership as m; m.Ownership.claim = lambda *_: None",
    "stale streams": "import inference.decode.past as m; "
    "m.Past.changes = property(lambda s: 0, lambda s, v: None)",
    "keys of other layers": "import inference.decode.past as m; f = m.Past.snapshot; "
    "m.Past.snapshot = lambda s: (lambda i, k, v: (i, k[::-1], v))(*f(s))",
}


def tried(seed: int, before: str = "") -> tuple[int, dict[str, Any], str]:
    arguments = [str(TOOL), "--child", str(seed), str(SECONDS), str(CALLS)]
    code = f"{before}\nimport runpy, sys; sys.argv = {arguments}\n"
    code += f"runpy.run_path({str(TOOL)!r}, run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=400
    )
    found = json.loads(done.stdout) if done.returncode == 0 and done.stdout else {}
    return done.returncode, found, done.stderr


def test_threads_alarms_and_callbacks_are_right_or_refused() -> None:
    code, found, errors = tried(7)
    assert code == 0, errors
    assert found["failures"] == []
    assert found["compared"] > 20
    for name in ("advance", "fork", "generate", "stream", "refused", "interrupted"):
        assert found["counts"].get(name), f"{name} never happened: {found['counts']}"


@pytest.mark.parametrize("defect", DEFECTS)
def test_it_fails_on_a_planted_defect(defect: str) -> None:
    code, found, _ = tried(7, DEFECTS[defect])
    assert code != 0 or found["failures"]
