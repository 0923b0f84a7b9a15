"""The warm process behind ``judge.Judge``: one fork for each request on its standard input.

A request and its answer are one line of JSON each. This process imports nothing of the project;
before the first request it judges a contract about nothing, so that no fork is the first to judge.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from functools import partial
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO

from pytest_contracts.symbolic.worker import Limits, WorkerFailure, run_forked

WARM = (
    "pytest",
    "hypothesis.extra.numpy",
    "pytest_contracts.items.file",
    "pytest_contracts.domains.strategies",
    "pytest_contracts.mutation.hooks",
    "pytest_contracts.mutation.loaded",
    "pytest_contracts.report.recorder",
    "pytest_contracts.symbolic.explorer",
)
"""What nearly every run imports."""
ARGUMENTS = (
    *("-p", "no:cacheprovider", "-p", "no:faulthandler", "--tb=short"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),
)
REHEARSAL = """
metadata:
  version: 1.0.0
  kind: kernel
  status: ACTIVE
  description: Run before the first judgement, for all that is done once in a process
equations:
  same:
    formula: same(x) = x
    variables:
      n: 1..9
      x: {dtype: float32, shape: [n], range: [-1, 1]}
    implementations: {numpy: "numpy:copy"}
falsification_tests:
  - {id: FALSIFY-RH-001, rule: It holds, equation: same, formal: same(x) = x}
  - {id: FALSIFY-RH-002, rule: It falls, equation: same, formal: n + max(same(x)) < 0}
qa_gate:
  id: F-RH-001
  checks: [FALSIFY-RH-001, FALSIFY-RH-002]
"""
LIMITS = Limits(cpu_s=600, wall_s=600, memory_bytes=64 << 30)
"""Above what claims and their own workers, which have limits of their own, could need."""


def main(preload: list[str]) -> None:
    """Answer requests until there are no more."""
    for name in (*WARM, *preload):
        importlib.import_module(name)
    for plugin in entry_points(group="pytest11"):
        plugin.load()
    # Whatever a library prints must not come between the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    _rehearse()
    for line in sys.stdin:
        _reply(answers, _answer(json.loads(line)))


def _rehearse() -> list[tuple[str, str]]:
    """Judge a contract about nothing of the project, in a place apart; return its verdicts.

    Every fork inherits what that has imported, computed and kept, and need not do it again.
    """
    import pytest

    from pytest_contracts.mutation.hooks import Verdicts

    with tempfile.TemporaryDirectory(prefix="rehearsal-") as folder:
        settings, contract = Path(folder, "pytest.ini"), Path(folder, "rehearsal-v1.yaml")
        settings.write_text("[pytest]\n", encoding="utf-8")
        contract.write_text(REHEARSAL, encoding="utf-8")
        verdicts = Verdicts(["FALSIFY-RH-001", "FALSIFY-RH-002"], "F-RH-001", None, None)
        words = [*ARGUMENTS, f"-c={settings}", f"--contracts={folder}", str(contract)]
        with redirect_stdout(io.StringIO()):
            pytest.main(words, plugins=[verdicts])
        return verdicts.items


def _reply(answers: TextIO, answer: Mapping[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


def _answer(request: Mapping[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="judge-") as folder:
        output = Path(folder) / "output"
        output.touch()
        try:
            answer = run_forked(partial(_judge, request, output), LIMITS)
        except WorkerFailure as failure:
            return {"failed": f"{failure}\n{output.read_text('utf-8', errors='replace')}"}
        return {**answer, "output": output.read_text("utf-8", errors="replace")}


def _judge(
    request: Mapping[str, Any], output: Path
) -> dict[str, Any]:  # pragma: no cover - runs in the forked process, where nothing measures
    """Run pytest on the claims; return its exit code and the verdicts."""
    import pytest

    from pytest_contracts.mutation.hooks import Verdicts
    from pytest_contracts.mutation.loaded import hear, heard, names

    sys.stdout = sys.stderr = output.open("w", encoding="utf-8", errors="replace")
    os.dup2(sys.stdout.fileno(), 1)
    os.dup2(sys.stdout.fileno(), 2)
    overlay, module = request["overlay"], request["module"]
    root, notes = Path.cwd(), output.with_name("loaded")
    hear(notes)
    if overlay is not None:
        sys.meta_path.insert(0, OverlayFinder(overlay, module))
        # For processes that the claims start.
        before = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (overlay, before)))
    verdicts = Verdicts(request["claims"], request["gate"], request["implementation"], module)
    code = pytest.main([*ARGUMENTS, *request["arguments"]], plugins=[verdicts])
    sys.stdout.flush()
    copies = {} if overlay is None else {overlay: request["original"]}
    return {
        "exit_code": int(code),
        "items": verdicts.items,
        "imported": _comes_from(overlay, module),
        "loaded": names(heard(notes), root, copies),
    }


class OverlayFinder(MetaPathFinder):
    """Finds one top-level package in the overlay, wherever else on the path it is."""

    def __init__(self, overlay: str, module: str) -> None:
        self._overlay = overlay
        self._package = module.partition(".")[0]

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Return where the package is; its modules are found in its folder, as everywhere."""
        if fullname != self._package:
            return None
        return PathFinder.find_spec(fullname, [self._overlay], target)


def _comes_from(
    overlay: str | None, module: str | None
) -> bool:  # pragma: no cover - runs in the forked process, where nothing measures
    """Tell whether the mutated copy of the module is the one that was imported."""
    if overlay is None or module is None:
        return False
    file = getattr(sys.modules.get(module), "__file__", None)
    return file is not None and Path(file).is_relative_to(overlay)


if __name__ == "__main__":
    main(sys.argv[1:])
