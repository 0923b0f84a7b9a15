"""Products of a Q4_K matrix with activations rounded to int8."""

from __future__ import annotations

from inference.kernels.q4k_matvec.cpu import q4k_matvec

__all__ = ["q4k_matvec"]
