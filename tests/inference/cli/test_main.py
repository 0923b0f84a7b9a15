from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest
import rich.style  # noqa: F401 - its first import draws from `random`, which no test may do
import typer

from inference import cli
from inference.cli import COMMANDS, main
from inference.cli.common import ExitCode, model_path, run_guarded
from inference.data import TINY_MODEL
from inference.errors import (
    ContextOverflowError,
    DeviceUnavailableError,
    DownloadError,
    EngineError,
    ModelFileError,
    TokenizerError,
    UnsupportedArchitectureError,
    UnsupportedFormatError,
    UnsupportedTypeError,
)
from inference.hub import registry

APR = "import sys; from inference.cli import main; sys.exit(main())"


def apr(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        [sys.executable, "-c", APR, *arguments],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., object]], None]:
    """Install a function as the command `probe`."""

    def install(function: Callable[..., object]) -> None:
        module = ModuleType("inference.cli.probe")
        module.app_command = function  # type: ignore[attr-defined]
        module.EXAMPLES = "\napr probe one\napr probe two\n"  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "inference.cli.probe", module)
        monkeypatch.setattr(cli, "COMMANDS", {**COMMANDS, "probe": ("probe", "Probe.")})

    return install


def test_the_help_lists_every_command_and_loads_none() -> None:
    script = (
        "import sys; from inference.cli import main; main(['--help']);"
        "loaded = [m for m in ('numpy', 'numba', 'httpx', 'jinja2', 'rich', 'tokenizers')"
        " if m in sys.modules];"
        "sys.exit(f'{loaded}' if loaded else 0)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    shown = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=False
    )
    assert shown.returncode == 0, shown.stderr
    for name, (_, summary) in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(summary[:40])}", shown.stdout, re.M)
    assert "Exit codes: 0 done;" in shown.stdout
    assert "\x1b" not in shown.stdout


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help_with_examples(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([name, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"  Examples:\n    apr {name}" in shown
    assert "Exit codes:" in shown


def test_the_version() -> None:
    try:
        expected = f"apr {metadata.version('pytest-contracts')}\n"
    except metadata.PackageNotFoundError:
        expected = "apr of a source tree that is not installed\n"
    assert apr("--version").stdout == expected


COMPLETIONS = {
    "bash": lambda line, place: {"COMP_WORDS": line, "COMP_CWORD": str(place)},
    "zsh": lambda line, place: {"_TYPER_COMPLETE_ARGS": line},
    "fish": lambda line, place: {
        "_TYPER_COMPLETE_ARGS": line,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    },
}


def exit_code(*arguments: str) -> int:
    """Run a command that may end the process, as those about completion do; return its code."""
    try:
        return main(arguments)
    except SystemExit as ended:
        return int(ended.code or 0)


@pytest.mark.parametrize("shell", COMPLETIONS)
@pytest.mark.parametrize(
    ("line", "place", "expected"),
    [
        ("apr pu", 1, {"pull"}),
        ("apr t", 1, {"trace", "tokenize", "tensors"}),
        ("apr run m.gguf --temp", 3, {"--temperature"}),
        ("apr bench --vs ll", 3, {"llama.cpp"}),
    ],
)
def test_completion(
    shell: str,
    line: str,
    place: int,
    expected: set[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in COMPLETIONS[shell](line, place).items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("_APR_COMPLETE", f"complete_{shell}")
    assert exit_code() == 0
    shown = capsys.readouterr().out
    found = set(re.findall(r"^\"?([\w.-]+)", shown.replace("_arguments '*: :((", ""), re.M))
    assert found == expected, shown


@pytest.mark.parametrize("shell", COMPLETIONS)
def test_a_shell_is_taught_what_completes(
    shell: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # By name: which shell the tests were started from, if any, is nobody's business.
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Path.home() == tmp_path
    assert exit_code("--show-completion", shell) == 0
    assert "_APR_COMPLETE" in capsys.readouterr().out
    assert exit_code("--install-completion", shell) == 0
    installed = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any("_APR_COMPLETE" in path.read_text() for path in installed)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_can_print_json(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    assert "--json" in capsys.readouterr().out


@pytest.mark.parametrize("plain", [True, False])
def test_colours_are_for_terminals_whose_users_want_them(
    plain: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if plain:
        monkeypatch.setenv("NO_COLOR", "1")
    ours, theirs = pty.openpty()
    os.set_blocking(theirs, False)  # what does not fit fails, and does not wait for a reader
    with open(ours, "rb") as reader, open(theirs, "w") as terminal:
        with redirect_stdout(terminal):
            assert main(["check", str(TINY_MODEL)]) == 0
        shown = os.read(reader.fileno(), 1 << 16)
    assert shown.startswith(b"OK " if plain else b"\x1b[32mOK ")
    assert (b"\x1b" in shown) != plain
    assert main(["check", str(TINY_MODEL)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("OK ")
    assert "\x1b" not in printed


def test_unknown_commands_and_options_are_usage_errors(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["pul"]) == ExitCode.USAGE
    assert "No such command 'pul'. Did you mean 'pull'?" in capsys.readouterr().err
    assert main(["pull", "--nonsense", "--json"]) == ExitCode.USAGE
    printed = capsys.readouterr()
    assert json.loads(printed.out)["error"]["exit_code"] == ExitCode.USAGE
    assert "No such option: --nonsense" in printed.err
    assert main([]) == ExitCode.USAGE


def test_what_a_command_returns_is_the_exit_code(
    command: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    def probe(code: int = typer.Option(0)) -> int | None:
        """Return a code."""
        return code or None

    command(probe)
    assert main(["probe"]) == 0
    assert main(["probe", "--code", "1"]) == ExitCode.FAILED
    assert main(["probe", "--help"]) == 0
    assert "  Examples:\n    apr probe one\n    apr probe two\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ModelFileError("m.gguf", "cut off", offset=16), ExitCode.BAD_FILE),
        (UnsupportedFormatError("m.gguf", "version 9"), ExitCode.BAD_FILE),
        (UnsupportedTypeError("IQ1_S"), ExitCode.BAD_FILE),
        (UnsupportedArchitectureError("rwkv"), ExitCode.BAD_FILE),
        (TokenizerError("no vocabulary"), ExitCode.BAD_FILE),
        (FileNotFoundError(2, "No such file", "x.gguf"), ExitCode.BAD_FILE),
        (DownloadError("no network"), ExitCode.UNAVAILABLE),
        (DeviceUnavailableError("no GPU"), ExitCode.UNAVAILABLE),
        (ContextOverflowError("9 tokens"), ExitCode.USAGE),
        (EngineError("two\nlines"), ExitCode.ENGINE),
    ],
)
def test_deliberate_errors_are_one_line(
    command: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    code: ExitCode,
) -> None:
    def probe(json: bool = typer.Option(False, "--json")) -> None:
        raise error

    command(probe)
    assert main(["probe"]) == code
    printed = capsys.readouterr()
    message = str(error).replace("\n", " ")
    assert (printed.out, printed.err) == ("", f"apr: {message}\n")
    assert main(["probe", "--json"]) == code
    document = json.loads(capsys.readouterr().out)
    assert document == {"error": {"message": message, "exit_code": code}}


def test_a_defect_is_not_hidden(command: Callable[..., None]) -> None:
    def probe() -> None:
        raise ZeroDivisionError("a defect")

    command(probe)
    with pytest.raises(ZeroDivisionError):
        main(["probe"])


def test_a_missing_module_fails_only_when_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "COMMANDS", {**COMMANDS, "later": ("later_", "Not there.")})
    assert main(["--help"]) == 0
    with pytest.raises(ModuleNotFoundError, match="later_"):
        main(["later"])


@pytest.mark.parametrize("stop", [KeyboardInterrupt, typer.Abort])
def test_interrupts(stop: type[BaseException]) -> None:
    def command() -> None:
        raise stop

    assert run_guarded(command) == ExitCode.INTERRUPTED


def test_an_interrupted_command_says_so(
    command: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    def probe() -> None:
        raise KeyboardInterrupt

    command(probe)
    assert main(["probe"]) == ExitCode.INTERRUPTED


def test_a_reader_that_goes_away_is_no_error() -> None:
    script = (
        "import sys; from inference.cli.common import run_guarded, print_json\n"
        "def command():\n"
        "    for _ in range(10**5): print_json({'a': 'b' * 100})\n"
        "sys.exit(run_guarded(command))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    writer = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    )
    assert writer.stdout is not None
    assert writer.stderr is not None
    writer.stdout.readline()
    writer.stdout.close()
    assert writer.stderr.read() == b""
    writer.stderr.close()
    assert writer.wait() == ExitCode.FAILED


def test_a_model_is_a_path_or_an_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APR_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "m.gguf"
    file.touch()
    assert model_path(str(file)) == file
    known = next(iter(registry.MODELS))
    with pytest.raises(DownloadError, match=f"run: apr pull {known}"):
        model_path(known)
    with pytest.raises(ModelFileError, match="no such file, nor a model of the registry"):
        model_path("nonsense.gguf")
