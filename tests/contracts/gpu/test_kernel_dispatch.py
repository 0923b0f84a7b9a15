"""The dispatch contract's procedures notice what no claim can without a compiler or a GPU.

``test_mutants.py`` plants every declared mutant under the claims themselves.
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from inference.errors import DeviceUnavailableError
from inference.kernels.cuda import nvrtc
from pytest_contracts.contract import load
from pytest_contracts.mutation import Defect, locate, planted

CONTRACTS = Path(__file__).parents[3] / "contracts" / "gpu"
CONTRACT = load(CONTRACTS / "kernel-dispatch-v1.yaml")
assert CONTRACT.qa_gate is not None
GATE = CONTRACT.qa_gate


def load_procedures() -> ModuleType:
    """Load the contract's sibling module."""
    spec = importlib.util.spec_from_file_location(
        "kernel_dispatch_under_test", CONTRACTS / "kernel_dispatch_v1.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def procedures() -> ModuleType:
    """The contract's sibling module, freshly loaded."""
    return load_procedures()


@pytest.fixture
def compared() -> Any:
    counts: list[int] = []

    def count(elements: int, what: str = "elements") -> None:
        assert elements > 0
        counts.append(elements)

    count.total = counts  # type: ignore[attr-defined]
    return count


def defect(name: str) -> Defect:
    """Find what one of the contract's mutants changes."""
    return locate(CONTRACT, next(mutant for mutant in GATE.mutants if mutant.id == name))


@pytest.fixture
def compiler() -> None:
    try:
        nvrtc.installation()
    except DeviceUnavailableError as missing:
        pytest.skip(str(missing))


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("batch-row-from-nowhere", "no batch mechanism"),
        ("shared-memory-through-64-bits", "addressed with 64 bits"),
    ],
)
def test_structure_of_a_mutated_cuda_source(
    name, message, procedures, compared, monkeypatch, tmp_path
):
    mutant = defect(name)
    module = importlib.import_module(mutant.module)
    changed = tmp_path / "kernel.cu"
    changed.write_text(mutant.text, encoding="utf-8")
    monkeypatch.setattr(module, "KERNEL", type(module.KERNEL)(module.KERNEL.entry, changed))
    with pytest.raises(AssertionError, match=message):
        procedures.ptx_structure(module.KERNEL.entry, 80, compared)
    assert not compared.total


@pytest.mark.usefixtures("compiler")
def test_a_hard_coded_target_is_noticed(procedures, compared):
    with planted(defect("hard-coded-target")):
        procedures.ptx_structure("swiglu", 75, compared)
        with pytest.raises(AssertionError):
            procedures.ptx_structure("swiglu", 90, compared)


def test_a_fallback_to_the_cpu_is_not_a_gpu_run(procedures, compared):
    with (
        planted(defect("gpu-falls-back-to-cpu")),
        pytest.raises(AssertionError, match="the GPU kernel did not run"),
    ):
        procedures.cuda_matches_cpu("rmsnorm", 1, compared)
    assert not compared.total


@pytest.mark.parametrize("kernel", ["rmsnorm", "swiglu", "q4k_matvec"])
def test_equal_results_of_a_counted_launch_pass_and_unequal_ones_fail(
    kernel, procedures, compared, monkeypatch
):
    """The comparison itself, with the CPU kernel in the GPU's place and a forged launch count."""
    module = procedures.cuda_module(kernel)
    room = procedures.room_of(module)
    cpu = getattr(importlib.import_module(f"inference.kernels.{room}"), room)
    counts = iter(range(10))
    monkeypatch.setattr(procedures.device, "launches", lambda: {kernel: next(counts)})
    monkeypatch.setattr(module, room, cpu)
    procedures.cuda_matches_cpu(kernel, 5, compared)
    assert compared.total[0] >= 5 * 96

    def first_row_only(*arguments: Any) -> Any:
        result = cpu(*arguments).copy()
        result[1:] = result[0]
        return result

    monkeypatch.setattr(module, room, first_row_only)
    with pytest.raises(AssertionError, match="is off by"):
        procedures.cuda_matches_cpu(kernel, 5, compared)
    monkeypatch.setattr(module, room, lambda *a: np.full_like(cpu(*a), np.nan))
    with pytest.raises(AssertionError, match="is off by"):
        procedures.cuda_matches_cpu(kernel, 5, compared)
