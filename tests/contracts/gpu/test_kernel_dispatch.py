"""Every mutant that the contract's gate declares, applied to a copy of the source, is noticed."""

from __future__ import annotations

import importlib
import importlib.util
import re
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import yaml

from inference.errors import DeviceUnavailableError
from inference.kernels.cuda import nvrtc

CONTRACTS = Path(__file__).parents[3] / "contracts" / "gpu"
CONTRACT = yaml.safe_load((CONTRACTS / "kernel-dispatch-v1.yaml").read_text(encoding="utf-8"))
MUTANTS = {mutant["id"]: mutant for mutant in CONTRACT["qa_gate"]["falsification"]}
BY_PROCEDURE = {"KERN-INV-001", "KERN-INV-003"}
"""Claims whose mutants are shown red by calling the procedure: they need a compiler or a device."""

CONFTEST = """
def pytest_contracts_resources(config):
    from pytest_contracts.errors import Unavailable

    def absent():
        raise Unavailable("not part of this test", "run the contract itself")

    return {"cuda": absent, "nvrtc": absent}
"""


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


# Loads what the procedures import, before pytester takes stock of the modules that it will keep.
load_procedures()


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


def source_module(mutant: dict[str, Any]) -> str:
    """Return the module whose text a mutant changes."""
    target = mutant["target"]
    if ":" not in target:
        equation, implementation = target.split(".")
        target = CONTRACT["equations"][equation]["implementations"][implementation]
    return target.partition(":")[0]


def replaced(text: str, mutant: dict[str, Any]) -> str:
    """Apply a mutant to a source text, in which what it replaces stands exactly once."""
    old, new = mutant["replace"]
    assert text.count(old) == 1, f"{mutant['id']}: {text.count(old)} places to change"
    return text.replace(old, new)


def plant(monkeypatch: pytest.MonkeyPatch, mutant: dict[str, Any]) -> ModuleType:
    """Put a mutated copy of a module in the original's place."""
    name = source_module(mutant)
    original = importlib.import_module(name)
    assert original.__file__ is not None
    text = replaced(Path(original.__file__).read_text(encoding="utf-8"), mutant)
    module = ModuleType(name)
    module.__file__ = original.__file__
    monkeypatch.setitem(sys.modules, name, module)
    exec(compile(text, original.__file__, "exec"), module.__dict__)
    package, _, leaf = name.rpartition(".")
    monkeypatch.setattr(importlib.import_module(package), leaf, module)
    return module


def run_claims(pytester: pytest.Pytester, claims: list[str]) -> dict[str, str]:
    """Run claims of a copy of the contract in this process; return their outcomes by id."""
    pytester.makeconftest(CONFTEST)
    folder = pytester.mkdir("contracts")
    for file in CONTRACTS.iterdir():
        if file.is_file():
            shutil.copy(file, folder)
    result = pytester.inline_run(
        "-p",
        "pytest_contracts.plugin",
        "--contracts=contracts",
        "-p",
        "no:cacheprovider",
        "-k",
        " or ".join(claims),
        "contracts",
    )
    reports = result.getreports("pytest_runtest_logreport")
    outcomes: dict[str, str] = {}
    for report in reports:
        claim = re.sub(r"\[.*\]$", "", report.nodeid.rpartition("::")[2])
        if report.when == "call" or report.outcome != "passed":
            outcomes[claim] = report.outcome
    return outcomes


PLANTED = [
    pytest.param(mutant, id=name)
    for name, mutant in MUTANTS.items()
    if not BY_PROCEDURE & set(mutant["killed_by"])
]


@pytest.mark.parametrize("mutant", PLANTED)
def test_each_claim_named_kills_its_mutant(pytester, monkeypatch, mutant):
    plant(monkeypatch, mutant)
    killers = mutant["killed_by"]
    assert run_claims(pytester, killers) == dict.fromkeys(killers, "failed")


def test_the_same_claims_hold_without_a_mutant(pytester):
    killers = sorted({claim for param in PLANTED for claim in param.values[0]["killed_by"]})
    assert run_claims(pytester, killers) == dict.fromkeys(killers, "passed")


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
    mutant = MUTANTS[name]
    module = importlib.import_module(source_module(mutant))
    changed = tmp_path / "kernel.cu"
    changed.write_text(replaced(module.KERNEL.source, mutant), encoding="utf-8")
    monkeypatch.setattr(module, "KERNEL", type(module.KERNEL)(module.KERNEL.entry, changed))
    with pytest.raises(AssertionError, match=message):
        procedures.ptx_structure(module.KERNEL.entry, 80, compared)
    assert not compared.total


@pytest.mark.usefixtures("compiler")
def test_a_hard_coded_target_is_noticed(procedures, compared, monkeypatch):
    mutated = plant(monkeypatch, MUTANTS["hard-coded-target"])
    monkeypatch.setattr(procedures, "nvrtc", mutated)
    procedures.ptx_structure("swiglu", 75, compared)
    with pytest.raises(AssertionError):
        procedures.ptx_structure("swiglu", 90, compared)


def test_a_fallback_to_the_cpu_is_not_a_gpu_run(procedures, compared, monkeypatch):
    plant(monkeypatch, MUTANTS["gpu-falls-back-to-cpu"])
    with pytest.raises(AssertionError, match="the GPU kernel did not run"):
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
