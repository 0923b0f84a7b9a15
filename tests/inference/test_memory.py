from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

import inference
from inference import memory
from inference.data import TINY_MODEL
from inference.errors import InputError, ModelFileError, OutOfMemoryError
from inference.memory import needing, room_for_blas, shortage_in

MEBIBYTE = 1 << 20


def limited(code: str, mebibytes: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process that may have so much address space."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (mebibytes * MEBIBYTE, mebibytes * MEBIBYTE))

    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(inference.__file__).parents[1])},
        preexec_fn=limit,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 16.6 MiB"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        ImportError("x.so: failed to map segment from shared object"),
        OSError("libllvmlite.so: failed to map segment from shared object"),
    ],
)
def test_a_shortage_is_said_as_what_it_was_wanted_for(error: Exception) -> None:
    with (
        pytest.raises(OutOfMemoryError, match=r"^not enough memory to load m\.gguf: .+"),
        needing("to load m.gguf"),
    ):
        raise error
    with pytest.raises(MemoryError), needing("to map m.gguf"):
        raise ModelFileError("m.gguf", "cannot be read") from error


def test_the_innermost_purpose_stays() -> None:
    with pytest.raises(OutOfMemoryError, match="for the cache"), needing("to run"):  # noqa: SIM117
        with needing("for the cache"):
            raise MemoryError


@pytest.mark.parametrize(
    "error", [InputError("no"), OSError(errno.ENOENT, "No such file"), ImportError("no module x")]
)
def test_other_errors_stay_what_they_are(error: Exception) -> None:
    assert shortage_in(error) is None
    with pytest.raises(type(error)) as caught, needing("to load m.gguf"):
        raise error
    assert caught.value is error


def test_a_circle_of_causes_ends() -> None:
    one, other = ValueError(), ValueError()
    one.__context__, other.__context__ = other, one
    assert shortage_in(one) is None


def test_without_a_limit_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    unlimited = resource.RLIM_INFINITY
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (unlimited, unlimited))
    monkeypatch.setattr(memory, "_address_space", pytest.fail)
    room_for_blas("no_such_library", "to try")


def test_a_library_needs_room_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (64 * MEBIBYTE, 64 * MEBIBYTE))
    with pytest.raises(OutOfMemoryError, match=r"takes about \d+ MiB .* of a limit of 64 MiB"):
        room_for_blas("no_such_library", "to try")
    room_for_blas("sys", "to try")


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on address space")
@pytest.mark.parametrize("mebibytes", [60, 100, 150, 200, 300])
def test_a_model_that_does_not_fit_is_a_typed_error(mebibytes: int) -> None:
    code = (
        "import sys, inference\n"
        "try:\n"
        "    inference.load(sys.argv[1]).generate('Hi', max_tokens=1)\n"
        "except inference.errors.OutOfMemoryError as error:\n"
        "    print(error)\n"
    )
    done = limited(f"import inference.errors\n{code}", mebibytes, str(TINY_MODEL))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("not enough memory ")
