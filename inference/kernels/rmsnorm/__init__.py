"""RMSNorm: each row divided by its root mean square, then scaled by learned weights."""

from __future__ import annotations

from inference.kernels.rmsnorm.cpu import rmsnorm

__all__ = ["rmsnorm"]
