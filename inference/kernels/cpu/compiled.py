"""Numba's ``njit`` with a cache that is believed only where it is whole.

The cache makes a start quick and nothing else. Numba loads what lies there unseen: a file that a
power cut emptied ends the process, and one whose bytes have changed is machine code that does
anything. Here every file carries a digest of its content and name, and of what was compiled: what
does not fit is compiled anew, what cannot be kept is compiled each time, and one line says so.
"""

from __future__ import annotations

import contextlib
import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import FunctionCache, IndexDataCacheFile, NullCache

from inference.kernels.cpu.sources import closure_digest
from inference.kernels.cpu.telling import tell
from inference.memory import shortage_in

_MAGIC = b"apr-kernels-1 "
_told: set[str] = set()


def njit(*, cache: bool = False, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return Numba's decorator with these options; ``cache`` keeps what was compiled, checked.

    The key has a digest of the function's file and of those that it builds on.
    """
    decorate = numba.njit(**options)

    def compiled(function: Callable[..., Any]) -> Any:
        dispatcher = decorate(function)
        if cache and hasattr(dispatcher, "_cache"):  # not where NUMBA_DISABLE_JIT is set
            dispatcher._cache = _cache_of(function)
        return dispatcher

    return compiled


def _cache_of(function: Callable[..., Any]) -> Any:
    try:
        return CheckedCache(function)
    except (OSError, RuntimeError) as error:  # no folder can be written
        _tell_once("compiled kernels cannot be kept, and are compiled each time", error)
        return NullCache()


class CheckedCache(FunctionCache):  # type: ignore[misc]
    """The compiled signatures of one function, on disk; what is wrong there is as if absent."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._sources = closure_digest(Path(function.__code__.co_filename))
        stamp = self._impl.locator.get_source_stamp()
        self._cache_file = CheckedFile(self._cache_path, self._impl.filename_base, stamp)

    def _index_key(self, sig: Any, codegen: Any) -> Any:
        return (*super()._index_key(sig, codegen), self._sources)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return what was compiled for a signature, or None."""
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:
            if shortage_in(error) is not None:
                raise
            folder = self._cache_path
            _tell_once(f"the compiled kernels in {folder} are damaged, and compiled anew", error)
            self._cache_file.forget()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep what was compiled for a signature, if there is room."""
        try:
            super().save_overload(sig, data)
        except Exception as error:
            if shortage_in(error) is not None:
                raise
            folder = self._cache_path
            _tell_once(f"compiled kernels cannot be kept in {folder}", error)


class DamagedError(Exception):
    """A file of the cache is not what was written."""


class CheckedFile(IndexDataCacheFile):  # type: ignore[misc]
    """The files of one function: an index, and a file per signature and processor."""

    def save(self, key: Any, data: Any) -> None:
        """Keep data under a key; the key goes along, since two processes may choose one name."""
        super().save(key, (key, data))

    def load(self, key: Any) -> Any:
        """Return the data of a key, or None; ``DamagedError`` for what is not as written."""
        found = super().load(key)
        return found[1] if found is not None and found[0] == key else None

    def forget(self) -> None:
        """Delete the index."""
        with contextlib.suppress(OSError):
            Path(self._index_path).unlink()

    def _load_index(self) -> dict[Any, str]:
        found = self._read(self._index_name)
        if found is None or found[:2] != (self._version, self._source_stamp):
            return {}
        overloads: dict[Any, str] = found[2]
        return overloads

    def _save_index(self, overloads: dict[Any, str]) -> None:
        self._write(self._index_name, (self._version, self._source_stamp, overloads))

    def _load_data(self, name: str) -> Any:
        return self._read(name)

    def _save_data(self, name: str, data: Any) -> None:
        self._write(name, data)

    def _read(self, name: str) -> Any:
        """Return what a file holds, None where there is none or Numba itself wrote it."""
        try:
            content = (Path(self._cache_path) / name).read_bytes()
        except FileNotFoundError:
            return None
        if content.startswith(b"\x80"):  # how a pickle begins
            return None
        begin = len(_MAGIC) + 32
        data = content[begin:]
        if content[:begin] != _MAGIC + _digest(name, data):
            raise DamagedError(f"{name} is not as it was written")
        return pickle.loads(data)

    def _write(self, name: str, value: Any) -> None:
        data = self._dump(value)
        with self._open_for_write(str(Path(self._cache_path) / name)) as file:
            file.write(_MAGIC + _digest(name, data) + data)


def _digest(name: str, data: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\0" + data).digest()


def _tell_once(what: str, error: Exception) -> None:
    if what not in _told:
        _told.add(what)
        tell(f"{what}: {' '.join(str(error).split())}"[:400])
