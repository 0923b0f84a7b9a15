"""SwiGLU: the gated product of a feed-forward layer, silu(gate) · up."""

from __future__ import annotations

from inference.kernels.swiglu.cpu import swiglu

__all__ = ["swiglu"]
