"""The stages of a forward pass that can be observed, in the order in which they are computed.

The values are wire names: they are file names and command-line words (``ffn_swigl`` included).
"""

from __future__ import annotations

from enum import StrEnum

from inference.errors import InputError


class Stage(StrEnum):
    """One observable intermediate value; iteration follows the computation.

    Shapes, with n tokens of which s are visible: hidden-sized stages are [n, hidden]; the two
    attention matrices are [heads, n, s]; ``lm_head`` is [1, vocab], the last position only.
    """

    EMBEDDING = "embedding"
    ATTN_NORM = "attn_norm"
    QKV_MATMUL = "qkv_matmul"
    QKV_BIAS = "qkv_bias"
    Q_POST_ROPE = "q_post_rope"
    K_POST_ROPE = "k_post_rope"
    ATTN_SCORES = "attn_scores"
    ATTN_SOFTMAX = "attn_softmax"
    ATTENTION = "attention"
    ATTN_OUT = "attn_out"
    POST_ATTN_RESIDUAL = "post_attn_residual"
    FFN_NORM = "ffn_norm"
    FFN_GATE = "ffn_gate"
    FFN_UP = "ffn_up"
    FFN_SILU = "ffn_silu"
    FFN_SWIGL = "ffn_swigl"
    FFN_OUT = "ffn_out"
    POST_FFN_RESIDUAL = "post_ffn_residual"
    FINAL_NORM = "final_norm"
    LM_HEAD = "lm_head"

    @property
    def whole_model(self) -> bool:
        """True for the stages after the last layer, which belong to no layer."""
        return self in (Stage.FINAL_NORM, Stage.LM_HEAD)

    @property
    def first_layer_only(self) -> bool:
        """True for the token embedding, which is filed under layer 0."""
        return self is Stage.EMBEDDING


ALIASES = {"layer_output": Stage.POST_FFN_RESIDUAL}


def parse_stage(text: str) -> Stage:
    """Return the stage called ``text``; case and surrounding space do not matter.

    Raises:
        InputError: no stage has that name; the message lists those that exist.
    """
    name = text.strip().lower()
    if name in ALIASES:
        return ALIASES[name]
    try:
        return Stage(name)
    except ValueError:
        known = ", ".join([*Stage, *ALIASES])
        raise InputError(f"unknown stage {text.strip()!r}; valid stages: {known}") from None


def parse_stages(text: str) -> tuple[Stage, ...]:
    """Return the stages of a comma-separated list; ``all`` means every one, empty text none.

    Duplicates are kept.

    Raises:
        InputError: an empty entry, or a name that is no stage.
    """
    if not text.strip():
        return ()
    if text.strip().lower() == "all":
        return tuple(Stage)
    names = text.split(",")
    if any(not name.strip() for name in names):
        raise InputError(f"empty stage name in {text!r}; write names separated by single commas")
    return tuple(parse_stage(name) for name in names)
