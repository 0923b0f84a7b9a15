"""Binding files: which function stands behind an equation of a wild contract, and on what inputs.

The format is the other tool-chain's (``bindings:``, a list of ``contract``, ``equation``,
``module_path``, ``function``, ``signature``, ``status``), which calls the file a registry; more
keys are ours. What it says of status is never believed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from pytest_contracts.binding import sibling
from pytest_contracts.contract.model import Variable
from pytest_contracts.contract.schema import suggestion
from pytest_contracts.contract.wild import BINDING_FILE
from pytest_contracts.contract.yaml_tree import (
    Node,
    Scalar,
    Sequence,
    Source,
    Table,
    compose,
    plain,
)
from pytest_contracts.errors import ContractError, ContractSyntaxError
from pytest_contracts.where import Where

DEFAULT_IMPLEMENTATION = "bound"
MAX_BYTES = 4 * 1024 * 1024

_TEXTS = frozenset({"contract", "equation", "module_path", "function", "signature", "status"})
_TABLES = frozenset({"implementations", "variables", "names", "conditions", "functions", "simd"})
_KEYS = (*sorted(_TEXTS), *sorted(_TABLES), "arguments", "claims", "notes")


@dataclass(frozen=True, slots=True)
class Binding:
    """One binding: of an equation to functions, and of its contract's words to formulas."""

    contract: str
    equation: str | None
    where: Where
    implementations: Mapping[str, str] = field(default_factory=dict)
    foreign: str | None = None
    """The target, where it is no Python function: a path of another language."""
    arguments: tuple[str, ...] = ()
    variables: tuple[Variable, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    conditions: Mapping[str, str] = field(default_factory=dict)
    functions: Mapping[str, Mapping[str, str] | str] = field(default_factory=dict)
    simd: Mapping[str, str] = field(default_factory=dict)
    claims: tuple[str, ...] = ()
    """The claims for which this is said; all of them where none is named."""


def is_binding_file(path: Path) -> bool:
    """Tell whether a file is a binding file, which is no contract."""
    return path.name == BINDING_FILE


def load_bindings(path: str | os.PathLike[str]) -> tuple[Binding, ...]:
    """Return the bindings of a file.

    Raises:
        ContractSyntaxError: the file cannot be read, or is no binding file.
    """
    path = Path(path)
    try:
        status = path.stat()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ContractSyntaxError(f"cannot be read: {reason}", where=Where(path, 1)) from None
    result = _loaded(path, status.st_mtime_ns, status.st_size)
    if isinstance(result, ContractError):
        raise result
    return result


@lru_cache(maxsize=64)
def _loaded(path: Path, modified: int, size: int) -> tuple[Binding, ...] | ContractError:
    """Read a file once for all its contracts; the error is returned, since every one shows it."""
    if size > MAX_BYTES:
        return ContractSyntaxError(f"larger than {MAX_BYTES} bytes", where=Where(path, 1))
    try:
        source = Source(path.read_text(encoding="utf-8-sig"), path)
        return tuple(_Reader(source).bindings())
    except ContractError as error:
        return error
    except (OSError, UnicodeDecodeError) as error:
        return ContractSyntaxError(f"cannot be read: {error}", where=Where(path, 1))


class _Reader:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.root = compose(source)

    def bindings(self) -> Iterator[Binding]:
        listed = self.root.get("bindings") if isinstance(self.root, Table) else None
        if not isinstance(listed, Sequence):
            raise self.source.error("a binding file has a list 'bindings'", self.root.where)
        for item in listed.items:
            if not isinstance(item, Table):
                raise self.source.error("a binding is a mapping", item.where)
            yield self.binding(item)

    def binding(self, node: Table) -> Binding:
        for entry in node.entries:
            if entry.key.text not in _KEYS:
                hint = suggestion(entry.key.text, _KEYS)
                message = f"unknown key '{entry.key.text}' in a binding"
                raise self.source.error(message, entry.key.where, hint)
        contract = self.text(node, "contract")
        if contract is None:
            raise self.source.error("a binding lacks 'contract'", node.where)
        targets = self.mapping(node, "implementations")
        foreign = None
        module, function = self.text(node, "module_path"), self.text(node, "function")
        if module and function and not targets:
            if _is_python(module.removeprefix(".")) and _is_python(function):
                targets = {DEFAULT_IMPLEMENTATION: f"{module}:{function}"}
            else:
                foreign = function if function.startswith(module) else f"{module}::{function}"
        targets = {name: self.target(target, node) for name, target in targets.items()}
        return Binding(
            contract=contract.removesuffix(".yaml"),
            equation=self.text(node, "equation"),
            where=node.where,
            implementations=MappingProxyType(targets),
            foreign=foreign,
            arguments=self.texts(node, "arguments"),
            variables=self.variables(node),
            names=MappingProxyType(self.mapping(node, "names")),
            conditions=MappingProxyType(self.mapping(node, "conditions")),
            functions=MappingProxyType(self.functions(node)),
            simd=MappingProxyType(self.mapping(node, "simd")),
            claims=self.texts(node, "claims"),
        )

    def text(self, node: Table, key: str) -> str | None:
        value = node.get(key)
        if value is None or (isinstance(value, Scalar) and value.value is None):
            return None
        if not isinstance(value, Scalar) or not isinstance(value.value, str):
            raise self.source.error(f"'{key}' of a binding is a text", value.where)
        return value.value

    def texts(self, node: Table, key: str) -> tuple[str, ...]:
        value = node.get(key)
        if value is None:
            return ()
        if not isinstance(value, Sequence) or not all(isinstance(v, Scalar) for v in value.items):
            raise self.source.error(f"'{key}' of a binding is a list of names", value.where)
        return tuple(item.text for item in value.items if isinstance(item, Scalar))

    def mapping(self, node: Table, key: str) -> dict[str, str]:
        return {name: self.scalar(value, key) for name, value in self.table(node, key).items()}

    def table(self, node: Table, key: str) -> dict[str, Node]:
        value = node.get(key)
        if value is None:
            return {}
        if not isinstance(value, Table):
            raise self.source.error(f"'{key}' of a binding is a mapping", value.where)
        return {entry.key.text: entry.value for entry in value.entries}

    def scalar(self, value: Node, key: str) -> str:
        if not isinstance(value, Scalar) or value.value is None:
            raise self.source.error(f"'{key}' of a binding holds texts", value.where)
        return value.text

    def variables(self, node: Table) -> tuple[Variable, ...]:
        found = self.table(node, "variables").items()
        return tuple(Variable(name, plain(value), value.where) for name, value in found)

    def functions(self, node: Table) -> dict[str, Mapping[str, str] | str]:
        found: dict[str, Mapping[str, str] | str] = {}
        for name, value in self.table(node, "functions").items():
            if isinstance(value, Table):
                each = {e.key.text: self.scalar(e.value, "functions") for e in value.entries}
                targets = {key: self.target(target, node) for key, target in each.items()}
                found[name] = MappingProxyType(targets)
            else:
                found[name] = self.target(self.scalar(value, "functions"), node)
        return found

    def target(self, written: str, node: Table) -> str:
        """Return a target; ``.module:function`` is a Python file beside the binding file."""
        module, colon, function = written.partition(":")
        beside = module.startswith(".") and "." not in module[1:]
        if not (colon and _is_python(module[beside:]) and _is_python(function)):
            hint = "Write for example inference.kernels.softmax.cpu:softmax"
            raise self.source.error(f"'{written}' is not module:function", node.where, hint)
        if not beside:
            return written
        file = self.source.path.with_name(f"{module[1:]}.py")
        if not file.is_file():
            raise self.source.error(f"there is no {file.name} beside the binding file", node.where)
        return f"{sibling(file)}:{function}"


def _is_python(dotted: str) -> bool:
    return all(part.isidentifier() for part in dotted.split("."))
