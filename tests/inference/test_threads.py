from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial

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


def test_goes_on_where_the_system_has_no_more_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threads, "start", refuse)
    seen: list[int] = []
    threads.for_chunks(lambda first, last: seen.extend(range(first, last)), 9, 2, 4)
    assert seen == list(range(9))


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timers")
@pytest.mark.parametrize("what", ["crew", "loop"])
def test_an_alarm_while_threads_start_is_what_ends_the_call(what: str) -> None:
    """`threading.Thread.start` would end in a KeyError of its own books, or never."""
    code = f"""
import random, signal
from inference import threads
class Alarm(Exception): pass
armed = False
def ring(*_):
    if armed:
        raise Alarm
signal.signal(signal.SIGALRM, ring)
rung = 0
while rung < 500:  # however soon threads have started, some alarms come before that
    crew = None
    try:
        armed = True
        signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-5, 4e-4))
        if {what == "crew"}:
            for _ in range(8):
                crew = threads.Crew(4, 512, 0)
                crew.dismiss()
        else:
            for _ in range(8):
                threads.for_chunks(lambda first, last: None, 16, 1, 4)
        armed = False
    except Alarm:
        rung += 1
    armed = False
    signal.setitimer(signal.ITIMER_REAL, 0)
    if crew is not None:
        crew.dismiss()
"""
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=600
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_processor_is_available(monkeypatch: pytest.MonkeyPatch) -> None:
    assert threads.available() >= 1
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert threads.available() == os.cpu_count()


def test_a_crew_that_is_called_off_no_longer_works_when_the_call_ends() -> None:
    """The caller frees the memory that its threads work in."""
    crew = threads.Crew(3, 512, 0)
    begun, left = threading.Semaphore(0), []

    def work(number: int) -> None:
        if number == 0:
            begun.acquire()
            begun.acquire()
            raise KeyboardInterrupt
        begun.release()
        time.sleep(0.2)
        left.append(number)

    with pytest.raises(KeyboardInterrupt):
        crew.run(work)
    assert sorted(left) == [1, 2]
    assert crew.dismissed


def test_an_error_of_one_thread_waits_for_the_others() -> None:
    crew = threads.Crew(3, 512, 0)
    begun, failed, left = threading.Event(), threading.Event(), []

    def work(number: int) -> None:
        if number == 1:
            begun.wait()
            failed.set()
            raise KeyError(number)
        if number == 2:
            begun.set()
            time.sleep(0.2)
            left.append(number)
        failed.wait()
        while number == 0 and not crew.dismissed:
            time.sleep(0.001)

    with pytest.raises(KeyError):
        crew.run(work)
    assert left == [2]


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timers")
@pytest.mark.parametrize("what", ["crew", "loop"])
def test_a_second_interrupt_does_not_leave_threads_at_work(what: str) -> None:
    class Alarm(Exception):
        pass

    def ring(*_: object) -> None:
        raise Alarm

    begun, left = threading.Event(), []

    def work(*_: object) -> None:
        if threading.current_thread() is threading.main_thread():
            begun.wait()
            raise KeyboardInterrupt
        begun.set()
        time.sleep(0.3)
        left.append(1)

    before = signal.signal(signal.SIGALRM, ring)
    try:
        crew = threads.Crew(2, 512, 0)
        loop = partial(threads.for_chunks, total=2, chunk=1, threads=2)
        call = crew.run if what == "crew" else loop
        signal.setitimer(signal.ITIMER_REAL, 0.1, 0.05)  # while the call waits for its threads
        with pytest.raises((KeyboardInterrupt, Alarm)):
            call(work)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert left == [1]
