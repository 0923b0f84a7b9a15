"""Where a decoder's program runs."""

from __future__ import annotations

from typing import Literal

from inference.errors import DeviceUnavailableError, InputError

BackendName = Literal["auto", "cpu", "cuda"]


def choose_backend(name: str) -> Literal["cpu"]:
    """Return the backend that ``name`` stands for on this machine.

    Raises:
        DeviceUnavailableError: whole models do not run on the GPU yet.
        InputError: no backend has that name.
    """
    if name in ("auto", "cpu"):
        return "cpu"
    if name == "cuda":
        raise DeviceUnavailableError(
            "whole models run on the CPU only (single kernels run on CUDA); "
            "use backend='cpu' or backend='auto'"
        )
    raise InputError(f"unknown backend {name!r}; choose auto, cpu or cuda")
