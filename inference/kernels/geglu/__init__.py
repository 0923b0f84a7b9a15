"""GeGLU: the gated product of a feed-forward layer, gelu(gate) · up, with GELU's tanh form."""

from __future__ import annotations

from inference.kernels.geglu.cpu import geglu, gelu

__all__ = ["geglu", "gelu"]
