"""A small project with a contract in it, run by pytest inside pytest."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.within import run_apart, run_beside_all, run_here

ENGINE = """
import math

import numpy as np

from pytest_contracts.errors import Unavailable


def softmax_reference(x):
    assert isinstance(x, list), "a reference gets plain lists"
    top = max(x)
    terms = [math.exp(v - top) for v in x]
    total = sum(terms)
    return [t / total for t in terms]


def softmax(x):
    assert x.dtype == np.float32, "an implementation gets the dtype of its variable"
    terms = np.exp(x.astype(np.float64) - x.max())
    return (terms / terms.sum()).astype(np.float32)


def unstable(x):
    with np.errstate(all="ignore"):
        terms = np.exp(x)
        return terms / terms.sum()


def fallback(x):
    return np.asarray(softmax(x), np.float32)


def far_away(x):
    raise Unavailable("no accelerator here", "rent one")


def double(n):
    return 2 * n


def not_double(n):
    return 2 * n + (n > 10)
"""

HEAD = """
metadata: {version: 1.0.0, kind: kernel, description: A contract under test}
equations:
  softmax:
    formula: softmax(x) = exp(x − max(x)) / Σ exp(x − max(x))
    variables:
      n: 1..16
      x: {dtype: float32, shape: [n], range: [-200, 200]}
    implementations:
      reference: engine:softmax_reference
      cpu: engine:softmax
"""


@dataclass
class Project:
    """The files of one small project and the way to run pytest on it."""

    pytester: pytest.Pytester

    def contract(self, text: str, name: str = "kernels/softmax-v1", *, head: str = HEAD) -> Path:
        """Write a contract: the head, then ``text``."""
        path = self.pytester.path / "contracts" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(head.strip() + "\n" + textwrap.dedent(text).strip() + "\n", "utf-8")
        return path

    def procedures(self, text: str, name: str = "kernels/softmax_v1") -> Path:
        """Write the module beside a contract."""
        path = self.pytester.path / "contracts" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), "utf-8")
        return path

    def run(
        self, *arguments: str, contracts: bool = True, examples: int | None = 10
    ) -> pytest.RunResult:
        """Run pytest in this process, with no other plugins than it needs."""
        return run_here(self.pytester, *self._words(contracts, examples, arguments))

    def run_beside_all(self, *arguments: str, examples: int | None = 10) -> pytest.RunResult:
        """Run pytest in this process, with all plugins that are installed."""
        return run_beside_all(self.pytester, *self._words(True, examples, arguments))

    def run_apart(
        self, *arguments: str, contracts: bool = True, examples: int | None = 10
    ) -> pytest.RunResult:
        """Run pytest in a process of its own, with no other plugins than it needs."""
        return run_apart(self.pytester, *self._words(contracts, examples, arguments))

    def ledger(self) -> dict[str, dict[str, Any]]:
        """Return the records of the last run by item name."""
        return {name: item for name, item in self.kept_ledger().items() if not item["run"]}

    def kept_ledger(self) -> dict[str, dict[str, Any]]:
        """Return the records of the last run by item name, and those kept from earlier ones."""
        path = self.pytester.path / ".contracts" / "ledger.json"
        data = json.loads(path.read_text("utf-8"))
        return {item["nodeid"].rpartition("::")[2]: item for item in data["items"]}

    def verdicts(self) -> dict[str, str]:
        """Return the verdicts of the last run by item name."""
        return {name: item["verdict"] for name, item in self.ledger().items()}

    def verdicts_of(self) -> dict[str, dict[str, str]]:
        """Return the verdicts of the last run by contract and item name."""
        path = self.pytester.path / ".contracts" / "ledger.json"
        found: dict[str, dict[str, str]] = {}
        for item in json.loads(path.read_text("utf-8"))["items"]:
            name = item["nodeid"].rpartition("::")[2]
            found.setdefault(item["contract"], {})[name] = item["verdict"]
        return found

    def files(self) -> dict[str, bytes]:
        """Return what all files of the project hold."""
        root = self.pytester.path
        found = (path for path in sorted(root.rglob("*")) if path.is_file())
        held = {path.relative_to(root): path.read_bytes() for path in found}
        return {str(name): text for name, text in held.items() if "__pycache__" not in name.parts}

    def write(self, files: Mapping[str, bytes]) -> None:
        """Let the project have these files, as another one had them."""
        for name, text in files.items():
            path = self.pytester.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text)

    def line(self, path: Path, needle: str) -> int:
        """Return the one-based line on which ``needle`` stands in a file."""
        lines = path.read_text("utf-8").splitlines()
        return next(number for number, line in enumerate(lines, 1) if needle in line)

    @staticmethod
    def _words(contracts: bool, examples: int | None, arguments: tuple[str, ...]) -> list[str]:
        # Without this plugin's repeated garbage collections an inner run takes a tenth of the time.
        words = ["-p", "no:unraisableexception"]
        words += ["--contracts=contracts"] if contracts else []
        words += [] if examples is None else [f"--contracts-examples={examples}"]
        return [*words, *arguments]


@pytest.fixture
def _same_examples_always() -> Iterator[None]:
    """Inner runs draw the same examples each time and share no database."""
    outer = settings.get_current_profile_name()
    settings.register_profile("inner", max_examples=100, deadline=None, derandomize=True)
    settings.load_profile("inner")
    yield
    settings.load_profile(outer)


@pytest.fixture
def project(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, _same_examples_always: None
) -> Project:
    """An empty project with an engine."""
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE", "CI_PROJECT_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pytest_contracts.binding._registry", {})
    pytester.makepyfile(engine=ENGINE)
    pytester.syspathinsert()
    pytester.makeini("[pytest]\naddopts = --strict-markers\n")
    return Project(pytester)
