"""Every instruction set that this machine can run, forced one at a time in a process of its own."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np
import pytest

from inference.kernels.qmatmul import multiply, pack, quantize_activations
from inference.kernels.qmatmul.target import Target, choose, enabled_features
from inference.quant.types import GGMLType, block_size, type_size

ARM = platform.machine() in ("aarch64", "arm64")
AVX2 = "+avx2,+fma,+f16c,+avx,+ssse3,+sse4.1,+sse4.2"
AVX512 = AVX2 + ",+avx512f,+avx512bw,+avx512vl,+avx512vnni"
TARGETS = {
    "vnni512": ("x86-64-v4", AVX512),
    "vnni256": ("x86-64-v3", AVX2 + ",+avxvnni"),
    "avx2": ("x86-64-v3", AVX2),
    "generic": ("x86-64", ""),
}
TYPES = (GGMLType.Q8_0, GGMLType.Q5_0, GGMLType.Q5_K, GGMLType.Q6_K)
CHILD = """
import sys
import numpy as np
from inference.kernels.qmatmul import FUSED_KERNELS, Launch, PackedWeight, multiply
from inference.kernels.qmatmul import quantize_activations
from inference.kernels.qmatmul.target import TARGET
from inference.quant.types import GGMLType
given = np.load(sys.argv[1])
q, scales = quantize_activations(given["x"])
def weight(dtype):
    launch = Launch("", dtype, 32, 512)
    return PackedWeight(dtype, 32, 512, given[dtype.name], 512, FUSED_KERNELS[dtype], launch)
results = {
    name: multiply(weight(GGMLType[name]), q, scales) for name in given.files if name != "x"
}
np.savez(sys.argv[2], dot=TARGET.dot, **results)
"""


def test_the_best_instruction_is_chosen() -> None:
    for dot, (_, listed) in TARGETS.items():
        features = frozenset(name[1:] for name in listed.split(",") if name)
        target = choose(features)
        assert target.dot == dot
        assert target.unsigned == (dot in ("vnni512", "vnni256"))
    assert choose(frozenset({"avx512vnni", "avx512vl"})).dot == "vnni256"
    assert choose(frozenset({"neon", "dotprod"})) == Target("sdot", half=ARM, fma=ARM)


def test_features_are_those_that_numba_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    from numba.core import config

    monkeypatch.setattr(config, "CPU_FEATURES", "+avx2,-avx512f,+fma")
    assert enabled_features() == {"avx2", "fma"}
    monkeypatch.setattr(config, "CPU_FEATURES", None)
    monkeypatch.setattr(config, "ENABLE_AVX", False)
    assert not {name for name in enabled_features() if name.startswith("avx")}


@pytest.mark.parametrize("dot", TARGETS)
def test_every_target_computes_the_same(dot: str, tmp_path: Path) -> None:
    """Levels at their extremes under activations at theirs: where 16-bit sums would saturate.

    How weights are packed does not depend on the target; they are, once, here.
    """
    name, listed = TARGETS[dot]
    host = {feature for feature, present in llvm.get_host_cpu_features().items() if present}
    if not {feature[1:] for feature in listed.split(",") if feature} <= host:
        pytest.skip(f"this processor cannot run {dot}")
    if dot == "generic" and not llvm.get_default_triple().startswith("x86_64"):
        name = "generic"
    rng = np.random.default_rng(0)
    x = rng.normal(size=(9, 512)).astype(np.float32)
    x[0], x[1] = 1, -1
    given, weights = {"x": x}, {}
    for dtype in TYPES:
        raw = rng.integers(0, 256, (32, 512 // block_size(dtype), type_size(dtype)), dtype=np.uint8)
        raw[0], raw[1], raw[2] = 255, 127, 128
        for at in {"Q5_K": (0, 2), "Q6_K": (208,)}.get(dtype.name, (0,)):
            raw[:, :, at : at + 2] = np.array([0.03], "<f2").view(np.uint8)
        weights[dtype] = pack(raw.reshape(-1), dtype, 32, 512)
        given[dtype.name] = weights[dtype].data
        assert weights[dtype].padded_cols == 512
    np.savez(tmp_path / "given.npz", **given)
    subprocess.run(
        [sys.executable, "-P", "-c", CHILD, tmp_path / "given.npz", tmp_path / "results.npz"],
        check=True,
        env={**os.environ, "NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": listed},
    )
    with np.load(tmp_path / "results.npz") as held:
        results = dict(held)
    assert results["dot"] == dot
    q, scales = quantize_activations(x)
    for dtype in TYPES:
        here = multiply(weights[dtype], q, scales)
        there = results[dtype.name]
        # Integer sums are exact everywhere; only fused and separate rounding may differ.
        np.testing.assert_allclose(there, here, rtol=1e-5, atol=1e-4 * np.abs(here).max())
        if dot != "generic" and choose(enabled_features()).fma:
            np.testing.assert_array_equal(there, here)
