"""The two halves of an obligation type: its row, and the template attached to it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pytest_contracts.contract.obligation_keys import TO
from pytest_contracts.contract.obligation_types import TYPES, Judge
from pytest_contracts.items.obligations import TEMPLATES
from pytest_contracts.items.obligations.clause import Clause
from pytest_contracts.items.obligations.templates import template


def test_every_row_that_promises_a_template_has_one() -> None:
    promised = {name for name, row in TYPES.items() if row.judge is Judge.TEMPLATE}
    assert promised - TEMPLATES.keys() == set()
    assert TEMPLATES.keys() - promised == set()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("antisymmetri", "no row of obligation_types.py gives 'antisymmetri' a template"),
        ("invariant", "no row of obligation_types.py gives 'invariant' a template"),
        ("bound", "type 'bound' has two templates"),
    ],
)
def test_a_template_without_a_row_of_its_own_is_refused(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        template(name)(lambda clause: pytest.fail)


def test_a_template_reads_no_key_that_its_row_does_not_list() -> None:
    claim: Any = SimpleNamespace(type="bound", extra={"to": "cpu"})
    clause = Clause(None, claim, None, ("x",))  # type: ignore[arg-type]
    with pytest.raises(AssertionError, match="the row of bound does not list the key to"):
        clause.value(TO)
