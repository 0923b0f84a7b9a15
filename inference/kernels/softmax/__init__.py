"""Softmax: scores into weights that are positive and sum to one."""

from __future__ import annotations

from inference.kernels.softmax.cpu import softmax

__all__ = ["softmax"]
