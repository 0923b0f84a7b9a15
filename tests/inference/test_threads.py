from __future__ import annotations

import os
import threading

import pytest

from inference import threads


@pytest.mark.parametrize("workers", [1, 2, 4, None])
@pytest.mark.parametrize(("total", "chunk"), [(0, 3), (1, 3), (9, 3), (10, 3), (2, 100)])
def test_every_index_once(workers: int | None, total: int, chunk: int) -> None:
    seen: list[int] = []
    lock = threading.Lock()

    def work(first: int, last: int) -> None:
        with lock:
            seen.extend(range(first, last))

    threads.for_chunks(work, total, chunk, workers)
    assert sorted(seen) == list(range(total))


@pytest.mark.parametrize("workers", [1, 3])
def test_errors_reach_the_caller(workers: int) -> None:
    def work(first: int, last: int) -> None:
        if first == 4:
            raise KeyError(first)

    with pytest.raises(KeyError):
        threads.for_chunks(work, 10, 2, workers)


def test_calls_may_be_nested() -> None:
    count = [0] * 8

    def inner(first: int, last: int) -> None:
        count[first] += 1

    threads.for_chunks(lambda first, last: threads.for_chunks(inner, 8, 1, 4), 6, 1, 4)
    assert count == [6] * 8


def test_a_processor_is_available(monkeypatch: pytest.MonkeyPatch) -> None:
    assert threads.available() >= 1
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert threads.available() == os.cpu_count()
