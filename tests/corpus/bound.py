"""Small adapters: what the corpus's contracts name, called as this engine calls it.

They reshape arguments and pick parts of results; what is computed is computed by the engine.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

import inference
from inference.backends.cpu.cache import KVCache
from inference.backends.cpu.linear import LinearLayers
from inference.backends.cpu.operations import Operations
from inference.backends.weights import F32Budget, Weight
from inference.decode.transforms import apply_temperature, apply_top_k, apply_top_p
from inference.formats.base import TensorInfo
from inference.formats.validate import expected_shapes
from inference.kernels.attention.cpu import attention
from inference.kernels.geglu import cpu as geglu
from inference.kernels.gqa.cpu import gqa, gqa_scores, gqa_softmax
from inference.kernels.matmul.cpu import matmul
from inference.kernels.rope.cpu import rope, rope_frequencies
from inference.kernels.rope.scaling import interpolated
from inference.kernels.silu import cpu as silu_kernel
from inference.kernels.softmax.cpu import softmax
from inference.kernels.swiglu.cpu import swiglu
from inference.model.config import ModelConfig
from inference.model.ops import AddBias, Parameter
from inference.quant import dequantize, quantize
from inference.quant.types import GGMLType

Array = NDArray[np.float32]


# activations: numbers in, numbers out


def gelu(x: float) -> float:
    return float(geglu.gelu(np.array([x], np.float32))[0])


def silu(x: float) -> float:
    return float(silu_kernel.silu(np.array([x], np.float32))[0])


def softmax_of(x: Array) -> Array:
    return softmax(x.astype(np.float32))


# attention: [tokens, d] in, one head


def scores(q: Array, k: Array) -> Array:
    return gqa_scores(q[:, None], k[:, None])[0]


def attention_weights(q: Array, k: Array) -> Array:
    return gqa_softmax(gqa_scores(q[:, None], k[:, None]))[0]


def gqa_head(q: Array, k: Array, v: Array) -> Array:
    """One query head over one key/value head."""
    return gqa(q[:, None], k[:, None], v[:, None])[:, 0]


def gqa_of_equal_heads(q: Array, k: Array, v: Array) -> Array:
    """As many key/value heads as query heads; all [tokens, heads, d]."""
    return gqa(q, k, v)


def mha(q: Array, k: Array, v: Array) -> Array:
    """Multi-head attention: the attention kernel, head by head."""
    heads = [
        attention(*(np.ascontiguousarray(part[:, head]) for part in (q, k, v)))
        for head in range(q.shape[1])
    ]
    return np.stack(heads, axis=1)


def window_mask(n: int, window: int) -> NDArray[np.int64]:
    """Which keys a query sees: where the weights of equal scores are not zero."""
    weights = gqa_softmax(np.zeros((1, n, n), np.float32), start=0, window=window)
    return (weights[0] > 0).astype(np.int64)


# linear layers


def linear(x: Array, w: Array) -> Array:
    """x Wᵀ as a model computes it from a float32 tensor."""
    info = TensorInfo("w", "w", w.shape, GGMLType.F32, 0, w.nbytes)
    raw = np.ascontiguousarray(w).view(np.uint8).reshape(-1)
    return LinearLayers({"w": Weight(info, raw, F32Budget(1 << 20))}, "f32")(x, "w")


def product(a: Array, b: Array) -> Array:
    return matmul(a.astype(np.float32), b.astype(np.float32))


def bias_add(x: Array, bias: Array) -> Array:
    run = SimpleNamespace(buffers={"x": x})
    operations = cast(Operations, SimpleNamespace(_vectors={"b": bias}))
    op = AddBias(x="x", bias=Parameter("b", bias.shape))
    Operations.add_bias(operations, op, cast(Any, run))
    return cast(Array, run.buffers["x"])


def linear_with_bias(x: Array, w: Array, b: Array) -> Array:
    return bias_add(linear(x, w), b)


def feed_forward(x: Array) -> Array:
    """A feed-forward half-layer with fixed weights: down(swiglu(gate x, up x))."""
    rng = np.random.default_rng(5)
    wide, hidden = 2 * x.shape[-1], x.shape[-1]
    gate, up = (rng.standard_normal((wide, hidden)).astype(np.float32) for _ in range(2))
    down = rng.standard_normal((hidden, wide)).astype(np.float32)
    return linear(swiglu(linear(x, gate), linear(x, up)), down)


# float16


def f16_to_f32(h: float) -> float:
    raw = np.array([h], np.float16).view(np.uint8)
    return float(dequantize(raw, GGMLType.F16, (1,))[0])


def f32_to_f16(x: float) -> float:
    packed = quantize(np.array([x], np.float32).reshape(1, 1), GGMLType.F16)
    return float(packed.reshape(-1).view(np.float16)[0])


# sampling: probabilities in, probabilities out


def _logits(p: Array) -> Array:
    with np.errstate(divide="ignore"):
        return np.log(p)


def top_k(p: Array, k: int) -> Array:
    return softmax(apply_top_k(_logits(p), k))


def top_p(p: Array, threshold: float) -> Array:
    """What is kept of p, not scaled up again."""
    return np.where(np.isfinite(apply_top_p(_logits(p), threshold)), p, np.float32(0))


def probabilities(logits: Array) -> Array:
    return softmax(apply_temperature(logits.astype(np.float32), 1.0))


# positions


def frequencies(d: int, theta: float) -> NDArray[np.float64]:
    return rope_frequencies(d, theta)


def interpolated_frequencies(d: int, theta: float, scale: float) -> NDArray[np.float64]:
    return interpolated(rope_frequencies(d, theta), scale)


def rotation(pos: int, i: int, d: int, theta: float) -> Array:
    """The 2×2 block by which the kernel turns the pair (2i, 2i + 1) at a position."""
    columns = []
    for axis in (2 * i, 2 * i + 1):
        x = np.zeros((1, 1, d), np.float32)
        x[0, 0, axis] = 1
        columns.append(rope(x, [pos], theta, neox=False)[0, 0, 2 * i : 2 * i + 2])
    return np.stack(columns, axis=1)


# sizes


def kv_bytes(tokens: int, layers: int, kv_heads: int, head_dim: int) -> int:
    """Bytes that a cache holds of a number of tokens."""
    cache = KVCache(layers, kv_heads, head_dim, capacity=tokens, initial=tokens)
    cache.reserve(tokens)
    for layer in range(layers):
        block = np.zeros((tokens, kv_heads * head_dim), np.float32)
        cache.append(layer, block, block)
    cache.commit(tokens)
    return sum(part.nbytes for part in cache.snapshot())


@cache
def _tiny() -> inference.Model:
    return inference.load(Path(inference.__file__).parent / "data" / "tiny-qwen2.gguf")


def config(name: str) -> int | float:
    return cast("int | float", getattr(_tiny().config, name))


def tiny_hidden() -> int:
    return int(config("hidden"))


def tiny_layers() -> int:
    return int(config("layers"))


def tiny_heads() -> int:
    return int(config("heads"))


def tiny_kv_heads() -> int:
    return int(config("kv_heads"))


def tiny_head_dim() -> int:
    return int(config("head_dim"))


def tiny_intermediate() -> int:
    return int(config("intermediate"))


def tiny_vocab() -> int:
    return int(config("vocab"))


def tiny_context() -> int:
    return int(config("context_length"))


def logits(tokens: NDArray[np.int64]) -> Array:
    return _tiny().forward([int(token) for token in tokens])


# the shapes of one published model, as the engine derives them


QWEN2_7B = ModelConfig(
    architecture="qwen2", layers=28, hidden=3584, heads=28, kv_heads=4, head_dim=128,
    intermediate=18944, vocab=152064, context_length=32768, rope_theta=1_000_000.0,
    rope_type="neox", rms_norm_eps=1e-6, tied_embeddings=False,
    biases=("attn_q.bias", "attn_k.bias", "attn_v.bias"),
)  # fmt: skip
"""Source: config.json of Qwen/Qwen2.5-7B-Instruct."""


def _expected(name: str, config: ModelConfig = QWEN2_7B) -> NDArray[np.int64]:
    """The shape that the loader would demand of a tensor."""
    return np.array(dict(expected_shapes(config))[name])


def qwen2_q_proj() -> NDArray[np.int64]:
    return _expected("blk.0.attn_q.weight")


def qwen2_k_proj() -> NDArray[np.int64]:
    return _expected("blk.0.attn_k.weight")


def qwen2_o_proj() -> NDArray[np.int64]:
    return _expected("blk.0.attn_output.weight")


def qwen2_gate_proj() -> NDArray[np.int64]:
    return _expected("blk.0.ffn_gate.weight")


def qwen2_up_proj() -> NDArray[np.int64]:
    return _expected("blk.0.ffn_up.weight")


def qwen2_head_dim() -> int:
    return QWEN2_7B.head_dim


def qwen2_frequencies() -> NDArray[np.float64]:
    return rope_frequencies(QWEN2_7B.head_dim, QWEN2_7B.rope_theta)


def tiny_q_proj() -> NDArray[np.int64]:
    return _expected("blk.0.attn_q.weight", _tiny().config)


def tiny_k_proj() -> NDArray[np.int64]:
    return _expected("blk.0.attn_k.weight", _tiny().config)


def tiny_v_proj() -> NDArray[np.int64]:
    return _expected("blk.0.attn_v.weight", _tiny().config)
