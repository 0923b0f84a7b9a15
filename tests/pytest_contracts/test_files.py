from __future__ import annotations

import os
import re
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import pytest_contracts
from pytest_contracts import files
from pytest_contracts.files import NoFileError, check_target, write_text
from pytest_contracts.report.formats import Target
from tests.within import run_here


def names(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir())


@pytest.mark.parametrize("kind", ["fifo", "socket", "device", "directory"])
@pytest.mark.parametrize("linked", [False, True])
def test_what_is_no_file_is_refused(
    kind: str, linked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    match kind:
        case "fifo":
            os.mkfifo("x")
        case "socket":
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind("x")
        case "directory":
            Path("x").mkdir()
        case "device":
            try:
                os.mknod("x", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
            except PermissionError:
                pytest.skip("only root makes devices")
    before = Path("x").stat()
    Path("link").symlink_to("x")
    target = Path("link" if linked else "x")
    with pytest.raises(NoFileError, match="it is a"):
        write_text("new", target)
    assert Path("x").stat() == before
    assert names(tmp_path) == ["link", "x"]


def test_an_open_stream_is_refused(tmp_path: Path) -> None:
    with (
        (tmp_path / "log").open("w") as stream,
        pytest.raises(NoFileError, match="a stream that is open"),
    ):
        check_target(Path(f"/dev/fd/{stream.fileno()}"))


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666])
def test_a_file_that_is_replaced_hands_on_its_mode(mode: int, tmp_path: Path) -> None:
    target = tmp_path / "x"
    target.touch()
    target.chmod(mode)
    write_text("new", target)
    assert (target.read_text(), stat.S_IMODE(target.stat().st_mode)) == ("new", mode)


def test_a_new_file_follows_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        write_text("new", tmp_path / "a" / "x")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a" / "x").stat().st_mode) == 0o640


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("far/x")
    write_text("new", tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "far" / "x").read_text() == "new"
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(OSError, match="symbolic links"):
        check_target(tmp_path / "circle")


@pytest.mark.parametrize("length", [230, 254, 255])
def test_a_name_may_be_as_long_as_the_system_allows(length: int, tmp_path: Path) -> None:
    target = tmp_path / ("x" * length)
    leftover = tmp_path / f"{files._prefix(target)}abcdefgh{files._SUFFIX}"
    leftover.write_text("half")
    write_text("new", target)
    assert names(tmp_path) == [target.name]


def test_what_a_killed_writer_left_goes_and_what_a_living_one_has_stays(tmp_path: Path) -> None:
    target = tmp_path / "ledger.json"
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from pytest_contracts import files\n"
        "def wait(*names):\n"
        "    print('written', flush=True)\n"
        "    time.sleep(60)\n"
        "files.os.replace = wait\n"
        "files.write_text('half', Path(sys.argv[1]))\n"
    )
    root = Path(pytest_contracts.__file__).parents[1]
    command = [sys.executable, "-c", code, str(target)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        assert process.stdout is not None
        process.stdout.readline()
        write_text("new", target)
        left = [name for name in names(tmp_path) if name != target.name]
        assert re.fullmatch(r"\.ledger\.json\..{8}\.contracts-partial", *left)
        process.send_signal(signal.SIGKILL)
    write_text("newer", target)
    assert names(tmp_path) == [target.name]


@pytest.mark.parametrize("extension", ["json", "html", "sarif", "md", "svg"])
def test_a_report_onto_a_fifo_is_refused_before_the_run(
    extension: str, pytester: pytest.Pytester
) -> None:
    os.mkfifo(pytester.path / f"r.{extension}")
    pytester.makepyfile("def test_never(): raise SystemExit('it ran')")
    result = run_here(pytester, "-pno:cacheprovider", f"--contracts-report=r.{extension}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [f"*--contracts-report: cannot write *r.{extension}: it is a FIFO*"]
    )
    assert stat.S_ISFIFO((pytester.path / f"r.{extension}").stat().st_mode)


def test_the_summary_of_a_job_may_go_to_a_device(tmp_path: Path) -> None:
    device = tmp_path / "null"
    try:  # one of our own: if the check fails, the real one must not suffer
        os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root makes devices")
    target = Target.of(str(device), tmp_path, {"GITHUB_STEP_SUMMARY": str(device)})
    target.check()
    with pytest.raises(NoFileError):
        Target(device, ".md").check()
    assert device.is_char_device()


@pytest.mark.parametrize("command", ["merge", "evidence"])
def test_pv_refuses_a_fifo_before_it_reads(command: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "out.json")
    code = "from pytest_contracts.cli import main; main()"
    root = Path(pytest_contracts.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code, command, "missing.json", "-o", str(tmp_path / "out.json")],
        capture_output=True, text=True, cwd=root, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == {"merge": 2, "evidence": 1}[command]
    assert "it is a FIFO" in done.stderr
    assert stat.S_ISFIFO((tmp_path / "out.json").stat().st_mode)
