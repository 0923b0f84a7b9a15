"""Counters of where work was sent and how long it took; says nothing of how the choice was made."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from inference.backends.placement import Device

DEFAULT_BOUNDARIES_US = (10, 100, 1_000, 10_000, 100_000, 1_000_000)


def gpu_ratio(cpu_dispatches: int, gpu_dispatches: int) -> float:
    """Return the share of dispatches that went to the GPU, in [0, 1]; 0.0 before the first one."""
    total = cpu_dispatches + gpu_dispatches
    if total == 0:
        return 0.0
    return gpu_dispatches / total


class Histogram:
    """Counts in half-open buckets: bucket i holds ``boundaries[i-1] <= value < boundaries[i]``.

    The first bucket has no lower end and the last no upper end, so every value falls into exactly
    one. Not synchronized: `DispatchMetrics` holds the lock.
    """

    def __init__(self, boundaries: Sequence[int] = DEFAULT_BOUNDARIES_US) -> None:
        if any(low >= high for low, high in pairwise(boundaries)):
            raise ValueError(f"bucket boundaries must increase strictly, got {tuple(boundaries)}")
        self.boundaries = tuple(boundaries)
        self.buckets = [0] * (len(self.boundaries) + 1)
        self.count = 0

    def add(self, value: int) -> None:
        """Count one value; a value equal to a boundary belongs to the bucket above it."""
        self.buckets[bisect_right(self.boundaries, value)] += 1
        self.count += 1


@dataclass(frozen=True, slots=True)
class LatencySnapshot:
    """One latency histogram; ``len(buckets) == len(boundaries_us) + 1``."""

    boundaries_us: tuple[int, ...]
    buckets: tuple[int, ...]
    count: int


@dataclass(frozen=True, slots=True)
class MetricsSnapshot:
    """The counters at one moment, taken under the lock: they always belong together."""

    cpu_dispatches: int
    gpu_dispatches: int
    total: int
    gpu_ratio: float
    cpu_latency: LatencySnapshot
    gpu_latency: LatencySnapshot


class DispatchMetrics:
    """Counters that any number of threads may record into.

    Latencies are whole microseconds; a dispatch recorded without one is counted but not timed.
    Contract: contracts/gpu/kernel-dispatch-v1.yaml
    """

    def __init__(self, boundaries_us: Sequence[int] = DEFAULT_BOUNDARIES_US) -> None:
        self._lock = threading.RLock()  # a signal handler may run a model, and come back here
        self._cpu = 0
        self._gpu = 0
        self._total = 0
        self._cpu_latency = Histogram(boundaries_us)
        self._gpu_latency = Histogram(boundaries_us)

    def record(self, device: Device, latency_us: int | None = None) -> None:
        """Count one dispatch, and its latency in microseconds when it was measured.

        Raises:
            ValueError: the latency is negative; nothing is counted then.
        """
        if latency_us is not None and latency_us < 0:
            raise ValueError(f"a latency cannot be negative, got {latency_us} us")
        with self._lock:
            self._total += 1
            if device == Device.GPU:
                self._gpu += 1
                latency = self._gpu_latency
            else:
                self._cpu += 1
                latency = self._cpu_latency
            if latency_us is not None:
                latency.add(latency_us)

    @property
    def cpu_dispatches(self) -> int:
        """Dispatches that went to the CPU."""
        return self._cpu

    @property
    def gpu_dispatches(self) -> int:
        """Dispatches that went to the GPU."""
        return self._gpu

    @property
    def total(self) -> int:
        """Calls of `record` so far, counted apart from the two device counters."""
        return self._total

    @property
    def gpu_ratio(self) -> float:
        """Share of dispatches that went to the GPU; 0.0 before the first one."""
        with self._lock:
            return gpu_ratio(self._cpu, self._gpu)

    def snapshot(self) -> MetricsSnapshot:
        """Return all counters of one moment."""
        with self._lock:
            return MetricsSnapshot(
                cpu_dispatches=self._cpu,
                gpu_dispatches=self._gpu,
                total=self._total,
                gpu_ratio=gpu_ratio(self._cpu, self._gpu),
                cpu_latency=_freeze(self._cpu_latency),
                gpu_latency=_freeze(self._gpu_latency),
            )


def _freeze(histogram: Histogram) -> LatencySnapshot:
    return LatencySnapshot(histogram.boundaries, tuple(histogram.buckets), histogram.count)
