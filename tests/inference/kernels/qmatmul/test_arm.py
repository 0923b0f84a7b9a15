"""The kernels for ARM's dot product, compiled for it and carried out by an emulator."""

from __future__ import annotations

import llvmlite.binding as llvm
import numpy as np
import pytest
from llvmlite import ir
from numpy.typing import NDArray

from inference.kernels.qmatmul import (
    FUSED_KERNELS,
    cpu,
    multiply,
    pack,
    product,
    quantize_activations,
)
from inference.kernels.qmatmul.fused import FUSED
from inference.kernels.qmatmul.layouts import Move
from inference.kernels.qmatmul.target import TARGET, Target
from inference.quant.types import GGMLType, block_size, type_size

unicorn = pytest.importorskip("unicorn", reason="unicorn is not installed: pip install unicorn")
arm64 = pytest.importorskip("unicorn.arm64_const")

ARM = Target("sdot", half=True, fma=True)
ROWS, COLS, TOKENS = 16, 512, 9
BLOCKS = COLS // 32
NAMES = ("packed", "blocks", "q", "scales", "corrections", "out", "width", "scratch")
CODE, DATA, STACK, END = 0x10000, 0x100000, 0x800000, 0xFFFF000
SIZE = 0x100000


def machine_code(dtype: GGMLType, part: str) -> bytes:
    """Compile the product of one group of rows with one token, or with eight."""
    module = ir.Module()
    module.triple = "aarch64-unknown-linux-gnu"
    i64 = ir.IntType(64)
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [i64] * 9), part)
    builder = ir.IRBuilder(function.append_basic_block())
    *values, token = function.args
    code = product._Product(builder, dtype, **dict(zip(NAMES, values, strict=True)))
    group = ir.Constant(i64, 0)
    if part == "tile":
        code.expand(group)
        code.tile(group, token)
    else:
        code.decode(group, token)
    builder.ret_void()
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    parsed = llvm.parse_assembly(str(module))
    parsed.verify()
    target = llvm.Target.from_triple(module.triple)
    machine = target.create_target_machine(
        features="+neon,+dotprod", opt=2, reloc="static", codemodel="small"
    )
    sections = llvm.ObjectFileRef.from_data(machine.emit_object(parsed)).sections()
    code: bytes = next(part.data() for part in sections if part.is_text())
    assert has_dot_products(code)
    return code


def has_dot_products(code: bytes) -> bool:
    """Tell whether SDOT is in machine code, with a whole vector or with an element of one.

    Printing the assembly, to search it for the word, would generate all the code once more.
    """
    instructions = np.frombuffer(code[: len(code) // 4 * 4], "<u4")
    vector = instructions & 0xBFE0FC00 == 0x0E809400
    element = instructions & 0xBFC0F400 == 0x0F80E000
    return bool((vector | element).any())


class Emulated:
    """An ARM processor with the arguments of one product in its memory."""

    def __init__(self, arrays: dict[str, NDArray[np.generic]]) -> None:
        self.machine = unicorn.Uc(unicorn.UC_ARCH_ARM64, unicorn.UC_MODE_ARM)
        self.machine.ctl_set_cpu_model(arm64.UC_CPU_ARM64_MAX)
        for first in (CODE, STACK):
            self.machine.mem_map(first, SIZE if first == STACK else DATA - CODE)
        self.places: dict[str, int] = {}
        free = DATA
        for name, array in arrays.items():
            size = -(-array.nbytes // 4096) * 4096
            self.machine.mem_map(free, size)
            self.machine.mem_write(free, array.tobytes())
            self.places[name] = free
            free += size
        assert free < STACK

    def call(self, code: bytes, *arguments: int) -> None:
        self.machine.mem_write(CODE, code)
        self.machine.ctl_flush_tb()  # what it has translated from there
        for i, value in enumerate(arguments[:8]):
            self.machine.reg_write(getattr(arm64, f"UC_ARM64_REG_X{i}"), value)
        stack = STACK + SIZE - 4096
        self.machine.mem_write(stack, arguments[8].to_bytes(8, "little"))
        self.machine.reg_write(arm64.UC_ARM64_REG_SP, stack)
        self.machine.reg_write(arm64.UC_ARM64_REG_LR, END)
        enabled = self.machine.reg_read(arm64.UC_ARM64_REG_CPACR_EL1) | 3 << 20
        self.machine.reg_write(arm64.UC_ARM64_REG_CPACR_EL1, enabled)
        self.machine.emu_start(CODE, END)

    def read(self, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        size = 4 * int(np.prod(shape))
        data = bytes(self.machine.mem_read(self.places[name], size))
        return np.frombuffer(data, np.float32).reshape(shape)


def extreme_weights(dtype: GGMLType) -> NDArray[np.uint8]:
    """Any levels and all extreme ones, with a moderate scale."""
    rng = np.random.default_rng(0)
    shape = ROWS, COLS // block_size(dtype), type_size(dtype)
    raw = rng.integers(0, 256, shape, dtype=np.uint8)
    raw[0], raw[1], raw[2] = 255, 127, 128
    for kind, at, _, _ in FUSED[dtype].layout.moves.tolist():
        if kind == Move.HALF:
            raw[:, :, at : at + 2] = np.array([0.03], "<f2").view(np.uint8)
    return raw.reshape(-1)


@pytest.mark.parametrize("dtype", FUSED_KERNELS, ids=lambda dtype: dtype.name)
def test_arm_computes_what_this_processor_computes(
    dtype: GGMLType, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = np.random.default_rng(1).normal(size=(TOKENS, COLS)).astype(np.float32)
    x[0], x[1] = 1, -1
    weight = pack(extreme_weights(dtype), dtype, ROWS, COLS)
    q, scales = quantize_activations(x)
    here = multiply(weight, q, scales)
    monkeypatch.setattr(product, "TARGET", ARM)
    corrections = cpu.activation_corrections(q, scales, dtype)
    machine = Emulated(
        {
            "packed": weight.data,
            "q": q,
            "scales": scales,
            "corrections": corrections,
            "out": np.full((TOKENS, ROWS), np.nan, np.float32),
            "scratch": np.zeros(cpu.scratch_bytes(BLOCKS), np.uint8),
        }
    )
    at = {**machine.places, "blocks": BLOCKS, "width": ROWS}
    for part, token in (("decode", 0), ("tile", 1)):
        machine.call(machine_code(dtype, part), *(at[name] for name in NAMES), token)
    there = machine.read("out", (TOKENS, ROWS))
    np.testing.assert_allclose(there, here, rtol=1e-5, atol=1e-4 * np.abs(here).max())
    if TARGET.fma:
        np.testing.assert_array_equal(there, here)
