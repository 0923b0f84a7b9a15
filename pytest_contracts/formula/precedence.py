"""How tightly operators bind, from guards (loosest) to what follows an operand."""

from __future__ import annotations

GUARD, IFF, IMPLIES, IF, OR, AND, NOT, COMPARISON, BIT_OR, BIT_AND, SHIFT, SUM, PRODUCT, SIGN = (
    range(14)
)
POWER = 14
POSTFIX = 15
