"""Merging characters into tokens where several have the same score: the leftmost pair goes first.

The library ranks every merge apart, so of two with one score it prefers one token everywhere;
SentencePiece and llama.cpp (``llm_tokenizer_spm``) take whichever stands first in the text.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence


def merge_leftmost(text: str, vocabulary: Mapping[str, int], scores: Sequence[float]) -> list[str]:
    """Return the pieces of a text after all merges, the best score first, else the leftmost.

    Any two neighbours whose concatenation is in ``vocabulary`` may merge; ``scores`` are by id.
    """
    pieces: list[str] = list(text)
    before = [*range(-1, len(pieces) - 1)]
    behind = [*range(1, len(pieces) + 1)]
    waiting: list[tuple[float, int, int, str]] = []

    def offer(left: int) -> None:
        right = behind[left] if left >= 0 else len(pieces)
        if left < 0 or right >= len(pieces):
            return
        whole = pieces[left] + pieces[right]
        token = vocabulary.get(whole)
        if token is not None:
            heapq.heappush(waiting, (-scores[token], left, right, whole))

    for left in range(len(pieces) - 1):
        offer(left)
    while waiting:
        _, left, right, whole = heapq.heappop(waiting)
        # Either may have merged with another neighbour since; it has other text then, or none.
        if not pieces[left] or behind[left] != right or pieces[left] + pieces[right] != whole:
            continue
        pieces[left], pieces[right] = whole, ""
        behind[left] = behind[right]
        if behind[left] < len(pieces):
            before[behind[left]] = left
        behind[right] = -1
        offer(before[left])
        offer(left)
    return [piece for piece in pieces if piece]
