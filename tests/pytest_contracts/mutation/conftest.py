"""A small project with mutants of its own, and a judge for it."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_contracts.contract import Contract, load
from pytest_contracts.ledger.verdict import Verdict
from pytest_contracts.mutation import Judge, Judgement

CONTRACT = """
metadata:
  version: 1.0.0
  kind: kernel
  status: ACTIVE
  description: Doubling
equations:
  double:
    formula: double(n) = 2 · n
    variables: {n: 0..50}
    implementations: {plain: PACKAGE.plain:double, fast: PACKAGE.fast:double}
proof_obligations:
  - {id: D-EQV-001, type: equivalence, equation: double, property: As defined, tolerance: 0}
falsification_tests:
  - {id: FALSIFY-D-001, rule: Even, equation: double, formal: "double(n) % 2 = 0"}
  - {id: FALSIFY-D-002, rule: Not less, equation: double, formal: "double(n) ≥ n"}
qa_gate:
  id: F-D-001
  checks: [D-EQV-001, FALSIFY-D-001]
  falsification:
    - id: odd
      target: double.fast
      replace: ["n + n", "n + n + 1"]
      killed_by: [D-EQV-001, FALSIFY-D-001]
    - {id: helper, target: "PACKAGE.helper:FACTOR", replace: ["= 2", "= 3"], killed_by: [D-EQV-001]}
    - id: survivor
      target: double.plain
      replace: ["FACTOR * n", "n * FACTOR"]
      killed_by: [D-EQV-001]
    - {id: described, target: double.plain, killed_by: [D-EQV-001]}
"""
FILES = {
    "__init__.py": "",
    "helper.py": "FACTOR = 2\n",
    "plain.py": "from {name}.helper import FACTOR\n\n\ndef double(n):\n    return FACTOR * n\n",
    "fast.py": 'SOURCE = "fast.cu"\n\n\ndef double(n):\n    return n + n\n',
    "fast.cu": "float twice(float x) { return x * 2.0f; }\n",
    "unnamed.cu": "int nothing;\n",
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Contract]]:
    """A function that writes the contract, changed by replacements, beside a package of its own."""
    name = f"doubling_{tmp_path.name.replace('-', '_')}"
    package = tmp_path / name
    package.mkdir()
    for file, text in FILES.items():
        (package / file).write_text(text.replace("{name}", name), encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text('[tool.pytest]\nminversion = "8.4"\n')
    (tmp_path / "conftest.py").write_text(f"import sys\nsys.path.append({str(tmp_path)!r})\n")
    (tmp_path / "contracts").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(text: str = CONTRACT) -> Contract:
        path = tmp_path / "contracts" / "double-v1.yaml"
        path.write_text(textwrap.dedent(text).replace("PACKAGE", name), encoding="utf-8")
        return load(path)

    yield write
    for loaded in [module for module in sys.modules if module.partition(".")[0] == name]:
        del sys.modules[loaded]


@pytest.fixture
def judge(project: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Judge]:
    monkeypatch.setenv("PYTEST_ADDOPTS", "--no-such-option-reaches-the-judge")
    with Judge(tmp_path, ["--contracts=contracts", "-p", "no:randomly"]) as judge:
        yield judge


class Scripted:
    """A judge who says what it is told to, of files that it is told of, and counts."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.asked = 0
        self.verdicts: Mapping[str, tuple[Verdict, ...]] = {}
        self.loaded: tuple[str, ...] = ()
        self.exit_code = 1

    def __call__(self, contract: Contract, *_: Any, **__: Any) -> Judgement:
        self.asked += 1
        path = contract.path.relative_to(self.root)
        told = [f"{path}:{c.where.line}: FALSIFIED: counterexample" for c in contract.claims]
        return Judgement(self.exit_code, self.verdicts, "\n".join(told), self.loaded)
