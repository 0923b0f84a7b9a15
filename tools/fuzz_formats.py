"""Feed damaged model files to the readers: each loads or raises one of the engine's own errors.

    python tools/fuzz_formats.py --count 100000
    python tools/fuzz_formats.py --format apr --case 1234       # one case again, with its traceback

Cases are numbered and depend on format, seed and number alone. They run in a child process whose
memory is limited; a case that takes more than ten seconds is a failure, and so is one that ends the
process. The exit code is 1 when anything but a result or an ``EngineError`` came out.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import zlib
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFValueType as Kind

import inference
from inference.errors import EngineError
from inference.formats import open_model
from inference.formats.apr.gguf_origin import gguf_origin
from inference.formats.apr.hf_origin import hf_origin
from inference.formats.aprt import read_aprt, write_aprt
from inference.formats.config import model_config
from inference.formats.gguf.tokenizer import GGUF_KEYS
from inference.formats.gguf.writer import write_gguf
from inference.formats.tokenizer import tokenizer_spec
from inference.formats.validate import expected_shapes
from inference.formats.writing import TensorSource
from inference.model.config import ModelConfig, RopeType
from inference.quant import dequantize, quantize
from inference.quant.types import GGMLType
from inference.surgery.converting import convert_model
from inference.text.byte_level import CHARACTER_OF_BYTE
from inference.text.tokenizer import Tokenizer

FORMATS = ("gguf", "apr", "apr-lz4", "apr-zstd", "apr-set", "hf", "tokenizer", "aprt")
SECONDS_PER_CASE = 10
MEMORY = 1 << 30
"""Bytes that the child may take beyond what it has when its first case begins."""

_EXTREMES = [0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1]
_STRANGE: list[Any] = [
    None, True, 0, -1, 1 << 40, 10**30, 1e308, 0.5, "", "x" * 300, "\ud800", [], {}, [[]], {"a": 1},
]  # fmt: skip


# -- healthy models to start from ----------------------------------------------------------------


def write_seed(path: Path, model: str) -> None:
    """Write a small coherent GGUF model with a tokenizer of the given kind."""
    config = ModelConfig(
        architecture="qwen2" if model == "gpt2" else "llama",
        layers=1, hidden=32, heads=2, kv_heads=1, head_dim=16, intermediate=32, vocab=300,
        context_length=64, rope_theta=1e4, rope_type=RopeType.NEOX, rms_norm_eps=1e-6,
        tied_embeddings=True,
        biases=("attn_q.bias", "attn_k.bias", "attn_v.bias") if model == "gpt2" else (),
    )  # fmt: skip
    bytes_of = [CHARACTER_OF_BYTE[b] if model == "gpt2" else f"<0x{b:02X}>" for b in range(256)]
    words = ["<|end|>", "<|im_start|>", "ab", "▁", "▁a", "▁ab", "ba"]
    if model == "llama":
        words[3:] = ["a", "b", "▁", "▁a"]
    tokens = [*bytes_of, *words, *(f"t{n}" for n in range(300 - 256 - len(words)))]
    prefix = config.architecture
    entries: dict[str, tuple[Any, tuple[Kind, ...]]] = {
        "general.architecture": (prefix, (Kind.STRING,)),
        f"{prefix}.block_count": (config.layers, (Kind.UINT32,)),
        f"{prefix}.context_length": (config.context_length, (Kind.UINT32,)),
        f"{prefix}.embedding_length": (config.hidden, (Kind.UINT32,)),
        f"{prefix}.feed_forward_length": (config.intermediate, (Kind.UINT32,)),
        f"{prefix}.attention.head_count": (config.heads, (Kind.UINT32,)),
        f"{prefix}.attention.head_count_kv": (config.kv_heads, (Kind.UINT32,)),
        f"{prefix}.attention.layer_norm_rms_epsilon": (config.rms_norm_eps, (Kind.FLOAT32,)),
        f"{prefix}.rope.freq_base": (config.rope_theta, (Kind.FLOAT32,)),
        GGUF_KEYS["model"]: (model, (Kind.STRING,)),
        GGUF_KEYS["pre"]: ("qwen2" if model == "gpt2" else "default", (Kind.STRING,)),
        GGUF_KEYS["tokens"]: (tokens, (Kind.ARRAY, Kind.STRING)),
        GGUF_KEYS["token_types"]: (
            [(1 if model == "gpt2" else 6)] * 256 + [3, 3] + [1] * 42,
            (Kind.ARRAY, Kind.INT32),
        ),
        GGUF_KEYS["bos_id"]: (257, (Kind.UINT32,)),
        GGUF_KEYS["eos_id"]: (256, (Kind.UINT32,)),
        GGUF_KEYS["unk_id"]: (257, (Kind.UINT32,)),
        GGUF_KEYS["chat_template"]: ("{{ messages }}", (Kind.STRING,)),
    }
    if model == "gpt2":
        entries[GGUF_KEYS["merges"]] = (["a b"], (Kind.ARRAY, Kind.STRING))
    else:
        entries[GGUF_KEYS["scores"]] = ([-float(n) for n in range(300)], (Kind.ARRAY, Kind.FLOAT32))
    random_values = np.random.default_rng(0)
    tensors = []
    for name, shape in expected_shapes(config):
        values = random_values.normal(size=shape, scale=0.2).astype(np.float32)
        dtype = GGMLType.Q8_0 if len(shape) == 2 else GGMLType.F32
        data = quantize(values, dtype).tobytes()
        tensors.append(TensorSource(name, dtype, shape, lambda data=data: [data]))
    values_of = {key: value for key, (value, _) in entries.items()}
    write_gguf(path, values_of, {key: kind for key, (_, kind) in entries.items()}, tensors)


def seeds_of(format: str, folder: Path) -> list[Path]:
    """Make the healthy models of a format."""
    made = []
    for model in ("gpt2", "llama"):
        source, target = folder / f"{model}.gguf", folder / f"{model}.{format}"
        write_seed(source, model)
        match format:
            case "gguf":
                target = source
            case "hf" | "tokenizer":
                convert_model(source, target, format="hf", max_shard_size=20_000)
            case "apr":
                convert_model(source, target, format="apr")
            case "apr-lz4" | "apr-zstd":
                plain = folder / f"{model}.f32.gguf"
                convert_model(source, plain, format="gguf", quantize=GGMLType.F32)
                convert_model(plain, target, format="apr", compression=format[4:])  # type: ignore[arg-type]
            case "apr-set":
                convert_model(source, target, format="apr", max_shard_size=8_000)
            case "aprt":
                write_aprt(target, 1, np.ones(20, np.float32))
        made.append(target)
    if format == "apr":
        convert_model(folder / "gpt2.gguf", folder / "of-hf", format="hf")
        convert_model(folder / "of-hf", folder / "of-hf.apr", format="apr")
        made.append(folder / "of-hf.apr")
    return made


# -- damage --------------------------------------------------------------------------------------


def damage(path: Path, format: str, choose: random.Random) -> None:
    """Damage one file of a model, in a way that gets past its checksums as often as not."""
    if path.is_dir():
        wanted = "tokenizer*.json" if format == "tokenizer" else "*"
        path = choose.choice(sorted(path.glob(wanted)))
    data = path.read_bytes()
    if path.suffix == ".json" and choose.random() < 0.8:
        data = damaged_json(data, choose)
    elif format.startswith("apr") and format != "aprt":
        data = damaged_apr(data, choose)
    elif path.suffix == ".safetensors":
        data = damaged_safetensors(data, choose)
    else:
        upto = len(data) if choose.random() < 0.2 else min(len(data), 6_000)
        data = damaged_bytes(data, choose, upto)
    path.unlink()
    path.write_bytes(data)


def damaged_bytes(data: bytes, choose: random.Random, upto: int) -> bytes:
    """Flip bits, plant extreme integers, cut and double ranges among the first ``upto`` bytes."""
    broken = bytearray(data)
    for _ in range(choose.choice((1, 1, 1, 2, 8))):
        if not broken:
            break
        at = choose.randrange(max(1, min(upto, len(broken))))
        match choose.randrange(6):
            case 0:
                broken[at] ^= 1 << choose.randrange(8)
            case 1:
                broken[at] = choose.randrange(256)
            case 2:
                broken[at : at + 8] = struct.pack("<Q", choose.choice(_EXTREMES))
            case 3:
                broken[at : at + 4] = struct.pack("<I", choose.randrange(2**32))
            case 4:
                stop = at + choose.randrange(1, 64)
                broken[at:stop] = b"" if choose.random() < 0.5 else broken[at:stop] * 2
            case 5:
                broken[at : at + 2] = struct.pack("<H", choose.choice((0, 1, 255, 256, 65535)))
    if choose.random() < 0.1:
        del broken[choose.randrange(len(broken) + 1) :]
    return bytes(broken)


def damaged_apr(data: bytes, choose: random.Random) -> bytes:
    """Damage the header, the metadata, the index or the data; seal the checksums again or not."""
    size, index, start = struct.unpack_from("<IQQ", data, 20)
    part = choose.randrange(4)
    if part == 0:
        broken = damaged_bytes(data[:64], choose, 64).ljust(64, b"\0")[:64] + data[64:]
    elif part == 1:
        text = damaged_json(data[64 : 64 + size], choose)
        text = text[: index - 64].ljust(size, b" ")  # same place and size, where it fits
        broken = data[:64] + text.ljust(index - 64, b"\0") + data[index:]
        broken = broken[:20] + struct.pack("<I", min(len(text), index - 64)) + broken[24:]
    elif part == 2:
        broken = (
            data[:index]
            + damaged_bytes(data[index:start], choose, start - index)[: start - index].ljust(
                start - index, b"\0"
            )
            + data[start:]
        )
    else:
        broken = data[:start] + damaged_bytes(data[start:-4], choose, len(data)) + data[-4:]
    if choose.random() < 0.8 and len(broken) >= 64:
        crc = zlib.crc32(broken[44:64], zlib.crc32(broken[:40]))
        broken = broken[:40] + struct.pack("<I", crc) + broken[44:]
    return broken


def damaged_safetensors(data: bytes, choose: random.Random) -> bytes:
    """Damage the header as JSON, its length kept right, or any byte."""
    (length,) = struct.unpack_from("<Q", data)
    if choose.random() < 0.5:
        text = damaged_json(data[8 : 8 + length], choose)
        return struct.pack("<Q", len(text)) + text + data[8 + length :]
    return damaged_bytes(data, choose, 8 + length)


def damaged_json(data: bytes, choose: random.Random) -> bytes:
    """Exchange, delete or double values somewhere in a document, or damage its bytes."""
    if choose.random() < 0.2:
        return damaged_bytes(data, choose, len(data))
    document = json.loads(data)
    for _ in range(choose.choice((1, 1, 2, 5))):
        document = _changed(document, choose)
    if choose.random() < 0.02:
        return b'{"a":' * 100_000
    return json.dumps(document, ensure_ascii=choose.random() < 0.5).encode("utf-8", "surrogatepass")


def _changed(node: Any, choose: random.Random) -> Any:
    """Return a document in which one place, reached by a random walk, is another."""
    inner = list(node) if isinstance(node, dict) else range(len(node) if type(node) is list else 0)
    if not inner or choose.random() < 0.15:
        return deepcopy(choose.choice([*_STRANGE, [node, deepcopy(node)], {"a": node}]))
    key: Any = choose.choice(inner)
    match choose.randrange(8):
        case 0:
            del node[key]
        case 1:
            other = choose.choice(inner)
            node[key] = deepcopy(node[other])
        case 2 if isinstance(node, dict):
            node[choose.choice(["", "é" * 40, "model", str(key) + "x"])] = node.pop(key)
        case _:
            node[key] = _changed(node[key], choose)
    return node


# -- one case ------------------------------------------------------------------------------------


def exercise(path: Path, format: str, choose: random.Random, scratch: Path) -> None:
    """Read all of a model; now and then convert it or run it."""
    if format == "aprt":
        read_aprt(path)
        return
    with open_model(path) as file:
        if format != "tokenizer":
            for name, info in file.tensors.items():
                dequantize(file.raw(name), info.dtype, info.shape)
            model_config(file)
        if file.format == "apr":
            gguf_origin(file)
            hf_origin(file)
        spec = tokenizer_spec(file)
        tokenizer = Tokenizer.from_spec(spec)
        tokenizer.decode(tokenizer.encode("ab <|end|> é\n 12"))
    if format != "tokenizer" and choose.random() < 0.05:
        for target in ("gguf", "apr", "hf"):
            out = scratch / f"out.{target}"
            try:
                with suppress(EngineError):
                    convert_model(path, out, format=target)  # type: ignore[arg-type]
            finally:
                shutil.rmtree(out, ignore_errors=True)
                out.unlink(missing_ok=True)
    if format != "tokenizer" and choose.random() < 0.02:
        with np.errstate(all="ignore"), inference.load(path, numerics="f32") as model:
            model.forward([1, 2])


def run_case(
    seeds: list[Path], format: str, seed: int, number: int, scratch: Path
) -> tuple[str, str | None]:
    """Return what came out, ``loaded`` or the name of the error, and the traceback of a failure."""
    choose = random.Random(f"{format}:{seed}:{number}")
    healthy = choose.choice(seeds)
    victim = scratch / f"victim{healthy.suffix}"
    copy: Callable[..., object] = shutil.copytree if healthy.is_dir() else shutil.copyfile
    copy(healthy, victim)
    try:
        damage(victim, format, choose)
        signal.setitimer(signal.ITIMER_REAL, SECONDS_PER_CASE)
        try:
            exercise(victim, format, choose, scratch)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except EngineError as error:
        return type(error).__name__, None
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a panic of a Rust library is no Exception
        return f"FAILURE {type(error).__name__}", traceback.format_exc()
    finally:
        shutil.rmtree(victim, ignore_errors=True)
        victim.unlink(missing_ok=True)
    return "loaded", None


# -- child and parent ----------------------------------------------------------------------------


def child(format: str, seed: int, first: int, last: int) -> None:
    """Run cases under a limit of memory; print a line of JSON for each."""
    # Keyboard interrupts reach the parent, which ends the child.
    signal.signal(signal.SIGALRM, _too_slow)
    place = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=place if place.is_dir() else None) as folder:
        seeds = seeds_of(format, Path(folder))
        scratch = Path(folder) / "scratch"
        scratch.mkdir()
        if format not in ("tokenizer", "aprt"):
            # Importing and compiling the kernels is no part of the first case that needs them.
            with inference.load(seeds[0], numerics="f32") as model:
                model.forward([1, 2])
        limit = _virtual_memory() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        print("ready", flush=True)
        for number in range(first, last):
            outcome, trace = run_case(seeds, format, seed, number, scratch)
            print(json.dumps([number, outcome, trace]), flush=True)


def _too_slow(*_: object) -> None:
    raise TimeoutError(f"more than {SECONDS_PER_CASE} seconds")


def _virtual_memory() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def fuzz(
    format: str, count: int, *, seed: int = 0, first: int = 0
) -> tuple[Counter[str], list[Any]]:
    """Run cases ``first`` to ``first + count``; return outcomes and failures [number, what, trace].

    A child that dies is a failure of the case that it was at; a new one goes on after it.
    """
    counts: Counter[str] = Counter()
    failures = []
    at, last = first, first + count
    while at < last:
        command = [sys.executable, __file__, "--child", format, str(seed), str(at), str(last)]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            if process.stdout.readline() != "ready\n":
                raise RuntimeError(f"no healthy models to begin with: {process.stderr.read()}")
            for line in process.stdout:
                number, outcome, trace = json.loads(line)
                counts[outcome] += 1
                if trace is not None:
                    failures.append([number, outcome, trace])
                at = number + 1
            complaint = process.stderr.read()
        if at < last:
            outcome = f"FAILURE process ended with {process.returncode}"
            counts[outcome] += 1
            failures.append([at, outcome, complaint[-4000:]])
            at += 1
    return counts, failures


def main() -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--count", type=int, default=2000, help="cases per format")
    parser.add_argument("--format", choices=FORMATS, action="append", help="default: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", type=int, help="run this case alone")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        format, *numbers = options.child
        child(format, *map(int, numbers))
        return 0
    report: dict[str, Any] = {}
    for format in options.format or FORMATS:
        begin = time.perf_counter()
        alone = options.case is not None
        counts, failures = fuzz(
            format,
            1 if alone else options.count,
            seed=options.seed,
            first=options.case if alone else 0,
        )
        seconds = time.perf_counter() - begin
        report[format] = {"outcomes": dict(counts), "failures": failures, "seconds": seconds}
        if not options.json:
            told = ", ".join(f"{count:,} {name}" for name, count in counts.most_common())
            print(f"{format:<10} {sum(counts.values()):>7,} cases in {seconds:6.1f} s: {told}")
            for number, outcome, trace in failures[:20]:
                print(f"--- {format} case {number}: {outcome}\n{trace}")
            sys.stdout.flush()
    if options.json:
        print(json.dumps(report, indent=2))
    return int(any(entry["failures"] for entry in report.values()))


if __name__ == "__main__":
    sys.exit(main())
