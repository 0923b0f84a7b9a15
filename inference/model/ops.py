"""The operations that a decoder is made of: plain data over named buffers, run by a backend.

Buffers are float32 matrices [tokens, features]; the letters of a buffer are local to a program. An
operation knows itself: the buffers that it reads and writes, how wide it makes what it writes, the
parameters it needs with the shape that the configuration demands, and the stages within it that
can be observed. So a program says by itself which tensors a model file must hold, and whoever runs
or lowers it need not be told of a new operation twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import ClassVar

from inference.model.config import Activation, RopeScaling
from inference.model.stages import Stage


@dataclass(frozen=True, slots=True)
class Parameter:
    """A tensor of the model by canonical name, with its shape in NumPy order.

    ``offset`` is what the operations need added to every stored value; vectors only.
    """

    name: str
    shape: tuple[int, ...]
    offset: float = 0.0


class Operation:
    """What every operation says of itself; ``READS`` and ``WRITES`` are fields that name buffers.

    ``OFFERS`` are the stages within the operation, whose values lie in no buffer.
    """

    __slots__ = ()
    READS: ClassVar[tuple[str, ...]] = ()
    WRITES: ClassVar[tuple[str, ...]] = ()
    OFFERS: ClassVar[tuple[Stage, ...]] = ()

    @property
    def reads(self) -> frozenset[str]:
        """The buffers that it reads."""
        return frozenset(getattr(self, name) for name in self.READS)

    @property
    def writes(self) -> frozenset[str]:
        """The buffers that it writes."""
        return frozenset(getattr(self, name) for name in self.WRITES)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The tensors of the model that it needs."""
        values = (getattr(self, f.name) for f in fields(self))  # type: ignore[arg-type]
        return tuple(value for value in values if isinstance(value, Parameter))

    def width(self, wide: Mapping[str, int]) -> int | None:
        """Return the features of what it writes, given those of all buffers; None: unchanged."""
        return None


@dataclass(frozen=True, slots=True)
class Embed(Operation):
    """out = table[token ids]."""

    WRITES = ("out",)

    table: Parameter
    out: str

    def width(self, wide: Mapping[str, int]) -> int:
        """Return the columns of the table."""
        return self.table.shape[1]


@dataclass(frozen=True, slots=True)
class RmsNorm(Operation):
    """out = x / rms(x) * weight, rms² = mean(x²) + eps, by parts of x as long as the weight."""

    READS = ("x",)
    WRITES = ("out",)

    x: str
    weight: Parameter
    eps: float
    out: str

    def width(self, wide: Mapping[str, int]) -> int:
        """Return the features of x."""
        return wide[self.x]


@dataclass(frozen=True, slots=True)
class Linear(Operation):
    """out = x Wᵀ, W of shape (out_features, in_features)."""

    READS = ("x",)
    WRITES = ("out",)

    x: str
    weight: Parameter
    out: str

    def width(self, wide: Mapping[str, int]) -> int:
        """Return the rows of the matrix."""
        return self.weight.shape[0]


@dataclass(frozen=True, slots=True)
class AddBias(Operation):
    """x = x + bias, in place."""

    READS = ("x",)
    WRITES = ("x",)

    x: str
    bias: Parameter


@dataclass(frozen=True, slots=True)
class Scale(Operation):
    """x = x * factor, in place."""

    READS = ("x",)
    WRITES = ("x",)

    x: str
    factor: float


@dataclass(frozen=True, slots=True)
class Rope(Operation):
    """Rotate the pairs of every head of x by position, in place.

    The frequencies theta^(−2k/head_dim) are scaled, then divided by the tensor ``divisors``.
    """

    READS = ("x",)
    WRITES = ("x",)

    x: str
    heads: int
    head_dim: int
    theta: float
    neox: bool
    scaling: RopeScaling | None = None
    divisors: Parameter | None = None


@dataclass(frozen=True, slots=True)
class Remember(Operation):
    """Append keys and values to the cache of a layer."""

    READS = ("k", "v")

    k: str
    v: str
    layer: int


@dataclass(frozen=True, slots=True)
class Attend(Operation):
    """out = causal grouped-query attention of q over what the layer remembers.

    With a ``window``, a query sees only the last ``window`` keys, that of its own token included.
    """

    READS = ("q",)
    WRITES = ("out",)
    OFFERS = (Stage.ATTN_SCORES, Stage.ATTN_SOFTMAX)

    q: str
    heads: int
    kv_heads: int
    head_dim: int
    layer: int
    out: str
    window: int | None = None

    def width(self, wide: Mapping[str, int]) -> int:
        """Return the features of all heads."""
        return self.heads * self.head_dim


@dataclass(frozen=True, slots=True)
class Gate(Operation):
    """out = activation(gate) * up; what opens the gate can be observed."""

    READS = ("gate", "up")
    WRITES = ("out",)
    OFFERS = (Stage.FFN_SILU,)
    ACTIVATION: ClassVar[Activation]

    gate: str
    up: str
    layer: int
    out: str

    def width(self, wide: Mapping[str, int]) -> int:
        """Return the features of the gate."""
        return wide[self.gate]


@dataclass(frozen=True, slots=True)
class SwiGlu(Gate):
    """out = silu(gate) * up."""

    ACTIVATION = "silu"


@dataclass(frozen=True, slots=True)
class GeGlu(Gate):
    """out = gelu(gate) * up, in the tanh form."""

    ACTIVATION = "gelu"


@dataclass(frozen=True, slots=True)
class Add(Operation):
    """x = x + y, in place."""

    READS = ("x", "y")
    WRITES = ("x",)

    x: str
    y: str


@dataclass(frozen=True, slots=True)
class LastRow(Operation):
    """Keep the last token of x unless every position was asked for."""

    x: str


@dataclass(frozen=True, slots=True)
class Observe(Operation):
    """Offer buffers, side by side, to whoever watches the stage; computes nothing."""

    stage: Stage
    layer: int | None
    buffers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Program:
    """A whole forward pass: token ids in, the buffer ``output`` [rows, vocab] out."""

    ops: tuple[Operation, ...]
    output: str

    def parameters(self) -> Iterator[Parameter]:
        """Yield every distinct parameter, in the order of first use."""
        seen: set[str] = set()
        for op in self.ops:
            for p in op.parameters:
                if p.name not in seen:
                    seen.add(p.name)
                    yield p
