"""Any text is read or refused, quickly: prose never crashes the reader of the wild notation."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_contracts.errors import FormulaError
from pytest_contracts.formula import render_latex, render_unicode
from pytest_contracts.formula.reading.wild import read

# Seconds of this process: far more than any of these texts takes, however busy the machine is.
PATIENCE_S = 20
PIECES = (
    *(
        "x",
        "y_i",
        "f(",
        ")",
        "(",
        "[",
        "]",
        "{",
        "}",
        "|",
        "||",
        "‖",
        "^",
        "^T",
        "_{i+1}",
        "ᵢ",
        "'",
    ),
    *("for all", "forall", "∀", "∃", "when", "if", "where", "with", "per", "within 4 ULP", "in"),
    *(
        "->",
        "=>",
        "⟹",
        "iff",
        "AND",
        "or",
        "not",
        "XOR",
        "infinity",
        "ε",
        "eps",
        "Σ",
        "Σ_i",
        "sum_j(",
    ),
    *(
        "=",
        "==",
        "<",
        ">=",
        "≈",
        "∈",
        "+",
        "-",
        "*",
        "/",
        "·",
        "√",
        "mod",
        ",",
        ":",
        "...",
        "..",
        "—",
    ),
    *(
        "0",
        "1e-6",
        "8h",
        "2.5B",
        "finite",
        "E[",
        "max_{i in V}(",
        "∪",
        "⊆",
        "at every step t",
        "K^T",
    ),
)


def refused_or_read(text: str) -> None:
    offset: int | None = 0
    try:
        reading = read(text)
    except FormulaError as error:
        offset = error.offset
    else:
        assert render_unicode(reading.tree)
        assert render_latex(reading.tree)
    assert offset is not None
    assert 0 <= offset <= len(text)


@given(st.lists(st.sampled_from(PIECES), max_size=14).map(" ".join))
@example("∀ : x")
@example("t = min()")
@example("x for all x in {..., 1}")
def test_pieces_of_formulas_are_read_or_refused(text: str) -> None:
    refused_or_read(text)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    refused_or_read(text)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 5000 + "x",
        "x > 0 when " * 900,
        "x > 0 " + "for all x " * 900,
        "x > 0 " + "when (a > 0 " * 600,
        "forall x: " * 900 + "x > 0",
        "∀ x with (∀ y with " * 400,
        "||" * 4000,
        "x^" * 3000 + "2 > 0",
        "Σ" * 4000 + "x > 0",
        "per a " * 1500,
        "x > 0 for all " + "word " * 1900,
        "-" * 9000 + "x > 0",
        "x_{" * 3000,
        "x > 0 — " + "a (" * 2000,
        "x" * 20_000,
        "8h" * 4000,
        "x > 0, " * 1400,
    ],
)
def test_hostile_texts_are_refused_in_bounded_time(text: str) -> None:
    began = time.process_time()
    with pytest.raises(FormulaError):
        read(text)
    assert time.process_time() - began < PATIENCE_S
