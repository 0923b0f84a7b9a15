"""Files to contracts: read, checked against the schema, references resolved, ids derived.

A contract that loads is consistent in itself; what it names outside (implementations, procedures,
strategies, other contracts) is looked up by those who use it. ``check_dependencies`` looks at
several contracts together.
"""

from __future__ import annotations

import hashlib
import os
import stat
import warnings
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from pytest_contracts.contract.building import build
from pytest_contracts.contract.model import Contract, Remark
from pytest_contracts.contract.schema import suggestion, validate
from pytest_contracts.contract.wild import BINDING_FILE
from pytest_contracts.contract.wild.dialect import dialect_of
from pytest_contracts.contract.yaml_tree import Source, Table, compose
from pytest_contracts.errors import ContractSyntaxError, ContractWarning, showable
from pytest_contracts.where import Where

MAX_BYTES = 4 * 1024 * 1024
SUFFIX = ".yaml"


def load(path: str | os.PathLike[str], bindings: Iterable[str | os.PathLike[str]] = ()) -> Contract:
    """Return the contract in a file.

    A wild contract is bound to what ``bindings`` and a binding file beside it say.

    Raises:
        ContractSyntaxError: the file cannot be read, is too large, or is no contract.
        ContractBindingError: a binding of it leads nowhere.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ContractSyntaxError("not a regular file", where=Where(path, 1))
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ContractSyntaxError(f"cannot be read: {reason}", where=Where(path, 1)) from None
    return load_bytes(data, path, bindings)


def load_text(text: str, path: str | os.PathLike[str]) -> Contract:
    """Return the contract in a text; ``path`` names it in messages."""
    return load_bytes(text.encode("utf-8", "surrogatepass"), Path(path))


def load_bytes(
    data: bytes, path: Path, bindings: Iterable[str | os.PathLike[str]] = ()
) -> Contract:
    """Return the contract in the contents of a file."""
    if len(data) > MAX_BYTES:
        raise ContractSyntaxError(f"larger than {MAX_BYTES} bytes", where=Where(path, 1))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise ContractSyntaxError(
            f"not UTF-8: byte {data[error.start]:#04x}", where=Where(path, line, column)
        ) from None
    source = Source(text, path)
    root = compose(source)
    digest = hashlib.sha256(data).hexdigest()
    dialect, shown = dialect_of(root)
    if dialect == "wild":
        from pytest_contracts.contract.wild.adapter import adapt

        assert isinstance(root, Table)  # anything else is refused as a strict contract
        return _bound(replace(adapt(root, source, digest), dialect_shown=shown), bindings)
    validate(root, source)
    return replace(build(root, source, digest), dialect_shown=shown)


def _bound(contract: Contract, bindings: Iterable[str | os.PathLike[str]]) -> Contract:
    from pytest_contracts.contract.wild.binding_file import load_bindings
    from pytest_contracts.contract.wild.bound import bind

    beside = contract.path.with_name(BINDING_FILE)
    files = dict.fromkeys([*map(Path, bindings), *([beside] if beside.is_file() else [])])
    return bind(contract, [binding for file in files for binding in load_bindings(file)])


def find_contracts(directory: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield the contract files below a directory in a stable order: no hidden ones, no bindings."""
    for root, folders, files in os.walk(directory):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__")))
        for name in sorted(files):
            if name.endswith(SUFFIX) and name != BINDING_FILE and not name.startswith("."):
                yield Path(root, name)


def load_directory(directory: str | os.PathLike[str]) -> list[Contract]:
    """Return every contract below a directory, their dependencies checked.

    Warns where a wild one depends on one that is absent.

    Raises:
        ContractSyntaxError: one of them is at fault.
    """
    contracts = [load(path) for path in find_contracts(directory)]
    for remark in check_dependencies(contracts):
        warn(remark)
    return contracts


def warn(remark: Remark) -> None:
    """Issue a remark as a ``ContractWarning``; its place is that in the contract's file."""
    warning = ContractWarning(showable(remark.message))
    warnings.warn_explicit(warning, None, str(remark.where.path), remark.where.line)


def check_dependencies(contracts: Iterable[Contract], *, complete: bool = True) -> list[Remark]:
    """Check that contracts have distinct names, and depend on known ones without a cycle.

    ``complete`` tells whether all contracts are given; otherwise unknown ones are let pass.
    Returns a remark on each unknown one that a wild contract names.

    Raises:
        ContractSyntaxError: they do not.
    """
    by_name: dict[str, Contract] = {}
    for contract in contracts:
        earlier = by_name.setdefault(contract.name, contract)
        if earlier is not contract:
            raise ContractSyntaxError(
                f"contract '{contract.name}' exists twice",
                where=contract.where,
                hint=f"the other one is {earlier.path}",
            )
    remarks: list[Remark] = []
    for contract in by_name.values():
        if complete:
            remarks += absent_dependencies(contract, by_name)
        elif contract.dialect == "wild":
            remarks += absent_dependencies(contract, {*by_name, *_beside(contract)})
    _refuse_cycles(by_name)
    return remarks


def absent_dependencies(contract: Contract, known: Collection[str]) -> Iterator[Remark]:
    """Yield a remark on each contract that a wild one depends on and that is not known.

    Such files travel without what they depend on, and nothing in them needs it to run.

    Raises:
        ContractSyntaxError: the contract is a strict one.
    """
    for name in contract.metadata.depends_on:
        if name in known:
            continue
        message = f"depends on '{name}', which is no contract here"
        where = contract.dependency_where(name)
        if contract.dialect == "strict":
            raise ContractSyntaxError(message, where=where, hint=suggestion(name, known))
        yield Remark(message, where)


def _beside(contract: Contract) -> Iterator[str]:
    for name in contract.metadata.depends_on:
        if contract.path.with_name(f"{name}{SUFFIX}").is_file():
            yield name


def refuse_silence(contract: Contract) -> None:
    """Refuse a contract that claims nothing, unless it is retired or wild.

    Schemas and registries of the other tool-chain are contracts without claims.

    Raises:
        ContractSyntaxError: it claims nothing.
    """
    silent = contract.metadata.status == "RETIRED" or contract.dialect == "wild"
    if not (contract.claims or silent):
        raise ContractSyntaxError("the contract claims nothing", where=contract.where)


def _refuse_cycles(by_name: dict[str, Contract]) -> None:
    done: set[str] = set()
    for start in by_name:
        trail: list[str] = []
        pending = [iter([start])]
        while pending:
            name = next(pending[-1], None)
            if name is None:
                pending.pop()
                if trail:
                    done.add(trail.pop())
            elif name in trail:
                cycle = [*trail[trail.index(name) :], name]
                raise ContractSyntaxError(
                    f"cyclic depends_on: {' → '.join(cycle)}",
                    where=by_name[cycle[-2]].dependency_where(name),
                )
            elif name not in done:
                trail.append(name)
                known = by_name.get(name)
                pending.append(iter(() if known is None else known.metadata.depends_on))
