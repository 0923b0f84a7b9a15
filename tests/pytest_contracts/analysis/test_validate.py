"""Remarks on contracts that load, but may not mean what they seem to."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_contracts.analysis.validate import Validation, validate

CONTRACT = """
metadata: {{version: 1.0.0, kind: kernel, description: d}}
equations:
  f:
    formula: f(x) = exp(x)
    variables:
      n: 2..8
      x: {{dtype: float32, shape: [n], range: [-1, 1]}}
      p: {domain}
    implementations: {{cpu: "kernels:f"}}
falsification_tests:
  - {{id: A, rule: R, formal: "{formal}", {tolerance}}}
"""


def report(
    folder: Path,
    *,
    domain: str = "2..5",
    formal: str = "f(x) ≈ definition(x)",
    tolerance: str = "tolerance: 1.0e-6",
) -> Validation:
    path = folder / "f-v1.yaml"
    text = CONTRACT.format(domain=domain, formal=formal, tolerance=tolerance)
    path.write_text(text, encoding="utf-8")
    (found,) = validate([path])
    return found


def test_a_plain_contract_has_no_notes(tmp_path: Path) -> None:
    found = report(tmp_path)
    assert (found.errors, found.notes) == ((), ())


@pytest.mark.parametrize("domain", ["0..1", "-1..1"])
def test_a_domain_of_few_integers_is_noted(tmp_path: Path, domain: str) -> None:
    (note,) = report(tmp_path, domain=domain).notes
    assert note.kind == "note"
    assert note.message.startswith(f"p: {domain} is the whole numbers ")
    assert note.message.endswith("0..1.0 for the reals between them")
    assert note.where.line == 9


@pytest.mark.parametrize("domain", ["0.0..1.0", "0..2", "1..1", "{0, 1}"])
def test_other_domains_are_not(tmp_path: Path, domain: str) -> None:
    assert report(tmp_path, domain=domain).notes == ()


def test_a_loop_that_leaves_out_the_last_element_is_noted(tmp_path: Path) -> None:
    (note,) = report(tmp_path, formal="∀ i ∈ 0..n−1: f(x)[i] > 0").notes
    assert "leaves out n − 1" in note.message
    (note,) = report(tmp_path, formal="sum(f(x)[i] for i in range(n-1)) > 0").notes
    assert "0..n is each of n" in note.message


@pytest.mark.parametrize(
    "formal", ["∀ i ∈ 0..n: f(x)[i] > 0", "∀ i ∈ 0..n−1: f(x)[i] ≤ f(x)[i + 1] + 9"]
)
def test_a_loop_over_all_or_over_pairs_is_not(tmp_path: Path, formal: str) -> None:
    assert report(tmp_path, formal=formal).notes == ()


@pytest.mark.parametrize(
    ("tolerance", "words"),
    [
        ("tolerance: 0.3", "of kind absolute is loose: a plain float32 evaluation"),
        ("tolerance: 0.3, tolerance_kind: relative", "definition is off by 1e-07"),
        ("tolerance: 0.1, tolerance_kind: cosine", "of kind cosine is loose: a plain float32"),
        ("tolerance: 1.0e+5, tolerance_kind: ulp", "of kind ulp is loose: a plain float32"),
        ("tolerance: 100, tolerance_kind: noise", "of kind noise is loose: the tolerance is a"),
    ],
)
def test_a_loose_tolerance_is_shown_beside_the_noise(
    tmp_path: Path, tolerance: str, words: str
) -> None:
    found = report(tmp_path, tolerance=tolerance)
    assert found.errors == ()
    (note,) = found.notes
    assert note.kind == "warning"
    assert words in note.message


@pytest.mark.parametrize(
    ("tolerance", "words"),
    [
        ("tolerance: 1.0e+300", "nothing can miss a tolerance of 1e+300"),
        ("tolerance: 1, tolerance_kind: relative", "nothing can miss"),
        ("tolerance: 0.999, tolerance_kind: cosine", "nothing can miss"),
        ("tolerance: 1.0e+8, tolerance_kind: ulp", "nothing can miss"),
        ("tolerance: 1.0e+6, tolerance_kind: noise", "nothing can miss"),
    ],
)
def test_an_empty_tolerance_is_an_error(tmp_path: Path, tolerance: str, words: str) -> None:
    (error,) = report(tmp_path, tolerance=tolerance).errors
    assert words in str(error)
    assert error.where is not None
    assert error.where.line == 12


def test_epsilon_is_an_absolute_difference(tmp_path: Path) -> None:
    formal = "|f(x) − definition(x)| ≤ ε"
    assert report(tmp_path, formal=formal).errors == ()
    (error,) = report(tmp_path, formal=formal, tolerance="tolerance: 4, tolerance_kind: ulp").errors
    assert "ε is a difference, but the tolerance is of kind ulp" in str(error)
