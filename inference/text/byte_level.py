"""The reversible byte alphabet of byte-level BPE (Radford et al. 2019).

Vocabularies store bytes as printable characters: 188 bytes stand for themselves as Latin-1, the
other 68 are moved to U+0100 and up, in order.
"""

from __future__ import annotations

_AS_THEMSELVES = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
_MOVED = [byte for byte in range(256) if byte not in set(_AS_THEMSELVES)]

CHARACTER_OF_BYTE: dict[int, str] = {byte: chr(byte) for byte in _AS_THEMSELVES} | {
    byte: chr(0x100 + place) for place, byte in enumerate(_MOVED)
}
_BYTE_OF_CHARACTER = {character: byte for byte, character in CHARACTER_OF_BYTE.items()}


def bytes_of(token: str) -> bytes:
    """Return the bytes that a vocabulary entry stands for.

    An entry with characters outside the alphabet was written as plain text, and is taken so.
    """
    try:
        return bytes(map(_BYTE_OF_CHARACTER.__getitem__, token))
    except KeyError:
        return token.encode("utf-8", errors="surrogatepass")
