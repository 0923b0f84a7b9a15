"""`apr bench`: processes, figures, the profile, and what it says about a machine at work."""

from __future__ import annotations

import importlib.util
import io
import json
import statistics
from collections.abc import Iterator
from contextlib import nullcontext, redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import inference
from inference.bench import measure, worker
from inference.bench.engines import LLAMA_CPP, OURS, ordinary_ids
from inference.bench.measure import Plan, Spread, bench, busy_seconds, start_times
from inference.bench.memory import Memory
from inference.bench.profile import profile
from inference.bench.served import Served
from inference.cli import main
from inference.cli.bench import render
from inference.data import TINY_MODEL
from inference.errors import EngineError
from tests.within import Once

TINY = str(TINY_MODEL)
PLAN = Plan(prompt=20, tokens=6, rounds=2, max_load=1.0, memory_bytes=1 << 22)
SMALLEST = Plan(prompt=4, tokens=2, rounds=1, max_load=1.0, memory_bytes=1 << 20)


class Measured(NamedTuple):
    """A measurement in processes of their own, with fewer starts than users wait for."""

    report: dict[str, Any]
    starts: list[float]
    environments: list[bytes]
    """Of all processes."""


@pytest.fixture(scope="module")
def measured(once: Once) -> Measured:
    starts: list[float] = []
    environments: list[bytes] = []

    class Noted(Served):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            environments.append(Path(f"/proc/{self._process.pid}/environ").read_bytes())

    def noted(*arguments: Any) -> list[float]:
        starts.extend(start_times(*arguments))
        return starts

    def make() -> Measured:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("APR_THREADS", "")  # whatever this process was told
            patch.setattr(measure, "Served", Noted)
            patch.setattr(measure, "start_times", noted)
            patch.setattr(measure, "_STARTS", 2)
            return Measured(bench(TINY_MODEL, PLAN), starts, environments)

    return once("a measurement", make)


@pytest.fixture
def report(measured: Measured) -> dict[str, Any]:
    return measured.report


def test_every_figure_is_measured(report: dict[str, Any]) -> None:
    assert list(report["engines"]) == [OURS]
    found = report["engines"][OURS]
    for figure in ("prefill_tokens_per_s", "decode_tokens_per_s", "ttft_s"):
        assert 0 < found[figure]["low"] <= found[figure]["median"] <= found[figure]["high"]
        assert found[figure]["n"] == PLAN.rounds
    assert 0 < found["token_s"]["p50"] <= found["token_s"]["p95"]
    for end, other in (("low", "high"), ("high", "low")):
        first = PLAN.prompt / found["prefill_tokens_per_s"][other]
        assert found["ttft_s"][end] == pytest.approx(first)
    assert found["load_s"] > 0
    assert 30 << 20 < found["peak_rss_bytes"] < 4 << 30
    assert report["rounds"] == report["quiet_rounds"] == PLAN.rounds
    assert "ratios" not in report


@pytest.mark.usefixtures("here")
def test_a_load_is_the_median_of_fresh_starts(
    measured: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(set(measured.starts)) == 2
    assert all(0.1 < seconds < 60 for seconds in measured.starts)
    assert measured.report["engines"][OURS]["load_s"] == statistics.median(measured.starts)
    monkeypatch.setattr(measure, "start_times", lambda *_: [5.0, 1.0, 2.0])
    assert bench(TINY_MODEL, SMALLEST)["engines"][OURS]["load_s"] == 2


class Here(nullcontext["Here"]):
    """What answers as a process does, but in this one."""

    def __init__(self, name: str, model: Path, settings: dict[str, Any]) -> None:
        super().__init__(self)
        if name == worker.MEMORY:
            self._serve = partial(worker._serve_memory, settings=settings)
        else:
            self._serve = partial(worker._serve, worker._engine(name, model, settings))

    def ask(self, kind: str, *, prompt: int = 1, tokens: int = 0) -> dict[str, Any]:
        request, printed = {"kind": kind, "prompt": prompt, "tokens": tokens}, io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
            patch.setattr("sys.stdin", io.StringIO(json.dumps(request)))
            self._serve(clock=worker.Clock())
        answer: dict[str, Any] = json.loads(printed.getvalue().splitlines()[1])
        return answer


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """No processes, in measurements that are about something else."""
    monkeypatch.setattr(measure, "Served", Here)
    monkeypatch.setattr(measure, "start_times", lambda *_: [1.0])


def test_the_roofline_is_what_a_token_reads(report: dict[str, Any]) -> None:
    roofline = report["roofline"]
    with inference.load(TINY_MODEL) as model:
        model.session().advance([1])
        used = {entry.tensor for entry in model.dispatch if entry.calls}
        weights = sum(model.file.tensors[name].nbytes for name in used)
        cache = 2 * 4 * model.config.layers * model.config.kv_heads * model.config.head_dim
    # Token i of the profile's six sees one prompt of 20 and itself.
    seen = sum(PLAN.prompt + i + 1 for i in range(PLAN.tokens)) / PLAN.tokens
    assert roofline["bytes_per_token"] == pytest.approx(weights + cache * seen)
    found, read = report["engines"][OURS]["decode_tokens_per_s"], roofline["read_bytes_per_s"]
    lowest = roofline["bytes_per_token"] * found["low"] / read["high"]
    highest = roofline["bytes_per_token"] * found["high"] / read["low"]
    assert 0.999 * lowest <= roofline["share"]["low"] <= roofline["share"]["median"]
    assert roofline["share"]["median"] <= roofline["share"]["high"] <= 1.001 * highest


@pytest.mark.parametrize("phase", ["prefill", "decode"])
def test_the_table_adds_up(report: dict[str, Any], phase: str) -> None:
    table = report["operations"][phase]
    rows = table["operations"]
    assert sum(row["seconds"] for row in rows) == pytest.approx(table["seconds"])
    assert sum(row["share"] for row in rows) == pytest.approx(1.0)
    assert [row["seconds"] for row in rows] == sorted((r["seconds"] for r in rows), reverse=True)
    names = {row["name"] for row in rows}
    assert {"rms norm", "attention", "linear attn_q Q4_K", "linear ffn_gate+ffn_up Q4_K"} <= names
    steps = PLAN.tokens if phase == "decode" else 1
    calls = {row["name"]: row["calls"] for row in rows}
    assert (calls["attention"], calls["linear attn_q Q4_K"]) == (4 * steps, 4 * steps)


def test_the_way_that_the_program_takes_is_said(report: dict[str, Any]) -> None:
    assert report["operations"]["path"] == "lowered"
    assert report["operations"]["reason"] == ""
    with inference.load(TINY_MODEL, numerics="f32") as model:
        found = profile(model, [1, 2, 3], [4])
    assert found["path"] == "operations"
    assert found["reason"] == "numerics f32: matrices are multiplied in float32"
    names = {row["name"] for row in found["decode"]["operations"]}
    assert {"embed", "rms norm", "attention", "swiglu", "rope", "linear attn_q Q4_K"} <= names


def test_a_profile_counts_flops_by_tokens() -> None:
    with inference.load(TINY_MODEL) as model:
        short, long = (profile(model, list(range(1, n)), [1])["prefill"] for n in (3, 5))
        again = model.session().advance([1, 2])  # and the engine still runs
    assert again.shape == (1, 512)
    for name in ("linear ffn_gate+ffn_up Q4_K", "linear attn_q Q4_K"):
        flops = [
            next(
                row["flops_per_s"] * row["seconds"]
                for row in r["operations"]
                if row["name"] == name
            )
            for r in (short, long)
        ]
        assert flops[1] == pytest.approx(2 * flops[0])


def test_ids_are_in_the_vocabulary() -> None:
    for vocab in (1, 2, 101, 512, 200_000):
        ids = ordinary_ids(300, vocab)
        assert len(ids) == 300
        assert all(0 <= token < vocab for token in ids)
    assert ordinary_ids(5, 512) == ordinary_ids(9, 512)[:5]


def test_memory_is_read_by_every_thread() -> None:
    for threads in (1, 3):
        memory = Memory(threads, 1 << 20)
        assert memory.read() > 0


def test_spread() -> None:
    assert Spread.of([3.0, 1.0, 10.0]) == Spread(3.0, 1.0, 10.0, 3)


@pytest.fixture
def settings() -> dict[str, Any]:
    return {"threads": 1, "numerics": "fused", "context": 64, "size": 1 << 20}


def test_a_process_that_ends_says_why(settings: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"inference ended with status 1: .*no such file"):
        Served(OURS, tmp_path / "none.gguf", settings)
    with pytest.raises(EngineError, match="unknown engine 'vllm'"):
        Served("vllm", TINY_MODEL, settings)
    with Served(OURS, TINY_MODEL, settings) as served:
        assert served.ask("prefill", prompt=4)["wall"] > 0
        served._process.kill()
        with pytest.raises(EngineError, match="ended with SIGKILL"):
            served.ask("prefill", prompt=4)


def test_threads_reach_the_engine(measured: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    from inference import threads
    from inference.errors import InputError

    monkeypatch.setenv("APR_THREADS", "1")
    assert threads.available() == 1
    for wrong in ("0", "-1", "two", ""):
        monkeypatch.setenv("APR_THREADS", wrong)
        with pytest.raises(InputError, match="APR_THREADS must be a positive integer"):
            threads.available()
    assert len(measured.environments) == 4  # the memory, the engine, and two starts
    for environment in measured.environments:
        assert b"\0APR_THREADS=1\0" in b"\0" + environment + b"\0"


@pytest.mark.usefixtures("here")
def test_rounds_in_which_others_work_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = busy_seconds()
    assert clock is not None
    assert clock > 0
    readings = iter([0.0, 1e6, 1e6, 1e6])  # busy during the first round, idle in the second
    monkeypatch.setattr(measure, "busy_seconds", lambda: next(readings))
    found = bench(TINY_MODEL, Plan(prompt=4, tokens=2, rounds=2, memory_bytes=1 << 20))
    assert (found["rounds"], found["quiet_rounds"]) == (2, 1)
    assert found["others"][0] > 1 > found["others"][1] == 0.0
    assert found["engines"][OURS]["decode_tokens_per_s"]["n"] == 1


@pytest.mark.usefixtures("here")
def test_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["bench", TINY, "--prompt-tokens", "8", "--tokens", "3", "--rounds", "1"]
    monkeypatch.setattr(measure, "busy_seconds", iter([0.0, 1e6]).__next__)
    assert main([*arguments, "--threads", "1", "--json"]) == 0
    captured = capsys.readouterr()
    assert "apr: other processes used more than 10% of the machine in every round" in captured.err
    found = json.loads(captured.out)
    assert (found["threads"], found["prompt_tokens"], found["decoded_tokens"]) == (1, 8, 3)
    assert found["quiet_rounds"] == 0
    # Of one round every figure is what the others say.
    decoded, roofline = found["engines"][OURS]["decode_tokens_per_s"], found["roofline"]
    assert decoded["n"] == 1
    expected = roofline["bytes_per_token"] * decoded["median"]
    expected /= roofline["read_bytes_per_s"]["median"]
    assert roofline["share"]["median"] == pytest.approx(expected)


def lines(report: dict[str, Any]) -> Iterator[str]:
    return render({"model": "m.gguf", "numerics": "fused", **report})


def test_what_is_printed_is_what_was_measured(report: dict[str, Any]) -> None:
    text = "\n".join(lines(report))
    decode = report["engines"][OURS]["decode_tokens_per_s"]
    assert f"{decode['median']:,.1f} [{decode['low']:,.1f} … {decode['high']:,.1f}]" in text
    first = report["operations"]["decode"]["operations"][0]
    assert f"  {first['name']:<34}{first['share']:7.1%}" in text
    assert "times as fast" not in text
    both = {
        **report,
        "engines": {OURS: report["engines"][OURS], LLAMA_CPP: report["engines"][OURS]},
    }
    half = {"median": 0.5, "low": 0.4, "high": 0.6, "n": 2}
    both["ratios"] = {"prefill": half, "decode": half, "load": 0.7, "peak_rss": 1.1}
    assert "decode       0.50 [0.40 … 0.60] times as fast" in "\n".join(lines(both))


@pytest.mark.parametrize(
    ("extra", "code", "message"),
    [
        (["--tokens", "0"], 2, "--tokens"),
        (["--vs", "vllm"], 2, "'llama.cpp'"),
        (["--prompt-tokens", "100000"], 2, "do not fit a context of"),
    ],
)
def test_refusals(
    extra: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", TINY, *extra]) == code
    assert message in capsys.readouterr().err


def test_a_peer_that_is_not_here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "llama_cpp" else real(name)
    )
    assert main(["bench", TINY, "--vs", "llama.cpp"]) == 4
    assert "pip install llama-cpp-python" in capsys.readouterr().err
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: real("json"))
    assert (
        main(
            [
                "bench",
                str(Path(__file__).parents[2] / "golden" / "tiny" / "llama"),
                "--vs",
                LLAMA_CPP,
            ]
        )
        == 2
    )
    assert "GGUF files only" in capsys.readouterr().err


def test_llama_cpp_takes_its_turns() -> None:
    pytest.importorskip("llama_cpp", reason="needs llama-cpp-python")
    found = bench(TINY_MODEL, Plan(prompt=8, tokens=3, rounds=2, max_load=1.0,
                                   memory_bytes=1 << 20, with_llama_cpp=True))  # fmt: skip
    assert list(found["engines"]) == [OURS, LLAMA_CPP]
    for figure in ("prefill", "decode"):
        ratio = found["ratios"][figure]
        assert 0 < ratio["low"] <= ratio["median"]
