"""The ledger: its records, its file, and what levels it adds up to."""

from __future__ import annotations

import json
import os

import pytest

from pytest_contracts.ledger.levels import contract_level
from pytest_contracts.ledger.records import (
    SCHEMA,
    Ledger,
    Record,
    claim_level,
    text_digest,
    write_json,
)
from pytest_contracts.ledger.verdict import Level


def record(**changes):
    values = {
        "nodeid": "a.yaml::A[cpu]",
        "contract": "a",
        "claim": "A",
        "kind": "obligation",
        "implementation": "cpu",
        "parameters": {},
        "verdict": "HELD",
        "level": "L3",
        "examples": 5,
        "duration_s": 0.1,
        "where": "a.yaml:3:1",
        "message": "",
    }
    return Record(**{**values, **changes})


def test_records_survive_a_round_trip():
    original = record(parameters={"layer": "3"}, ran={"f": "m:f"}, sources={"formula": "00"})
    data = json.loads(json.dumps(original.as_dict()))
    assert Record.from_dict({**data, "of_a_later_version": 1}).as_dict() == data


def test_ledger_keeps_the_last_record_of_an_item_and_their_order():
    ledger = Ledger()
    ledger.add(record())
    ledger.add(record(nodeid="a.yaml::B"))
    ledger.add(record(verdict="FALSIFIED"))
    assert [(r.nodeid, r.verdict) for r in ledger.records] == [
        ("a.yaml::A[cpu]", "FALSIFIED"),
        ("a.yaml::B", "HELD"),
    ]
    assert ledger.get("a.yaml::B").verified
    assert ledger.get("a.yaml::C") is None


def test_document_has_schema_run_and_items():
    ledger = Ledger()
    ledger.add(record())
    document = ledger.as_dict()
    assert list(document) == ["schema", "run", "files", "retired", "gates", "items", "errors"]
    assert document["schema"] == SCHEMA
    assert {"started", "python", "versions", "machine", "device", "commit"} <= document[
        "run"
    ].keys()
    assert list(document["items"][0])[:12] == [
        "nodeid",
        "contract",
        "claim",
        "kind",
        "implementation",
        "parameters",
        "verdict",
        "level",
        "examples",
        "duration_s",
        "where",
        "message",
    ]


def test_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "ledger.json"
    write_json({"a": "ε"}, path)
    assert json.loads(path.read_text("utf-8")) == {"a": "ε"}
    with pytest.raises(TypeError):
        write_json({"a": object()}, path)
    assert json.loads(path.read_text("utf-8")) == {"a": "ε"}
    assert os.listdir(path.parent) == ["ledger.json"]


def test_digests_tell_texts_apart():
    assert text_digest(["a", None]) != text_digest(["a", ""]) != text_digest(["", "a"])
    assert text_digest(["a"]) == text_digest(["a"])


def test_level_of_a_claim_is_its_weakest_item_that_ran():
    items = [
        record(level="L3"),
        record(level="L2"),
        record(level="L1", verdict="UNAVAILABLE"),
    ]
    assert claim_level(items) is Level.TESTED
    assert claim_level(items[2:]) is Level.TYPED
    assert claim_level([*items, record(level="L1", verdict="FALSIFIED")]) is Level.TYPED


def test_level_of_a_contract_is_its_weakest_claim():
    items = [
        record(level="L4", claim="A"),
        record(level="L3", claim="B"),
        record(level="L1", claim="C", verdict="UNAVAILABLE"),
        record(level="L1", claim="GATE", kind="gate", verdict="FALSIFIED"),
    ]
    assert contract_level(items) is Level.PROPERTY
    assert contract_level(items[2:]) is Level.TYPED
    assert contract_level([*items, record(level="L0", claim="D", verdict="PROSE")]) is Level.PROSE
