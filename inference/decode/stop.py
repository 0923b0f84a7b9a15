"""Stop strings: found across the borders of tokens, and never shown."""

from __future__ import annotations

from collections.abc import Sequence


class StopFinder:
    """Passes text on as it comes, holding back what may be the beginning of a stop string."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""
        self.found: str | None = None

    def push(self, text: str) -> str:
        """Return the text that is certain to come before any stop string.

        Once one is found, ``found`` names it, and neither it nor what follows is returned. The
        earliest in the text that has come wins, the longest of those that begin together.
        """
        if self.found is not None:
            return ""
        self._held += text
        starts = [(self._held.find(stop), -len(stop), stop) for stop in self._stops]
        complete = min((start for start in starts if start[0] >= 0), default=None)
        if complete is not None:
            end, _, self.found = complete
            return self._release(end)
        return self._release(len(self._held) - self._overlap())

    def finish(self) -> str:
        """Return what was held back: no stop string came of it."""
        return "" if self.found is not None else self._release(len(self._held))

    def _release(self, end: int) -> str:
        text, self._held = self._held[:end], self._held[end:]
        return text

    def _overlap(self) -> int:
        """Return the length of the longest ending that begins a stop string."""
        longest = max(map(len, self._stops), default=1) - 1
        for size in range(min(longest, len(self._held)), 0, -1):
            ending = self._held[-size:]
            if any(stop.startswith(ending) for stop in self._stops):
                return size
        return 0
