"""What a misspelt name was meant to be, asked in the same words everywhere."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """Return the known name that is most like a word, None where none is at least ``cutoff`` so."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(word, list(known), n=1, cutoff=cutoff)), None)


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """Return ``Did you mean 'x'?``, None where no known name is like the word."""
    close = nearest(word, known)
    return None if close is None else f"Did you mean {close!r}?"
