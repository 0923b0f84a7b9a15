"""SiLU (swish): an activation, x · sigmoid(x)."""

from __future__ import annotations

from inference.kernels.silu.cpu import silu

__all__ = ["silu"]
