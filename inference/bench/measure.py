"""Rounds of measurements: every engine in turn, and how busy others kept the machine meanwhile."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from inference.bench.engines import LLAMA_CPP, OURS
from inference.bench.memory import SIZE
from inference.bench.served import Served
from inference.bench.worker import MEMORY

_JIFFIES = 0.03  # seconds that /proc/stat may be wrong by
_STARTS = 3


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure: lengths in tokens, how many rounds, and on how many threads.

    A round counts if other processes used at most the share ``max_load`` of the machine.
    """

    prompt: int = 256
    tokens: int = 64
    rounds: int = 5
    threads: int = 1
    numerics: str = "fused"
    max_load: float = 0.1
    with_llama_cpp: bool = False
    memory_bytes: int = SIZE

    @property
    def engines(self) -> tuple[str, ...]:
        """Who takes part."""
        return (OURS, LLAMA_CPP) if self.with_llama_cpp else (OURS,)


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and range of ``n`` values."""

    median: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return the spread of at least one value."""
        return cls(statistics.median(values), min(values), max(values), len(values))


@dataclass(frozen=True, slots=True)
class Round:
    """What one round gave: per engine seconds of prefill, of decoding, of every token."""

    prefill: Mapping[str, float]
    decode: Mapping[str, float]
    steps: Mapping[str, Sequence[float]]
    bytes_per_s: float
    others: float | None


def bench(model: Path, plan: Plan) -> dict[str, Any]:
    """Measure a model; return plain data, see the reference page of `apr bench`.

    Raises:
        EngineError: an engine's process ended.
    """
    settings = {**asdict(plan), "context": plan.prompt + plan.tokens + 8, "size": plan.memory_bytes}
    with ExitStack() as stack:
        memory = stack.enter_context(Served(MEMORY, model, settings))
        engines = {
            name: stack.enter_context(Served(name, model, settings)) for name in plan.engines
        }
        for engine in engines.values():  # compiles, or reads what was compiled before
            engine.ask("prefill", prompt=plan.prompt)
            engine.ask("decode", tokens=min(plan.tokens, 8))
        everything = list(_rounds(engines, memory, plan))
        peaks = {n: e.ask("prefill", prompt=1)["peak_rss_bytes"] for n, e in engines.items()}
        profile = engines[OURS].ask("profile", prompt=plan.prompt, tokens=min(plan.tokens, 16))
    loads = {
        name: statistics.median(start_times(name, model, settings, _STARTS))
        for name in plan.engines
    }
    quiet = [r for r in everything if r.others is None or r.others <= plan.max_load]
    rounds = quiet or everything
    report = {
        "threads": plan.threads,
        "prompt_tokens": plan.prompt,
        "decoded_tokens": plan.tokens,
        "rounds": len(everything),
        "quiet_rounds": len(quiet),
        "others": [r.others for r in everything],
        "engines": {
            name: _engine_report(name, rounds, plan)
            | {"load_s": loads[name], "peak_rss_bytes": peaks[name]}
            for name in engines
        },
        "roofline": _roofline(rounds, profile, plan),
        "operations": {key: profile[key] for key in ("path", "reason", "prefill", "decode")},
    }
    if plan.with_llama_cpp:
        report["ratios"] = _ratios(rounds) | {
            "peak_rss": peaks[OURS] / peaks[LLAMA_CPP],
            "load": loads[OURS] / loads[LLAMA_CPP],
        }
    return report


def start_times(
    name: str, model: Path, settings: dict[str, Any], count: int, clock: str = "wall"
) -> list[float]:
    """Return the seconds in which fresh processes, one after the other, got ready to answer."""
    found = []
    for _ in range(count):
        with Served(name, model, settings) as engine:
            found.append(float(engine.load[clock]))
    return found


def _rounds(engines: dict[str, Served], memory: Served, plan: Plan) -> Iterator[Round]:
    """Alternate the engines, the other one first each time."""
    for i in range(plan.rounds):
        order = list(engines) if i % 2 == 0 else list(reversed(engines))
        begin, before, own = time.perf_counter(), busy_seconds(), 0.0
        prefill, decode, steps = {}, {}, {}
        for name in order:
            read = engines[name].ask("prefill", prompt=plan.prompt)
            wrote = engines[name].ask("decode", prompt=min(plan.prompt, 8), tokens=plan.tokens)
            prefill[name], decode[name], steps[name] = read["wall"], wrote["wall"], wrote["steps"]
            own += read["cpu"] + wrote["cpu"]
        answer = memory.ask("read")
        own += answer["cpu"]
        others = None
        if before is not None and (after := busy_seconds()) is not None:
            capacity = (time.perf_counter() - begin) * (os.cpu_count() or 1)
            others = max(0.0, after - before - own - _JIFFIES) / capacity
        yield Round(prefill, decode, steps, answer["bytes_per_s"], others)


def busy_seconds() -> float | None:
    """Return the seconds that all processors have worked since boot; None where nobody counts."""
    try:
        line = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0]
    except OSError:
        return None
    user, nice, system, _, _, irq, softirq, steal = map(int, line.split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def _engine_report(name: str, rounds: Sequence[Round], plan: Plan) -> dict[str, Any]:
    steps = [step for r in rounds for step in r.steps[name]]
    marks = statistics.quantiles(steps, n=20, method="inclusive") if len(steps) > 1 else steps * 19
    return {
        "prefill_tokens_per_s": asdict(Spread.of([plan.prompt / r.prefill[name] for r in rounds])),
        "decode_tokens_per_s": asdict(Spread.of([plan.tokens / r.decode[name] for r in rounds])),
        "ttft_s": asdict(Spread.of([r.prefill[name] for r in rounds])),
        "token_s": {"p50": marks[9], "p95": marks[18]},
    }


def _roofline(rounds: Sequence[Round], profile: dict[str, Any], plan: Plan) -> dict[str, Any]:
    decoded = min(plan.tokens, 16)
    per_token = profile["decode"]["bytes"] / decoded
    limit = Spread.of([r.bytes_per_s for r in rounds])
    shares = [per_token * plan.tokens / r.decode[OURS] / r.bytes_per_s for r in rounds]
    return {
        "bytes_per_token": per_token,
        "read_bytes_per_s": asdict(limit),
        "share": asdict(Spread.of(shares)),
    }


def _ratios(rounds: Sequence[Round]) -> dict[str, Any]:
    """How much faster this engine is, round by round."""
    return {
        "prefill": asdict(Spread.of([r.prefill[LLAMA_CPP] / r.prefill[OURS] for r in rounds])),
        "decode": asdict(Spread.of([r.decode[LLAMA_CPP] / r.decode[OURS] for r in rounds])),
    }
