"""Merges as model files write them: two tokens with a space between."""

from __future__ import annotations

from collections.abc import Iterable

from inference.errors import TokenizerError


def pairs(merges: Iterable[str]) -> list[tuple[str, str]]:
    """Return the two tokens of each merge; ``TokenizerError`` for one that is not two."""
    return [_pair(merge) for merge in merges]


def _pair(merge: str) -> tuple[str, str]:
    left, _, right = merge.partition(" ")
    if not left or not right or " " in right:
        raise TokenizerError(f"merge {merge[:80]!r} is not two tokens with a space between")
    return left, right
