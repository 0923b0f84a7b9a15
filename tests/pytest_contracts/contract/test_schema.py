"""The JSON Schema itself: valid, complete for the model, and shipped."""

from __future__ import annotations

import dataclasses
import json
import typing

from jsonschema import Draft202012Validator

from pytest_contracts.contract import model
from pytest_contracts.contract.obligation_types import TYPES
from pytest_contracts.contract.schema import known_sections, schema_text, suggestion
from pytest_contracts.tolerance import ToleranceKind

SCHEMA = json.loads(schema_text())
DEFINITIONS = SCHEMA["$defs"]


def test_it_is_a_valid_schema_of_the_draft_it_names() -> None:
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(SCHEMA)


def test_its_words_are_the_models() -> None:
    assert DEFINITIONS["status"]["enum"] == list(typing.get_args(model.Status))
    assert DEFINITIONS["tolerance_kind"]["enum"] == list(typing.get_args(ToleranceKind))
    assert DEFINITIONS["obligation"]["properties"]["type"]["enum"] == list(TYPES)


def test_every_field_of_a_claim_can_be_written() -> None:
    written_otherwise = {
        *("where", "statement", "formal_where", "run_where", "prose", "extra"),
        "read",  # the tree of formal, in the wild dialect
    }
    renamed = {"declared_level": "level"}
    fields = {renamed.get(f.name, f.name) for f in dataclasses.fields(model.Claim)}
    for kind in ("obligation", "falsification"):
        assert fields - written_otherwise <= DEFINITIONS[kind]["properties"].keys()


def test_every_closed_object_refuses_unknown_keys() -> None:
    open_maps = {"parametrize", "variables"}
    for name, definition in DEFINITIONS.items():
        if definition.get("type") == "object" and name not in open_maps:
            assert definition["additionalProperties"] is False, name


def test_suggestions_are_bounded() -> None:
    assert suggestion("a", []) == "Known: none."
    assert suggestion("qa_gat", known_sections()).startswith("Did you mean 'qa_gate'? Known: ")
    assert suggestion("x", [f"n{i}" for i in range(100)]).endswith("n39, ….")
