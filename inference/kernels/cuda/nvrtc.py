"""CUDA C to PTX through NVRTC: needs the compiler's wheel, but no GPU, no driver and no CuPy."""

from __future__ import annotations

import ctypes
import importlib.util
from functools import cache
from pathlib import Path
from typing import NamedTuple

from inference.errors import DeviceUnavailableError, KernelCompileError

REMEDY = "pip install pytest-contracts[nvrtc]"
_LIBRARY_FOLDERS = ("cu13/lib", "cu12/lib", "cuda_nvrtc/lib")
_HEADER_FOLDERS = ("cu13/include", "cu12/include", "cuda_runtime/include")


class Installation(NamedTuple):
    """The compiler's library and the folder of CUDA's headers."""

    library: Path
    include: Path


@cache
def installation() -> Installation:
    """Find NVRTC among the installed ``nvidia`` wheels.

    Raises:
        DeviceUnavailableError: the library or the headers are not installed.
    """
    spec = importlib.util.find_spec("nvidia")
    roots = [Path(root) for root in (spec.submodule_search_locations if spec else None) or ()]
    libraries = [
        file
        for root in roots
        for folder in _LIBRARY_FOLDERS
        for file in sorted((root / folder).glob("libnvrtc.so*"))
        if "alt" not in file.name
    ]
    includes = [
        root / folder
        for root in roots
        for folder in _HEADER_FOLDERS
        if (root / folder / "cuda_fp16.h").is_file()
    ]
    if not libraries:
        raise DeviceUnavailableError("the NVRTC compiler is not installed", REMEDY)
    if not includes:
        raise DeviceUnavailableError("the CUDA headers are not installed", REMEDY)
    return Installation(libraries[0], includes[0])


def supported_architectures() -> tuple[int, ...]:
    """Return the compute capabilities that NVRTC compiles for, such as 75 for 7.5."""
    library = _library()
    number = ctypes.c_int()
    _check(library.nvrtcGetNumSupportedArchs(ctypes.byref(number)))
    architectures = (ctypes.c_int * number.value)()
    _check(library.nvrtcGetSupportedArchs(architectures))
    return tuple(architectures)


def compile_ptx(source: str, architecture: int, *, name: str = "kernel.cu") -> str:
    """Compile CUDA C to PTX for a compute capability (80 for 8.0); the target is never assumed.

    Raises:
        DeviceUnavailableError: NVRTC is not installed.
        KernelCompileError: the source does not compile; the message is the compiler's log.
    """
    include = installation().include
    options = [
        f"--gpu-architecture=compute_{architecture}",
        "--std=c++17",
        "-default-device",
        f"-I{include}",
    ]
    library = _library()
    program = ctypes.c_void_p()
    _check(
        library.nvrtcCreateProgram(
            ctypes.byref(program), source.encode(), name.encode(), 0, None, None
        )
    )
    try:
        arguments = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
        status = library.nvrtcCompileProgram(program, len(options), arguments)
        if status != 0:
            log = _text(library.nvrtcGetProgramLogSize, library.nvrtcGetProgramLog, program)
            raise KernelCompileError(
                f"{name} does not compile for compute capability {architecture}:\n{log}"
            )
        return _text(library.nvrtcGetPTXSize, library.nvrtcGetPTX, program)
    finally:
        library.nvrtcDestroyProgram(ctypes.byref(program))


@cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(str(installation().library))
    library.nvrtcGetErrorString.restype = ctypes.c_char_p
    return library


def _check(status: int) -> None:
    if status != 0:
        message = _library().nvrtcGetErrorString(status).decode()
        raise KernelCompileError(f"NVRTC failed: {message}")


def _text(
    size_of: ctypes._NamedFuncPointer, read: ctypes._NamedFuncPointer, program: ctypes.c_void_p
) -> str:
    size = ctypes.c_size_t()
    _check(size_of(program, ctypes.byref(size)))
    buffer = ctypes.create_string_buffer(size.value)
    _check(read(program, buffer))
    return buffer.value.decode()
