"""Small models, written by the libraries that own the formats, and those of the golden set."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from gguf import GGUFValueType, GGUFWriter
from numpy.typing import NDArray
from safetensors.numpy import save_file

import inference
from inference import Model
from inference.errors import EngineError
from inference.formats import open_model
from inference.formats.config import model_config
from inference.formats.tokenizer import tokenizer_spec
from inference.hub import cached
from inference.model.architectures import ARCHITECTURES
from inference.quant.types import GGMLType, row_bytes

LAYERS, HIDDEN, HEADS, KV_HEADS, WIDE, VOCAB = 2, 64, 4, 2, 96, 40
TOKENS = ["<|end|>", "<|begin|>", "a", "b", "ab", "Ġ", "é", "日本"] + [f"t{i}" for i in range(32)]


def shapes() -> dict[str, tuple[int, ...]]:
    key = HIDDEN // HEADS * KV_HEADS
    layer = {
        "attn_norm.weight": (HIDDEN,),
        "attn_q.weight": (HIDDEN, HIDDEN),
        "attn_q.bias": (HIDDEN,),
        "attn_k.weight": (key, HIDDEN),
        "attn_k.bias": (key,),
        "attn_v.weight": (key, HIDDEN),
        "attn_v.bias": (key,),
        "attn_output.weight": (HIDDEN, HIDDEN),
        "ffn_norm.weight": (HIDDEN,),
        "ffn_gate.weight": (WIDE, HIDDEN),
        "ffn_up.weight": (WIDE, HIDDEN),
        "ffn_down.weight": (HIDDEN, WIDE),
    }
    return {
        "token_embd.weight": (VOCAB, HIDDEN),
        **{f"blk.{n}.{name}": shape for n in range(LAYERS) for name, shape in layer.items()},
        "output_norm.weight": (HIDDEN,),
        "output.weight": (VOCAB, HIDDEN),
    }


def metadata() -> dict[str, tuple[Any, GGUFValueType, GGUFValueType | None]]:
    kind = GGUFValueType
    return {
        "general.name": ("tiny", kind.STRING, None),
        "qwen2.block_count": (LAYERS, kind.UINT32, None),
        "qwen2.context_length": (128, kind.UINT32, None),
        "qwen2.embedding_length": (HIDDEN, kind.UINT32, None),
        "qwen2.feed_forward_length": (WIDE, kind.UINT32, None),
        "qwen2.attention.head_count": (HEADS, kind.UINT32, None),
        "qwen2.attention.head_count_kv": (KV_HEADS, kind.UINT32, None),
        "qwen2.rope.freq_base": (1e6, kind.FLOAT32, None),
        "qwen2.attention.layer_norm_rms_epsilon": (1e-6, kind.FLOAT32, None),
        "tokenizer.ggml.model": ("gpt2", kind.STRING, None),
        "tokenizer.ggml.pre": ("qwen2", kind.STRING, None),
        "tokenizer.ggml.tokens": (TOKENS, kind.ARRAY, kind.STRING),
        "tokenizer.ggml.token_type": ([3, 3] + [1] * (VOCAB - 2), kind.ARRAY, kind.INT32),
        "tokenizer.ggml.merges": (["a b"], kind.ARRAY, kind.STRING),
        "tokenizer.ggml.eos_token_id": (0, kind.UINT32, None),
        "tokenizer.ggml.add_bos_token": (False, kind.BOOL, None),
        "tokenizer.chat_template": ("{{ messages }}", kind.STRING, None),
        "extra.nan": (float("nan"), kind.FLOAT32, None),
        "extra.floats": ([1.5, float("-inf"), 0.1], kind.ARRAY, kind.FLOAT32),
        "extra.big": (2**64 - 1, kind.UINT64, None),
    }


def _type_of(name: str, shape: tuple[int, ...]) -> GGMLType:
    if len(shape) == 1:
        return GGMLType.F32
    if name == "output.weight":
        return GGMLType.Q8_0
    return GGMLType.F16 if "ffn_down" in name else GGMLType.Q5_0


def build_gguf(
    path: Path,
    *,
    changed: dict[str, tuple[Any, GGUFValueType, GGUFValueType | None] | None] | None = None,
    tensors: dict[str, tuple[int, ...] | None] | None = None,
    architecture: str = "qwen2",
    seed: int = 0,
) -> Path:
    """Write a GGUF file; ``changed`` and ``tensors`` override entries, ``None`` drops them."""
    random_bytes = np.random.default_rng(seed)
    writer = GGUFWriter(path, architecture)
    for key, entry in (metadata() | (changed or {})).items():
        if entry is not None:
            value, kind, element = entry
            writer.add_key_value(key, value, kind, element)
    for name, shape in (shapes() | (tensors or {})).items():
        if shape is not None:
            dtype = _type_of(name, shape)
            size = (*shape[:-1], row_bytes(dtype, shape[-1]))
            data = random_bytes.integers(0, 256, size, dtype=np.uint8)
            writer.add_tensor(name, data, raw_dtype=dtype)
    with closing(writer):
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    return path


HF_CONFIG: dict[str, Any] = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "num_hidden_layers": LAYERS,
    "hidden_size": HIDDEN,
    "num_attention_heads": HEADS,
    "num_key_value_heads": KV_HEADS,
    "intermediate_size": WIDE,
    "vocab_size": VOCAB,
    "max_position_embeddings": 128,
    "rope_theta": 1e6,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
    "eos_token_id": 0,
}
QWEN_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


BYTE_LEVEL = {
    "type": "ByteLevel",
    "add_prefix_space": False,
    "trim_offsets": True,
    "use_regex": True,
}


def hf_tokenizer() -> dict[str, Any]:
    return {
        "added_tokens": [
            {"id": i, "content": TOKENS[i], "special": True}
            | dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
            for i in (0, 1)
        ],
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {
                    "type": "Split",
                    "pattern": {"Regex": QWEN_PATTERN},
                    "behavior": "Isolated",
                    "invert": False,
                },
                BYTE_LEVEL | {"use_regex": False},
            ],
        },
        "post_processor": BYTE_LEVEL,
        "model": {
            "type": "BPE",
            "vocab": {token: number for number, token in enumerate(TOKENS[:36])},
            "merges": [["a", "b"]],
        },
    }


def build_hf(
    path: Path,
    names: Callable[[str], str],
    *,
    shards: int = 1,
    changed: dict[str, Any] | None = None,
    tensors: dict[str, NDArray[Any] | None] | None = None,
) -> Path:
    """Write a Hugging Face directory with F32 and F16 tensors under the names ``names`` gives.

    ``changed`` overrides what config.json says, ``tensors`` overrides tensors by the names of the
    file; ``None`` drops one.
    """
    path.mkdir(parents=True)
    values = np.random.default_rng(1)
    arrays = {
        names(name): values.standard_normal(shape).astype(
            np.float32 if len(shape) == 1 else np.float16
        )
        for name, shape in shapes().items()
    }
    arrays |= tensors or {}
    arrays = {name: array for name, array in arrays.items() if array is not None}
    if shards == 1:
        save_file(arrays, path / "model.safetensors")
    else:
        weight_map = {name: f"part-{i % shards}.safetensors" for i, name in enumerate(arrays)}
        for shard in set(weight_map.values()):
            mine = {name: arrays[name] for name, at in weight_map.items() if at == shard}
            save_file(mine, path / shard)
        index = {"weight_map": weight_map}
        (path / "model.safetensors.index.json").write_text(json.dumps(index))
    (path / "config.json").write_text(json.dumps(HF_CONFIG | (changed or {})))
    (path / "tokenizer.json").write_text(json.dumps(hf_tokenizer()))
    (path / "tokenizer_config.json").write_text(
        json.dumps({"eos_token": TOKENS[0], "bos_token": None, "chat_template": "{{ messages }}"})
    )
    return path


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


@pytest.fixture
def make_gguf(tmp_path: Path) -> Callable[..., Path]:
    return lambda **changes: build_gguf(tmp_path / "made.gguf", **changes)


@pytest.fixture
def make_hf(tmp_path: Path) -> Callable[..., Path]:
    from inference.formats.names import to_hf

    return lambda **changes: build_hf(tmp_path / "hf", lambda name: to_hf(name, "qwen2"), **changes)


@pytest.fixture(scope="session")
def tiny_apr(tiny_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from inference.surgery.importing import import_model

    target = tmp_path_factory.mktemp("apr") / "tiny.apr"
    import_model(tiny_gguf, target)
    return target


@pytest.fixture(scope="session")
def mutations() -> Callable[..., Iterator[bytes]]:
    return _mutations


@pytest.fixture(scope="session")
def overwrite() -> Callable[[Path, bytes], None]:
    """Write a file anew: ext4 flushes one that is truncated and rewritten, which takes ages."""

    def write(path: Path, data: bytes) -> None:
        path.unlink(missing_ok=True)
        path.write_bytes(data)

    return write


@pytest.fixture(scope="session")
def survives() -> Callable[[Path], bool]:
    return _survives


def _mutations(data: bytes, count: int, seed: int, *, upto: int | None = None) -> Iterator[bytes]:
    """Yield damaged copies: flipped bits, planted extreme integers, cuts and doubled ranges."""
    choose = random.Random(seed)
    upto = min(upto or len(data), len(data))
    extremes = [0, 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1]
    for _ in range(count):
        broken = bytearray(data)
        for _ in range(choose.choice((1, 1, 1, 2, 8))):
            if not broken:
                break
            at = choose.randrange(min(upto, len(broken)))
            match choose.randrange(5):
                case 0:
                    broken[at : at + 1] = bytes([broken[at : at + 1][0] ^ 1 << choose.randrange(8)])
                case 1:
                    broken[at : at + 1] = bytes([choose.randrange(256)])
                case 2:
                    broken[at : at + 8] = struct.pack("<Q", choose.choice(extremes))
                case 3:
                    broken[at : at + 4] = struct.pack("<I", choose.randrange(2**32))
                case 4:
                    stop = at + choose.randrange(1, 64)
                    broken[at:stop] = b"" if choose.random() < 0.5 else broken[at:stop] * 2
        if choose.random() < 0.2:
            del broken[choose.randrange(len(broken) + 1) :]
        yield bytes(broken)


def _survives(path: Path) -> bool:
    """Open a damaged model and read all of it; True for a result, False for a typed error."""
    try:
        with open_model(path) as file:
            for name, info in file.tensors.items():
                assert file.raw(name).nbytes == info.nbytes
            tokenizer_spec(file)
            model_config(file)
    except EngineError:
        return False
    return True


GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="session")
def tiny_of() -> Iterator[Callable[[str], Model]]:
    """Return a function from an architecture to a small random model of it, loaded once."""
    with ExitStack() as stack:

        @cache
        def load(architecture: str) -> Model:
            path = GOLDEN / "tiny" / architecture
            return stack.enter_context(inference.load(path, numerics="f32"))

        yield load


@pytest.fixture(scope="session")
def tiny(tiny_of: Callable[[str], Model]) -> Model:
    return tiny_of("qwen2")


@pytest.fixture(scope="session", params=sorted(ARCHITECTURES))
def of_architecture(tiny_of: Callable[[str], Model], request: pytest.FixtureRequest) -> Model:
    return tiny_of(request.param)


class Golden(NamedTuple):
    """What was recorded of a model, and how far int8 activations may carry it from there.

    ``margin`` is the lead below which another first token is no error on the fused path.
    """

    model: str
    folder: str
    kl: float
    margin: float

    def text(self, name: str) -> str:
        return (GOLDEN / self.folder / name).read_text(encoding="utf-8")

    def json(self, name: str) -> object:
        return json.loads(self.text(name))

    def arrays(self, name: str) -> dict[str, NDArray[Any]]:
        with np.load(GOLDEN / self.folder / name) as held:
            return dict(held)


GOLDENS = (
    Golden("qwen2.5-coder-0.5b-instruct", "qwen05b", 0.02, 0.3),
    Golden("smollm2-135m-instruct", "smol135m", 0.06, 0.7),
    Golden("gemma-3-270m", "gemma270m", 0.08, 0.7),
)


@pytest.fixture(scope="session", params=GOLDENS, ids=lambda golden: golden.folder)
def pulled(request: pytest.FixtureRequest) -> tuple[Path, Golden]:
    """A model file that is here, and what was recorded of it.

    Of the session, so that pytest brings the tests of a model together, whichever module has them:
    another model in between would cost this one its float32 copies.
    """
    golden: Golden = request.param
    path = cached(golden.model)
    if path is None:
        pytest.skip(f"needs the real model; run: apr pull {golden.model}")
    return path, golden
