from __future__ import annotations

import threading

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.kernels.qmatmul import regions
from inference.kernels.qmatmul.regions import Memory, Reserved, Shared, room

MIB = 1 << 20


@pytest.mark.parametrize("memory", [Shared(), Reserved(64 * MIB)])
def test_parts_are_zero_and_aligned_and_do_not_overlap(memory: Memory) -> None:
    sizes = [1, 64, 65, 3 * MIB, 0, 33 * MIB, 100, 24 * MIB]
    parts = [memory.take(size) for size in sizes]
    for number, (part, size) in enumerate(zip(parts, sizes, strict=True), 1):
        assert part.size == size
        assert part.ctypes.data % 64 == 0
        assert not part.any()
        part[:] = number
    for number, part in enumerate(parts, 1):
        assert (part == number).all()


def test_reserved_bytes_are_given_once() -> None:
    memory = Reserved(room(100) + room(30))
    memory.take(100)
    memory.take(30)
    with pytest.raises(ValueError, match="1 bytes asked of 0 reserved ones"):
        memory.take(1)


def test_a_part_is_given_once_nobody_else_writes_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread stores zeros; what was packed before it came by would be lost."""
    may_go_on = threading.Event()
    whole = np.zeros(2 * regions.SMALLEST, np.uint8)

    class Slow:
        def __setitem__(self, part: slice, value: int) -> None:
            if part.start > 0:
                may_go_on.wait(10)
            whole[part] = value

        def __getitem__(self, part: slice) -> NDArray[np.uint8]:
            return whole[part]

    monkeypatch.setattr(regions, "region", lambda size: Slow())
    memory = Reserved(whole.size)
    memory.take(regions.SMALLEST)[:] = 1
    threading.Timer(0.2, may_go_on.set).start()
    memory.take(regions.SMALLEST)[:] = 2
    assert may_go_on.is_set()
    assert memory._ended.wait(10)
    assert (whole[: regions.SMALLEST] == 1).all()
    assert (whole[regions.SMALLEST :] == 2).all()


def test_nobody_waits_for_a_thread_that_has_ended() -> None:
    memory = Reserved(MIB)
    assert memory._ended.wait(10)
    memory._present = 0
    assert memory.take(MIB).size == MIB


def test_nobody_waits_in_a_forked_child(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Reserved(MIB)
    assert memory._ended.wait(10)
    memory._ended.clear()
    memory._present = 0  # as where the fork came before
    monkeypatch.setattr(regions.os, "getpid", lambda: -1)
    assert memory.take(MIB).size == MIB
