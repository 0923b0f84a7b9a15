from __future__ import annotations

import contextlib
import json
import os
import select
import sys
import threading
import time
from pathlib import Path

import pytest

from pytest_contracts.symbolic import verify
from pytest_contracts.symbolic.worker import Limits, WorkerFailure, run_forked

CHILDREN = Path("/proc/thread-self/children")
LIMITS = Limits(cpu_s=5, wall_s=20)


def ceiling_covers(k):
    n, block = k.int("n", 1, 2**31), k.int("block", 1, 1024)
    assert (n + block - 1) // block * block >= n


def test_the_answer_is_what_the_task_returns():
    assert run_forked(lambda: {"pid": os.getpid()}, LIMITS)["pid"] != os.getpid()


def test_an_answer_longer_than_a_pipe_holds():
    text = "x" * 300_000
    assert run_forked(lambda: {"text": text}, LIMITS) == {"text": text}


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (lambda: {"not json": object()}, "exited with status 70 and no answer"),
        (lambda: 1 / 0, "tool error: ZeroDivisionError: division by zero"),
        (lambda: sys.exit(0), "tool error: SystemExit"),
        (lambda: os._exit(3), "exited with status 3"),
        (lambda: os.kill(os.getpid(), 9), "died of SIGKILL"),
    ],
)
def test_no_answer_is_a_failure_that_says_why(task, message):
    with pytest.raises(WorkerFailure, match=message):
        run_forked(task, LIMITS)


def test_processor_time_is_limited():
    def spin():
        while True:
            pass

    with pytest.raises(WorkerFailure, match=r"CPU limit of 0\.1 s"):
        run_forked(spin, Limits(cpu_s=0.1, wall_s=120))


def test_memory_is_limited():
    limits = Limits(cpu_s=5, wall_s=20, memory_bytes=64 << 20)
    assert run_forked(lambda: {"size": len(bytearray(16 << 20))}, limits) == {"size": 16 << 20}
    with pytest.raises(WorkerFailure, match=r"out of memory \(64 MiB\)"):
        run_forked(lambda: {"size": len(bytearray(256 << 20))}, limits)


def test_children_of_the_worker_die_with_it():
    reader, writer = os.pipe()

    def leaves_a_child():
        if os.fork() == 0:
            time.sleep(30)
        return {}

    assert run_forked(leaves_a_child, LIMITS) == {}
    os.close(writer)
    assert select.select([reader], [], [], 10)[0], "a process still holds the other end"
    assert os.read(reader, 1) == b""
    os.close(reader)


def test_no_descriptor_and_no_process_is_left():
    before = sorted(os.listdir("/proc/self/fd"))
    children = CHILDREN.read_text()
    for task in (dict, lambda: os._exit(1), lambda: time.sleep(600)):
        with contextlib.suppress(WorkerFailure):
            run_forked(task, Limits(cpu_s=1, wall_s=0.2))
    assert sorted(os.listdir("/proc/self/fd")) == before
    assert CHILDREN.read_text() == children


def test_threads_of_the_parent_do_no_harm():
    """Other threads allocate, print and hold locks while the worker is forked."""
    done = threading.Event()

    def busy():
        while not done.is_set():
            json.dumps(list(range(200)))
            with threading.Lock():
                str(object())

    threads = [threading.Thread(target=busy) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        verdicts = {verify(ceiling_covers).verdict for _ in range(10)}
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert verdicts == {"CONFIRMED"}


def test_a_tracer_in_the_parent_does_not_disturb_the_engine():
    """As a debugger, or coverage, would."""
    lines = []

    def tracer(frame, event, argument):
        lines.append(event)
        return tracer

    previous = sys.gettrace()
    sys.settrace(tracer)
    try:
        result = verify(ceiling_covers)
        traced = run_forked(lambda: {"traced": sys.gettrace() is not None}, LIMITS)["traced"]
        assert sys.gettrace() is tracer
    finally:
        sys.settrace(previous)
    assert result.verdict == "CONFIRMED"
    assert lines
    assert not traced
