"""How fast a model decodes and reads prompts, beside llama.cpp where llama-cpp-python is installed.

`apr bench` measures wall time and says where it goes. This adds what tells more on a machine that
is never quiet: the CPU time of one thread. See README.md for how to read the figures.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from inference.bench.engines import LLAMA_CPP, OURS
from inference.bench.measure import busy_seconds, start_times
from inference.bench.memory import SIZE
from inference.bench.served import Served
from inference.bench.worker import MEMORY, READS

CONTEXT = 1024
PROCESSORS = {
    "avx2": ("x86-64-v3", "+avx2,+fma,+f16c,+avx,+ssse3,+sse4.1,+sse4.2"),
    "generic": ("x86-64", ""),
}
"""What Numba is told to compile for, by the name of an option."""
LENGTHS = {"decode": {"prompt": 8, "tokens": 32}, "prefill": {"prompt": 256}}


def ask(engine: Served, kind: str) -> dict[str, Any]:
    """Run one request; return its seconds, and how busy others kept the machine."""
    before = busy_seconds() or 0.0
    answer = engine.ask(kind, **LENGTHS[kind])
    others = max(0.0, (busy_seconds() or 0.0) - before - answer["cpu"])
    return {**answer, "others": others / (answer["wall"] * (os.cpu_count() or 1))}


def rounds(
    engines: dict[str, Served], kind: str, pairs: int, limit: float
) -> Iterator[dict[str, dict[str, Any]]]:
    """Alternate the engines; give up pairs during which others used more than ``limit``."""
    for i in range(pairs):
        order = list(engines) if i % 2 == 0 else list(reversed(engines))
        pair = {name: ask(engines[name], kind) for name in order}
        if all(answer["others"] <= limit for answer in pair.values()):
            yield pair


def spread(values: list[float]) -> str:
    """Return median, range and number of values."""
    return (
        f"{statistics.median(values):7.2f}  [{min(values):.2f} … {max(values):.2f}]"
        f"  n = {len(values)}"
    )


def report(path: Path, threads: int, pairs: int, limit: float, starts: int) -> None:
    """Measure and print."""
    names = (OURS, LLAMA_CPP) if importlib.util.find_spec("llama_cpp") else (OURS,)
    settings = {"threads": threads, "numerics": "fused", "context": CONTEXT, "size": SIZE}
    clock = "cpu" if threads == 1 else "wall"
    with ExitStack() as stack:
        engines = {name: stack.enter_context(Served(name, path, settings)) for name in names}
        memory = stack.enter_context(Served(MEMORY, path, settings))
        print(f"{path.name}, {threads} thread(s); tokens per second or seconds, median [range]")
        for name in engines:  # the first start compiled, or read the file from the disk
            seconds = start_times(name, path, settings, starts, clock)
            if seconds:
                print(f"  load     {name:10} {spread(seconds)}  ({clock} time)")
        peaks: dict[str, float] = {}
        decode: float | None = None
        for kind, lengths in LENGTHS.items():
            count = lengths.get("tokens", lengths["prompt"])
            for engine in engines.values():
                ask(engine, kind)  # compiles or reads Numba's cache, fills the processor's
            kept = list(rounds(engines, kind, pairs, 1.0 if clock == "cpu" else limit))
            if not kept:
                print(f"  {kind:8} the machine was too busy in all {pairs} rounds")
                continue
            for name in engines:
                peaks[name] = kept[-1][name]["peak_rss_bytes"] / 2**20
                speeds = [count / pair[name][clock] for pair in kept]
                print(f"  {kind:8} {name:10} {spread(speeds)}  ({clock} time)")
                if kind == "prefill":
                    print(f"  ttft     {name:10} {spread([pair[name][clock] for pair in kept])}")
            if LLAMA_CPP in engines:
                ratios = [pair[LLAMA_CPP][clock] / pair[OURS][clock] for pair in kept]
                print(f"  {kind:8} {'ratio':10} {spread(ratios)}")
            if kind == "decode":
                decode = statistics.median(count / pair[OURS][clock] for pair in kept)
        for name, peak in peaks.items():
            print(f"  peak     {name:10} {peak:.0f} MiB resident")
        if decode is not None:
            profile = engines[OURS].ask("profile", **LENGTHS["decode"])
            per_token = profile["decode"]["bytes"] / LENGTHS["decode"]["tokens"]
            reads = [memory.ask("read") for _ in range(pairs)]
            readable = statistics.median(
                READS * SIZE / read["cpu"] if clock == "cpu" else read["bytes_per_s"]
                for read in reads
            )
            share = decode * per_token / readable
            print(f"  decode   {share:.0%} of the {readable / 1e9:.1f} GB/s that can be read so")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path, nargs="+", help="GGUF files that both engines read")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=9, help="rounds of both engines in turn")
    parser.add_argument("--loads", type=int, default=3, help="fresh starts of each engine")
    parser.add_argument(
        "--limit", type=float, default=0.18,
        help="share of the machine that others may use in a round that counts (wall time only)",
    )  # fmt: skip
    parser.add_argument("--processor", choices=PROCESSORS, help="compile our kernels for less")
    options = parser.parse_args()
    if options.processor:
        os.environ["NUMBA_CPU_NAME"], os.environ["NUMBA_CPU_FEATURES"] = PROCESSORS[
            options.processor
        ]
    for path in options.models:
        report(path, options.threads, options.pairs, options.limit, options.loads)


if __name__ == "__main__":
    main()
