from __future__ import annotations

import importlib.util
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from numba.core.caching import IndexDataCacheFile

from inference.kernels.cpu import compiled
from inference.kernels.cpu.compiled import CheckedFile, DamagedError

SOURCE = """
from inference.kernels.cpu.compiled import njit


@njit(cache=True, nogil=True)
def twice(x):
    return x + x


@njit(cache=True, nogil=True)
def thrice(x):
    return x + x + x
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """Import the same file anew, as the next process would."""
    path = tmp_path / "kernels_here.py"
    path.write_text(SOURCE)
    monkeypatch.setattr(compiled, "_told", set())

    def load() -> Any:
        spec = importlib.util.spec_from_file_location("kernels_here", path)
        assert spec is not None
        assert spec.loader is not None
        found = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(found)
        return found

    return load


def cached(tmp_path: Path, pattern: str) -> list[Path]:
    return sorted((tmp_path / "__pycache__").glob(pattern))


def hits(function: Any) -> int:
    return sum(function.stats.cache_hits.values())


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-40] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: os.truncate(path, 0),
    "half": lambda path: os.truncate(path, path.stat().st_size // 2),
    "a byte": lambda path: os.truncate(path, 1),
    "random": lambda path: path.write_bytes(os.urandom(5000)),
    "one bit": flip,
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"x"),
}


def test_what_is_whole_is_loaded(
    module: Callable[[], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert module().twice(3) == 6
    again = module()
    assert (again.twice(3), hits(again.twice)) == (6, 1)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_damaged_is_compiled_anew(
    damage: str,
    suffix: str,
    module: Callable[[], Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    first = module()
    assert (first.twice(3), first.thrice(3)) == (6, 9)
    for path in cached(tmp_path, f"*.{suffix}"):
        DAMAGES[damage](path)
    again = module()
    assert (again.twice(3), again.thrice(3), hits(again.twice)) == (6, 9, 0)
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1
    assert str(tmp_path / "__pycache__") in told[0]
    healed = module()
    assert (healed.twice(3), hits(healed.twice)) == (6, 1)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
def test_the_files_of_two_functions_do_not_mix(
    suffix: str, module: Callable[[], Any], tmp_path: Path
) -> None:
    first = module()
    assert (first.twice(3), first.thrice(3)) == (6, 9)
    (one,), (other,) = (cached(tmp_path, f"*.{name}-*.{suffix}") for name in ("twice", "thrice"))
    shutil.copy(one, other)
    again = module()
    assert (again.twice(3), again.thrice(3)) == (6, 9)


def test_two_signatures_that_took_one_name_do_not_mix(
    module: Callable[[], Any], tmp_path: Path
) -> None:
    """Two processes may each compile their own signature and choose the same number for it."""
    first = module()
    assert (first.twice(3), first.twice(0.25)) == (6, 0.5)
    file = first.twice._cache._cache_file
    overloads = file._load_index()
    assert len(overloads) == 2
    file._save_index(dict.fromkeys(overloads, next(iter(overloads.values()))))
    again = module()
    assert (again.twice(3), again.twice(0.25)) == (6, 0.5)


def test_what_was_compiled_before_a_file_that_it_builds_on_changed_is_left_alone(
    module: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for digest in (1, 2, 1, 2):
        monkeypatch.setattr(compiled, "closure_digest", lambda path, digest=digest: digest)
        here = module()
        assert here.twice(3) == 6
        found.append(hits(here.twice))
    assert found == [0, 0, 1, 1]


def test_what_another_processor_compiled_is_left_alone(module: Callable[[], Any]) -> None:
    first = module()
    assert first.twice(3) == 6
    file = first.twice._cache._cache_file
    (((sig, target, *rest), name),) = file._load_index().items()
    file._save_index({(sig, ("other", *target[1:]), *rest): name})
    again = module()
    assert (again.twice(3), hits(again.twice)) == (6, 0)


def test_what_numba_itself_wrote_is_replaced_unsaid(
    module: Callable[[], Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert module().twice(3) == 6
    (index,) = cached(tmp_path, "*.twice-*.nbi")
    index.write_bytes(pickle.dumps("0.60.0") + pickle.dumps((0, {})))
    again = module()
    assert (again.twice(3), hits(again.twice)) == (6, 0)
    assert capsys.readouterr().err == ""


def test_no_room_is_one_line(
    module: Callable[[], Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refuse(self: Any, path: str) -> None:
        raise OSError(27, "File too large")

    monkeypatch.setattr(IndexDataCacheFile, "_open_for_write", refuse)
    full = module()
    assert (full.twice(3), full.thrice(3)) == (6, 9)
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith("inference: compiled kernels cannot be kept in ")
    assert "File too large" in told


def test_no_folder_is_one_line(
    module: Callable[[], Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("cannot cache function 'twice': no locator available")

    monkeypatch.setattr(compiled, "CheckedCache", refuse)
    full = module()
    assert (full.twice(3), full.thrice(3)) == (6, 9)
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_memory_that_runs_out_is_no_damage(
    module: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert module().twice(3) == 6

    def refuse(self: Any, name: str) -> None:
        raise MemoryError

    monkeypatch.setattr(CheckedFile, "_read", refuse)
    with pytest.raises(MemoryError):
        module().twice(3)


def test_a_damaged_file_is_told_from_one_that_is_not_there(tmp_path: Path) -> None:
    file = CheckedFile(str(tmp_path), "f", 1)
    assert file.load("key") is None
    file.save("key", "data")
    assert file.load("key") == "data"
    assert file.load("other") is None
    os.truncate(tmp_path / "f.1.nbc", 3)
    with pytest.raises(DamagedError):
        file.load("key")
