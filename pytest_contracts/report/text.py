"""Names from contract files, made harmless where people and machines read them."""

from __future__ import annotations

import re
import unicodedata

# Control characters change a terminal or break XML; bidirectional ones make a text look like
# another; surrogates have no UTF-8. Tabs and line ends are left to those who lay out the text.
_HIDDEN = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
_JOINERS = "\u200c\u200d"
_PLAIN = re.compile(r"[ -~\t\n]*")


def visible(text: object) -> str:
    """Return a text in which characters that nobody sees are written as ``⟨U+202E⟩``."""
    shown = str(text)
    if _PLAIN.fullmatch(shown):
        return shown
    return "".join(
        f"⟨U+{ord(c):04X}⟩"
        if unicodedata.category(c) in _HIDDEN and c not in _JOINERS and c not in "\t\n"
        else c
        for c in shown
    )


def one_line(text: object, limit: int = 300) -> str:
    """Return a text on one line, cut where it is longer than ``limit`` characters."""
    line = " ".join(visible(text).split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def percent(part: int, whole: int) -> float:
    """Return a share in percent; of nothing it is 0."""
    return 100.0 * part / whole if whole else 0.0


def shown_percent(part: int, whole: int) -> str:
    """Return a share in percent with one decimal, never rounded up to 100."""
    value = percent(part, whole)
    if value == 100 or not part:
        return f"{value:.0f} %"
    return f"{min(int(value * 10) / 10, 99.9):.1f} %"


def count(number: int, noun: str) -> str:
    """Return ``1 item`` or ``2 items``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
