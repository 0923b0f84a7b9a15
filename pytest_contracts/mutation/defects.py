"""From a mutant to the text that it changes."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from pytest_contracts import binding
from pytest_contracts.contract.model import Contract, Mutant
from pytest_contracts.errors import ContractBindingError


@dataclass(frozen=True, slots=True)
class Defect:
    """A mutant whose target has been found: in which module it is, and in which file."""

    contract: Contract
    mutant: Mutant
    module: str
    source: Path
    """The module's own file, or one that the module names and that lies beside it."""
    implementation: str | None
    """The bound implementation that is changed; None where the target is any other code."""

    @property
    def text(self) -> str:
        """The source with the defect in it."""
        assert self.mutant.replace is not None
        return _read(self.source).replace(*self.mutant.replace)

    @property
    def in_python(self) -> bool:
        """Whether a Python module changes, and not a source that one compiles."""
        return self.source.suffix == ".py"


def planted_mutants(contract: Contract) -> tuple[Mutant, ...]:
    """Return the mutants that say what text to change; the others are described only."""
    mutants = contract.qa_gate.mutants if contract.qa_gate is not None else ()
    return tuple(mutant for mutant in mutants if mutant.replace is not None)


def locate(contract: Contract, mutant: Mutant) -> Defect:
    """Find what a mutant changes; its target is imported.

    Raises:
        ContractBindingError: the target leads nowhere, or the text to replace does not stand in it
            exactly once; with the mutant's place in the contract.
        Unavailable: the target's module says that this machine lacks what it needs.
    """
    target, implementation = _target(contract, mutant)
    binding.attribute(target, where=mutant.where)
    module = target.partition(":")[0]
    origin = getattr(sys.modules[module], "__file__", None)
    if origin is None:
        raise _misfit(mutant, f"{module} has no source")
    source = _source(mutant, Path(origin).resolve())
    return Defect(contract, mutant, module, source, implementation)


def _target(contract: Contract, mutant: Mutant) -> tuple[str, str | None]:
    """Return ``module:name`` of the target, and the implementation that it names."""
    if ":" in mutant.target:
        return mutant.target, None
    equation, _, implementation = mutant.target.partition(".")
    declared = contract.equation(equation).implementations
    if implementation in declared:
        return declared[implementation], implementation
    function = binding.registered(contract.name, equation).get(implementation)
    if function is None:
        raise _misfit(mutant, f"{equation} has no implementation {implementation!r}")
    return binding.qualified_name(function), implementation


def _source(mutant: Mutant, origin: Path) -> Path:
    """Return the one file that holds the text to replace, which must stand there once."""
    assert mutant.replace is not None
    old, new = mutant.replace
    if old == new:
        raise _misfit(mutant, f"it replaces {old!r} by itself")
    counts = {path: _read(path).count(old) for path in (origin, *_beside(origin))}
    found = {path: count for path, count in counts.items() if count}
    if sum(found.values()) == 1:
        return next(iter(found))
    names = ", ".join(str(path) for path in found or counts)
    if not found:
        raise _misfit(mutant, f"the text to replace, {old!r}, does not stand in {names}")
    times = sum(found.values())
    raise _misfit(mutant, f"the text to replace, {old!r}, stands {times} times in {names}")


def _beside(origin: Path) -> list[Path]:
    """Return the files in the module's folder that its text names, such as a kernel's source."""
    text = _read(origin)
    files = (path for path in sorted(origin.parent.iterdir()) if path.is_file())
    return [path for path in files if path.suffix != ".py" and f'"{path.name}"' in text]


def _read(path: Path) -> str:
    return path.read_bytes().decode("utf-8")


def _misfit(mutant: Mutant, message: str) -> ContractBindingError:
    return ContractBindingError(f"mutant '{mutant.id}': {message}", where=mutant.where)
