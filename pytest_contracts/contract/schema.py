"""The shape of a contract, checked against its schema; each error lands on its own node.

``schema.json`` is the schema but for the types of obligations, which have rows of their own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from pytest_contracts.contract.obligation_keys import KEYS
from pytest_contracts.contract.obligation_types import TYPES
from pytest_contracts.contract.yaml_tree import Node, Scalar, Sequence, Source, Table, as_json
from pytest_contracts.errors import ContractSyntaxError
from pytest_contracts.suggesting import did_you_mean, nearest
from pytest_contracts.where import Where

_KINDS = {
    "string": "a text",
    "number": "a number",
    "integer": "an integer",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "nothing",
}


def schema_text() -> str:
    """Return the JSON Schema (draft 2020-12) of the strict dialect."""
    return json.dumps(_schema(), indent=2, ensure_ascii=False) + "\n"


@cache
def _validator() -> Draft202012Validator:
    schema = _schema()
    return Draft202012Validator(_inlined(schema, schema["$defs"]))


def _inlined(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """Return the schema without references: looking one up takes longer than most checks."""
    if isinstance(schema, list):
        return [_inlined(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    named = definitions.get(str(schema.get("$ref", "")).removeprefix("#/$defs/"), {})
    own = {key: value for key, value in schema.items() if key not in ("$ref", "$defs")}
    return {key: _inlined(value, definitions) for key, value in {**named, **own}.items()}


def known_sections() -> tuple[str, ...]:
    """Return the top-level keys that have a meaning; others are kept as they are."""
    return tuple(_schema()["properties"])


@cache
def _schema() -> Any:
    text = resources.files(__package__).joinpath("schema.json").read_text(encoding="utf-8")
    schema = json.loads(text)
    _complete(schema["$defs"]["obligation"])
    return schema


def _complete(obligation: dict[str, Any]) -> None:
    """Add what the rows say: the types, and the keys that only some of them read."""
    del obligation["$comment"]
    common = obligation["properties"]
    obligation["properties"] = {
        "id": common.pop("id"),
        "type": {"enum": list(TYPES)},
        "property": common.pop("property"),
        **{key.name: key.schema for key in KEYS},
        **common,
    }


@cache
def _part(definition: str) -> Draft202012Validator:
    definitions = _schema()["$defs"]
    return Draft202012Validator(_inlined(definitions[definition], definitions))


def problems_of(definition: str, node: Node) -> set[str | None]:
    """Return the keys of a mapping that a definition of the schema refuses; None: the whole."""
    found: set[str | None] = set()
    for error in _part(definition).iter_errors(as_json(node)):
        if error.absolute_path:
            found.add(str(error.absolute_path[0]))
        elif error.validator == "additionalProperties":
            found |= set(error.instance) - set(error.schema["properties"])
        elif error.validator != "required":
            found.add(None)
    return found


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return ``Did you mean 'x'? Known: …`` for a misspelt word."""
    known = list(known)
    meant = did_you_mean(word, known)
    listed = ", ".join(known[:40]) + (", …" if len(known) > 40 else "")
    return f"{meant + ' ' if meant else ''}Known: {listed or 'none'}."


def validate(root: Node, source: Source) -> None:
    """Check the shape of a whole contract.

    Raises:
        ContractSyntaxError: the first fault in file order; the hint counts the others.
    """
    if not isinstance(root, Table):
        raise source.error("a contract is a mapping of sections", root.where)
    errors = list(_validator().iter_errors(as_json(root)))
    # A misspelt key is usually the one that lacks.
    misspelt = [e.absolute_path for e in errors if e.validator == "additionalProperties"]
    errors = [e for e in errors if e.validator != "required" or e.absolute_path not in misspelt]
    faults = [_fault(error, root, source) for error in errors]
    faults += _misspelt_sections(root, source)
    if not faults:
        return
    faults.sort(key=lambda fault: fault.where or root.where)
    first = faults[0]
    if len(faults) > 1:
        others = ", ".join(f"line {fault.where.line}" for fault in faults[1:6] if fault.where)
        more = f"{len(faults) - 1} more: {others}"
        first.hint = f"{first.hint} ({more})" if first.hint else f"({more})"
    raise first


def _misspelt_sections(root: Table, source: Source) -> list[ContractSyntaxError]:
    known = known_sections()
    keys = [entry.key for entry in root.entries if entry.key.text not in known]
    return [
        source.error(f"unknown section '{key.text}'", key.where, suggestion(key.text, known))
        for key in keys
        if nearest(key.text, known, cutoff=0.8)
    ]


def _fault(error: ValidationError, root: Table, source: Source) -> ContractSyntaxError:
    path = list(error.absolute_path)
    node, key = _find(root, path)
    place = _described(root, path)
    message, hint, where = _worded(error, node, key, place)
    return source.error(message, where, hint)


def _find(root: Node, path: list[str | int]) -> tuple[Node, Scalar | None]:
    node, key = root, None
    for step in path:
        if isinstance(node, Sequence) and isinstance(step, int):
            node, key = node.items[step], None
        elif isinstance(node, Table):
            entry = next(entry for entry in node.entries if entry.key.text == step)
            node, key = entry.value, entry.key
    return node, key


def _described(root: Node, path: list[str | int]) -> str:
    """Return ``proof_obligations[0] (SM-INV-001)`` for a path."""
    text, named = "", ""
    node = root
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
        node, _ = _find(node, [step])
        if isinstance(node, Table):
            ident = node.get("id")
            if isinstance(ident, Scalar):
                named = f" ({ident.text})"
    return text + named if text else "the contract"


def _worded(
    error: ValidationError, node: Node, key: Scalar | None, place: str
) -> tuple[str, str | None, Where]:
    found = _found(node)
    value: Any = error.validator_value
    match error.validator:
        case "additionalProperties":
            known = list(error.schema["properties"])  # type: ignore[index]
            assert isinstance(node, Table)
            bad = next(e.key for e in node.entries if e.key.text not in known)
            return f"unknown key '{bad.text}' in {place}", suggestion(bad.text, known), bad.where
        case "required":
            assert isinstance(node, Table)
            missing = [name for name in value if node.get(name) is None]
            return f"{place} lacks '{missing[0]}'", None, (key or node).where
        case "type":
            kinds = [value] if isinstance(value, str) else list(value)
            expected = " or ".join(_KINDS[kind] for kind in kinds)
            return f"{place} must be {expected}, not {found}", _quote_hint(node, kinds), node.where
        case "enum":
            known = [str(item) for item in value]
            word = node.text if isinstance(node, Scalar) else ""
            return f"{place} cannot be {found}", suggestion(word, known), node.where
        case "pattern" if "propertyNames" in error.absolute_schema_path:
            assert isinstance(node, Table)
            bad = next(e.key for e in node.entries if e.key.text == error.instance)
            return f"'{bad.text}' in {place} is not {_aim(error)}", None, bad.where
        case "pattern":
            return f"{place} cannot be {found}", f"It is {_aim(error)}.", node.where
        case "minimum":
            return f"{place} must be at least {value}, not {found}", None, node.where
        case "exclusiveMinimum":
            return f"{place} must be more than {value}, not {found}", None, node.where
        case "minLength":
            return f"{place} is empty", None, node.where
        case "minItems" | "maxItems":
            size = len(node.items) if isinstance(node, Sequence) else 0
            word = "at least" if error.validator == "minItems" else "at most"
            return f"{place} needs {word} {value} items, not {size}", None, node.where
    return f"{place}: {error.message[:200]}", None, node.where


def _aim(error: ValidationError) -> str:
    description = str(error.schema.get("description", "as expected"))  # type: ignore[union-attr]
    return description[0].lower() + description[1:].rstrip(".")


def _found(node: Node) -> str:
    if isinstance(node, Table):
        return "a mapping"
    if isinstance(node, Sequence):
        return "a list"
    if node.value is None:
        return "nothing"
    text = node.text if len(node.text) <= 60 else node.text[:57] + "…"
    if isinstance(node.value, str):
        return f"'{text}'"
    return f"{'the boolean' if isinstance(node.value, bool) else 'the number'} {text}"


def _quote_hint(node: Node, kinds: list[str]) -> str | None:
    if isinstance(node, Scalar) and "string" in kinds and node.value is not None:
        return f'Put it in quotes: "{node.text}".'
    return None
