from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from inference import Model
from inference.backends.cpu import operations as cpu
from inference.errors import InputError
from inference.formats import open_model
from inference.formats.overlay import Overlay, tensor_values
from inference.model.stages import ALIASES, Stage, parse_stage, parse_stages
from inference.trace.bisection import bisect
from inference.trace.capture import Recorder
from inference.trace.diff import diff_stages
from inference.trace.plan import TracePlan
from inference.trace.save import save_stages

Compared = Callable[..., object]
Load = Callable[[Path, str], Model]
Array = NDArray[Any]

PROMPT = "What is 2+2?"
NUMERICS = ("f32", "fused")
NEW = (Stage.ATTN_SCORES, Stage.ATTN_SOFTMAX)
CHAIN = (
    Stage.ATTN_NORM,
    Stage.QKV_MATMUL,
    Stage.QKV_BIAS,
    Stage.Q_POST_ROPE,
    Stage.K_POST_ROPE,
    Stage.ATTN_SCORES,
    Stage.ATTN_SOFTMAX,
    Stage.ATTENTION,
    Stage.ATTN_OUT,
)
OTHERS = [
    "embedding",
    "attn_norm",
    "qkv_matmul",
    "qkv_bias",
    "q_post_rope",
    "k_post_rope",
    "attention",
    "attn_out",
    "post_attn_residual",
    "ffn_norm",
    "ffn_gate",
    "ffn_up",
    "ffn_silu",
    "ffn_swigl",
    "ffn_out",
    "post_ffn_residual",
    "final_norm",
    "lm_head",
]


def traced(model: Model, stages: tuple[Stage, ...]) -> dict[tuple[Stage, int | None], Array]:
    """Return the values of stages of layer 0 (and of the whole model) for the prompt."""
    plan = TracePlan(stages, range(1))
    return model.trace(model.tokenizer.encode(PROMPT), plan).values


def two_stages_were_added(compared: Compared) -> None:
    """Besides the 18 older stages there are exactly the two, and each name is its own."""
    names = [stage.value for stage in Stage]
    assert sorted(set(names) - set(OTHERS)) == sorted(stage.value for stage in NEW)
    assert [name for name in names if name in OTHERS] == OTHERS
    assert len(names) == len(set(names)) == 20
    for stage in Stage:
        assert parse_stage(stage.value) is stage
    compared(len(names), what="stages")


def parser_knows_both(compared: Compared) -> None:
    """The two names are understood in any case, alone and in a list."""
    for text in ("attn_scores,attn_softmax", " ATTN_Scores , Attn_SOFTMAX "):
        assert parse_stages(text) == NEW
    with pytest.raises(InputError, match="attn_scores"):
        parse_stages("attn_score")
    compared(3, what="spellings")


def order_is_the_computation(compared: Compared) -> None:
    """The names stand in the order in which a forward pass emits them."""
    order = list(Stage)
    between = order[order.index(Stage.QKV_BIAS) : order.index(Stage.ATTN_OUT) + 1]
    assert between == [
        Stage.QKV_BIAS,
        Stage.Q_POST_ROPE,
        Stage.K_POST_ROPE,
        Stage.ATTN_SCORES,
        Stage.ATTN_SOFTMAX,
        Stage.ATTENTION,
        Stage.ATTN_OUT,
    ]
    compared(len(between), what="stages")


def no_name_collides(compared: Compared) -> None:
    """Names, aliases and enumeration members are pairwise different."""
    spellings = [*(stage.value for stage in Stage), *ALIASES]
    assert len(spellings) == len(set(spellings))
    assert len(Stage.__members__) == len(Stage)
    compared(len(spellings), what="names")


def forward_emits_both(gguf_path: Path, load_cached: Load, compared: Compared) -> None:
    """Scores are q·k/√d and the weights their causal softmax, [heads, n, n], in order."""
    for numerics in NUMERICS:
        model = load_cached(gguf_path, numerics)
        compared(check_emission(model), what=f"elements, {numerics}")


def check_emission(model: Model) -> int:
    """Check what one numeric path emits; return the number of elements."""
    c = model.config
    values = traced(model, CHAIN)
    assert list(values) == [(stage, 0) for stage in CHAIN]
    n = len(model.tokenizer.encode(PROMPT))
    q = values[Stage.Q_POST_ROPE, 0].astype(np.float64).reshape(n, c.heads, c.head_dim)
    k = values[Stage.K_POST_ROPE, 0].astype(np.float64).reshape(n, c.kv_heads, c.head_dim)
    k = np.repeat(k, c.heads // c.kv_heads, axis=1)
    expected = np.einsum("thd,shd->hts", q, k) / math.sqrt(c.head_dim)
    scores, weights = (values[stage, 0] for stage in NEW)
    assert scores.shape == weights.shape == (c.heads, n, n)
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    np.testing.assert_allclose(weights, causal_softmax(scores), rtol=0, atol=1e-6)
    assert np.all(weights[:, np.triu(np.ones((n, n), bool), 1)] == 0.0)
    return int(scores.size + weights.size)


def causal_softmax(scores: Array) -> Array:
    """The definition in float64: softmax over the keys up to the query's own."""
    n = scores.shape[-1]
    masked = np.where(np.tri(n, dtype=bool), scores.astype(np.float64), -np.inf)
    exponentials = np.exp(masked - masked.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def diff_reads_the_new_files(
    gguf_path: Path, load_cached: Load, tmp_path: Path, compared: Compared
) -> None:
    """The files of both stages are compared like any other; cosines lie in [−1, 1]."""
    model = load_cached(gguf_path, "fused")
    ids = model.tokenizer.encode(PROMPT)
    plan = TracePlan(NEW, range(1))
    first = save_stages(model.trace(ids, plan), tmp_path / "a")
    other = save_stages(model.trace(ids[::-1], plan), tmp_path / "b")
    for a, b in zip(first, other, strict=True):
        assert diff_stages(a, a).values.cosine_sim == pytest.approx(1.0, abs=1e-12)
        diff = diff_stages(a, b).values
        assert -1.0 <= diff.cosine_sim <= 1.0
        assert diff.max_abs_diff > 0.0
        assert diff.elements == model.config.heads * len(ids) ** 2
        compared(diff.elements, what="elements")


def other_captures_are_untouched(gguf_path: Path, load_cached: Load, compared: Compared) -> None:
    """Asking for the two new stages changes no bit of the other 18."""
    others = tuple(stage for stage in Stage if stage not in NEW)
    for numerics in NUMERICS:
        model = load_cached(gguf_path, numerics)
        without, with_new = traced(model, others), traced(model, tuple(Stage))
        assert without.keys() == with_new.keys() - {(stage, 0) for stage in NEW}
        for key, value in without.items():
            assert value.tobytes() == with_new[key].tobytes(), f"{numerics}: {key}"
            compared(value.size, what=f"elements, {numerics}")


def capture_is_additive(gguf_path: Path, load_cached: Load, compared: Compared) -> None:
    """Greedy decoding chooses the same tokens, logits bit for bit, watched or not."""
    for numerics in NUMERICS:
        tokens = check_greedy(load_cached(gguf_path, numerics))
        compared(tokens, what=f"tokens, {numerics}")


def check_greedy(model: Model) -> int:
    """Decode with and without a capture; return the number of tokens."""
    plan = TracePlan(tuple(Stage))
    unseen, seen = model.session(), model.session()
    ids = model.tokenizer.encode(PROMPT)
    tokens = 0
    for _ in range(8):
        plain = unseen.advance(ids)
        watched = seen.advance(ids, capture=Recorder(plan))
        assert plain.tobytes() == watched.tobytes(), f"token {tokens}"
        ids = [int(np.argmax(plain[-1]))]
        tokens += 1
    return tokens


FAULTS = {stage.value: stage for stage in CHAIN}


def bisection_names_the_fault(
    fault: str, gguf_path: Path, monkeypatch: pytest.MonkeyPatch, compared: Compared
) -> None:
    """A fault planted at one stage is found between that stage and the one before it."""
    file = open_model(gguf_path)
    oracle = layer_zero(file)
    with Model(file, numerics="f32", f32_cache_bytes=0) as healthy:
        assert bisect(traced(healthy, (Stage.EMBEDDING, *CHAIN)), oracle) is None
    plant(fault, monkeypatch)
    file = open_model(gguf_path)
    with Model(planted_file(fault, file), numerics="f32", f32_cache_bytes=0) as ill:
        values = traced(ill, (Stage.EMBEDDING, *CHAIN))
    found = bisect(values, oracle)
    place = CHAIN.index(FAULTS[fault])
    before = (CHAIN[place - 1] if place else Stage.EMBEDDING, 0)
    assert found is not None
    assert (found.before, found.after) == (before, (CHAIN[place], 0))
    assert found.agreement_before >= 0.999 > found.agreement_after
    compared(sum(value.size for value in values.values()), what="elements")


def planted_file(fault: str, file: Any) -> Any:
    """Overlay the tensor whose value first shows at the stage; other faults are in the code."""
    tensor = {"attn_norm": "attn_norm.weight", "qkv_matmul": "attn_v.weight",
              "qkv_bias": "attn_q.bias", "attn_out": "attn_output.weight"}.get(fault)  # fmt: skip
    if tensor is None:
        return file
    name = f"blk.0.{tensor}"
    wrong = -tensor_values(file, name)
    return Overlay(file, {name: wrong})


def plant(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a defect into the operation that computes a stage."""
    rotate, scores, softmax, mix = cpu.rope_rotate, cpu.gqa_scores, cpu.gqa_softmax, cpu.gqa_mix
    calls = 0

    def half_wrong_rotation(x: Array, cos: Array, sin: Array, neox: bool) -> Array:
        # Each layer rotates q first, then k.
        nonlocal calls
        calls += 1
        adjacent = (calls % 2 == 1) == (fault == "q_post_rope")
        return rotate(x, cos, sin, neox and not adjacent)

    defects: dict[str, tuple[str, Any]] = {
        "q_post_rope": ("rope_rotate", half_wrong_rotation),
        "k_post_rope": ("rope_rotate", half_wrong_rotation),
        "attn_scores": ("gqa_scores", lambda q, k: scores(q, k) / np.float32(q.shape[2] ** 0.5)),
        "attn_softmax": ("gqa_softmax", lambda s, *_: softmax(s, None)),
        "attention": ("gqa_mix", lambda w, v: mix(w, np.ascontiguousarray(v[:, ::-1]))),
    }
    if fault in defects:
        name, function = defects[fault]
        monkeypatch.setattr(cpu, name, function)


def layer_zero(file: Any) -> dict[tuple[Stage, int | None], Array]:
    """Layer 0's attention in float64, from the equations and the file's tensors alone."""
    from inference.formats.config import model_config
    from inference.formats.tokenizer import tokenizer_spec
    from inference.text.tokenizer import Tokenizer

    c = model_config(file)
    ids = Tokenizer.from_spec(tokenizer_spec(file)).encode(PROMPT)
    n, half = len(ids), c.head_dim // 2

    def tensor(name: str) -> Array:
        return tensor_values(file, f"blk.0.{name}").astype(np.float64)

    x = tensor_values(file, "token_embd.weight")[ids].astype(np.float64)
    norm = x / np.sqrt((x**2).mean(axis=1, keepdims=True) + c.rms_norm_eps)
    norm *= tensor("attn_norm.weight")
    parts = {p: norm @ tensor(f"attn_{p}.weight").T for p in "qkv"}
    biased = {p: parts[p] + tensor(f"attn_{p}.bias") for p in "qkv"}

    def rope(y: Array, heads: int) -> Array:
        z = y.reshape(n, heads, c.head_dim)
        theta = c.rope_theta ** (-np.arange(half) / half)
        angle = (np.arange(n)[:, None] * theta)[:, None, :]
        a, b = z[..., :half], z[..., half:]
        rotated = [a * np.cos(angle) - b * np.sin(angle), a * np.sin(angle) + b * np.cos(angle)]
        return np.concatenate(rotated, axis=-1)

    q, k = rope(biased["q"], c.heads), rope(biased["k"], c.kv_heads)
    group = c.heads // c.kv_heads
    keys = np.repeat(k, group, axis=1)
    values = np.repeat(biased["v"].reshape(n, c.kv_heads, c.head_dim), group, axis=1)
    scores = np.einsum("thd,shd->hts", q, keys) / math.sqrt(c.head_dim)
    weights = causal_softmax(scores)
    mixed = np.einsum("hts,shd->thd", weights, values).reshape(n, -1)
    return {
        (Stage.EMBEDDING, 0): x,
        (Stage.ATTN_NORM, 0): norm,
        (Stage.QKV_MATMUL, 0): np.concatenate([parts[p] for p in "qkv"], axis=1),
        (Stage.QKV_BIAS, 0): np.concatenate([biased[p] for p in "qkv"], axis=1),
        (Stage.Q_POST_ROPE, 0): q.reshape(n, -1),
        (Stage.K_POST_ROPE, 0): k.reshape(n, -1),
        (Stage.ATTN_SCORES, 0): scores,
        (Stage.ATTN_SOFTMAX, 0): weights,
        (Stage.ATTENTION, 0): mixed,
        (Stage.ATTN_OUT, 0): mixed @ tensor("attn_output.weight").T,
    }
