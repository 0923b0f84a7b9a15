"""The process in which one engine runs: requests on standard input, one JSON line for each.

Run as ``python -m inference.bench.worker ENGINE MODEL``; the first line it writes is its load.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from pathlib import Path
from typing import Any

from inference.bench.engines import LLAMA_CPP, OURS, Engine, LlamaCpp, Ours, ordinary_ids

MEMORY = "memory"
READS = 3
"""How often the memory is read for one answer; the fastest counts."""


def main(arguments: list[str]) -> None:
    """Load an engine, then answer until the input ends."""
    name, model, settings = arguments[0], Path(arguments[1]), json.loads(arguments[2])
    clock = Clock()
    if name == MEMORY:
        _serve_memory(clock, settings)
    else:
        _serve(_engine(name, model, settings), clock)


def _engine(name: str, model: Path, settings: dict[str, Any]) -> Engine:
    match name:
        case "inference":
            return Ours(model, settings["numerics"])
        case "llama.cpp":
            return LlamaCpp(model, settings["threads"], settings["context"])
    raise ValueError(f"unknown engine {name!r}; known: {OURS}, {LLAMA_CPP}")


class Clock:
    """Wall and processor time since it was made, of this process."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self) -> dict[str, float]:
        """Return both in seconds."""
        return {
            "wall": time.perf_counter() - self._wall,
            "cpu": time.process_time() - self._cpu,
        }


def _serve(engine: Engine, clock: Clock) -> None:
    _reply(clock.read())
    for line in sys.stdin:
        request = json.loads(line)
        prompt = ordinary_ids(request["prompt"], engine.vocab)
        later = ordinary_ids(request["tokens"], engine.vocab)
        match request["kind"]:
            case "prefill":
                clock = Clock()
                engine.prompt(prompt)
                _reply(clock.read())
            case "decode":
                engine.prompt(prompt)
                clock = Clock()
                marks = [time.perf_counter()]
                for token in later:
                    engine.token(token)
                    marks.append(time.perf_counter())
                steps = [after - before for before, after in itertools.pairwise(marks)]
                _reply({**clock.read(), "steps": steps})
            case "profile":
                from inference.bench.profile import profile

                assert isinstance(engine, Ours)
                profile(engine.model, prompt, later[:1])  # compiles what only this path uses
                _reply({**clock.read(), **profile(engine.model, prompt, later)})


def _serve_memory(clock: Clock, settings: dict[str, Any]) -> None:
    from inference.bench.memory import Memory

    memory = Memory(settings["threads"], settings["size"])
    _reply(clock.read())
    for _ in sys.stdin:
        clock = Clock()
        best = min(memory.read() for _ in range(READS))
        _reply({**clock.read(), "bytes_per_s": memory.size / best})


def _reply(answer: dict[str, Any]) -> None:
    print(json.dumps({**answer, "peak_rss_bytes": _peak()}), flush=True)


def _peak() -> int:
    """Return the largest resident size of this process so far, in bytes."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    main(sys.argv[1:])
