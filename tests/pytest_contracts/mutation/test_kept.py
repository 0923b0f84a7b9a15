"""Kills that were recorded: they count while nothing that they rest on has changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from pytest_contracts.contract import Contract, Mutant
from pytest_contracts.ledger import sealed
from pytest_contracts.ledger.evidence import EvidenceError
from pytest_contracts.ledger.verdict import Verdict
from pytest_contracts.mutation import Judge, planted_mutants
from pytest_contracts.mutation import kept as kills
from pytest_contracts.mutation.digests import Digests
from pytest_contracts.mutation.kept import ABSENT, Kept, RowId, Sheet
from pytest_contracts.mutation.outcome import Outcome, complaints
from pytest_contracts.mutation.rows import Contradicted, Rows, judged
from pytest_contracts.mutation.surroundings import surroundings
from tests.pytest_contracts.mutation.conftest import CONTRACT, Scripted

NOW = {"python": "3.11", "numpy": "2.4.6"}
KILLED = Verdict.FALSIFIED
Project = Callable[[str], Contract]


@pytest.fixture
def script(tmp_path: Path) -> Scripted:
    script = Scripted(tmp_path)
    script.verdicts = dict.fromkeys(("D-EQV-001", "FALSIFY-D-001", "F-D-001"), (KILLED,))
    script.loaded = ("conftest.py", "contracts/double_v1.py", "pyproject.toml", "table.txt")
    (tmp_path / "contracts").mkdir(exist_ok=True)
    for name in ("contracts/double_v1.py", "table.txt", "unrelated.py"):
        (tmp_path / name).write_text("1\n", encoding="utf-8")
    return script


def record(contract: Contract, script: Any, now: Mapping[str, str] = NOW) -> Path:
    """Judge every mutant and the healthy code, and write what came of it."""
    root = script.root
    sheets: dict[str, dict[str, Outcome]] = {}
    loaded: dict[str, set[str]] = {}
    for mutant in (*planted_mutants(contract), None):
        row = RowId.of(contract, mutant)
        outcome, files = judged(contract, mutant, script, root)
        sheets.setdefault(row.sheet, {})[row.name] = outcome
        loaded.setdefault(row.sheet, set()).update(files)
    made = {name: Sheet(frozenset(loaded[name]), rows) for name, rows in sheets.items()}
    path: Path = root / "evidence" / "kills.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(kills.text(made, now, Digests(root)), encoding="utf-8")
    return path


def read(path: Path, now: Mapping[str, str] = NOW) -> Kept:
    return kills.read(path, now, Digests(path.parents[1]))


def odd(contract: Contract) -> Mutant:
    return planted_mutants(contract)[0]


def package(root: Path) -> Path:
    return next(path for path in root.iterdir() if path.name.startswith("doubling"))


def replaced(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_a_row_that_counts_is_read_and_not_judged(project: Project, script: Scripted) -> None:
    contract = project(CONTRACT)
    path = record(contract, script)
    asked = script.asked
    rows = Rows(read(path), lambda: script, script.root)  # type: ignore[arg-type, return-value]
    for mutant in (*planted_mutants(contract), None):
        outcome = rows.outcome(contract, mutant)
        assert outcome == judged(contract, mutant, script, script.root).outcome  # type: ignore[arg-type]
    assert script.asked == 2 * asked
    assert outcome.output == "as kept in kills.json"
    assert [*complaints(rows.outcome(contract, odd(contract)), contract, odd(contract))] == []


@pytest.mark.parametrize(
    "file",
    ["pytest.ini", "contracts/conftest.py", "PACKAGE/fast/__init__.py", "PACKAGE/fast.so", "os.py"],
)
def test_a_new_file_that_python_or_pytest_would_read_makes_a_row_stale(
    project: Project, script: Scripted, file: str
) -> None:
    contract = project(CONTRACT)
    path, row = record(contract, script), RowId.of(contract, odd(contract))
    new = script.root / file.replace("PACKAGE", package(script.root).name)
    new.parent.mkdir(exist_ok=True)
    new.write_text("", encoding="utf-8")
    folder = new.parent.parent if new.name == "__init__.py" else new.parent
    place = folder.relative_to(script.root).as_posix()
    assert read(path).stale(row) == f"what lies in {place} changed"
    new.unlink()
    assert read(path).stale(row) == ""


@pytest.mark.parametrize("file", ["notes.md", "contracts/other-v1.yaml", "tools/new.py", "d/x.txt"])
def test_a_new_file_that_nobody_would_read_changes_nothing(
    project: Project, script: Scripted, file: str
) -> None:
    contract = project(CONTRACT)
    path, row = record(contract, script), RowId.of(contract, odd(contract))
    (script.root / file).parent.mkdir(exist_ok=True)
    (script.root / file).write_text("", encoding="utf-8")
    assert read(path).stale(row) == ""


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("conftest.py", "import sys", "import sys, os"),
        ("contracts/double_v1.py", "1", "2"),
        ("table.txt", "1", "1 "),
        ("contracts/double-v1.yaml", "n + n + 1", "n + n + 3"),
        ("contracts/double-v1.yaml", "rule: Even", "rule: Odd"),
        ("PACKAGE/fast.py", "return n + n", "return (n + n)"),
        ("pyproject.toml", "8.4", "9.0"),
    ],
    ids=["conftest", "procedures", "data", "mutant", "claim", "mutated", "pytest's settings"],
)
def test_what_a_row_rests_on_makes_it_stale(
    project: Project, script: Scripted, file: str, old: str, new: str
) -> None:
    contract = project(CONTRACT)
    path, row = record(contract, script), RowId.of(contract, odd(contract))
    assert read(path).stale(row) == ""
    name = file.replace("PACKAGE", package(script.root).name)
    replaced(script.root / name, old, new)
    assert read(path).stale(row) == f"{name} changed"
    assert read(path).outcome(row) is None
    replaced(script.root / name, new, old)
    assert read(path).stale(row) == ""
    (script.root / name).unlink()
    assert read(path).stale(row) == f"{name} changed"


def test_the_version_of_a_package_makes_every_row_stale(
    project: Project, script: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract = project(CONTRACT)
    path, row = record(contract, script, surroundings()), RowId.of(contract, odd(contract))
    assert read(path, surroundings()).stale(row) == ""
    assert read(path, surroundings(device="none")).stale(row) == ""
    assert read(path, surroundings(device="gpu")).stale(row) == "device was none, is gpu"
    version = metadata.version
    changed = lambda name: "0.1" if name == "numba" else version(name)  # noqa: E731
    monkeypatch.setattr(metadata, "version", changed)
    assert read(path, surroundings()).stale(row) == f"numba was {version('numba')}, is 0.1"


def test_the_surroundings_are_what_decides() -> None:
    found = surroundings()
    assert {"python", "machine", "numpy", "numba", "hypothesis", "pytest", "z3-solver"} <= {*found}
    assert found["numpy"] == metadata.version("numpy")
    assert "torch" not in found


def test_a_package_that_is_not_here_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "requires", lambda _: ["numpy>=2", "no-such-package-at-all"])
    assert surroundings()["no-such-package-at-all"] == "none"


def test_settings_that_cannot_be_read_are_taken_whole(tmp_path: Path) -> None:
    settings = tmp_path / "pyproject.toml"
    found = set()
    for text in ("[tool.ruff", "[tool.pytest", "", '[tool.pytest]\nminversion = "8.4"'):
        settings.write_text(text)
        found.add(Digests(tmp_path)("pyproject.toml"))
    assert None not in found
    assert len(found) == 4


def test_what_no_row_rests_on_changes_nothing(project: Project, script: Scripted) -> None:
    contract = project(CONTRACT)
    path, row = record(contract, script), RowId.of(contract, odd(contract))
    (script.root / "unrelated.py").write_text("2\n", encoding="utf-8")
    (package(script.root) / "unnamed.cu").write_text("", encoding="utf-8")
    (script.root / "contracts" / "other-v1.yaml").write_text("", encoding="utf-8")
    settings = script.root / "pyproject.toml"
    settings.write_text(settings.read_text() + "\n[tool.ruff]\nline-length = 80\n")
    assert read(path).stale(row) == ""


def test_a_changed_row_is_judged_again(project: Project, script: Scripted) -> None:
    """Killed, the evidence says; but the claims have been weakened since, and it survives."""
    contract = project(CONTRACT)
    path = record(contract, script)
    replaced(script.root / "contracts" / "double_v1.py", "1", "2")
    script.verdicts = {**script.verdicts, "D-EQV-001": (Verdict.HELD,)}
    rows = Rows(read(path), lambda: script, script.root)  # type: ignore[arg-type, return-value]
    (complaint,) = complaints(rows.outcome(contract, odd(contract)), contract, odd(contract))
    assert complaint == f"{odd(contract).where}: D-EQV-001 does not notice odd"


def test_what_is_drawn_is_judged_though_nothing_changed(
    project: Project, judge: Judge, tmp_path: Path
) -> None:
    """The evidence is a lie: one that no digest shows."""
    contract = project(CONTRACT)
    survivor, row = planted_mutants(contract)[2], RowId(contract.name, "survivor")
    assert survivor.id == row.name
    outcome, loaded = judged(contract, survivor, judge, tmp_path)
    assert outcome.killed(survivor.killed_by) == []
    verdicts = {**outcome.verdicts, "D-EQV-001": frozenset({KILLED})}
    lie = Outcome(1, verdicts, frozenset({"D-EQV-001"}), explained=True)
    sheets = {contract.name: Sheet(loaded, {row.name: lie})}
    path = tmp_path / "evidence" / "kills.json"
    path.parent.mkdir()
    path.write_text(kills.text(sheets, NOW, Digests(tmp_path)), encoding="utf-8")
    assert Rows(read(path), lambda: judge, tmp_path).outcome(contract, survivor) == lie
    with pytest.raises(Contradicted, match=f"^{contract.name}, survivor: kept is .*FALSIFIED"):
        Rows(read(path), lambda: judge, tmp_path, {row}).outcome(contract, survivor)


def test_what_is_drawn_and_the_same_is_accepted(project: Project, script: Scripted) -> None:
    contract = project(CONTRACT)
    path, row = record(contract, script), RowId.of(contract, odd(contract))
    asked = script.asked
    judge: Any = script
    assert Rows(read(path), lambda: judge, script.root, {row}).outcome(contract, odd(contract))
    assert script.asked == asked + 1
    # On a machine that lacks what this claim needs, there is nothing to compare.
    script.verdicts = {**script.verdicts, "FALSIFY-D-001": (Verdict.UNAVAILABLE,)}
    Rows(read(path), lambda: judge, script.root, {row}).outcome(contract, odd(contract))


def test_what_could_not_run_is_no_evidence(project: Project, script: Scripted) -> None:
    contract = project(CONTRACT)
    script.verdicts = {**script.verdicts, "FALSIFY-D-001": (Verdict.UNAVAILABLE,)}
    path = record(contract, script)
    assert read(path).stale(RowId.of(contract, odd(contract))) == ABSENT
    assert read(path).stale(RowId.of(contract, None)) == ""


def test_what_was_never_recorded_is_missing(project: Project, tmp_path: Path) -> None:
    row = RowId.of(project(CONTRACT), None)
    assert read(tmp_path / "evidence" / "kills.json").stale(row) == "not recorded"


def test_the_file_is_for_reviewers(project: Project, script: Scripted) -> None:
    path = record(project(CONTRACT), script)
    text = path.read_text(encoding="utf-8")
    assert str(script.root) not in text
    assert path.read_text(encoding="utf-8") == record(project(CONTRACT), script).read_text()
    (line,) = [line for line in text.splitlines() if line.startswith('    "odd": ')]
    assert json.loads("{" + line.strip().rstrip(",") + "}")["odd"] == {
        "exit_code": 1,
        "explained": True,
        "told": ["D-EQV-001", "FALSIFY-D-001", "FALSIFY-D-002"],
        "verdicts": {
            "D-EQV-001": "FALSIFIED",
            "F-D-001": "FALSIFIED",
            "FALSIFY-D-001": "FALSIFIED",
        },
    }


def resealed(**changes: Any) -> Callable[[str], str]:
    def change(text: str) -> str:
        document = {**json.loads(text), **changes}
        return json.dumps({**document, "digest": sealed.seal(document)})

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[:100], "not JSON"),
        (lambda text: "[]", "not a JSON object"),
        (lambda text: "[" * 100_000, "not JSON"),
        (lambda text: text.replace('"exit_code": 1', '"exit_code": 0'), "not what was written"),
        (lambda text: text.replace("FALSIFIED", "HELD", 1), "not what was written"),
        (resealed(schema="another/1"), "its schema is not pytest-contracts/kills/1"),
        (resealed(sheets=[]), "no evidence of kills"),
        (resealed(sheets={"a": {"loaded": {}, "rows": {"b": {}}}}), "no evidence of kills"),
        (resealed(everywhere=3), "no evidence of kills"),
        (resealed(files=None), "no evidence of kills"),
    ],
    ids=lambda value: None if callable(value) else value[:30],
)
def test_a_damaged_file_is_told_of(
    project: Project, script: Scripted, change: Callable[[str], str], message: str
) -> None:
    path = record(project(CONTRACT), script)
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(EvidenceError, match=message) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}:1")
    assert "tools/renew_kills.py --all" in str(caught.value)


def test_a_judge_says_what_it_has_loaded(project: Project, judge: Judge, tmp_path: Path) -> None:
    contract, here = project(CONTRACT), package(tmp_path)
    (here / "table.txt").write_text("2", encoding="utf-8")
    (here / "forked.txt").write_text("2", encoding="utf-8")
    (here / "alone.py").write_text("TWO = 2\n", encoding="utf-8")
    (here / "plain.py").write_text(
        "import os\nfrom pathlib import Path\n\nHERE = Path(__file__).parent\n\n\n"
        "def double(n):\n    pid = os.fork()\n    if pid == 0:\n"
        "        (HERE / 'forked.txt').read_text()\n        os._exit(0)\n    os.waitpid(pid, 0)\n"
        "    return int((HERE / 'table.txt').read_text()) * n\n",
        encoding="utf-8",
    )
    outcome, loaded = judged(contract, odd(contract), judge, tmp_path)
    assert outcome.killed(odd(contract).killed_by) == ["D-EQV-001", "FALSIFY-D-001"]
    of_odd = {f"{here.name}/{name}" for name in ("__init__.py", "fast.py")}
    around = {"conftest.py", "pyproject.toml", "contracts/double-v1.yaml"}
    assert of_odd | around <= loaded
    assert f"{here.name}/alone.py" not in loaded
    outcome, loaded = judged(contract, None, judge, tmp_path)
    assert [*complaints(outcome, contract, None)] == []
    names = ("__init__.py", "fast.py", "plain.py", "table.txt", "forked.txt")
    folders = {"*", "contracts/*", f"{here.name}/*"}
    assert loaded == {f"{here.name}/{name}" for name in names} | around | folders
