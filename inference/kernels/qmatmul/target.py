"""What the processor that Numba compiles for can do, asked once when the kernels are defined.

An instruction that the target lacks is not an exception: LLVM ends the process. So every one that
is not portable is chosen here, from the features that Numba itself hands to LLVM.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from typing import Literal

import llvmlite.binding as llvm
from numba.core import config

Dot = Literal["vnni512", "vnni256", "avx2", "sdot", "generic"]


@dataclass(frozen=True, slots=True)
class Target:
    """The choices that depend on the processor.

    ``dot`` multiplies 64 bytes; ``half`` widens float16; ``fma`` rounds once per multiply-add.
    """

    dot: Dot
    half: bool
    fma: bool

    @property
    def unsigned(self) -> bool:
        """Whether products of unsigned bytes up to 255 are exact."""
        return self.dot in ("vnni512", "vnni256")


def enabled_features() -> frozenset[str]:
    """Return the features that Numba compiles for.

    Those that a named processor implies without being listed are not known here, and not used.
    """
    if config.CPU_FEATURES is not None:
        listed = str(config.CPU_FEATURES).split(",")
        return frozenset(name[1:] for name in listed if name.startswith("+"))
    try:
        host = llvm.get_host_cpu_features()
    except RuntimeError:  # llvmlite does not know this platform
        return frozenset()
    return frozenset(
        name
        for name, present in host.items()
        if present and (config.ENABLE_AVX or not name.startswith("avx"))
    )


def choose(features: frozenset[str]) -> Target:
    """Choose the best instructions among ``features``, named as LLVM does."""
    dot: Dot = "generic"
    if {"avx512vnni", "avx512bw"} <= features:
        dot = "vnni512"
    elif "avxvnni" in features or {"avx512vnni", "avx512vl"} <= features:
        dot = "vnni256"
    elif "avx2" in features:
        dot = "avx2"
    elif "dotprod" in features:
        dot = "sdot"
    arm = platform.machine() in ("aarch64", "arm64")  # both are part of ARMv8
    return Target(dot, half=arm or "f16c" in features, fma=arm or "fma" in features)


TARGET = choose(enabled_features())
