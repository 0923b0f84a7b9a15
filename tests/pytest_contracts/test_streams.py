"""``pv`` started with streams closed, full, or of a narrow encoding."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_contracts.cli import main

PV = f'"{sys.executable}" -c "from pytest_contracts.cli import main; main()"'
CONTRACT = """metadata: {version: 1.0.0, kind: kernel, description: Vérité}
equations:
  double:
    formula: double(x) = 2 * x
    variables:
      x: {dtype: float32, shape: [8], range: [-100, 100]}
    implementations:
      numpy: kernels:double
falsification_tests:
  - id: FALSIFY-DB-001
    rule: Twice
    formal: "∀ i: double(x)[i] = x[i] + x[i]"
    if_fails: It does not double
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "double-v1.yaml").write_text(CONTRACT, encoding="utf-8")
    return tmp_path


def shell(line: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a shell line in which ``pv`` is the command."""
    return subprocess.run(
        ["bash", "-c", line.replace("pv ", f"{PV} ", 1)],
        capture_output=True,
        text=True,
        errors="replace",
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("pv validate double-v1.yaml <&- >&- 2>&-", 0),
        ("pv validate double-v1.yaml > /dev/full", 3),
        ("pv validate double-v1.yaml --json > /dev/full", 3),
        ("pv show double-v1.yaml > /dev/full 2> /dev/full", 3),
        ("pv schema > /dev/full", 3),
        ("pv --help > /dev/full", 3),
        ("pv validate missing.yaml 2> /dev/full", 2),
        ("pv validate missing.yaml 2>&-", 2),
        ("pv show missing.yaml 2> /dev/full", 1),
    ],
)
def test_a_stream_that_fails_is_one_line(line: str, code: int, folder: Path) -> None:
    done = shell(line, folder)
    assert done.returncode == code, done.stderr
    assert len(done.stderr.splitlines()) <= 1
    assert "Traceback" not in done.stderr


def here(words: list[str], encoding: str) -> tuple[object, bytes, bytes]:
    """Run ``pv`` in this process, on streams of an encoding; return its exit code and what it says.

    They are as Python makes those of a process.
    """
    streams = [io.TextIOWrapper(io.BytesIO(), encoding, "strict") for _ in range(2)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["pv", *words])
        patch.setattr(sys, "stdout", streams[0])
        patch.setattr(sys, "stderr", streams[1])
        with pytest.raises(SystemExit) as ended:
            main()
    out, err = (stream.detach().getvalue() for stream in streams)
    return ended.value.code, out, err


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp437"])
def test_what_a_terminal_cannot_show_is_escaped(
    encoding: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    for more in ([], ["--latex"]):
        code, shown, complaint = here(["show", "double-v1.yaml", *more], encoding)
        assert (code, complaint) == (0, b"")
        assert shown
    _, shown, _ = here(["validate", "double-v1.yaml", "--json"], encoding)
    assert json.loads(shown)["valid"]


def test_what_the_terminal_of_a_process_cannot_show_is_escaped(folder: Path) -> None:
    shown = shell("pv show double-v1.yaml", folder, PYTHONIOENCODING="ascii")
    assert (shown.returncode, shown.stderr) == (0, "")


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_any_locale_will_do(locale: str, folder: Path) -> None:
    environment = {"LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    shown = shell("pv show double-v1.yaml", folder, **environment)
    assert (shown.returncode, shown.stderr) == (0, "")
