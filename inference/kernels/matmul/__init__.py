"""Matrix product of float32 matrices; quantized weights have their own room, ``qmatmul``."""

from __future__ import annotations

from inference.kernels.matmul.cpu import matmul

__all__ = ["matmul"]
