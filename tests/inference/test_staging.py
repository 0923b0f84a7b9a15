from __future__ import annotations

import fcntl
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import inference
from inference import staging
from inference.errors import ModelFileError
from inference.staging import check_target, remove_leftovers, staged_directory, staged_file


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


def special(path: Path, kind: str) -> Path:
    match kind:
        case "fifo":
            os.mkfifo(path)
        case "socket":
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(path))
        case "device":
            try:
                os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
            except PermissionError:
                pytest.skip("only root makes devices")
    return path


@pytest.mark.parametrize("way", ["itself", "link", "link to a link"])
@pytest.mark.parametrize("kind", ["fifo", "socket", "device"])
def test_what_is_no_file_is_refused(
    kind: str, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    there = special(Path("x"), kind)
    before = there.stat()
    for number in range(["itself", "link", "link to a link"].index(way)):
        link = Path(f"link{number}")
        link.symlink_to(there)
        there = link
    for stage in (staged_file, staged_directory):
        with pytest.raises(ModelFileError, match=f"^{there}: "), stage(there):
            pytest.fail("there is work for nothing")
    assert Path("x").stat() == before
    assert len(names(tmp_path)) == 1 + ["itself", "link", "link to a link"].index(way)


def test_an_open_stream_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as stream:
        for name in (f"/dev/fd/{stream.fileno()}", f"/proc/self/fd/{stream.fileno()}"):
            with pytest.raises(ModelFileError, match="a stream that is open"):
                check_target(Path(name))
    assert names(tmp_path) == ["log"]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666])
def test_a_file_that_is_replaced_hands_on_its_mode(mode: int, tmp_path: Path) -> None:
    target = tmp_path / "x"
    target.touch()
    target.chmod(mode)
    with staged_file(target) as temporary:
        temporary.write_text("new")
    assert (target.read_text(), stat.S_IMODE(target.stat().st_mode)) == ("new", mode)


def test_a_new_file_follows_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        with staged_file(tmp_path / "x"), staged_directory(tmp_path / "d") as temporary:
            (temporary / "a").touch()
    finally:
        os.umask(old)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("x", "d", "d/a")]
    assert modes == [0o640, 0o750, 0o640]


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "x").write_text("old")
    link = tmp_path / "link"
    link.symlink_to("far/x")
    (tmp_path / "dangling").symlink_to("far/y")
    for target in (link, tmp_path / "dangling"):
        with staged_file(target) as temporary:
            temporary.write_text("new")
        assert target.is_symlink()
        assert target.read_text() == "new"
    assert names(tmp_path / "far") == ["x", "y"]
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(ModelFileError, match="cannot be written"):
        check_target(tmp_path / "circle")


@pytest.mark.parametrize("length", [230, 254, 255])
@pytest.mark.parametrize("letter", ["x", "é"])
def test_a_name_may_be_as_long_as_the_system_allows(
    length: int, letter: str, tmp_path: Path
) -> None:
    name = (letter * 300).encode()[:length].decode(errors="ignore")
    leftover = tmp_path / f"{staging._prefix(tmp_path / name)}abcdefgh{staging.SUFFIX}"
    leftover.touch()
    with staged_file(tmp_path / name) as temporary:
        temporary.write_text("new")
    assert names(tmp_path) == [name]
    for path in (tmp_path / f"{name}{letter * 100}", tmp_path / "a\0b"):
        with pytest.raises(ModelFileError, match="cannot be written"):
            check_target(path)


@pytest.mark.parametrize("way", ["plain", "link", "working directory"])
def test_an_empty_directory_is_filled(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "x"
    place.mkdir(mode=0o700)
    before = place.stat()
    (tmp_path / "link").symlink_to("x")
    monkeypatch.chdir(place)
    target = {"plain": place, "link": tmp_path / "link", "working directory": Path()}[way]
    with staged_directory(target) as temporary:
        (temporary / "config.json").write_text("{}")
        (temporary / "tokenizer.json").write_text("{}")
        assert not (place / "config.json").exists()
    assert names(place) == ["config.json", "tokenizer.json"]
    assert (place.stat().st_ino, place.stat().st_mode) == (before.st_ino, before.st_mode)
    assert names(tmp_path) == ["link", "x"]


def test_a_directory_is_filled_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, linked = os.link, []

    def link(source: Path, target: Path) -> None:
        if linked:
            raise OSError(28, "No space left on device")
        linked.append(target.name)
        real(source, target)

    monkeypatch.setattr(os, "link", link)

    def write() -> None:
        with staged_directory(tmp_path) as temporary:
            for name in ("config.json", "tokenizer.json"):
                (temporary / name).write_text("{}")

    with pytest.raises(ModelFileError, match="No space"):
        write()
    assert linked == ["tokenizer.json"]
    assert names(tmp_path) == []


def test_a_file_system_without_links_is_filled_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with staged_directory(tmp_path) as temporary:
        (temporary / "a").write_text("1")
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("linked", [0, 1, 2])
def test_what_a_killed_writer_had_put_into_a_directory(linked: int, tmp_path: Path) -> None:
    hidden = tmp_path / f".{tmp_path.name}.abcdefgh.apr-partial"
    hidden.mkdir()
    for number, name in enumerate(("tokenizer.json", "config.json")):
        (hidden / name).touch()
        if number < linked:
            os.link(hidden / name, tmp_path / name)
    if linked == 2:  # all of it: only the hidden part was left to go
        with pytest.raises(ModelFileError, match="not empty"):
            check_target(tmp_path, directory=True)
        assert names(tmp_path) == ["config.json", "tokenizer.json"]
    else:
        check_target(tmp_path, directory=True)
        assert names(tmp_path) == []


def test_a_directory_that_fills_meanwhile_keeps_what_came(tmp_path: Path) -> None:
    def write() -> None:
        with staged_directory(tmp_path) as temporary:
            (temporary / "a").write_text("ours")
            (tmp_path / "a").write_text("theirs")

    with pytest.raises(ModelFileError, match="meanwhile"):
        write()
    assert (tmp_path / "a").read_text() == "theirs"
    assert names(tmp_path) == ["a"]


def test_folders_that_are_made_later(tmp_path: Path) -> None:
    check_target(tmp_path / "a" / "b" / "x", parents=True)
    with pytest.raises(ModelFileError, match="No such file"):
        check_target(tmp_path / "a" / "b" / "x")
    (tmp_path / "a").touch()
    with pytest.raises(ModelFileError, match="Not a directory"):
        check_target(tmp_path / "a" / "b" / "x", parents=True)
