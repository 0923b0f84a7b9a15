"""Run a task in a forked process with hard limits; whatever goes wrong there is reported.

A fork keeps harnesses that cannot be imported by name (procedures beside a contract, closures) and
costs no import. The child has its own process group, limits on CPU time and memory, no output, and
writes one JSON line to a pipe; the parent waits until a deadline and then kills the whole group.

Threads of the parent may run meanwhile, with one exception: OpenBLAS can hang in ``fork`` itself
while another thread is inside one of its multi-threaded products.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import os
import random
import resource
import select
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

MEMORY_BYTES = 4 << 30
_STATM = "/proc/self/statm"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a worker may use; memory counts on top of what the parent has already mapped."""

    cpu_s: float
    wall_s: float
    memory_bytes: int = MEMORY_BYTES


class WorkerFailure(Exception):
    """The worker gave no answer: killed at a limit, died, or its tool broke."""


def run_forked(task: Callable[[], Mapping[str, Any]], limits: Limits) -> dict[str, Any]:
    """Return what ``task`` returns, computed in a child process; the result must be JSON.

    Raises:
        WorkerFailure: no answer came; the message says why.
    """
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        # Python warns of forking beside threads. The child runs only the task, in one thread, and
        # one that hangs on a lock of a lost thread meets the deadline.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        _child(task, limits, reader, writer)
    os.close(writer)
    try:
        answer = _read_line(reader, time.monotonic() + limits.wall_s)
    finally:
        os.close(reader)
        status = _reap(pid)
    if answer is None:
        raise WorkerFailure(f"no answer within {limits.wall_s:g} s of wall time")
    if not answer:
        raise WorkerFailure(_cause_of_death(status, limits))
    message: dict[str, Any] = json.loads(answer)
    if "tool_error" in message:
        raise WorkerFailure(message["tool_error"])
    return message


def _read_line(reader: int, deadline: float) -> bytes | None:
    """Return one line without its end, b"" when the child closed without one, None when late."""
    received = b""
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([reader], [], [], left)[0]:
            return None
        chunk = os.read(reader, 1 << 16)
        if not chunk:
            return b""
        received += chunk
        if received.endswith(b"\n"):
            return received[:-1]


def _reap(pid: int) -> int:
    """Kill the process group of ``pid`` and return the child's wait status.

    A child that has ended by itself keeps its own status; until it is reaped its group id cannot
    be taken by another.
    """
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:  # it has not come as far as leaving the parent's group
        os.kill(pid, signal.SIGKILL)
    return os.waitpid(pid, 0)[1]


def _cause_of_death(status: int, limits: Limits) -> str:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number == signal.SIGXCPU:
            return f"the CPU limit of {limits.cpu_s:g} s was used up without a branch to stop at"
        return f"the worker died of {signal.Signals(number).name}"
    return f"the worker exited with status {os.waitstatus_to_exitcode(status)} and no answer"


def _child(
    task: Callable[[], Mapping[str, Any]], limits: Limits, reader: int, writer: int
) -> None:  # pragma: no cover - runs in the forked process, where nothing measures
    """Run the task and leave the process; never return to the parent's code."""
    try:
        os.close(reader)
        try:
            _isolate(limits)
            message = dict(task())
        except MemoryError:
            message = {"tool_error": f"out of memory ({limits.memory_bytes >> 20} MiB)"}
        except BaseException as error:
            message = {"tool_error": f"tool error: {type(error).__name__}: {str(error)[:300]}"}
        data = json.dumps(message).encode() + b"\n"
        while data:
            data = data[os.write(writer, data) :]
        os._exit(0)
    finally:
        os._exit(70)


def _isolate(limits: Limits) -> None:  # pragma: no cover - runs in the forked process
    """Cut the child loose from terminal, output, tracers and the parent's objects; set limits."""
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGXCPU):
        signal.signal(number, signal.SIG_DFL)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - lives as long as the process
    faulthandler.disable()  # pytest points it at a copy of the terminal's descriptor
    _stop_tracers()
    # Objects of the parent must not be finalized here: they own files, sockets, device memory.
    gc.freeze()
    warnings.simplefilter("ignore")
    random.seed(0)
    # Above the engine's own limit, which is checked only where a path branches.
    cpu = int(limits.cpu_s * 1.25) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    memory = _mapped_bytes() + limits.memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def _stop_tracers() -> None:  # pragma: no cover - runs in the forked process
    """Switch off coverage and debuggers, which would compete with CrossHair for the same hooks."""
    sys.settrace(None)
    sys.setprofile(None)
    threading.settrace(None)
    monitoring = getattr(sys, "monitoring", None)
    if monitoring is not None:
        for tool in range(6):
            if monitoring.get_tool(tool) is not None:
                monitoring.set_events(tool, 0)
                monitoring.free_tool_id(tool)


def _mapped_bytes() -> int:
    """Return the size of the process's address space; it counts against RLIMIT_AS."""
    try:
        with open(_STATM, encoding="ascii") as statm:
            return int(statm.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 0
