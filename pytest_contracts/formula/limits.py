"""Limits that reading, writing and evaluating share."""

from __future__ import annotations

MAX_INTEGER_BITS = 1000  # below the largest float, so that an integer always converts
MAX_SCRIPT_DIGITS = 6
