"""The engines that can be timed, behind one interface; each imports what it needs itself."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from inference.errors import DeviceUnavailableError, InputError

if TYPE_CHECKING:
    from inference.backends.weights import Numerics

OURS, LLAMA_CPP = "inference", "llama.cpp"
_FIRST_ID = 100  # behind the control tokens of most vocabularies


class Engine(Protocol):
    """What an engine is asked to do; the past is forgotten before every prompt."""

    vocab: int

    def prompt(self, ids: list[int]) -> int:
        """Read ids into an empty context; return the likeliest next one."""
        ...

    def token(self, id_: int) -> int:
        """Read one more; return the likeliest next one."""
        ...


class Ours:
    """This project's engine. It takes its threads from APR_THREADS."""

    def __init__(self, path: Path, numerics: Numerics) -> None:
        import inference

        self.model = inference.load(path, numerics=numerics)
        self.vocab = self.model.config.vocab
        self.prompt([0])  # prepares the weights

    def prompt(self, ids: list[int]) -> int:
        """Read ids into an empty context; return the likeliest next one."""
        self._session = self.model.session()
        return self._next(ids)

    def token(self, id_: int) -> int:
        """Read one more; return the likeliest next one."""
        return self._next([id_])

    def _next(self, ids: list[int]) -> int:
        return int(self._session.advance(ids)[-1].argmax())


class LlamaCpp:
    """llama.cpp with its defaults, but for threads and context."""

    def __init__(self, path: Path, threads: int, context: int) -> None:
        import llama_cpp

        self._api: Any = llama_cpp
        self._llama: Any = llama_cpp.Llama(
            str(path), n_ctx=context, n_threads=threads, n_threads_batch=threads, verbose=False
        )
        self.vocab = int(self._llama.n_vocab())
        self.prompt([0])

    def prompt(self, ids: list[int]) -> int:
        """Read ids into an empty context; return the likeliest next one."""
        self._llama.reset()
        return self._next(ids)

    def token(self, id_: int) -> int:
        """Read one more; return the likeliest next one."""
        return self._next([id_])

    def _next(self, ids: list[int]) -> int:
        import numpy as np

        self._llama.eval(ids)
        logits = self._api.llama_get_logits_ith(self._llama.ctx, -1)
        return int(np.ctypeslib.as_array(logits, (self.vocab,)).argmax())


def require_llama_cpp(path: Path) -> None:
    """Check that llama.cpp can take part.

    Raises:
        DeviceUnavailableError: llama-cpp-python is not installed; the message says how to get it.
        InputError: the model is no GGUF file, and llama.cpp reads no other.
    """
    if importlib.util.find_spec("llama_cpp") is None:
        raise DeviceUnavailableError(
            "llama-cpp-python is not installed",
            "build it for this processor: CMAKE_ARGS=-DGGML_NATIVE=ON pip install llama-cpp-python",
        )
    if path.is_dir() or path.read_bytes()[:4] != b"GGUF":
        raise InputError(f"{path}: llama.cpp reads GGUF files only")


def ordinary_ids(count: int, vocab: int) -> list[int]:
    """Return ``count`` ids of ordinary tokens, the same on every run."""
    first = min(_FIRST_ID, vocab - 1)
    return [first + i * 37 % (vocab - first) for i in range(count)]
