"""Formulas as MathML and the drawing of dependencies."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from itertools import combinations

import pytest

from pytest_contracts.report.graph import HEIGHT, draw
from pytest_contracts.report.mathml import typeset


def words(formula, **options):
    """The tags and texts of a formula's leaves."""
    tree = ET.fromstring(typeset(formula, **options))
    return [(part.tag, part.text) for part in tree.iter() if not len(part) and part.text]


def test_a_definition_is_typeset():
    tree = ET.fromstring(
        typeset("softmax(x) = exp(x − max(x)) / Σ exp(x − max(x))", definition=True)
    )
    assert tree.tag == "math"
    assert tree.get("display") == "block"
    assert len(list(tree.iter("mfrac"))) == 1
    assert ("mi", "softmax") in [(p.tag, p.text) for p in tree.iter()]
    assert "∑" in [p.text for p in tree.iter("mo")]


@pytest.mark.parametrize(
    ("formula", "leaf"),
    [
        ("q4k_bytes(rows) > 0", ("mi", "q4k_bytes")),
        ("rows < 3", ("mi", "rows")),
        ("a < b", ("mo", "<")),
        ("ulp_distance(x, y) ≤ 8", ("mi", "ulp_distance")),
        ("P(x) ⟹ Q(x)", ("mo", "⟹")),
        ("¬P(x)", ("mo", "¬")),
        ("max(x) > 0", ("mi", "max")),
        ("x & 3 = 1", ("mi", "&")),
        ("∀ i ∈ 0..n: x[i] ≥ 0", ("mo", "∀")),
    ],
)
def test_names_are_words_and_signs_are_signs(formula, leaf):
    assert leaf in words(formula)


@pytest.mark.parametrize("formula", ["d_k[i] > 0", "x[i][j] = 0", "Tᵀᵀ = T", "x_i_j > d_k"])
def test_what_tex_takes_once_is_grouped(formula):
    assert typeset(formula) is not None


def test_no_command_of_latex_is_left_over():
    for formula in (
        "‖x‖_∞ ≤ 1 ∧ ⌊x / 2⌋ ≠ √y",
        "f(x) = 1 if x > 0 else 2",
        "x ∈ {1, 2} ∨ x ∉ [0, 1)",
        "abs(x_i - y_i) <= 1e-6",
        "x @ yᵀ << 3 | 4",
    ):
        shown = typeset(formula)
        if shown is not None:
            assert "\\" not in shown, formula


@pytest.mark.parametrize("formula", ["", "it is fast", "x <", "(" * 3000, "x + " * 3000 + "x"])
def test_what_is_no_formula_is_left_to_its_text(formula):
    assert typeset(formula) is None


def test_a_refusal_of_the_library_costs_only_the_typesetting(monkeypatch):
    typeset.cache_clear()
    monkeypatch.setattr("pytest_contracts.report.mathml.render_latex", lambda tree: "x_1_2")
    assert typeset("x > 1") is None
    typeset.cache_clear()


def test_nothing_is_drawn_without_dependencies():
    assert draw({}) is None
    assert draw({"a": [], "b": []}) is None
    assert draw({"a": ["b"], "b": ["a"]}) is None


def test_contracts_stand_to_the_right_of_what_they_depend_on():
    needs = {"top": ["mid", "low"], "mid": ["low", "absent"], "low": [], "alone": []}
    drawing = draw(needs)
    nodes = {node.name: node for node in drawing.nodes}
    assert nodes.keys() == {"top", "mid", "low", "absent"}
    assert {(start, end) for start, end, _ in drawing.arrows} == {
        ("mid", "top"),
        ("low", "top"),
        ("low", "mid"),
        ("absent", "mid"),
    }
    for start, end, _ in drawing.arrows:
        assert nodes[start].x + nodes[start].width < nodes[end].x


def test_nothing_overlaps_and_all_is_inside():
    needs = {f"c{i}": [f"c{j}" for j in range(i) if (i * j) % 3 == 1] for i in range(14)}
    drawing = draw(needs)
    for one, other in combinations(drawing.nodes, 2):
        apart = one.x + one.width <= other.x or other.x + other.width <= one.x
        assert apart or abs(one.y - other.y) >= HEIGHT
    for node in drawing.nodes:
        assert node.x >= 0
        assert node.y >= 0
        assert node.x + node.width <= drawing.width
        assert node.y + node.height <= drawing.height
