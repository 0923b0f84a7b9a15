"""How wide the buffers of a program are at any time, and who reads them last."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from inference.model.ops import Attend, Linear, Operation, Remember


def widths(ops: Sequence[Operation]) -> list[dict[str, int]]:
    """Return, before each operation and at the end, how wide every buffer is."""
    wide: dict[str, int] = {}
    before = [wide]
    for op in ops:
        made = op.width(wide)
        if made is not None:
            wide = wide | dict.fromkeys(op.writes, made)
        before.append(wide)
    return before


def is_dead(
    names: Iterable[str], ops: Sequence[Operation], since: int, rounded: Iterable[str]
) -> bool:
    """Tell whether the buffers are rewritten from operation ``since`` on before they are read.

    Products of the buffers in ``rounded`` read a copy, and do not count.
    """
    alive, copied = set(names), set(rounded)
    for op in islice(ops, since, None):
        if op.reads & alive and not (isinstance(op, Linear) and op.x in copied):
            return False
        alive -= op.writes
        copied -= op.writes
        if not alive:
            break
    return True


def head_parts(ops: Sequence[Operation], at: int, name: str) -> int:
    """Return the key/value heads whose attention comes next, if the buffer goes into it, else 1."""
    for op in islice(ops, at, None):
        match op:
            case Attend(q=q, kv_heads=kv_heads) if q == name:
                return kv_heads
            case Remember(k=k, v=v, layer=layer) if name in (k, v):
                nexts = islice(ops, at, None)
                return next(
                    (o.kv_heads for o in nexts if isinstance(o, Attend) and o.layer == layer), 1
                )
            case Linear() | Attend():
                return 1
            case _:
                pass
    return 1
