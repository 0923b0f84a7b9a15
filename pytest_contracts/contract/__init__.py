"""What a contract is: its schema, its typed model with the place of every part, its loader.

Values that a contract leaves open (domains, parameters, extra sections) are read as immutable
mappings, tuples and scalars.
"""

from __future__ import annotations

from pytest_contracts.contract.loading import (
    check_dependencies,
    find_contracts,
    load,
    load_directory,
    load_text,
)
from pytest_contracts.contract.model import (
    Claim,
    Contract,
    Equation,
    FalsificationTest,
    Harness,
    Metadata,
    Mutant,
    ProofObligation,
    QaGate,
    Variable,
)
from pytest_contracts.where import Where

__all__ = [
    "Claim",
    "Contract",
    "Equation",
    "FalsificationTest",
    "Harness",
    "Metadata",
    "Mutant",
    "ProofObligation",
    "QaGate",
    "Variable",
    "Where",
    "check_dependencies",
    "find_contracts",
    "load",
    "load_directory",
    "load_text",
]
