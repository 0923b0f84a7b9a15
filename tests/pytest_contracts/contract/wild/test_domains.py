"""Domains in the other tool-chain's words become variables where they are understood."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_contracts.contract.wild.domains import read_domain
from pytest_contracts.domains.strategies import parse_domain
from pytest_contracts.where import Where

HERE = Where(Path("c.yaml"), 1)


def specs(text: str) -> dict[str, Any]:
    return {variable.name: variable.spec for variable in read_domain(text, HERE)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x ∈ ℝ^n, n ≥ 1", {"x": {"dtype": "float32", "shape": ("n",)}, "n": "1..8"}),
        ("x in R", {"x": {"dtype": "float32"}}),
        (
            "Q in R^{n x d}, K in R^{s x d}",
            {
                "Q": {"dtype": "float32", "shape": ("n", "d")},
                "K": {"dtype": "float32", "shape": ("s", "d")},
                "n": "1..8",
                "d": "1..8",
                "s": "1..8",
            },
        ),
        (
            "A, B ∈ ℝ^{m×m}, m > 3",
            {
                "A": {"dtype": "float32", "shape": ("m", "m")},
                "B": {"dtype": "float32", "shape": ("m", "m")},
                "m": "4..11",
            },
        ),
        (
            "p in [0, 1)",
            {"p": {"dtype": "float64", "range": (0.0, 1.0), "exclude": (1.0,)}},
        ),
        ("k ∈ {1, 2, 4}", {"k": "{1, 2, 4}"}),
        ("All entries of Q are standard normal", {}),
        ("x ∈ Δ^V (probability simplex)", {}),
        ("L=layers, S=sequence_length", {}),
        ("x ∈ ℝ^{n_h*d_k}", {}),
    ],
)
def test_a_domain_is_read_where_it_is_understood(text: str, expected: dict[str, Any]) -> None:
    assert specs(text) == expected


@given(st.text(alphabet="xnR^{}()[], ∈in≥>ℝ×0123456789.-", max_size=60))
def test_whatever_is_read_can_be_drawn_from_or_refused_with_its_place(text: str) -> None:
    for variable in read_domain(text, HERE):
        assert variable.where == HERE
        assert variable.name.isidentifier()
        parse_domain(variable, {})
