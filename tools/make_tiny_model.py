"""Make ``inference/data/tiny-qwen2.gguf``: a seeded random Qwen2 model of 2 MB.

Run it by hand after a change here; the result is committed and a test compares its digest.
The same bytes come out everywhere: weights are sums of random integers (no library's normal
distribution, no matrix decomposition).

The weights are random, but not shapeless, so that tests can tell right from wrong:
- biased queries and keys, scaled up, make attention far from uniform and dependent on position;
- values and outputs copy what attention picked, so that the next token depends on it;
- the output row of a token points at the embedding of its predecessor in a fixed permutation, so
  that the best logit stands out from the noise of either numeric path.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from gguf import GGUFWriter, LlamaFileType, TokenType
from numpy.typing import NDArray
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

from inference.data import TINY_MODEL
from inference.quant import GGMLType, quantize

Floats = NDArray[np.float32]

SEED = 20240607
LAYERS, HIDDEN, HEADS, KV_HEADS, HEAD_DIM, INTERMEDIATE = 4, 256, 4, 2, 64, 768
VOCAB, CONTEXT, ROPE_BASE, EPS = 512, 2048, 1e6, 1e-6
KV = KV_HEADS * HEAD_DIM

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")

# Source: the pattern that llama.cpp names "qwen2".
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

TEXT = """\
A contract states what a function promises, and a test tries to break the promise. What is claimed
but never run is only a hope: the weights may be read in the wrong order, a scale may lose its high
bits, a bias may be left out, and still the model talks. It talks fluently, and it is wrong.

What is 2+2? What is the capital of France? Write a function that returns the sum of a list of
numbers. The user asks, the assistant answers. You are a helpful assistant. Hello, world! How are
you today? I'm fine, thanks; we've seen that they're here, and it's what you'd expect.

Every block of weights has a scale, and every token has a place. Attention looks back at the tokens
before this one, weighs them, and mixes their values. The rotary embedding turns queries and keys
by an angle that grows with the position. The network then gates, multiplies and projects, layer
after layer, until the last one gives a number for each word of the vocabulary.

def add(a, b):
    return a + b

def mean(values: list[float]) -> float:
    if not values:
        raise ValueError("no values")
    total = 0.0
    for value in values:
        total += value
    return total / len(values)

class Counter:
    def __init__(self, start=0):
        self.count = start

    def next(self):
        self.count = self.count + 1
        return self.count

for i in range(10):
    print(i, i * i, f"{i / 3:.2f}")

import numpy as np
x = np.zeros((2, 3)); y = x.T @ x; assert y.shape == (3, 3)

{"name": "tiny", "layers": 4, "hidden": 256, "vocab": 512, "values": [1, 2, 3, 4, 5, 6, 7, 8, 9]}
"""


class Vocabulary(NamedTuple):
    """Tokens in id order, and merges in rank order."""

    tokens: list[str]
    merges: list[str]


def train_vocabulary() -> Vocabulary:
    """Train byte-level BPE on the text above; the special tokens take the last ids, as in Qwen2."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB - len(SPECIAL), initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([TEXT], trainer)
    trained = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(trained["vocab"], key=trained["vocab"].__getitem__)
    merges = [" ".join(pair) for pair in trained["merges"]]
    return Vocabulary([*tokens, *SPECIAL], merges)


def random(rng: np.random.Generator, *shape: int, std: float) -> Floats:
    """Draw numbers of the given deviation: sums of four uniform integers, nearly normal."""
    total = rng.integers(-(2**15), 2**15, size=(4, *shape)).sum(axis=0)
    return (total * (std / (2 * 2**16 / 12**0.5))).astype(np.float32)


def hadamard(size: int) -> Floats:
    """Return the orthogonal matrix of ±1/√size by Sylvester's construction."""
    matrix = np.ones((1, 1), dtype=np.float32)
    while len(matrix) < size:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return (matrix / np.float32(size**0.5)).astype(np.float32)


def make_weights(rng: np.random.Generator) -> Iterator[tuple[str, Floats, GGMLType]]:
    """Yield name, values (rows first) and stored type of every tensor."""
    f32, q4, q6 = GGMLType.F32, GGMLType.Q4_K, GGMLType.Q6_K
    embedding = random(rng, VOCAB, HIDDEN, std=0.25)
    follower = rng.permutation(VOCAB)
    output = np.empty_like(embedding)
    output[follower] = embedding * np.float32(0.42)
    yield "output.weight", output, q6
    yield "token_embd.weight", embedding, q6
    for layer in range(LAYERS):
        name = f"blk.{layer}"
        more_bits = q6 if layer % 2 == 0 else q4
        basis = hadamard(HIDDEN)[rng.permutation(HIDDEN)] * rng.choice([-1, 1], HIDDEN)
        values = basis[:KV].astype(np.float32)
        # Heads 0 and 1 read key-value head 0, heads 2 and 3 read head 1.
        back = values.reshape(KV_HEADS, 1, HEAD_DIM, HIDDEN).repeat(HEADS // KV_HEADS, axis=1)
        copy = back.reshape(HEADS * HEAD_DIM, HIDDEN).T * np.float32(0.25)
        yield f"{name}.attn_norm.weight", 1 + random(rng, HIDDEN, std=0.1), f32
        yield f"{name}.attn_q.weight", random(rng, HIDDEN, HIDDEN, std=1.6 / 16), q4
        yield f"{name}.attn_q.bias", random(rng, HIDDEN, std=0.7), f32
        yield f"{name}.attn_k.weight", random(rng, KV, HIDDEN, std=1.6 / 16), q4
        yield f"{name}.attn_k.bias", random(rng, KV, std=0.7), f32
        yield f"{name}.attn_v.weight", values + random(rng, KV, HIDDEN, std=0.01), more_bits
        yield f"{name}.attn_v.bias", random(rng, KV, std=0.1), f32
        mixed = copy + random(rng, HIDDEN, HIDDEN, std=0.005)
        yield f"{name}.attn_output.weight", mixed, q4
        yield f"{name}.ffn_norm.weight", 1 + random(rng, HIDDEN, std=0.1), f32
        yield f"{name}.ffn_gate.weight", random(rng, INTERMEDIATE, HIDDEN, std=1.5 / 16), q4
        yield f"{name}.ffn_up.weight", random(rng, INTERMEDIATE, HIDDEN, std=1.0 / 16), q4
        yield f"{name}.ffn_down.weight", random(rng, HIDDEN, INTERMEDIATE, std=0.009), more_bits
    yield "output_norm.weight", 1 + random(rng, HIDDEN, std=0.1), f32


def write(path: Path) -> None:
    """Write the model file."""
    writer = GGUFWriter(path, "qwen2")
    writer.add_type("model")
    writer.add_name("Tiny random Qwen2")
    writer.add_size_label("3M")
    writer.add_license("MIT")
    writer.add_block_count(LAYERS)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(INTERMEDIATE)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_freq_base(ROPE_BASE)
    writer.add_layer_norm_rms_eps(EPS)
    writer.add_file_type(LlamaFileType.MOSTLY_Q4_K_M)
    writer.add_quantization_version(2)
    vocabulary = train_vocabulary()
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(vocabulary.tokens)
    normal = len(vocabulary.tokens) - len(SPECIAL)
    writer.add_token_types([TokenType.NORMAL] * normal + [TokenType.CONTROL] * len(SPECIAL))
    writer.add_token_merges(vocabulary.merges)
    end_of_text, _, end_of_turn = range(normal, normal + len(SPECIAL))
    writer.add_bos_token_id(end_of_text)
    writer.add_eos_token_id(end_of_turn)
    writer.add_pad_token_id(end_of_text)
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)
    for name, values, dtype in make_weights(np.random.default_rng(SEED)):
        plain = dtype == GGMLType.F32
        data = values if plain else quantize(np.ascontiguousarray(values), dtype)
        writer.add_tensor(name, data, raw_dtype=None if plain else dtype)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main() -> None:
    """Write the file, by default in its place in the package."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", nargs="?", type=Path, default=TINY_MODEL)
    write(parser.parse_args().path)


if __name__ == "__main__":
    main()
