"""The documentation names what is there: every option, key, function, verdict, and no other."""

from __future__ import annotations

import json
import os
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer.main

from inference import errors
from inference.cli import COMMANDS, _load
from inference.cli.common import ExitCode
from inference.model.stages import Stage
from pytest_contracts import options, plugin
from pytest_contracts.cli import app as pv
from pytest_contracts.contract.obligation_types import TYPES
from pytest_contracts.contract.schema import schema_text
from pytest_contracts.formula import LIBRARY, parse, same
from pytest_contracts.items.obligations import TEMPLATES
from pytest_contracts.ledger.records import Record
from pytest_contracts.ledger.verdict import Level, Verdict, outcome
from tests.within import ALONE, WORDS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.rglob("*.md")), ROOT / "README.md"]

_CELL = re.compile(r"(?<!\\)\|")
_CODE = re.compile(r"`([^`\n]+)`")
_BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def section(text: str, title: str) -> str:
    """The part of a page below a heading, up to the next heading of the same or a higher rank."""
    heading = re.search(rf"^(#+) {re.escape(title)}$", text, re.MULTILINE)
    assert heading is not None, f"no section {title!r}"
    rest = text[heading.end() :]
    end = re.search(rf"^#{{1,{len(heading[1])}}} ", rest, re.MULTILINE)
    return rest if end is None else rest[: end.start()]


def rows(text: str) -> list[list[str]]:
    """The cells of all tables in a text, headers and rules left out."""
    lines = text.splitlines()
    body = [
        line
        for line, below in zip(lines, [*lines[1:], ""], strict=True)
        if line.startswith("|") and not line.startswith("|---") and not below.startswith("|---")
    ]
    return [[c.strip().replace("\\|", "|") for c in _CELL.split(line)[1:-1]] for line in body]


def words(cells: list[str]) -> list[str]:
    """What stands in backticks in some cells."""
    return [word for cell in cells for word in _CODE.findall(cell)]


def quoted(text: str) -> set[str]:
    """What stands in backticks in a page, blocks of code left out."""
    return set(_CODE.findall(_BLOCK.sub("", text)))


# -- the formula language ------------------------------------------------------------------------


def test_every_library_function_is_documented_with_its_arguments() -> None:
    documented = {
        words([name])[0]: (count, axis)
        for name, count, axis, _ in rows(section(page("reference/formula-language.md"), "Library"))
    }
    actual = {}
    for name, function in LIBRARY.items():
        count = f"{function.minimum}"
        if function.maximum is None:
            count += "+"
        elif function.maximum != function.minimum:
            count += f"–{function.maximum}"
        actual[name] = (count, "axis" if function.keywords else "")
    assert documented == actual


def spellings() -> Iterator[tuple[str, str]]:
    table = section(page("reference/formula-language.md"), "Spellings")
    for mathematics, ascii_text, _ in rows(table):
        yield from zip(words([mathematics]), words([ascii_text]), strict=True)


@pytest.mark.parametrize(("mathematics", "ascii_text"), list(spellings()))
def test_both_spellings_are_one_tree(mathematics: str, ascii_text: str) -> None:
    assert ascii_text.isascii()
    assert same(parse(mathematics), parse(ascii_text))


def test_every_tolerance_kind_is_documented() -> None:
    table = rows(section(page("reference/formula-language.md"), "Tolerance kinds"))
    assert words([row[0] for row in table]) == schema()["$defs"]["tolerance_kind"]["enum"]


# -- the contract file ---------------------------------------------------------------------------

NEEDS = "needs `formal` or `run`"


def schema() -> Any:
    return json.loads(schema_text())


def keys_and_words(node: Any) -> Iterator[str]:
    """Every key and every enumerated word of the schema."""
    if isinstance(node, Mapping):
        yield from node.get("properties", ())
        yield from (word for word in node.get("enum", ()) if isinstance(word, str))
        for inner in node.values():
            yield from keys_and_words(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from keys_and_words(inner)


def test_every_schema_key_is_documented() -> None:
    documented = quoted(page("reference/contract-file.md"))
    assert set(keys_and_words(schema())) - documented == set()


def test_no_key_is_documented_that_the_schema_refuses() -> None:
    text = page("reference/contract-file.md")
    defs = schema()["$defs"]
    common = set(defs["obligation"]["properties"]) & set(defs["harness"]["properties"])
    common.remove("property")
    both = set(defs["obligation"]["properties"]) & set(defs["falsification"]["properties"])
    own = {
        "Sections": set(schema()["properties"]),
        "`metadata`": set(defs["metadata"]["properties"]),
        "`equations`": set(defs["equation"]["properties"]),
        "Keys of every claim": common | both,
        "`falsification_tests`": set(defs["falsification"]["properties"]) - both,
        "`kani_harnesses`": set(defs["harness"]["properties"]) - common,
        "`qa_gate`": set(defs["gate"]["properties"]) | set(defs["mutant"]["properties"]),
    }
    for title, keys in own.items():
        assert set(words([row[0] for row in rows(section(text, title))])) == keys, title


def test_every_obligation_type_has_its_code_and_template() -> None:
    table = rows(section(page("reference/contract-file.md"), "`proof_obligations`"))
    table = [row for row in table if len(row) == 4]
    types = {words(row[:1])[0]: row[1:] for row in table if words(row[:1])[0] in TYPES}
    assert {name: code for name, (code, *_) in types.items()} == {
        name: row.code for name, row in TYPES.items()
    }
    assert {name for name, (_, claims, _) in types.items() if not claims.endswith(NEEDS)} == {
        *TEMPLATES
    }


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_tables_of_rows_are_as_the_code_has_them(path: Path) -> None:
    tool = runpy.run_path(str(ROOT / "tools" / "write_reference.py"))
    text = path.read_text(encoding="utf-8")
    assert text == tool["written"](text), "run python tools/write_reference.py"


# -- verdicts ------------------------------------------------------------------------------------


def test_the_verdict_table_is_the_code() -> None:
    text = page("reference/verdicts.md")
    documented = {row[0]: row[2:] for row in rows(text.partition("## Statuses")[0])}
    actual = {
        verdict.value: [
            outcome(verdict).value,
            outcome(verdict, strict=True).value,
            "yes" if verdict.verified else "no",
        ]
        for verdict in Verdict
    }
    assert documented == actual


def test_the_status_table_is_the_code() -> None:
    table = rows(section(page("reference/verdicts.md"), "Statuses"))
    documented = {row[0]: [re.split(r"[:,]", cell)[0] for cell in row[1:]] for row in table}
    assert list(documented) == ["ACTIVE", "PROPOSED", "BLOCKED", "VIOLATED", "RETIRED"]
    assert set(documented) == set(schema()["$defs"]["status"]["enum"])
    for not_run in ("BLOCKED", "RETIRED"):
        documented.pop(not_run)
    for status, (falsified, held) in documented.items():
        assert outcome(Verdict.FALSIFIED, status=status) == falsified  # type: ignore[arg-type]
        assert outcome(Verdict.HELD, status=status) == held  # type: ignore[arg-type]


def test_every_level_is_documented() -> None:
    table = rows(section(page("reference/verdicts.md"), "Levels"))
    assert [row[0] for row in table] == [level.value for level in Level]


def test_every_field_of_a_record_is_documented() -> None:
    ledger = section(page("reference/verdicts.md"), "The ledger")
    documented = words([row[0] for row in rows(ledger)])
    assert documented == [
        "schema",
        "run",
        "files",
        "retired",
        "gates",
        "items",
        "errors",
        *(field.name for field in fields(Record)),
    ]


# -- the plugin ----------------------------------------------------------------------------------


class Options:
    """Hears what the plugin asks pytest's parser for."""

    def __init__(self) -> None:
        self.options: list[str] = []
        self.ini: list[str] = []
        plugin.pytest_addoption(self)  # type: ignore[arg-type]

    def getgroup(self, *_: str) -> Options:
        return self

    def addoption(self, name: str, **_: Any) -> None:
        self.options.append(name)

    def addini(self, name: str, *_: Any, **__: Any) -> None:
        self.ini.append(name)


def test_the_table_of_options_says_what_each_takes() -> None:
    documented = {
        words([row[0]])[0]: row[1] for row in rows(section(page("reference/plugin.md"), "Options"))
    }
    takes = {}
    for row in options.rows():
        if "flag" in row.metadata:
            given = row.metadata["row"]
            flag = f"{row.metadata['flag']} {given.get('metavar', '')}".strip()
            takes[flag] = "repeatable" if given.get("action") == "append" else ""
    assert list(documented) == list(takes)
    assert all(word in documented[flag] for flag, word in takes.items())


def first_words(title: str) -> list[str]:
    table = rows(section(page("reference/plugin.md"), title))
    return [re.split(r"[\s(]", words([row[0]])[0])[0] for row in table]


def test_every_option_and_ini_key_is_documented() -> None:
    assert first_words("Options") == Options().options
    assert first_words("Configuration") == Options().ini


def test_every_marker_hook_and_fixture_is_documented() -> None:
    from pytest_contracts import hookspecs

    assert first_words("Markers") == [re.split(r"[(:]", line)[0] for line in plugin.MARKERS]
    hooks = [name for name in vars(hookspecs) if name.startswith("pytest_contracts_")]
    assert first_words("Hooks") == hooks
    kind = type(plugin.compared)
    fixtures = [name for name, value in vars(plugin).items() if isinstance(value, kind)]
    assert first_words("Fixtures") == fixtures


# -- the commands --------------------------------------------------------------------------------


def options_of(command: Any) -> set[str]:
    found = {name for parameter in command.params for name in parameter.opts}
    return {name for name in found if name.startswith("-")} - {"--help", "-h"}


def documented_options(text: str, title: str) -> set[str]:
    table = [row for row in rows(section(text, title)) if row[0].startswith("`-")]
    return {word.split()[0] for row in table for word in words(row[:1])}


def test_every_apr_command_is_documented_with_its_options() -> None:
    text = page("reference/apr.md")
    assert words([row[0] for row in rows(text.partition("## Exit codes")[0])]) == [
        f"apr {name}" for name in COMMANDS
    ]
    for name in COMMANDS:
        title = f"`apr {name}`"
        assert documented_options(text, title) == options_of(_load(name)), name


def test_every_exit_code_and_stage_of_apr_is_documented() -> None:
    text = page("reference/apr.md")
    codes = [row[0] for row in rows(section(text, "Exit codes"))]
    assert codes == [str(code.value) for code in ExitCode]
    assert set(Stage) <= quoted(section(text, "`apr trace`"))


def test_every_pv_command_is_documented_with_its_options() -> None:
    text = page("reference/pv.md")
    group: Any = typer.main.get_command(pv)
    names = words([row[0] for row in rows(text.partition("## ")[0])])
    assert names == [f"pv {name}" for name in group.commands]
    for name, command in group.commands.items():
        assert documented_options(text, f"`pv {name}`") == options_of(command), name


def test_every_engine_error_is_documented() -> None:
    documented = re.findall(
        r"autoexception:: inference\.errors\.(\w+)", page("reference/engine.md")
    )
    kinds = [name for name, value in vars(errors).items() if isinstance(value, type)]
    assert documented == [name for name in kinds if issubclass(vars(errors)[name], Exception)]


# -- the pages as a whole ------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_page_shows_where_it_was_written(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"(?<![\w.])/(?:tmp|work|root|home|opt|usr)/\S*", text) == []


def places() -> Iterator[tuple[str, str, int]]:
    """Every item of this project whose place a page shows: its id, its file, the line."""
    reported = re.compile(
        r"(?P<path>contracts/\S+\.yaml):(?P<line>\d+): [A-Z].*?(?P=path)::(?P<id>[\w-]+)", re.DOTALL
    )
    for path in PAGES:
        for block in _BLOCK.findall(path.read_text(encoding="utf-8")):
            for found in reported.finditer(block):
                if (ROOT / found["path"]).exists():
                    yield found["id"], found["path"], int(found["line"])


def test_items_stand_where_the_pages_say() -> None:
    shown = list(places())
    assert shown
    for item, path, number in shown:
        line = (ROOT / path).read_text(encoding="utf-8").splitlines()[number - 1]
        assert line.strip() == f"- id: {item}", f"{path}:{number}"


def test_the_pages_of_the_index_exist() -> None:
    listed = re.findall(r"^[\w-]+/[\w-]+$", page("index.md"), re.MULTILINE)
    there = [path.relative_to(DOCS).with_suffix("").as_posix() for path in DOCS.rglob("*.md")]
    assert sorted([*listed, "index"]) == sorted(there)


def test_the_readme_has_its_two_commands_first() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^```sh\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    install = (
        "python3 -m venv .venv && .venv/bin/pip install -q -c constraints.txt -e '.[test]' "
        "&& .venv/bin/pytest"
    )
    assert [command.strip() for command in commands[:2]] == [
        f"{install} --contracts contracts/ -n auto",
        f"{install} tests/ -n auto",
    ]


# -- the tutorial is run -------------------------------------------------------------------------

_FENCE = re.compile(
    r"^```(?:\{code-block\} )?\w+\n(?::caption: (?P<caption>[^\n]+)\n\n)?(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_TELLING = re.compile(
    r"\S+-v1 +L\d .*|contracts/\S+: (?:FALSIFIED|VACUOUS): .*|  (?:claim|formal|ran|failing): .*"
    r"|contracts/\S+ [.FxsX]+ .*|  [A-Z-]+-\d+: .*"
)


def telling(output: str) -> list[str]:
    """The lines of a transcript that do not depend on time or on luck in drawing."""
    lines = (" ".join(line.split()) for line in output.splitlines() if _TELLING.fullmatch(line))
    return [re.sub(r" \[ *\d+%\]$", "", line) for line in lines]


def test_the_tutorial_tells_what_happens(tmp_path: Path) -> None:
    text = page("tutorial/first-contract.md").partition("## The same with the engine")[0]
    environment = {
        **os.environ,
        "COLUMNS": "100",
        "HYPOTHESIS_STORAGE_DIRECTORY": str(tmp_path),
        **ALONE,  # a reader has not installed the others
    }
    runs = 0
    for fence in _FENCE.finditer(text):
        caption, body = fence["caption"], fence["body"]
        if caption is not None:
            name, _, appended = caption.partition(" ")
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            before = f"{path.read_text('utf-8')}\n" if appended else ""
            path.write_text(before + body, encoding="utf-8")
            continue
        command, _, expected = body.partition("\n")
        if not command.startswith("$ pytest"):
            continue
        arguments = shlex.split(command.removeprefix("$ pytest"))
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *WORDS, "-p", "no:cacheprovider", *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert telling(done.stdout) == telling(expected), done.stdout
        assert telling(expected)
        runs += 1
    assert runs == 4
