"""Engines in processes of their own, which answer one request at a time."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from inference.errors import EngineError

_WORKER = (sys.executable, "-P", "-m", "inference.bench.worker")
_LONGEST_COMPLAINT = 400


class Served:
    """One engine in its process; ``load`` is what it answered once it was ready.

    ``EngineError`` when the process ends without an answer; the message is its last line of
    standard error.
    """

    def __init__(self, name: str, model: Path, settings: dict[str, Any]) -> None:
        self.name = name
        threads = str(settings["threads"])
        # A file: nobody reads a pipe while the engine works, and a full one would stop it.
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        self._process = subprocess.Popen(
            [*_WORKER, name, str(model), json.dumps(settings)],
            env={**os.environ, "APR_THREADS": threads, "OPENBLAS_NUM_THREADS": threads},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        try:
            self.load = self._answer()
        except BaseException:
            self.close()
            raise

    def ask(self, kind: str, *, prompt: int = 1, tokens: int = 0) -> dict[str, Any]:
        """Run one request and return its answer."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # `_answer` says why the process has ended
            request = {"kind": kind, "prompt": prompt, "tokens": tokens}
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        status = self._process.wait()
        self._errors.seek(0)
        last = self._errors.read().strip().rpartition("\n")[2][:_LONGEST_COMPLAINT]
        how = f"status {status}" if status >= 0 else signal.Signals(-status).name
        raise EngineError(
            f"the process of {self.name} ended with {how}{': ' if last else ''}{last}"
        )

    def close(self) -> None:
        """End the process."""
        if self._process.poll() is None:
            with contextlib.suppress(BrokenPipeError, ValueError):
                self._process.communicate(timeout=10)
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
