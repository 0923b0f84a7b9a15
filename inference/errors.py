"""Every error that the engine raises on purpose.

EngineError                    base
  ModelFileError               a model file is unreadable; has .path and .offset (bytes)
    UnsupportedFormatError     a readable file of a kind or version that the engine does not know
  UnsupportedTypeError         no kernel for a tensor type on a numeric path
  UnsupportedArchitectureError the file names an architecture that the engine does not implement
  TokenizerError               text cannot be encoded, or the file carries no usable vocabulary
  ContextOverflowError         more tokens than the context can hold
  SessionBusyError             a session is in use by another call, or was changed under a stream
  MemoryFaultError             compiled code went past its memory (APR_DEBUG_MEMORY=1)
  DownloadError                a model could not be fetched, or its digest does not match
  DeviceUnavailableError       a backend was asked for that this machine does not have
  KernelCompileError           a CUDA source does not compile for an architecture
  InputError (ValueError)      an argument makes no sense; the message says what would
  OutOfMemoryError (MemoryError)  there was not enough memory; the message says for what

All of them travel between processes: message and attributes survive pickle and copy.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any


class Travelling:
    """An exception that pickle and copy make anew as it is, whatever its ``__init__`` takes.

    Python's own way calls the class with ``args``, which are the message alone here.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return _remade, (type(self), self.args, vars(self))  # type: ignore[attr-defined]


def _remade(kind: type[BaseException], args: tuple[Any, ...], state: dict[str, Any]) -> Any:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class EngineError(Travelling, Exception):
    """Base of all deliberate errors of the engine."""


class ModelFileError(EngineError):
    """A model file is truncated, corrupted or hostile; ``offset`` is the byte where it shows."""

    def __init__(self, path: str | Path, message: str, *, offset: int | None = None) -> None:
        place = f"{path}" if offset is None else f"{path}: byte {offset:#x}"
        super().__init__(f"{place}: {message}")
        self.path = Path(path)
        self.offset = offset
        self.message = message


class ModelWarning(UserWarning):
    """A model file says something that cannot be, which nothing depends on; it is left out."""


class UnsupportedFormatError(ModelFileError):
    """The file is of a kind or version that the engine does not read."""


class UnsupportedTypeError(EngineError):
    """No implementation handles a tensor type on the chosen numeric path."""


class UnsupportedArchitectureError(EngineError):
    """The model's architecture is not implemented; the message lists those that are."""


class TokenizerError(EngineError):
    """The vocabulary is unusable, or a text cannot be encoded with it."""


class ContextOverflowError(EngineError):
    """More tokens were asked for than the model's context holds."""


class SessionBusyError(EngineError):
    """A session belongs to another call, or has gone on without the stream that reads it."""


class MemoryFaultError(EngineError):
    """Compiled code was about to touch memory that is not its own, or was handed what does not fit.

    Only where ``APR_DEBUG_MEMORY=1``; it is a defect of the engine.
    """


class DownloadError(EngineError):
    """A model could not be fetched whole and verified."""


class DeviceUnavailableError(EngineError):
    """A backend needs hardware or a package that this machine does not have.

    ``missing`` says what, ``remedy`` how to get it.
    """

    def __init__(self, missing: str, remedy: str = "") -> None:
        super().__init__(f"{missing}; {remedy}" if remedy else missing)
        self.missing = missing
        self.remedy = remedy


class KernelCompileError(EngineError):
    """A CUDA source does not compile; the message holds the compiler's log."""


class InputError(EngineError, ValueError):
    """An argument makes no sense: a token id out of range, an unknown stage, files that differ."""


class OutOfMemoryError(MemoryError, EngineError):
    """There was not enough memory; the message says for what, and how much if that is known."""
