from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference import kernels
from inference.backends.metrics import DispatchMetrics, Histogram, MetricsSnapshot
from inference.backends.placement import Device
from inference.kernels.cuda import device, launch, nvrtc
from inference.kernels.cuda.ptx import parse_ptx
from inference.quant import GGMLType, quantize
from pytest_contracts.symbolic import Draws

Compared = Callable[..., object]

THREADS = 8
DISPATCHES_PER_THREAD = 1500
PATIENCE_S = 0.003


def metrics_survive_threads(compared: Compared) -> None:
    """Threads record timed dispatches while another takes snapshots: every one must add up."""
    metrics = DispatchMetrics()
    start = threading.Barrier(THREADS + 1)
    done = threading.Event()
    broken: list[MetricsSnapshot] = []
    snapshots = 0

    def record(seed: int) -> None:
        start.wait()
        for i in range(DISPATCHES_PER_THREAD):
            metrics.record(Device.GPU if (i + seed) % 3 == 0 else Device.CPU, i)

    def watch() -> None:
        nonlocal snapshots
        start.wait()
        last = False
        while not last:
            last = done.is_set()
            snapshot = metrics.snapshot()
            snapshots += 1
            if not adds_up(snapshot):
                broken.append(snapshot)

    recorders = [threading.Thread(target=record, args=(seed,)) for seed in range(THREADS)]
    watcher = threading.Thread(target=watch)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # switch threads as often as the interpreter can
    try:
        for thread in (watcher, *recorders):
            thread.start()
        for thread in recorders:
            thread.join()
        done.set()
        watcher.join()
    finally:
        done.set()
        sys.setswitchinterval(interval)

    assert not broken, f"{len(broken)} of {snapshots} snapshots do not add up, first {broken[0]}"
    final = metrics.snapshot()
    expected_gpu = sum(
        (i + seed) % 3 == 0 for seed in range(THREADS) for i in range(DISPATCHES_PER_THREAD)
    )
    assert adds_up(final), final
    assert final.total == THREADS * DISPATCHES_PER_THREAD
    assert final.gpu_dispatches == expected_gpu
    compared(final.total, what="dispatches")  # how many snapshots there were is chance


def metrics_survive_every_interleaving(compared: Compared) -> None:
    """Stop one thread at each of its bytecodes in turn; a second one then does all its work.

    Where the first holds the lock the second waits, and both go on; where it does not, the second
    sees, and overwrites, whatever is half done.
    """
    metrics = DispatchMetrics()
    source = DispatchMetrics.record.__code__.co_filename
    seen: list[MetricsSnapshot] = []
    others: list[threading.Thread] = []

    def look_and_record() -> None:
        seen.append(metrics.snapshot())
        metrics.record(Device.CPU, 7)

    def at_bytecode(frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code.co_filename != source:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            other = threading.Thread(target=look_and_record)
            other.start()
            other.join(PATIENCE_S)
            others.append(other)
        return at_bytecode

    def record_and_look() -> None:
        # Python 3.12 tells of bytecodes only if some frame asks for them when tracing begins.
        sys._getframe().f_trace_opcodes = True
        sys.settrace(at_bytecode)
        try:
            metrics.record(Device.GPU, 10)
            seen.append(metrics.snapshot())
        finally:
            sys.settrace(None)

    stopped = threading.Thread(target=record_and_look)
    stopped.start()
    stopped.join()
    for other in others:
        other.join()
    broken = [snapshot for snapshot in (*seen, metrics.snapshot()) if not adds_up(snapshot)]
    assert not broken, f"{len(broken)} of {len(seen) + 1} snapshots do not add up: {broken[0]}"
    assert metrics.gpu_dispatches == 1
    assert metrics.total == len(others) + 1
    compared(len(others), what="interruptions")


def adds_up(snapshot: MetricsSnapshot) -> bool:
    """Tell whether the counters of a run in which every dispatch was timed belong together."""
    return (
        snapshot.total == snapshot.cpu_dispatches + snapshot.gpu_dispatches
        and snapshot.cpu_latency.count == snapshot.cpu_dispatches
        and snapshot.gpu_latency.count == snapshot.gpu_dispatches
        and sum(snapshot.cpu_latency.buckets) == snapshot.cpu_dispatches
        and sum(snapshot.gpu_latency.buckets) == snapshot.gpu_dispatches
    )


def metrics_follow_every_dispatch(
    on_gpu: Sequence[int], latencies: Sequence[int], compared: Compared
) -> None:
    """Compare the counters after each dispatch with counts made here."""
    metrics = DispatchMetrics()
    gpu = 0
    for done, (to_gpu, latency) in enumerate(zip(on_gpu, latencies, strict=True), start=1):
        metrics.record(Device.GPU if to_gpu else Device.CPU, int(latency))
        gpu += int(to_gpu)
        snapshot = metrics.snapshot()
        assert snapshot.total == done
        assert snapshot.gpu_dispatches == gpu
        assert snapshot.cpu_dispatches == done - gpu
        assert adds_up(snapshot), snapshot
        assert metrics.total == metrics.cpu_dispatches + metrics.gpu_dispatches
    compared(len(on_gpu), what="dispatches")


def ratio_at_the_edges(compared: Compared) -> None:
    """Check the ratio before the first dispatch, on one device only, and on both."""
    metrics = DispatchMetrics()
    assert metrics.gpu_ratio == 0.0
    assert metrics.snapshot().gpu_ratio == 0.0
    metrics.record(Device.CPU)
    assert metrics.gpu_ratio == 0.0
    metrics.record(Device.GPU)
    assert metrics.gpu_ratio == 0.5
    gpu_only = DispatchMetrics()
    gpu_only.record(Device.GPU)
    gpu_only.record(Device.GPU)
    assert gpu_only.gpu_ratio == 1.0
    compared(5, what="ratios")


def buckets_hold_each_latency_once(latencies: NDArray[np.int64], compared: Compared) -> None:
    """Compare every bucket with an independent count, at and around every boundary too."""
    histogram = Histogram()
    edges = np.asarray(histogram.boundaries, np.int64)
    values = np.concatenate([latencies, edges - 1, edges, edges + 1])
    for value in values.tolist():
        histogram.add(value)
    assert sum(histogram.buckets) == histogram.count == len(values)
    lows = [None, *histogram.boundaries]
    highs = [*histogram.boundaries, None]
    for bucket, low, high in zip(histogram.buckets, lows, highs, strict=True):
        inside = np.ones(len(values), bool)
        if low is not None:
            inside &= values >= low
        if high is not None:
            inside &= values < high
        assert bucket == np.count_nonzero(inside), f"[{low}, {high})"
    compared(len(values), what="latencies")


def ptx_structure(kernel: str, architecture: int, compared: Compared) -> None:
    """Compile a kernel without a GPU and read its structure off the PTX."""
    entries = cuda_kernels(cuda_module(kernel))
    source = entries[kernel].source
    module = parse_ptx(nvrtc.compile_ptx(source, architecture, name=kernel))
    assert module.target == f"sm_{architecture}"
    assert module.address_size == 64
    assert sorted(module.entries) == sorted(entries), "one entry serves a single row and a batch"
    entry = module.entries[kernel]
    assert entry.reads("%ctaid.y"), "no batch mechanism: a batch would compute one row only"
    assert entry.wide_shared_accesses == 0, "shared memory is addressed with 64 bits"
    assert not entry.uses_f64
    assert not entry.uses_local_memory
    assert entry.shared_bytes <= 48 << 10
    compared(1, what="kernels")


def cuda_matches_cpu(kernel: str, batch: int, compared: Compared) -> None:
    """Run a kernel on the GPU and on the CPU; the launch count witnesses that the GPU ran."""
    rng = np.random.default_rng(batch)
    x = rng.normal(size=(batch, 1024)).astype(np.float32)
    arguments: tuple[Any, ...]
    if kernel == "rmsnorm":
        arguments = x, rng.normal(size=1024).astype(np.float32), 1e-6
    elif kernel == "swiglu":
        arguments = x, rng.normal(size=x.shape).astype(np.float32)
    else:
        weight = rng.normal(size=(96, 1024)).astype(np.float32)
        arguments = quantize(weight, GGMLType.Q4_K), GGMLType.Q4_K, 96, 1024, x
    before = device.launches().get(kernel, 0)
    module = cuda_module(kernel)
    room = room_of(module)
    actual = getattr(module, room)(*arguments)
    assert device.launches().get(kernel, 0) == before + 1, "the GPU kernel did not run"
    expected = getattr(importlib.import_module(f"inference.kernels.{room}"), room)(*arguments)
    assert actual.shape == expected.shape
    scale = float(np.max(np.abs(expected)))
    assert scale > 0
    error = float(np.max(np.abs(actual - expected))) / scale
    assert error <= 1e-3, f"{kernel} on the GPU is off by {error:.3g} of the largest value"
    compared(expected.size, what="elements, GPU against CPU")


def cuda_module(kernel: str) -> ModuleType:
    """Return the module that launches a kernel: the one in whose room the source has the entry."""
    for path in sorted(Path(kernels.__path__[0]).glob("*/cuda.py")):
        module = importlib.import_module(f"inference.kernels.{path.parent.name}.cuda")
        if kernel in cuda_kernels(module):
            return module
    raise AssertionError(f"no room has a CUDA kernel {kernel!r}")


def cuda_kernels(module: ModuleType) -> dict[str, device.CudaKernel]:
    """Return a room's CUDA kernels by entry: its one ``KERNEL``, or its ``KERNELS`` by type."""
    several = getattr(module, "KERNELS", None)
    found = [module.KERNEL] if several is None else several.values()
    return {kernel.entry: kernel for kernel in found}


def room_of(module: ModuleType) -> str:
    """Return the name of a kernel's room, which is that of its function."""
    return module.__name__.split(".")[-2]


def verify_ratio_bounded(k: Draws) -> None:
    """The ratio lies in [0, 1] after any sequence of at most ``bound`` dispatches."""
    metrics, _ = recorded(k)
    k.cover("before the first dispatch", metrics.total == 0)
    k.cover("all on the GPU", metrics.total > 0 and metrics.gpu_ratio == 1)
    assert 0.0 <= metrics.gpu_ratio <= 1.0


def verify_metrics_consistent(k: Draws) -> None:
    """The counters equal the dispatches made, whatever their order."""
    metrics, expected = recorded(k)
    assert metrics.total == len(expected)
    assert metrics.gpu_dispatches == expected.count(Device.GPU)
    assert metrics.total == metrics.cpu_dispatches + metrics.gpu_dispatches
    assert metrics.snapshot().total == metrics.total


def recorded(k: Draws) -> tuple[DispatchMetrics, list[Device]]:
    """Record up to ``bound`` dispatches, each on either device; return the devices as well."""
    metrics = DispatchMetrics()
    devices = []
    for i in range(k.int("dispatches", 0, k.bound)):
        devices.append(Device.GPU if k.bool(f"on_gpu_{i}") else Device.CPU)
        metrics.record(devices[-1])
    return metrics, devices


def verify_grid_covers(k: Draws) -> None:
    """⌈n / block⌉ blocks hold every element, and one block less does not."""
    n = k.int("n", 1, k.bound)
    block = k.int("block", 1, launch.MAX_THREADS_PER_BLOCK)
    blocks = launch.blocks_for(n, block)
    assert blocks * block >= n
    assert (blocks - 1) * block < n
    assert blocks <= launch.MAX_GRID_X


def verify_one_bucket(k: Draws) -> None:
    """A value is counted in the one bucket whose half-open range holds it."""
    low = k.int("low", 0, k.bound - 1)
    high = k.int("high", low + 1, k.bound)
    value = k.int("value", 0, k.bound + 1)
    k.cover("at a boundary", value == low)
    histogram = Histogram((low, high))
    histogram.add(value)
    assert histogram.buckets == [int(value < low), int(low <= value < high), int(value >= high)]
    assert histogram.count == 1
