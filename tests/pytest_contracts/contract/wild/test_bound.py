"""Bindings give the names and words of wild contracts a meaning, or say clearly why not."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from pytest_contracts.binding import resolve
from pytest_contracts.contract import Contract, load
from pytest_contracts.contract.meaning import claim_digest, expression, written
from pytest_contracts.errors import ContractBindingError, ContractSyntaxError
from pytest_contracts.formula import Expr, parse, render_unicode
from pytest_contracts.formula.tree import Binary, Call, Logic, walk
from pytest_contracts.items.formulas import Formula

CORPUS = Path(__file__).parents[3] / "corpus"
WILD = """
metadata: {version: "1.0.0", description: A contract of another tool-chain}
equations:
  scale: {formula: "S(x, a) = a·x", domain: "x ∈ ℝ^n, a ∈ [0, 2]"}
  shift: {formula: "y = x + b", domain: "x ∈ ℝ^n"}
proof_obligations:
  - {type: invariant, property: One keeps, formal: "S(x, 1) = x for all x"}
  - {type: invariant, property: Close, formal: "S(x, 1) = x", tolerance: 1.0e-6}
  - {type: bound, property: In ULP, formal: "S(x, 1) == x within 2 ULP"}
  - {type: invariant, property: Warm, formal: "S(x, a) >= 0 after warm-up"}
  - {type: invariant, property: Size, formal: "|a| <= 2 implies S(x, a) = S(x, a)"}
  - {type: invariant, property: Element, formal: "y_i = S(x, a)_i"}
  - {type: equivalence, property: SIMD matches scalar within ULP, tolerance: 4, applies_to: simd}
  - {type: invariant, property: Other, formal: "shift(x) = x"}
falsification_tests:
  - {id: FALSIFY-SC-001, rule: R, prediction: "S(x, 0) = 0·x", test: "proptest"}
"""


def bound(tmp_path: Path, binding: str) -> Contract:
    path = tmp_path / "scale-v1.yaml"
    path.write_text(WILD, "utf-8")
    (tmp_path / "binding.yaml").write_text(textwrap.dedent(binding), "utf-8")
    return load(path)


def outcome(contract: Contract) -> dict[str, str]:
    return {claim.statement: claim.prose or claim.formal or "template" for claim in contract.claims}


def test_a_bound_contract_has_strict_formulas_and_reasons(tmp_path: Path) -> None:
    contract = bound(
        tmp_path,
        """
        bindings:
          - contract: scale-v1.yaml
            equation: scale
            implementations: {fast: "math:prod", slow: "math:fsum"}
            arguments: [x, a]
            variables:
              n: 1..4
              x: {dtype: float32, shape: [n]}
            names: {y: 2·x}
            conditions: {after warm-up: a > 0}
            simd: {simd: fast, scalar: slow}
        """,
    )
    assert outcome(contract) == {
        "One keeps": "scale(x, 1) = x",
        "Close": "scale(x, 1) ≈ x",
        "In ULP": "scale(x, 1) ≈ x",
        "Warm": "a > 0 ⟹ scale(x, a) ≥ 0",
        "Size": "|a| ≤ 2 ⟹ scale(x, a) = scale(x, a)",
        "Element": "∀ i ∈ 0..len(2 · x): (2 · x)[i] = scale(x, a)[i]",
        "SIMD matches scalar within ULP": "template",
        "Other": "no binding for shift",
        "S(x, 0) = 0·x": "scale(x, 0) = 0 · x",
    }
    claims = {claim.statement: claim for claim in contract.claims}
    assert claims["In ULP"].tolerance == 2.0
    assert claims["In ULP"].tolerance_kind == "ulp"
    simd = claims["SIMD matches scalar within ULP"]
    assert (simd.applies_to, simd.extra["to"], simd.tolerance_kind) == (("fast",), "slow", "ulp")
    assert contract.equation("scale").parameters == ("x", "a")
    drawn = {variable.name: variable.spec for variable in claims["Warm"].variables}
    assert drawn["x"] == {"dtype": "float32", "shape": ("n",)}
    assert drawn["a"] == {"dtype": "float64", "range": (0.0, 2.0)}


def test_what_a_registry_calls_implemented_counts_for_nothing(tmp_path: Path) -> None:
    contract = bound(
        tmp_path,
        """
        bindings:
          - contract: scale-v1.yaml
            equation: scale
            module_path: "aprender::nn::functional::scale"
            function: scale
            signature: "fn scale(x: &Tensor) -> Tensor"
            status: implemented
        """,
    )
    reasons = outcome(contract)
    assert reasons["One keeps"] == "cannot import aprender::nn::functional::scale::scale"
    assert reasons["Other"] == "no binding for shift"
    assert all(claim.prose is not None for claim in contract.claims)


def test_an_entry_may_speak_of_single_claims(tmp_path: Path) -> None:
    contract = bound(
        tmp_path,
        """
        bindings:
          - contract: scale-v1
            equation: scale
            module_path: math
            function: prod
            variables: {x: 1..3}
          - contract: scale-v1
            claims: [SC-INV-001]
            variables: {x: 5..9}
            names: {"S(x, a)": "scale(x, a + 1)"}
        """,
    )
    one, two = contract.obligations[:2]
    assert (one.formal, two.formal) == ("scale(x, 1 + 1) = x", "scale(x, 1) ≈ x")
    assert next(v.spec for v in one.variables if v.name == "x") == "5..9"
    assert next(v.spec for v in two.variables if v.name == "x") == "1..3"


def test_a_meaning_does_not_take_a_bound_variable_for_its_own(tmp_path: Path) -> None:
    contract = bound(
        tmp_path,
        """
        bindings:
          - contract: scale-v1
            equation: scale
            implementations: {cpu: "math:prod"}
            variables: {i: 1..3}
            names: {y: i·x}
        """,
    )
    assert outcome(contract)["Element"] == "y would take a bound variable for its own"


def test_a_function_may_stand_in_a_file_beside_the_bindings(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def scale(x, a):\n    return a * x\n", "utf-8")
    contract = bound(
        tmp_path,
        """
        bindings:
          - {contract: scale-v1, equation: scale, implementations: {cpu: ".mine:scale"}}
        """,
    )
    target = contract.equation("scale").implementations["cpu"]
    assert resolve(target)(3, 4) == 12
    assert str(tmp_path) not in target


@pytest.mark.parametrize(
    ("binding", "error", "message"),
    [
        ("bindings: {}", ContractSyntaxError, "a binding file has a list 'bindings'"),
        ("bindings: [3]", ContractSyntaxError, "a binding is a mapping"),
        ("bindings: [{equation: scale}]", ContractSyntaxError, "a binding lacks 'contract'"),
        ("bindings: [{contract: c, equaton: s}]", ContractSyntaxError, "unknown key 'equaton'"),
        (
            "bindings: [{contract: scale-v1, equation: scael, implementations: {a: 'm:f'}}]",
            ContractBindingError,
            "scale-v1 has no equation 'scael'",
        ),
        (
            "bindings: [{contract: c, implementations: {a: 'import os'}}]",
            ContractSyntaxError,
            "'import os' is not module:function",
        ),
        (
            "bindings: [{contract: c, implementations: {a: '.absent:f'}}]",
            ContractSyntaxError,
            "there is no absent.py beside the binding file",
        ),
        (
            "bindings: [{contract: c, implementations: {a: '..up:f'}}]",
            ContractSyntaxError,
            "'..up:f' is not module:function",
        ),
        (
            "bindings: [{contract: scale-v1, claims: [SC-INV-099]}]",
            ContractBindingError,
            "scale-v1 has no claim 'SC-INV-099'",
        ),
        (
            "bindings: [{contract: scale-v1, names: {y: 'x +'}}]",
            ContractBindingError,
            "names: 'y: x +' is no definition",
        ),
        (
            "bindings: [{contract: scale-v1, conditions: {warm: '§'}}]",
            ContractBindingError,
            "conditions: '§' is no formula",
        ),
        ("bindings: [", ContractSyntaxError, "not YAML"),
    ],
)
def test_a_bad_binding_file_is_an_error_with_its_place(
    tmp_path: Path, binding: str, error: type[Exception], message: str
) -> None:
    if "scael" not in binding and "SC-INV-099" not in binding:
        binding = binding.replace("names", "equation: scale, implementations: {a: 'm:f'}, names")
    with pytest.raises(error) as caught:
        bound(tmp_path, binding)
    assert message in str(caught.value)
    assert "binding.yaml:" in str(caught.value)


def test_a_formula_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contract = bound(
        tmp_path,
        """
        bindings:
          - contract: scale-v1
            equation: scale
            implementations: {cpu: "math:prod"}
            arguments: [x, a]
            names: {y: 2·x}
            conditions: {after warm-up: a > 0}
        """,
    )

    def refused(text: str) -> Expr:
        pytest.fail(f"parsed again: {text}")

    monkeypatch.setattr("pytest_contracts.contract.meaning.parse", refused)
    monkeypatch.setattr("pytest_contracts.items.formulas.parse", refused)
    claims = [claim for claim in contract.claims if claim.formal is not None]
    assert len(claims) == 7
    for claim in claims:
        formula = Formula.of_claim(claim)
        assert claim.read is not None
        assert formula is not None
        assert formula.tree is claim.read.tree is expression(claim)
        assert formula.text == claim.formal == render_unicode(claim.read.tree)
        assert formula.written == claim.read.written == written(claim)
        assert len(claim_digest(contract, claim, "cpu")) == 64


def test_places_are_those_of_the_text_in_the_file(tmp_path: Path) -> None:
    contract = bound(
        tmp_path,
        """
        bindings:
          - contract: scale-v1
            equation: scale
            implementations: {cpu: "math:prod"}
            arguments: [x, a]
            names: {y: 2·x}
            conditions: {after warm-up: a > 0}
        """,
    )
    read = {claim.statement: claim.read for claim in contract.claims}
    element, warm = read["Element"], read["Warm"]
    assert element is not None
    assert warm is not None
    assert element.written == "y_i = S(x, a)_i"
    calls = {node.function: node.offset for node in walk(element.tree) if isinstance(node, Call)}
    assert calls["scale"] == 6
    # What a binding says of a name stands where the name stands.
    products = [node.offset for node in walk(element.tree) if isinstance(node, Binary)]
    assert set(products) == {0}
    assert isinstance(warm.tree, Logic)
    guard = warm.tree.operands[0]
    assert {node.offset for node in walk(guard)} == {warm.written.index("after")}


def test_what_is_shown_of_the_corpus_is_what_runs() -> None:
    files = [path for path in CORPUS.rglob("*.yaml") if path.name != "binding.yaml"]
    claims = [claim for path in files for claim in load(path).claims if claim.read is not None]
    assert len(claims) == 89
    for claim in claims:
        assert claim.read is not None
        assert parse(str(claim.formal)) == claim.read.tree
