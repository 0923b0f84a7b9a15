from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import inference
from inference import staging
from inference.errors import ModelFileError
from inference.staging import remove_leftovers, staged_directory, staged_file


def names(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir())


def test_the_old_file_stays_until_the_end(tmp_path: Path) -> None:
    target = tmp_path / "x"
    target.write_text("old")
    with staged_file(target) as temporary:
        temporary.write_text("new")
        assert target.read_text() == "old"
        assert temporary.parent == tmp_path
    assert target.read_text() == "new"
    assert names(tmp_path) == ["x"]
    assert target.stat().st_mode & 0o777 == 0o666 & ~staging._umask()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("stage", [staged_file, staged_directory])
def test_an_error_leaves_nothing(stage: object, error: type[BaseException], tmp_path: Path) -> None:
    manager = stage(tmp_path / "x")  # type: ignore[operator]
    assert manager.__enter__().exists()
    assert not manager.__exit__(error, error(), None)
    assert names(tmp_path) == []


def test_a_directory_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "x"
    with staged_directory(target) as temporary:
        (temporary / "a").write_text("1")
        assert not target.exists()
    assert names(tmp_path) == ["x"]
    assert (target / "a").read_text() == "1"


def test_a_directory_that_holds_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    with staged_directory(tmp_path / "x") as temporary:
        (temporary / "a").touch()
    for taken in (tmp_path / "x", tmp_path / "x" / "a"):
        with pytest.raises(ModelFileError, match="exists already"), staged_directory(taken):
            pass
    assert names(tmp_path) == ["x"]


def test_what_the_system_refuses_is_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="cannot be written: No such file"):
        staged_file(tmp_path / "no" / "x").__enter__()
    (tmp_path / "x").mkdir()
    with pytest.raises(ModelFileError, match="cannot be written"), staged_file(tmp_path / "x"):
        pass
    assert names(tmp_path) == ["x"]


HOLDER = """
import sys, time
from pathlib import Path
from inference.staging import staged_file, staged_directory

stage = staged_file if sys.argv[2] == "file" else staged_directory
with stage(Path(sys.argv[1])) as temporary:
    print(temporary, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_leftovers_of_the_dead_go_and_those_of_the_living_stay(kind: str, tmp_path: Path) -> None:
    target = tmp_path / "model.apr"
    command = [sys.executable, "-c", HOLDER, str(target), kind]
    root = Path(inference.__file__).parents[1]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        assert process.stdout is not None
        temporary = Path(process.stdout.readline().strip())
        assert temporary.exists()
        assert remove_leftovers(target) == []
        process.send_signal(signal.SIGKILL)
    assert temporary.exists()
    with staged_file(target) as mine:
        assert not temporary.exists()
        mine.write_text("new")
    assert names(tmp_path) == ["model.apr"]


def test_only_our_own_names_are_removed(tmp_path: Path) -> None:
    target = tmp_path / "m.apr"
    kept = [
        ".m.apr.backup01",
        ".m.apr.x.apr-partial",
        ".other.apr.abcdefgh.apr-partial",
        "m.apr.abcdefgh.apr-partial",
        ".mXapr.abcdefgh.apr-partial",
    ]
    for name in kept:
        (tmp_path / name).touch()
    (tmp_path / ".m.apr.abcdefgh.apr-partial").touch()
    link = tmp_path / ".m.apr.abcdefg0.apr-partial"
    link.symlink_to(tmp_path / kept[0])
    assert [path.name for path in remove_leftovers(target)] == [".m.apr.abcdefgh.apr-partial"]
    assert names(tmp_path) == sorted([*kept, link.name])


def test_a_file_taken_before_it_was_locked_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process sees the fresh file unlocked and removes it: the writer must notice."""
    real, stolen = fcntl.flock, []

    def lock(descriptor: int, how: int) -> None:
        if not stolen:
            stolen.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")))
            stolen[0].unlink()
        real(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", lock)
    with staged_file(tmp_path / "x") as temporary:
        assert temporary != stolen[0]
        temporary.write_text("new")
    assert (tmp_path / "x").read_text() == "new"


def test_without_locks_nothing_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, how: int) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)
    left = tmp_path / ".x.abcdefgh.apr-partial"
    left.touch()
    with staged_file(tmp_path / "x") as temporary:
        temporary.write_text("new")
    assert names(tmp_path) == [left.name, "x"]
