"""The kill matrix of this project: which rows it has, how they are judged, and where it is kept.

The tests of the mutants and ``tools/renew_kills.py`` share it, so that what one writes is what the
others would have found.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_contracts.contract import Contract, Mutant, find_contracts, load
from pytest_contracts.mutation import Judge, planted_mutants
from pytest_contracts.mutation.rows import EXAMPLES
from pytest_contracts.mutation.surroundings import surroundings

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "evidence" / "mutants" / "kills.json"
CONTRACTS = [load(path) for path in find_contracts(ROOT / "contracts")]
WITH_MUTANTS = [contract for contract in CONTRACTS if planted_mutants(contract)]
DECLARED = [(contract, mutant) for contract in WITH_MUTANTS for mutant in planted_mutants(contract)]
ROWS: list[tuple[Contract, Mutant | None]] = [
    *DECLARED,
    *((contract, None) for contract in WITH_MUTANTS),
]
"""Every mutant of a contract, and the contract's claims on the engine as it is."""


ARGUMENTS = ("--contracts=contracts", "--contracts-model=tiny")
PROFILE = "ci"


def judge() -> Judge:
    """Start the process in which the contracts are judged."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HYPOTHESIS_PROFILE", PROFILE)
        return Judge(ROOT, ARGUMENTS, preload=["pytest_contracts.mutation.compiling"])


def around() -> dict[str, str]:
    """Return what beside the files decides: with a GPU other claims can run, and what is asked."""
    from inference.errors import DeviceUnavailableError
    from inference.kernels.cuda.device import device_name

    try:
        device = device_name()
    except DeviceUnavailableError:
        device = "none"
    asked = f"{' '.join(ARGUMENTS)}, profile {PROFILE}, {EXAMPLES} examples on the code as it is"
    return surroundings(device=device, asked=asked)
