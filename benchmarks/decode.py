"""How fast a model decodes and reads prompts, beside llama.cpp where llama-cpp-python is installed.

Each engine runs in a process of its own, which loads once and answers one request at a time, so
that runs alternate and meet the same machine. See README.md for how to read the figures.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import mmap
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

ENGINES = ("inference", "llama.cpp")
CONTEXT = 1024
FIRST_ID = 1000  # ordinary tokens in every vocabulary of interest


class Engine(Protocol):
    """What both engines are asked to do; the past is forgotten before every prompt."""

    def prompt(self, ids: list[int]) -> None:
        """Read ids into an empty context."""
        ...

    def token(self, id_: int) -> None:
        """Read one more."""
        ...


class Ours:
    """This project's engine on ``threads`` threads."""

    def __init__(self, path: Path, threads: int) -> None:
        os.environ["OPENBLAS_NUM_THREADS"] = str(threads)  # before NumPy is loaded
        import inference
        from inference import threads as pool

        pool.available = lambda: threads
        self.model = inference.load(path)
        self.prompt([FIRST_ID])  # packs the weights

    def prompt(self, ids: list[int]) -> None:
        """Read ids into an empty context."""
        self.session = self.model.session()
        self.session.advance(ids)

    def token(self, id_: int) -> None:
        """Read one more."""
        self.session.advance([id_])


class LlamaCpp:
    """llama.cpp with its defaults, but for threads and context."""

    def __init__(self, path: Path, threads: int) -> None:
        import llama_cpp

        self.llama = llama_cpp.Llama(
            str(path), n_ctx=CONTEXT, n_threads=threads, n_threads_batch=threads, verbose=False
        )

    def prompt(self, ids: list[int]) -> None:
        """Read ids into an empty context."""
        self.llama.reset()
        self.llama.eval(ids)

    def token(self, id_: int) -> None:
        """Read one more."""
        self.llama.eval([id_])


def serve(name: str, path: Path, threads: int) -> None:
    """Load an engine, then answer requests ``[kind, tokens]`` on stdin with seconds on stdout."""
    wall, cpu = time.perf_counter(), time.process_time()
    engine: Engine = Ours(path, threads) if name == "inference" else LlamaCpp(path, threads)
    _reply(wall, cpu)
    for line in sys.stdin:
        kind, count = json.loads(line)
        ids = list(range(FIRST_ID, FIRST_ID + count))
        if kind == "decode":
            engine.prompt(ids[:8])
        wall, cpu = time.perf_counter(), time.process_time()
        if kind == "decode":
            for id_ in ids:
                engine.token(id_)
        else:
            engine.prompt(ids)
        _reply(wall, cpu)


def _reply(wall: float, cpu: float) -> None:
    times = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({**times, "peak_mb": peak}), flush=True)


class Served:
    """An engine in its own process."""

    def __init__(self, name: str, path: Path, threads: int) -> None:
        command = [sys.executable, "-P", __file__, str(path), "--serve", name]
        self.process = subprocess.Popen(
            [*command, "--threads", str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.load = self._answer()

    def ask(self, kind: str, count: int) -> dict[str, float]:
        """Run one request and return its seconds, and how busy others kept the machine."""
        assert self.process.stdin is not None
        before = _busy()
        self.process.stdin.write(json.dumps([kind, count]) + "\n")
        self.process.stdin.flush()
        answer = self._answer()
        others = max(0.0, _busy() - before - answer["cpu"])
        return {**answer, "others": others / (answer["wall"] * (os.cpu_count() or 1))}

    def _answer(self) -> dict[str, float]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"the engine ended with status {self.process.wait()}")
        answer: dict[str, float] = json.loads(line)
        return answer

    def close(self) -> None:
        """End the process."""
        self.process.communicate()


def _busy() -> float:
    """Return the seconds that all processors have worked since boot."""
    user, nice, system, _, _, irq, softirq, steal = map(
        int, Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    )
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def read_bandwidth(size: int = 1 << 29) -> float:
    """Return bytes per second of one thread's CPU time that reads memory in order."""
    import numpy as np
    from numba import njit

    @njit(nogil=True)
    def total(values: Any) -> Any:
        result = 0
        for value in values:
            result += value
        return result

    pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        pages.madvise(mmap.MADV_HUGEPAGE)
    values = np.frombuffer(pages, np.int64)
    values[:] = 1
    total(values[:8])
    return size / min(_cpu_seconds(lambda: total(values)) for _ in range(5))


def _cpu_seconds(function: Callable[[], object]) -> float:
    start = time.thread_time()
    function()
    return time.thread_time() - start


def weight_bytes(path: Path) -> int:
    """Return the bytes of packed weights that one token reads."""
    import inference

    with inference.load(path) as model:
        model.session().advance([FIRST_ID])
        used = {entry.tensor for entry in model.dispatch if entry.calls}
        return sum(model.file.tensors[name].nbytes for name in used)


def rounds(
    engines: dict[str, Served], kind: str, count: int, pairs: int, limit: float
) -> Iterator[dict[str, dict[str, float]]]:
    """Alternate the engines; give up pairs during which others used more than ``limit``."""
    for i in range(pairs):
        order = list(engines) if i % 2 == 0 else list(reversed(engines))
        pair = {name: engines[name].ask(kind, count) for name in order}
        if all(answer["others"] <= limit for answer in pair.values()):
            yield pair


def spread(values: list[float]) -> str:
    """Return median, range and number of values."""
    return (
        f"{statistics.median(values):7.2f}  [{min(values):.2f} … {max(values):.2f}]"
        f"  n = {len(values)}"
    )


def report(path: Path, threads: int, pairs: int, limit: float) -> None:
    """Measure and print."""
    names = ENGINES if importlib.util.find_spec("llama_cpp") else ENGINES[:1]
    engines = {name: Served(name, path, threads) for name in names}
    print(f"{path.name}, {threads} thread(s); tokens per second, median [range]")
    for name, engine in engines.items():
        print(f"  load     {name:10} {engine.load['cpu']:.2f} s CPU, {engine.load['wall']:.2f} s")
    clock = "cpu" if threads == 1 else "wall"
    per_token = weight_bytes(path)
    bandwidth = read_bandwidth()
    for kind, count in (("decode", 32), ("prefill", 256)):
        for engine in engines.values():
            engine.ask(kind, count)  # compiles or reads Numba's cache, fills the processor's
        kept = list(rounds(engines, kind, count, pairs, 1.0 if clock == "cpu" else limit))
        if not kept:
            print(f"  {kind:8} the machine was too busy in all {pairs} rounds")
            continue
        for name in engines:
            speeds = [count / pair[name][clock] for pair in kept]
            print(f"  {kind:8} {name:10} {spread(speeds)}  ({clock} time)")
            if kind == "decode" and name == "inference" and threads == 1:
                share = statistics.median(speeds) * per_token / bandwidth
                print(f"  {share:.0%} of the {bandwidth / 1e9:.1f} GB/s that one thread can read")
        if len(engines) == 2:
            ratios = [pair[ENGINES[1]][clock] / pair[ENGINES[0]][clock] for pair in kept]
            print(f"  {kind:8} {'ratio':10} {spread(ratios)}")
    for name, engine in engines.items():
        print(f"  peak     {name:10} {engine.ask('decode', 1)['peak_mb']:.0f} MiB resident")
        engine.close()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="a GGUF file that both engines read")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=9, help="rounds of both engines in turn")
    parser.add_argument(
        "--limit", type=float, default=0.1,
        help="share of the machine that others may use in a round that counts (wall time only)",
    )  # fmt: skip
    parser.add_argument("--serve", choices=ENGINES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.model, options.threads)
    else:
        report(options.model, options.threads, options.pairs, options.limit)


if __name__ == "__main__":
    main()
