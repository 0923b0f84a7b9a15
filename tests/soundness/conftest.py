"""Small projects, judged by pytest inside pytest: one alone, or many in one run."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.within import run_here, unshrunk

FOLDER = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let coverage look away: these projects run what the plugin's own tests run."""
    for item in items:
        if item.path.is_relative_to(FOLDER):
            item.add_marker("untraced")


class Case(NamedTuple):
    """A contract on the module ``kernels``, that module, and the one beside the contract."""

    contract: str
    kernels: str
    procedures: str = ""


@dataclass(frozen=True)
class Judged:
    """The items of one case in the ledger, and what pytest said of the run that it was in."""

    items: list[dict[str, Any]]
    output: str

    @property
    def verdicts(self) -> set[str]:
        return {item["verdict"] for item in self.items}

    @property
    def outcomes(self) -> set[str]:
        """What the items were to pytest: what decides whether they fail the run."""
        return {item["outcome"] for item in self.items}


@dataclass(frozen=True)
class Judge:
    """Writes projects and runs them."""

    pytester: pytest.Pytester

    def run(self, *words: str, examples: int | None = 40) -> pytest.RunResult:
        """Run pytest in this process on the contracts that have been written."""
        many = [] if examples is None else [f"--contracts-examples={examples}"]
        words = ("-p", "no:cacheprovider", "--contracts=contracts", *many, *words)
        return run_here(self.pytester, *words)

    def ledger(self) -> dict[str, Any]:
        """Return the ledger of the last run."""
        path = self.pytester.path / ".contracts" / "ledger.json"
        document: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return document

    def write(self, case: Case, name: str = "way", kernels: str = "kernels") -> None:
        """Write a project; several stand side by side if their names and kernels differ."""
        folder = self.pytester.path / "contracts"
        folder.mkdir(exist_ok=True)
        texts = {
            folder / f"{name}-v1.yaml": textwrap.dedent(case.contract),
            folder / f"{name}_v1.py": case.procedures,
            self.pytester.path / f"{kernels}.py": case.kernels,
        }
        for path, text in texts.items():
            if text:
                path.write_text(re.sub(r"\bkernels\b", kernels, text), encoding="utf-8")

    def alone(self, case: Case, *words: str, examples: int = 40) -> tuple[Judged, pytest.RunResult]:
        """Judge one case in a run of its own."""
        self.write(case)
        result = self.run(*words, examples=examples)
        return Judged(self.ledger()["items"], result.stdout.str()), result

    def together(self, cases: Mapping[str, Case], examples: int = 40) -> dict[str, Judged]:
        """Judge many cases in one run; a case of which nothing was judged has no items."""
        names = {f"way{number}-v1": name for number, name in enumerate(cases)}
        for number, case in enumerate(cases.values()):
            self.write(case, f"way{number}", f"kernels{number}")
        brief = "--tb=native"  # others parse the source around each frame of each failure
        with unshrunk():
            output = self.run(brief, examples=examples).stdout.str()
        judged = {name: Judged([], output) for name in cases}
        for item in self.ledger()["items"]:
            judged[names[item["contract"]]].items.append(item)
        return judged


@pytest.fixture
def judge(pytester: pytest.Pytester) -> Judge:
    """A judge of projects that have not been written yet."""
    pytester.syspathinsert()
    return Judge(pytester)
