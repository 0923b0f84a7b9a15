"""Which buffers the operations of a program touch, how wide they are, and who reads them last."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from inference.model.ops import (
    Add,
    AddBias,
    Attend,
    Embed,
    GeGlu,
    LastRow,
    Linear,
    Observe,
    Op,
    Remember,
    RmsNorm,
    Rope,
    Scale,
    SwiGlu,
)


def touched(op: Op) -> tuple[frozenset[str], frozenset[str]]:
    """Return the buffers that an operation reads and those that it writes."""
    match op:
        case Embed(out=out):
            return frozenset(), frozenset({out})
        case RmsNorm(x=x, out=out) | Linear(x=x, out=out) | Attend(q=x, out=out):
            return frozenset({x}), frozenset({out})
        case AddBias(x=x) | Scale(x=x) | Rope(x=x):
            return frozenset({x}), frozenset({x})
        case Remember(k=k, v=v):
            return frozenset({k, v}), frozenset()
        case SwiGlu(gate=gate, up=up, out=out) | GeGlu(gate=gate, up=up, out=out):
            return frozenset({gate, up}), frozenset({out})
        case Add(x=x, y=y):
            return frozenset({x, y}), frozenset({x})
        case LastRow() | Observe():
            return frozenset(), frozenset()


def widths(ops: Sequence[Op]) -> list[dict[str, int]]:
    """Return, before each operation and at the end, how wide every buffer is."""
    wide: dict[str, int] = {}
    before = [wide]
    for op in ops:
        wide = dict(wide)
        match op:
            case Embed(table=p, out=out):
                wide[out] = p.shape[1]
            case Linear(weight=p, out=out):
                wide[out] = p.shape[0]
            case RmsNorm(x=x, out=out) | SwiGlu(gate=x, out=out) | GeGlu(gate=x, out=out):
                wide[out] = wide[x]
            case Attend(out=out, heads=heads, head_dim=head_dim):
                wide[out] = heads * head_dim
            case _:
                pass
        before.append(wide)
    return before


def is_dead(names: Iterable[str], ops: Sequence[Op], since: int, rounded: Iterable[str]) -> bool:
    """Tell whether the buffers are rewritten from operation ``since`` on before they are read.

    Products of the buffers in ``rounded`` read a copy, and do not count.
    """
    alive, copied = set(names), set(rounded)
    for op in islice(ops, since, None):
        reads, writes = touched(op)
        if reads & alive and not (isinstance(op, Linear) and op.x in copied):
            return False
        alive -= writes
        copied -= writes
        if not alive:
            break
    return True


def head_parts(ops: Sequence[Op], at: int, name: str) -> int:
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
