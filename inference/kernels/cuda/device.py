"""CUDA sources on a device: found beside their wrapper, compiled by CuPy for the device at hand.

CuPy is imported on first use. Nothing here falls back to the CPU: without CuPy or a device the
caller gets `DeviceUnavailableError`, and every launch is counted, so that a check can tell that the
GPU really ran.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from inference.errors import DeviceUnavailableError
from inference.kernels.cuda import nvrtc
from inference.kernels.cuda.launch import LaunchDimensions

_launches: Counter[str] = Counter()
_functions: dict[tuple[Path, str, int], Any] = {}
_lock = threading.Lock()


def require_device() -> Any:
    """Return the ``cupy`` module, once it is sure that a device answers.

    Raises:
        DeviceUnavailableError: CuPy is not installed, or no device is visible.
    """
    try:
        import cupy
    except ImportError:
        raise DeviceUnavailableError(
            "CuPy is not installed", "pip install pytest-contracts[cuda13]"
        ) from None
    try:
        devices = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise DeviceUnavailableError(
            f"no CUDA device answers ({error})", "run on a machine with an NVIDIA GPU and driver"
        ) from None
    if devices == 0:
        raise DeviceUnavailableError(
            "no CUDA device is visible", "run on a machine with an NVIDIA GPU and driver"
        )
    return cupy


def device_name() -> str:
    """Return what the driver calls the current device, such as ``NVIDIA H100 80GB HBM3``.

    Raises:
        DeviceUnavailableError: as `require_device`.
    """
    runtime = require_device().cuda.runtime
    name: bytes = runtime.getDeviceProperties(runtime.getDevice())["name"]
    return name.decode()


def launches() -> Mapping[str, int]:
    """Return how often each kernel was launched in this process: the witness of a GPU check."""
    with _lock:
        return dict(_launches)


@dataclass(frozen=True, slots=True)
class CudaKernel:
    """One entry point of one ``.cu`` file."""

    entry: str
    path: Path

    @property
    def source(self) -> str:
        """The CUDA C text."""
        return self.path.read_text(encoding="utf-8")

    def launch(self, dimensions: LaunchDimensions, arguments: Sequence[Any]) -> None:
        """Run the kernel on the current device; integers are passed as int32, floats as float32.

        Raises:
            DeviceUnavailableError: there is no device.
        """
        function = self._function(require_device())
        function(dimensions.grid, dimensions.block, tuple(map(_scalar, arguments)))
        with _lock:
            _launches[self.entry] += 1

    def _function(self, cupy: Any) -> Any:
        """Compile for the current device, whose compute capability CuPy reads; once per device."""
        key = self.path, self.entry, cupy.cuda.Device().id
        with _lock:
            if key not in _functions:
                options = ["--std=c++17", *_header_options()]
                module = cupy.RawModule(code=self.source, options=tuple(options), backend="nvrtc")
                _functions[key] = module.get_function(self.entry)
            return _functions[key]


def to_device(cupy: Any, array: Any) -> Any:
    """Return a C-contiguous array on the device, without a copy where it is one already."""
    return cupy.ascontiguousarray(cupy.asarray(array))


def like_input(result: Any, argument: Any) -> Any:
    """Return a device array as NumPy array where the caller passed one."""
    return result.get() if isinstance(argument, np.ndarray) else result


def _header_options() -> list[str]:
    try:
        return [f"-I{nvrtc.installation().include}"]
    except DeviceUnavailableError:  # a CUDA toolkit that CuPy finds by itself serves as well
        return []


def _scalar(argument: Any) -> Any:
    if isinstance(argument, int):
        return np.int32(argument)
    if isinstance(argument, float):
        return np.float32(argument)
    return argument
