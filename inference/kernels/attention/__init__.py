"""Attention of one head, full or causal."""

from __future__ import annotations

from inference.kernels.attention.cpu import attention

__all__ = ["attention"]
