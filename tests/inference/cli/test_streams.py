"""Commands that are started with streams closed, full, or of a narrow encoding."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from inference.cli import main
from inference.cli.common import ExitCode, run_guarded
from inference.data import TINY_MODEL
from inference.errors import InputError

APR = f'"{sys.executable}" -c "import sys; from inference.cli import main; sys.exit(main())"'
MODEL = f'"{TINY_MODEL}"'


def shell(line: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a shell line in which ``apr`` is the command."""
    return subprocess.run(
        ["bash", "-c", line.replace("apr ", f"{APR} ", 1)],
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
        (f"apr import {MODEL} -o x.apr 2>&-", 0),
        (f"apr convert {MODEL} -o x.apr <&- >&- 2>&-", 0),
        (f"apr convert {MODEL} -o x.apr --json >&-", 0),
        (f"apr import {MODEL} -o x.apr > /dev/full", 3),
        ("apr import no.gguf -o y.apr 2>&-", 3),
        ("apr import no.gguf -o y.apr 2> /dev/full", 3),
    ],
)
def test_a_model_is_written_without_streams(line: str, code: int, tmp_path: Path) -> None:
    done = shell(line, tmp_path)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
    written = [path.name for path in tmp_path.iterdir()]
    assert written == ([] if "no.gguf" in line else ["x.apr"])
    # What a library prints to a closed descriptor must not land in the file that took its number.
    if written:
        assert (tmp_path / "x.apr").read_bytes()[:3] == b"APR"
        assert main(["inspect", str(tmp_path / "x.apr")]) == 0


@pytest.mark.parametrize(
    ("line", "codes"),
    [
        (f"apr chat {MODEL} <&-", (0,)),
        (f"apr run {MODEL} --prompt-file - -n 1 <&-", (2,)),
        ("apr list > /dev/full", (3,)),
        ("apr list --json > /dev/full", (3,)),
        ("apr list --json > /dev/full 2> /dev/full", (3,)),
        ("apr --help > /dev/full", (3,)),
        ("apr nonsense 2> /dev/full", (2,)),
        ("apr run 2>&-", (2,)),
    ],
)
def test_a_stream_that_fails_is_one_line(line: str, codes: tuple[int], tmp_path: Path) -> None:
    done = shell(line, tmp_path)
    assert done.returncode in codes, done.stderr
    assert len(done.stderr.splitlines()) <= 1
    assert "Traceback" not in done.stderr


def shown(encoding: str, *arguments: str) -> str:
    """Return what a command prints here to a stream of an encoding."""
    printed = io.BytesIO()
    stream = io.TextIOWrapper(printed, encoding)
    with redirect_stdout(stream):
        assert main(arguments) == 0
    stream.flush()
    # Typer takes ASCII for a mistake, and writes UTF-8.
    return printed.getvalue().decode("utf-8" if encoding == "ascii" else encoding)


@pytest.mark.parametrize(
    ("encoding", "dots"), [("latin-1", "\\u2026"), ("ascii", "…"), ("cp437", "\\u2026")]
)
def test_what_a_terminal_cannot_show_is_escaped(encoding: str, dots: str) -> None:
    assert dots in shown(encoding, "tensors", str(TINY_MODEL), "--stats")
    told = shown(encoding, "tokenize", str(TINY_MODEL), "éÀ日😀", "--json")
    assert json.loads(told)["text"] == "éÀ日😀"


@pytest.mark.parametrize("locale", ["C", "POSIX", "C.UTF-8"])
def test_any_locale_will_do(locale: str, tmp_path: Path) -> None:
    environment = {"LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    shown = shell(f"apr tensors {MODEL} --stats", tmp_path, **environment)
    assert (shown.returncode, shown.stderr) == (0, "")


def test_a_file_name_that_is_no_text_is_shown(tmp_path: Path) -> None:
    name = tmp_path / os.fsdecode(b"\xff.gguf")
    name.symlink_to(TINY_MODEL)
    done = shell("apr inspect *.gguf", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    for printed in (done.stdout, shown("utf-8", "inspect", str(name), "--json")):
        assert "\\udcff" in printed


def test_an_end_of_input_is_not_an_interrupt(capsys: pytest.CaptureFixture[str]) -> None:
    import typer

    def ended() -> None:
        try:
            raise EOFError
        except EOFError as error:
            raise typer.Abort from error

    assert run_guarded(ended) == ExitCode.ENGINE
    assert capsys.readouterr().err == "apr: the input ended too early\n"


def test_memory_that_runs_out_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def hungry() -> None:
        raise MemoryError("Unable to allocate 16.6 MiB")

    assert run_guarded(hungry, json_errors=True) == ExitCode.ENGINE
    shown = capsys.readouterr()
    assert shown.err == "apr: not enough memory: Unable to allocate 16.6 MiB\n"
    assert json.loads(shown.out)["error"]["exit_code"] == 5


def test_what_a_full_stream_still_holds_is_not_delivered(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with open("/dev/full", "w") as full, redirect_stdout(full):
        assert run_guarded(lambda: print("held back", file=full)) == ExitCode.BAD_FILE
    assert capsys.readouterr().err == "apr: standard output cannot be written\n"


def test_a_missing_module_stays_a_defect() -> None:
    def broken() -> None:
        raise ImportError("no module of that name")

    with pytest.raises(ImportError):
        run_guarded(broken)


def test_a_deliberate_error_keeps_its_code(capsys: pytest.CaptureFixture[str]) -> None:
    def refuse() -> None:
        raise InputError("no\nsuch thing")

    assert run_guarded(refuse) == ExitCode.USAGE
    assert capsys.readouterr().err == "apr: no such thing\n"
