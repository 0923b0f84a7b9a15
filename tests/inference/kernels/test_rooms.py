"""Every kernel's room has the same furniture; what is missing is named."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from pathlib import Path

import pytest

from inference import kernels
from inference.kernels.cuda.device import CudaKernel
from inference.kernels.signature import Signature
from pytest_contracts.contract import find_contracts, load

ROOT = Path(__file__).parents[3]
CONTRACTS = {path.stem: load(path) for path in find_contracts(ROOT / "contracts")}
FOLDER = Path(kernels.__path__[0])
SHARED = {"cpu", "cuda"}
"""What the kernels of one device share; every other folder is a kernel's room."""
ROOMS = sorted(
    path.parent.name for path in FOLDER.glob("*/__init__.py") if path.parent.name not in SHARED
)


def signatures(room: str) -> dict[str, Signature]:
    module = importlib.import_module(f"inference.kernels.{room}")
    return {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, Signature) and value.__module__ == module.__name__
    }


KERNELS = [(room, name) for room in ROOMS for name in signatures(room)]


def on(device: str) -> list[str]:
    return [room for room in ROOMS if (FOLDER / room / f"{device}.py").is_file()]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_has_its_furniture(room: str) -> None:
    missing = [name for name in ("reference.py", "cpu.py") if not (FOLDER / room / name).is_file()]
    assert not missing, f"inference/kernels/{room} lacks {' and '.join(missing)}"
    assert signatures(room), f"inference/kernels/{room}/__init__.py states no @signature"
    assert importlib.import_module(f"inference.kernels.{room}").__doc__, f"{room} has no docstring"
    bound = [
        contract.name
        for contract in CONTRACTS.values()
        for equation in contract.equations
        for target in equation.implementations.values()
        if target.startswith(f"inference.kernels.{room}.")
    ]
    assert bound, f"no contract binds an implementation of inference/kernels/{room}"


@pytest.mark.parametrize(("room", "name"), KERNELS)
def test_a_signature_is_documented(room: str, name: str) -> None:
    doc = signatures(room)[name].__doc__ or ""
    place = f"inference/kernels/{room}/__init__.py: {name}"
    for part in ("Shapes:", "returns:", "Raises:"):
        assert part in doc, f"{place} has no {part!r} in its docstring"
    stated = signatures(room)[name]._contract
    if stated is not None:
        assert f"Contract: contracts/kernels/{stated}.yaml" in doc, (
            f"{place} names another contract"
        )


@pytest.mark.parametrize(("room", "name"), KERNELS)
def test_implementations_take_what_the_signature_states(room: str, name: str) -> None:
    public = signatures(room)[name]
    stated = list(inspect.signature(public).parameters)
    assert public.__wrapped__.__doc__ == public.__doc__
    assert list(inspect.signature(inspect.unwrap(public)).parameters) == stated
    for device in ("reference", "cuda"):
        if room in on(device):
            module = importlib.import_module(f"inference.kernels.{room}.{device}")
            if device == "reference" or hasattr(module, name):
                implementation = inspect.unwrap(getattr(module, name))
                assert list(inspect.signature(implementation).parameters) == stated


@pytest.mark.parametrize(("room", "name"), KERNELS)
def test_the_contract_judges_every_implementation(room: str, name: str) -> None:
    stated = signatures(room)[name]._contract
    if stated is None:
        return  # judged by the contracts of its formats, see the furniture
    implementations = CONTRACTS[stated].equation(name).implementations
    expected = {"reference", "cpu"} | ({"cuda"} if room in on("cuda") else set())
    lacking = expected - implementations.keys()
    assert not lacking, f"{stated}.yaml: equation {name} binds no {', '.join(sorted(lacking))}"
    for device in expected:
        assert implementations[device] == f"inference.kernels.{room}.{device}:{name}"


@pytest.mark.parametrize("room", on("cuda"))
def test_a_cuda_form_is_compiled_and_compared(room: str) -> None:
    module = importlib.import_module(f"inference.kernels.{room}.cuda")
    assert (FOLDER / room / "kernel.cu").is_file(), f"inference/kernels/{room} lacks kernel.cu"
    found = [value for value in vars(module).values() if isinstance(value, CudaKernel)]
    found += getattr(module, "KERNELS", {}).values()
    assert found, f"inference/kernels/{room}/cuda.py has neither KERNEL nor KERNELS"
    dispatch = CONTRACTS["kernel-dispatch-v1"]
    for claim in dispatch.claims:
        if claim.id in ("KERN-INV-001", "KERN-INV-003"):
            listed = claim.parametrize["kernel"]
            for kernel in found:
                assert kernel.entry in listed, f"{claim.id} leaves out {kernel.entry}"


@pytest.mark.parametrize(("room", "name"), KERNELS)
def test_a_room_is_entered_without_its_implementations(room: str, name: str) -> None:
    """A room states and checks; numba is for those that compute."""
    source = (FOLDER / room / "__init__.py").read_text(encoding="utf-8")
    if room != "qmatmul":  # whose weights are packed for the CPU before they are multiplied
        assert "import numba" not in source
        assert ".cpu import" not in source
