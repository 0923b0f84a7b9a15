"""The digest of what a claim says."""

from __future__ import annotations

import pytest

from pytest_contracts.contract import load_text
from pytest_contracts.contract.meaning import claim_digest

TEXT = """
metadata: {version: 1.0.0, description: D}
constants: {c: 1, {bad: key}: 2}
equations:
  f:
    formula: f(x) = 2·x
    variables: {x: {dtype: float32, range: [0, 1]}}
    implementations: {cpu: "pkg:f", cuda: "pkg:g"}
proof_obligations:
  - {id: A, type: invariant, property: P, formal: f(x) ≥ 0, tolerance: 1e-6}
kani_harnesses:
  - {id: H, run: h, bound: 3, strategy: exhaustive}
""".replace(", {bad: key}: 2", "")


def digest(text: str, implementation: str | None = "cpu", claim: int = 0) -> str:
    contract = load_text(text, "a.yaml")
    return claim_digest(contract, contract.claims[claim], implementation)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("f(x) ≥ 0", "f(x) >= 0"),
        ("f(x) ≥ 0", "f( x )  ≥  0"),
        ("2·x", "2 * x"),
        ("property: P", "property: Q"),
        ("1e-6}", "0.000001, because: so}"),
        ("cuda: \"pkg:g\"", "cuda: \"pkg:other\""),
        ("description: D", "status: PROPOSED, description: D"),
    ],
)  # fmt: skip
def test_words_and_spelling_do_not_matter(old, new):
    assert old in TEXT
    assert digest(TEXT.replace(old, new)) == digest(TEXT)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("f(x) ≥ 0", "f(x) > 0"),
        ("2·x", "2 + x"),
        ("1e-6", "1e-5"),
        ("range: [0, 1]", "range: [0, 2]"),
        ("cpu: \"pkg:f\"", "cpu: \"pkg:other\""),
        ("c: 1", "c: 2"),
        ("type: invariant", "type: safety"),
        ("tolerance: 1e-6", "tolerance: 1e-6, examples: 7"),
        ("tolerance: 1e-6", "tolerance: 1e-6, variables: {x: 1..2}"),
    ],
)  # fmt: skip
def test_what_is_claimed_matters(old, new):
    assert old in TEXT
    assert digest(TEXT.replace(old, new)) != digest(TEXT)


def test_implementations_have_digests_of_their_own():
    assert digest(TEXT, "cpu") != digest(TEXT, "cuda")


@pytest.mark.parametrize(("old", "new"), [("bound: 3", "bound: 4"), ("run: h", "run: g")])
def test_harnesses_count_their_bound_and_procedure(old, new):
    assert digest(TEXT.replace(old, new), None, 1) != digest(TEXT, None, 1)


def test_formula_that_does_not_parse_counts_as_text():
    text = TEXT.replace("f(x) ≥ 0", "for ever and ever")
    assert digest(text) == digest(text)
    assert digest(text) != digest(text.replace("and ever", "and a day"))
