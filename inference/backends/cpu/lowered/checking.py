"""What a run hands to compiled code, looked through before it begins: addresses, lengths, strides.

Only where memory is checked, see `inference.kernels.cpu.checked`. The look-up of single accesses
finds what lies in no memory at all; here every row is compared with the memory that it names, so
that a length or a stride that does not fit is found wherever it would lead.
"""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray

from inference.backends.cpu.cache import BlockedKVCache
from inference.backends.cpu.lowered import table as t
from inference.backends.cpu.lowered.lowering import Table
from inference.backends.protocol import Step
from inference.errors import MemoryFaultError
from inference.kernels.cpu import checked
from inference.kernels.cpu.memory import address_of
from inference.kernels.qmatmul.fused import FUSED
from inference.kernels.qmatmul.lanes import ROWS
from inference.quant.types import GGMLType


class _Check:
    """One look through; ``where`` is what is looked at."""

    def __init__(self) -> None:
        self._sizes = checked.sizes()
        self.where = ""

    def fits(self, right: bool, what: str) -> None:
        if not right:
            raise MemoryFaultError(f"{self.where}: {what}")

    def whole(self, address: int, size: int, what: str) -> None:
        """The memory at the address has exactly this size."""
        found = self._sizes.get(int(address), set())
        self.fits(int(size) in found, f"{what} takes {size} bytes, but there are {sorted(found)}")

    def room(self, address: int, size: int, what: str) -> None:
        """The memory at the address has at least this size."""
        found = max(self._sizes.get(int(address), {-1}))
        self.fits(int(size) <= found, f"{what} takes {size} bytes, but there are {found}")


def check_run(
    table: Table,
    rows: int,
    frame: NDArray[np.int64],
    places: NDArray[np.int64],
    threads: int,
    step: Step,
    positions: int,
) -> None:
    """Raise `MemoryFaultError` unless all that the frame and the table name fits its memory.

    ``rows`` are those of the buffers, ``positions`` those that have rotary tables.
    """
    check = _Check()
    check.where = "the frame"
    tokens, wanted = int(frame[t.TOKENS]), int(frame[t.WANTED])
    check.fits(tokens <= rows and wanted <= tokens, f"{wanted} of {tokens} tokens in {rows} rows")
    check.fits(t.APART_ROWS * (threads + 1) <= rows, f"{threads} threads in {rows} rows")
    check.whole(frame[t.TEXTS], 8 * t.PLACE * tokens, "the places")
    check.whole(frame[t.WANTED_ROWS], 8 * wanted, "the wanted rows")
    check.room(frame[t.SCRATCH], threads * frame[t.SCRATCH_BYTES], "scratch memory")
    check.fits(frame[t.SCRATCH_BYTES] >= table.scratch_bytes, "too little scratch memory")
    check.room(frame[t.ATTENTION], threads * frame[t.ATTENTION_BYTES], "memory of attention")
    _check_past(check, step, places)
    for begin, label in table.labels.items():
        check.where = label
        entry = table.rows[begin]
        if entry[t.OP] == t.LINEAR:
            _check_matrix(check, entry, rows, frame)
        elif entry[t.OP] == t.GATED:
            _check_matrix(check, table.rows[begin + 1], rows, None)
            _check_matrix(check, table.rows[begin + 2], rows, None)
            check.whole(entry[t.OUT], 4 * entry[t.WIDTH] * rows, "its result")
            check.fits(ROWS * entry[t.GROUPS] <= entry[t.WIDTH], "its result is too narrow")
        else:
            for row in table.rows[begin + 1 : begin + 1 + entry[t.COUNT]]:
                _check_part(check, row, int(entry[t.PARTS]), rows, frame, positions)


def _check_past(check: _Check, step: Step, places: NDArray[np.int64]) -> None:
    for span in step.spans:
        cache = cast(BlockedKVCache, span.cache)
        end = cache.length + span.rows.stop - span.rows.start
        check.where = "a cache"
        check.fits(end <= cache.rows, f"{end} tokens in {cache.rows} rows")
        for name, array in (("keys", cache.keys), ("values", cache.values)):
            check.fits(array.flags.c_contiguous, f"its {name} have strides {array.strides}")
            check.whole(address_of(array), array.nbytes, f"the {name}")
        new = places[span.rows]
        check.where = "the places of a text"
        right = np.arange(cache.length, end)
        check.fits(np.array_equal(new[:, t.POSITION], right), f"positions {new[:, t.POSITION]}")
        for array, at, layer, head in (
            (cache.keys, t.KEYS, t.LAYER_KEYS, t.HEAD_KEYS),
            (cache.values, t.VALUES, t.LAYER_VALUES, t.HEAD_VALUES),
        ):
            check.fits(bool((new[:, at] == address_of(array)).all()), "addresses of other memory")
            found = new[:, [layer, head]]
            check.fits(bool((found == array.strides[:2]).all()), f"strides {found[0]}")


def _check_matrix(
    check: _Check, row: NDArray[np.int64], rows: int, frame: NDArray[np.int64] | None
) -> None:
    layout = FUSED[GGMLType(int(row[t.KERNEL]))].layout
    blocks, groups = row[t.BLOCKS], row[t.GROUPS]
    check.fits(blocks % layout.blocks == 0, f"{blocks} blocks for units of {layout.blocks}")
    check.whole(row[t.PACKED], groups * (blocks // layout.blocks) * layout.size, "the weight")
    check.whole(row[t.Q], 32 * blocks * rows, "its operand")
    check.whole(row[t.SCALES], 4 * blocks * rows, "its operand's scales")
    check.whole(row[t.FIX], row[t.FIX_BYTES] * blocks * rows, "its corrections")
    if frame is None:
        return
    check.fits(ROWS * groups <= row[t.WIDTH], f"{groups} groups in a row of {row[t.WIDTH]}")
    out, lines = (row[t.OUT], rows) if row[t.OUT] else (frame[t.OUTPUT], frame[t.WANTED])
    check.whole(out, 4 * row[t.WIDTH] * lines, "its result")
    if row[t.TARGET]:
        check.whole(row[t.TARGET], 4 * row[t.TARGET_WIDTH] * rows, "the sum that it goes into")
        check.fits(ROWS * groups <= row[t.TARGET_WIDTH], "the sum that it goes into is too narrow")


def _check_part(
    check: _Check,
    row: NDArray[np.int64],
    parts: int,
    rows: int,
    frame: NDArray[np.int64],
    positions: int,
) -> None:
    op = row[t.OP]
    for name, at, width, size in (
        ("x", t.X, t.X_WIDTH, t.X_SIZE),
        ("y", t.Y, t.Y_WIDTH, t.Y_SIZE),
    ):
        if row[at]:
            check.whole(row[at], 4 * row[width] * rows, name)
            check.fits(parts * row[size] <= row[width], f"{name} is too narrow")
        elif at == t.X:
            check.whole(frame[t.OUTPUT], 4 * row[width] * frame[t.WANTED], "the output")
    if op == t.NORM:
        check.whole(row[t.PARAMETER], 4 * row[t.HEAD], "its weight")
    elif op == t.BIAS:
        check.whole(row[t.PARAMETER], 4 * row[t.X_SIZE] * parts, "its bias")
    elif op == t.GATE:
        check.whole(row[t.PARAMETER], 4 * row[t.HEAD] * rows, "its result")
    elif op == t.ROPE:
        for table in frame[t.TABLES + 2 * row[t.ANGLES] :][:2]:
            check.whole(table, 4 * (row[t.HEAD] // 2) * positions, "its tables")
    elif op in (t.QUANTIZE, t.CORRECT):
        check.whole(row[t.ROUND_Q], 32 * row[t.ROUND_BLOCKS] * rows, "what is rounded")
        check.whole(row[t.ROUND_SCALES], 4 * row[t.ROUND_BLOCKS] * rows, "its scales")
        check.fits(row[t.X_SIZE] <= 32 * row[t.ROUND_BLOCKS], "more values than blocks")
