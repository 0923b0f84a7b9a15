"""Which device an operation goes to.

Pure integer arithmetic: the symbolic engines run these functions as they stand. Launch geometry
comes from `inference.kernels.cuda.launch`, counting lives in `inference.backends.metrics`.
"""

from __future__ import annotations

from enum import StrEnum


class Device(StrEnum):
    """Where an operation runs."""

    CPU = "cpu"
    GPU = "gpu"


def uses_gpu(data_size: int, gpu_threshold: int, gpu_available: bool = True) -> bool:
    """Tell whether an operation on ``data_size`` elements goes to the GPU: strictly above.

    Raises:
        ValueError: a negative size, or a threshold that is not positive.
    """
    if data_size < 0:
        raise ValueError(f"data_size cannot be negative, got {data_size}")
    if gpu_threshold <= 0:
        raise ValueError(f"gpu_threshold must be positive, got {gpu_threshold}")
    return gpu_available and data_size > gpu_threshold


def choose_device(data_size: int, gpu_threshold: int, gpu_available: bool = True) -> Device:
    """Return the device for an operation on ``data_size`` elements."""
    return Device.GPU if uses_gpu(data_size, gpu_threshold, gpu_available) else Device.CPU
