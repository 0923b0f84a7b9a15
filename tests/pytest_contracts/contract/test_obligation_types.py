"""The rows of the obligation types and of their keys: complete, and without doubles."""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter

import pytest

from pytest_contracts.contract import load_text, model
from pytest_contracts.contract.obligation_keys import DIRECTION, KEYS, MODIFIES, THREADS, TO
from pytest_contracts.contract.obligation_types import _ROWS, TYPES
from pytest_contracts.contract.schema import schema_text


def doubles(words: list[str]) -> list[str]:
    return [word for word, count in Counter(words).items() if count > 1]


def test_no_two_types_share_a_name_or_a_code() -> None:
    assert doubles([row.name for row in _ROWS]) == []
    assert doubles([row.code for row in _ROWS]) == []
    assert [row.name for row in _ROWS if not re.fullmatch("[A-Z]{3}", row.code)] == []


def test_every_key_is_read_by_a_type_and_is_not_one_of_every_claim() -> None:
    read = {key for row in TYPES.values() for key in row.keys}
    assert [key.name for key in KEYS if key not in read] == []
    assert doubles([key.name for key in KEYS]) == []
    assert {key.name for key in KEYS} & {
        field.name for field in dataclasses.fields(model.Claim)
    } == set()


def test_the_printed_schema_has_every_type_and_key_and_no_mark_of_its_making() -> None:
    properties = json.loads(schema_text())["$defs"]["obligation"]["properties"]
    assert properties["type"] == {"enum": [row.name for row in _ROWS]}
    assert {key.name: key.schema for key in KEYS}.items() <= properties.items()
    assert "$comment" not in schema_text()


CONTRACT = """
metadata: {version: 1.0.0, description: D}
equations: {f: {formula: f(x) = x}}
proof_obligations:
  - {type: frame, property: P, modifies: x}
  - {type: frame, property: P, modifies: [x, y]}
  - {type: determinism, property: P, threads: 2}
  - {type: monotonicity, property: P}
"""


@pytest.fixture(scope="module")
def claims() -> tuple[model.ProofObligation, ...]:
    return load_text(CONTRACT, path="f-v1.yaml").obligations


def test_a_key_is_read_with_its_type_and_its_default(
    claims: tuple[model.ProofObligation, ...],
) -> None:
    one, two, threads, monotone = claims
    assert (MODIFIES.of(one), MODIFIES.of(two)) == (("x",), ("x", "y"))
    assert (THREADS.of(threads), THREADS.of(one)) == ((2,), ())
    assert (DIRECTION.of(monotone), TO.of(monotone)) == ("increasing", None)


def test_derived_ids_have_the_code_of_the_type(claims: tuple[model.ProofObligation, ...]) -> None:
    assert [claim.id for claim in claims] == ["F-FRM-001", "F-FRM-002", "F-DET-001", "F-MON-001"]
