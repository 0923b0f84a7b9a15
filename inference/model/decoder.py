"""The forward pass of a decoder-only transformer, written once as a program of operations.

Notation: x the residual stream, n a normed copy of it; q, k, v, a of attention; g, u, f of the
feed-forward network.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from inference.errors import UnsupportedArchitectureError
from inference.model.architectures import ARCHITECTURES
from inference.model.config import Activation, ModelConfig, RopeType
from inference.model.ops import (
    Add,
    AddBias,
    Attend,
    Embed,
    Gate,
    GeGlu,
    LastRow,
    Linear,
    Observe,
    Operation,
    Parameter,
    Program,
    Remember,
    RmsNorm,
    Rope,
    Scale,
    SwiGlu,
)
from inference.model.stages import Stage

EMBEDDING_TABLE = "token_embd.weight"
GATES: Mapping[Activation, type[Gate]] = {gate.ACTIVATION: gate for gate in (SwiGlu, GeGlu)}


def attention(c: ModelConfig, layer: int) -> Iterator[Operation]:
    """Write into ``a`` what attention adds to ``x``: a = W_o · attend(rope(q), rope(k), v)."""
    head_rows = {"q": c.heads, "k": c.kv_heads, "v": c.kv_heads}
    width = {buffer: heads * c.head_dim for buffer, heads in head_rows.items()}

    def weight(part: str, *shape: int) -> Parameter:
        return Parameter(f"blk.{layer}.{part}", shape)

    def bias(part: str, buffer: str, size: int) -> Iterator[Operation]:
        return added_bias(c, layer, part, buffer, size)

    def observe(stage: Stage, *buffers: str) -> Observe:
        return Observe(stage, layer, buffers)

    yield norm(c, "x", f"blk.{layer}.attn_norm.weight", c.hidden, "n")
    yield observe(Stage.ATTN_NORM, "n")
    for buffer in "qkv":
        matrix = weight(f"attn_{buffer}.weight", width[buffer], c.hidden)
        yield Linear("n", matrix, buffer)
    yield observe(Stage.QKV_MATMUL, "q", "k", "v")
    for buffer in "qkv":
        yield from bias(f"attn_{buffer}", buffer, width[buffer])
    yield observe(Stage.QKV_BIAS, "q", "k", "v")
    if c.qk_norm:
        for buffer in "qk":
            yield norm(c, buffer, f"blk.{layer}.attn_{buffer}_norm.weight", c.head_dim, buffer)
    if c.query_scale != 1.0:
        yield Scale("q", c.query_scale)
    for buffer in "qk":
        yield rope(c, layer, buffer, head_rows[buffer])
    yield observe(Stage.Q_POST_ROPE, "q")
    yield observe(Stage.K_POST_ROPE, "k")
    yield Remember("k", "v", layer)
    sliding = c.window_of(layer)
    window = None if sliding is None else sliding.tokens
    yield Attend("q", c.heads, c.kv_heads, c.head_dim, layer, "a", window)
    yield observe(Stage.ATTENTION, "a")
    yield Linear("a", weight("attn_output.weight", c.hidden, width["q"]), "a")
    yield from bias("attn_output", "a", c.hidden)
    yield observe(Stage.ATTN_OUT, "a")
    if c.post_norms:
        yield norm(c, "a", f"blk.{layer}.post_attention_norm.weight", c.hidden, "a")


def added_bias(
    c: ModelConfig, layer: int, part: str, buffer: str, size: int
) -> Iterator[Operation]:
    """Add a linear layer's bias to its result, where the model has one."""
    if f"{part}.bias" in c.biases:
        yield AddBias(buffer, Parameter(f"blk.{layer}.{part}.bias", (size,)))


def norm(c: ModelConfig, x: str, name: str, size: int, out: str) -> RmsNorm:
    """Return the norm of every part of a buffer that is as long as the weight."""
    return RmsNorm(x, Parameter(name, (size,), c.norm_offset), c.rms_norm_eps, out)


def rope(c: ModelConfig, layer: int, buffer: str, heads: int) -> Rope:
    """Return the rotation of a buffer's heads by the token's position."""
    neox = c.rope_type is RopeType.NEOX
    sliding = c.window_of(layer)
    if sliding is not None:
        return Rope(buffer, heads, c.head_dim, sliding.rope_theta, neox)
    divisors = Parameter("rope_freqs.weight", (c.head_dim // 2,)) if c.rope_divisors else None
    return Rope(buffer, heads, c.head_dim, c.rope_theta, neox, c.rope_scaling, divisors)


def feed_forward(c: ModelConfig, layer: int) -> Iterator[Operation]:
    """Write into ``f`` what the network adds to ``x``: f = W_down · (act(W_gate n) * W_up n)."""

    def weight(part: str, *shape: int) -> Parameter:
        return Parameter(f"blk.{layer}.{part}", shape)

    yield norm(c, "x", f"blk.{layer}.ffn_norm.weight", c.hidden, "n")
    yield Observe(Stage.FFN_NORM, layer, ("n",))
    yield Linear("n", weight("ffn_gate.weight", c.intermediate, c.hidden), "g")
    yield from added_bias(c, layer, "ffn_gate", "g", c.intermediate)
    yield Observe(Stage.FFN_GATE, layer, ("g",))
    yield Linear("n", weight("ffn_up.weight", c.intermediate, c.hidden), "u")
    yield from added_bias(c, layer, "ffn_up", "u", c.intermediate)
    yield Observe(Stage.FFN_UP, layer, ("u",))
    yield GATES[c.activation]("g", "u", layer, "f")
    yield Observe(Stage.FFN_SWIGL, layer, ("f",))
    yield Linear("f", weight("ffn_down.weight", c.hidden, c.intermediate), "f")
    yield from added_bias(c, layer, "ffn_down", "f", c.hidden)
    yield Observe(Stage.FFN_OUT, layer, ("f",))
    if c.post_norms:
        yield norm(c, "f", f"blk.{layer}.post_ffw_norm.weight", c.hidden, "f")


def block(c: ModelConfig, layer: int) -> Iterator[Operation]:
    """x = x + attention(norm(x)); x = x + feed_forward(norm(x))."""
    yield from attention(c, layer)
    yield Add("x", "a")
    yield Observe(Stage.POST_ATTN_RESIDUAL, layer, ("x",))
    yield from feed_forward(c, layer)
    yield Add("x", "f")
    yield Observe(Stage.POST_FFN_RESIDUAL, layer, ("x",))


def pre_norm_decoder(c: ModelConfig) -> Program:
    """Return the program of the llama lineage: pre-norm, rotary, grouped-query, gated."""
    table = Parameter(EMBEDDING_TABLE, (c.vocab, c.hidden))
    head = table if c.tied_embeddings else Parameter("output.weight", (c.vocab, c.hidden))
    ops: list[Operation] = [Embed(table, "x")]
    if c.embedding_scale != 1.0:
        ops.append(Scale("x", c.embedding_scale))
    ops.append(Observe(Stage.EMBEDDING, 0, ("x",)))
    for layer in range(c.layers):
        ops += block(c, layer)
    ops += [
        norm(c, "x", "output_norm.weight", c.hidden, "x"),
        Observe(Stage.FINAL_NORM, None, ("x",)),
        LastRow("x"),
        Linear("x", head, "logits"),
        Observe(Stage.LM_HEAD, None, ("logits",)),
    ]
    return Program(tuple(ops), "logits")


def build_program(config: ModelConfig) -> Program:
    """Return the forward pass that ``config`` describes.

    Raises:
        UnsupportedArchitectureError: no program exists for ``config.architecture``.
    """
    if config.architecture not in ARCHITECTURES:
        raise UnsupportedArchitectureError(
            f"architecture {config.architecture!r} is not implemented; "
            f"implemented: {', '.join(sorted(ARCHITECTURES))}"
        )
    return pre_norm_decoder(config)
