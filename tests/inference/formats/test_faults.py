"""Files that change while they are read. What may end a process runs in one of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import inference
from inference.data import TINY_MODEL
from inference.errors import ModelFileError
from inference.formats.mapped import MappedFile, check_unchanged
from inference.surgery.converting import convert_model

HEAD = """
import mmap, os, sys, threading, zlib
from pathlib import Path
from inference.errors import ModelFileError
from inference.formats.faults import check_faults
from inference.formats.mapped import MappedFile, check_unchanged
path = Path(sys.argv[1])
path.write_bytes(bytes([7]) * 200_000)
file = MappedFile(path)
view = file.view(0, 200_000)
os.truncate(path, 5000)
"""
TAIL = """
for check in (check_faults, file.check_unchanged, file.check_unchanged, check_faults):
    try:
        check()
    except ModelFileError as error:
        print(error.message)
"""
READS = {
    "numpy": "assert view.sum() >= 35_000",
    "bytes": "assert view.tobytes()[:5000] == bytes([7]) * 5000",
    "slice": "assert file.map[150_000:150_010] == bytes(10)",
    "without the lock": "zlib.crc32(view.data)",
    "threads": (
        "threads = [threading.Thread(target=view.sum) for _ in range(8)]\n"
        "[thread.start() for thread in threads]\n"
        "[thread.join() for thread in threads]"
    ),
    "after closing": "file.close(); assert view[-1] == 0",
}

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere the signal keeps its default"
)


def run(code: str, path: Path) -> subprocess.CompletedProcess[str]:
    root = Path(inference.__file__).parents[1]
    return subprocess.run(
        [sys.executable, "-c", code, str(path)],
        capture_output=True, text=True, cwd=root, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("read", READS)
def test_a_file_that_becomes_shorter_is_an_error_and_no_signal(read: str, tmp_path: Path) -> None:
    done = run(f"{HEAD}{READS[read]}\n{TAIL}", tmp_path / "x")
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said
    assert {line.partition(";")[0] for line in said} == {"changed while it was read"}


def test_the_next_read_of_ours_raises(tmp_path: Path) -> None:
    done = run(f"{HEAD}view.sum()\nfile.read(0, 4, 'the magic')\n", tmp_path / "x")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("try again when nobody writes it")


def test_a_mapping_of_somebody_else_ends_as_ever(tmp_path: Path) -> None:
    code = (
        f"{HEAD}other = path.with_name('other')\nother.write_bytes(bytes(200_000))\n"
        "with other.open('rb') as stream:\n"
        "    theirs = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)\n"
        "os.truncate(other, 0)\ntheirs[100_000]\n"
    )
    assert run(code, tmp_path / "x").returncode == -signal.SIGBUS


TAKEN = {
    "enabled": "faulthandler.enable()",
    "disabled": "faulthandler.disable()",
    "in turn": "faulthandler.disable(); faulthandler.enable()",
    "by Python": "signal.signal(signal.SIGBUS, signal.SIG_DFL)",
}


@pytest.mark.parametrize("taken", TAKEN)
def test_a_signal_that_others_took_is_taken_back_by_the_next_mapping(
    taken: str, tmp_path: Path
) -> None:
    """As pytest's faulthandler does at the end of a run within a run."""
    code = (
        f"import faulthandler, signal\nfaulthandler.enable()\n{HEAD}{TAKEN[taken]}\n"
        "again = path.with_name('again')\nagain.write_bytes(bytes([7]) * 200_000)\n"
        "next = MappedFile(again)\nos.truncate(again, 5000)\n"
        "assert next.map[150_000:150_010] == bytes(10)\nassert view.sum() >= 35_000\n"
    )
    done = run(code, tmp_path / "x")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_mapping_of_somebody_else_ends_for_whoever_had_the_signal_in_between(
    tmp_path: Path,
) -> None:
    """Once ours, then faulthandler's with ours before it, then ours again: no circle."""
    code = (
        f"import faulthandler\n{HEAD}faulthandler.enable()\nnext = MappedFile(path)\n"
        "other = path.with_name('other')\nother.write_bytes(bytes(200_000))\n"
        "with other.open('rb') as stream:\n"
        "    theirs = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)\n"
        "os.truncate(other, 0)\ntheirs[100_000]\n"
    )
    done = run(code, tmp_path / "x")
    assert done.returncode == -signal.SIGBUS
    assert done.stderr.count("Fatal Python error: Bus error") == 1


def write(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


CHANGES: dict[str, Callable[[Path], object]] = {
    "cut": lambda path: os.truncate(path, 8192),
    "longer": lambda path: write(path, path.stat().st_size, b"more"),
    "written over": lambda path: write(path, 0, b"GGUF"),
}
HARMLESS: dict[str, Callable[[Path], object]] = {
    "nothing": lambda path: None,
    "read": Path.read_bytes,
    "deleted": Path.unlink,
    "replaced": lambda path: os.replace(shutil.copy(path, f"{path}.new"), path),
    "linked": lambda path: os.link(path, f"{path}.link"),
    "mode": lambda path: path.chmod(0o600),
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.gguf"
    shutil.copyfile(TINY_MODEL, path)
    os.utime(path, ns=(0, 0))  # a change is told from this, however coarse the clock
    return path


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_found_without_a_fault(change: str, source: Path) -> None:
    with MappedFile(source) as file:
        CHANGES[change](source)
        for check in (file.check_unchanged, lambda: check_unchanged(source.parent)):
            with pytest.raises(ModelFileError, match=r"in\.gguf: changed while it was read"):
                check()


@pytest.mark.parametrize("change", HARMLESS)
def test_what_is_mapped_still_is_no_change(change: str, source: Path) -> None:
    with MappedFile(source) as file:
        HARMLESS[change](source)
        file.check_unchanged()
        check_unchanged(source)


@pytest.mark.parametrize("format", ["gguf", "apr", "hf"])
@pytest.mark.parametrize("change", [*CHANGES, *HARMLESS])
def test_no_target_from_a_source_that_changed(change: str, format: str, source: Path) -> None:
    """The source changes once the first tensor is written."""
    target = source.parent / "out"
    changed = False

    def progress(name: str, done: int, total: int) -> None:
        nonlocal changed
        if not changed:
            changed = True
            {**CHANGES, **HARMLESS}[change](source)

    def convert() -> None:
        convert_model(source, target, format=format, progress=progress)  # type: ignore[arg-type]

    if change in HARMLESS:
        convert()
        assert target.exists()
    else:
        with pytest.raises(ModelFileError, match="changed while it was read"):
            convert()
        assert not target.exists()
    assert not [path for path in source.parent.iterdir() if "partial" in path.name]
