"""Where a decoder's program runs: the backends by name, one row each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from inference.backends.placement import Device, choose_device
from inference.errors import DeviceUnavailableError, InputError

if TYPE_CHECKING:
    from inference.backends.protocol import Backend

BackendName = str
"""``auto``, or a name of ``BACKENDS``."""

GPU_THRESHOLD = 100_000
"""Weights above which ``auto`` goes to a GPU that can run the model."""


@dataclass(frozen=True, slots=True)
class BackendRow:
    """A backend: the device it runs on, and how to get its class.

    ``load`` raises DeviceUnavailableError, which says what is missing, where it cannot run.
    """

    device: Device
    load: Callable[[], Callable[..., Backend]]


def _cpu() -> Callable[..., Backend]:
    from inference.backends.cpu.backend import CpuBackend

    return CpuBackend


def _cuda() -> Callable[..., Backend]:
    raise DeviceUnavailableError(
        "whole models run on the CPU only (single kernels run on CUDA); "
        "use backend='cpu' or backend='auto'"
    )


BACKENDS: Mapping[str, BackendRow] = MappingProxyType(
    {"cpu": BackendRow(Device.CPU, _cpu), "cuda": BackendRow(Device.GPU, _cuda)}
)
"""Name -> backend; the first of a device is the one that ``auto`` takes."""


def check_backend(name: str) -> None:
    """Refuse a backend that does not exist or cannot run here, before anything is opened.

    Raises:
        DeviceUnavailableError: this machine, or this engine yet, cannot run whole models on it.
        InputError: no backend has that name.
    """
    if name == "auto":
        return
    if name not in BACKENDS:
        known = ", ".join(["auto", *BACKENDS])
        raise InputError(f"unknown backend {name!r}; choose {' or '.join(known.rsplit(', ', 1))}")
    BACKENDS[name].load()


def choose_backend(name: str, weights: int = 0) -> str:
    """Return the backend that ``name`` stands for, for a model of so many weights.

    Raises:
        DeviceUnavailableError, InputError: as `check_backend`.
    """
    check_backend(name)
    if name != "auto":
        return name
    device = choose_device(weights, GPU_THRESHOLD, _usable(Device.GPU) is not None)
    chosen = _usable(device)
    assert chosen is not None, "a CPU is always there"
    return chosen


def _usable(device: Device) -> str | None:
    for name, row in BACKENDS.items():
        if row.device is device:
            try:
                row.load()
            except DeviceUnavailableError:
                continue
            return name
    return None
