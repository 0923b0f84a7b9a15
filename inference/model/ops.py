"""The operations that a decoder is made of: plain data over named buffers, run by a backend.

Buffers are float32 matrices [tokens, features]; the letters of a buffer are local to a program. An
operation names the parameters it reads with the shape that the configuration demands, so a
program says by itself which tensors a model file must hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from inference.model.config import RopeScaling
from inference.model.stages import Stage


@dataclass(frozen=True, slots=True)
class Parameter:
    """A tensor of the model by canonical name, with its shape in NumPy order.

    ``offset`` is what the operations need added to every stored value; vectors only.
    """

    name: str
    shape: tuple[int, ...]
    offset: float = 0.0


@dataclass(frozen=True, slots=True)
class Embed:
    """out = table[token ids]."""

    table: Parameter
    out: str


@dataclass(frozen=True, slots=True)
class RmsNorm:
    """out = x / rms(x) * weight, rms² = mean(x²) + eps, by parts of x as long as the weight."""

    x: str
    weight: Parameter
    eps: float
    out: str


@dataclass(frozen=True, slots=True)
class Linear:
    """out = x Wᵀ, W of shape (out_features, in_features)."""

    x: str
    weight: Parameter
    out: str


@dataclass(frozen=True, slots=True)
class AddBias:
    """x = x + bias, in place."""

    x: str
    bias: Parameter


@dataclass(frozen=True, slots=True)
class Scale:
    """x = x * factor, in place."""

    x: str
    factor: float


@dataclass(frozen=True, slots=True)
class Rope:
    """Rotate the pairs of every head of x by position, in place.

    The frequencies theta^(−2k/head_dim) are scaled, then divided by the tensor ``divisors``.
    """

    x: str
    heads: int
    head_dim: int
    theta: float
    neox: bool
    scaling: RopeScaling | None = None
    divisors: Parameter | None = None


@dataclass(frozen=True, slots=True)
class Remember:
    """Append keys and values to the cache of a layer."""

    k: str
    v: str
    layer: int


@dataclass(frozen=True, slots=True)
class Attend:
    """out = causal grouped-query attention of q over what the layer remembers.

    With a ``window``, a query sees only the last ``window`` keys, that of its own token included.
    """

    q: str
    heads: int
    kv_heads: int
    head_dim: int
    layer: int
    out: str
    window: int | None = None


@dataclass(frozen=True, slots=True)
class SwiGlu:
    """out = silu(gate) * up."""

    gate: str
    up: str
    layer: int
    out: str


@dataclass(frozen=True, slots=True)
class GeGlu:
    """out = gelu(gate) * up, in the tanh form."""

    gate: str
    up: str
    layer: int
    out: str


@dataclass(frozen=True, slots=True)
class Add:
    """x = x + y, in place."""

    x: str
    y: str


@dataclass(frozen=True, slots=True)
class LastRow:
    """Keep the last token of x unless every position was asked for."""

    x: str


@dataclass(frozen=True, slots=True)
class Observe:
    """Offer buffers, side by side, to whoever watches the stage; computes nothing."""

    stage: Stage
    layer: int | None
    buffers: tuple[str, ...]


Op = (
    Embed
    | RmsNorm
    | Linear
    | AddBias
    | Scale
    | Rope
    | Remember
    | Attend
    | SwiGlu
    | GeGlu
    | Add
    | LastRow
    | Observe
)


@dataclass(frozen=True, slots=True)
class Program:
    """A whole forward pass: token ids in, the buffer ``output`` [rows, vocab] out."""

    ops: tuple[Op, ...]
    output: str

    def parameters(self) -> Iterator[Parameter]:
        """Yield every distinct parameter, in the order of first use."""
        seen: set[str] = set()
        for op in self.ops:
            match op:
                case (
                    Embed(table=p)
                    | RmsNorm(weight=p)
                    | Linear(weight=p)
                    | AddBias(bias=p)
                    | Rope(divisors=Parameter() as p)
                ):
                    if p.name not in seen:
                        seen.add(p.name)
                        yield p
                case _:
                    pass
