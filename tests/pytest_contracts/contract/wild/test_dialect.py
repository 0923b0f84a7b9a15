"""What existing files of the other tool-chain become, once they are known as such."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_contracts.contract import load, load_text
from pytest_contracts.errors import ContractSyntaxError

CORPUS = Path(__file__).parents[3] / "corpus"
WILD = """
metadata: {version: "1.0.0", created: "2026-02-18", description: Softmax}
equations:
  softmax: {formula: "σ(x)_i = exp(x_i) / Σ_j exp(x_j)", domain: "x ∈ ℝ^n, n ≥ 1"}
proof_obligations:
  - {type: invariant, property: Positive, formal: "σ(x)_i > 0 for all i", applies_to: all}
  - {type: invariant, property: Normal, formal: "|Σ σ(x)_i - 1.0| < ε", tolerance: 1.0e-6}
  - {type: equivalence, property: SIMD matches scalar within ULP, tolerance: 8.0, applies_to: simd}
falsification_tests:
  - {id: FALSIFY-SM-001, rule: Positivity, prediction: "it works", test: "rm -rf /; echo done"}
kani_harnesses:
  - {id: KANI-SM-001, obligation: SM-INV-001, bound: 8, strategy: stub_float, solver: cadical}
enforcement: {positivity: {check: "contract_tests::FALSIFY-SM-001"}}
qa_gate: {id: F-SM-001, checks: [positivity], falsification: Introduce an off-by-one}
"""


def wild(text: str = WILD) -> str:
    return text.lstrip()


def test_every_file_of_the_corpus_loads_and_every_claim_is_accounted_for() -> None:
    files = [path for path in sorted(CORPUS.rglob("*.yaml")) if path.name != "binding.yaml"]
    contracts = [load(path) for path in files]
    assert len(contracts) == 61
    assert {contract.dialect for contract in contracts} == {"wild"}
    claims = [claim for contract in contracts for claim in contract.claims]
    assert len(claims) == 723
    for claim in claims:
        executable = claim.formal is not None or (claim.prose is None and claim.kind != "harness")
        assert executable != (claim.prose is not None)


def test_ids_are_derived_and_do_not_change_with_what_stands_beside() -> None:
    contract = load_text(wild(), "softmax-kernel-v1.yaml")
    assert [claim.id for claim in contract.obligations] == [
        "SM-INV-001",
        "SM-INV-002",
        "SM-EQV-001",
    ]
    assert contract.harnesses[0].obligation == "SM-INV-001"
    more = wild().replace(
        "  - {type: equivalence", "  - {type: bound, property: B}\n  - {type: equivalence"
    )
    ids = [claim.id for claim in load_text(more, "softmax-kernel-v1.yaml").obligations]
    assert ids == ["SM-INV-001", "SM-INV-002", "SM-BND-001", "SM-EQV-001"]


def test_what_is_not_used_is_kept_and_said_once() -> None:
    contract = load_text(wild(), "softmax-kernel-v1.yaml")
    assert contract.falsification_tests[0].extra["wild"]["test"] == "rm -rf /; echo done"
    assert contract.falsification_tests[0].run is None
    assert "enforcement" in contract.extra
    said = [remark.message for remark in contract.remarks]
    assert said == sorted(set(said), key=said.index)
    assert "not used: section enforcement" in said
    assert "not used: section qa_gate" in said
    assert "not used: falsification key test" in said


def test_reasons_say_why_a_claim_is_prose() -> None:
    contract = load_text(wild(), "softmax-kernel-v1.yaml")
    reasons = {claim.id: claim.prose for claim in contract.claims}
    assert reasons == {
        "SM-INV-001": "no binding for softmax",
        "SM-INV-002": "no binding for softmax",
        "SM-EQV-001": "it has no formal, and no binding says what simd and scalar are",
        "FALSIFY-SM-001": "not a formula: unexpected 'works' after the formula",
        "KANI-SM-001": "a proof that another tool runs (cadical)",
    }


@pytest.mark.parametrize(
    "ours",
    [
        "proof_obligations: [{type: invariant, property: P, parametrize: {n: [1, 2]}}]\n",
        "qa_gate: {id: G, checks: [F-1], falsification: [{id: m, target: a.b, killed_by: [A]}]}\n",
        "equations: {f: {implementations: {cpu: 'a:b'}}}\n",
        "equations: {f: {variables: {n: 1..3}}}\n",
        "proof_obligations: [{type: invariant, property: P, run: check}]\n",
    ],
)
def test_a_typo_in_a_strict_contract_does_not_make_it_wild(ours: str) -> None:
    text = (
        "metadata: {version: 1.0.0, description: D}\n"
        f"{ours}"
        "falsification_tests:\n  - {id: F-1, rule: R, test: prose}\n"
    )
    with pytest.raises(ContractSyntaxError) as caught:
        load_text(text, "c.yaml")
    assert caught.value.message == "unknown key 'test' in falsification_tests[0] (F-1)"


def test_the_metadata_may_say_the_dialect() -> None:
    head = "metadata: {version: 1.0.0, description: D, dialect: %s}\n"
    body = "proof_obligations:\n  - {type: invariant, property: P, formall: x > 0}\n"
    contract = load_text(head % "wild" + body, "c.yaml")
    assert contract.dialect == "wild"
    assert contract.obligations[0].prose == "it has no formal"
    with pytest.raises(ContractSyntaxError, match="formall"):
        load_text(head % "strict" + body, "c.yaml")
    with pytest.raises(ContractSyntaxError, match="unknown key 'test'"):
        load_text(wild().replace("{version:", "{dialect: strict, version:"), "c.yaml")
    with pytest.raises(ContractSyntaxError, match=r"metadata\.dialect cannot be 'wlid'"):
        load_text(head % "wlid", "c.yaml")


def test_a_wild_file_may_still_be_at_fault() -> None:
    for old, new, message in [
        ("KANI-SM-001", "FALSIFY-SM-001", "duplicate id 'FALSIFY-SM-001'"),
        ("id: FALSIFY-SM-001, ", "", r"falsification_tests\[0\] lacks 'id'"),
        ('version: "1.0.0", ', "", "metadata lacks 'version'"),
    ]:
        with pytest.raises(ContractSyntaxError, match=message) as caught:
            load_text(wild().replace(old, new), "c.yaml")
        assert caught.value.where is not None


def test_values_of_the_wrong_kind_are_set_aside() -> None:
    text = wild().replace("tolerance: 1.0e-6", "tolerance: about a millionth")
    text = text.replace("type: invariant, property: Positive", "type: vibes, property: Positive")
    contract = load_text(text, "softmax-kernel-v1.yaml")
    said = [remark.message for remark in contract.remarks]
    assert "not used: obligation key tolerance" in said
    assert "not used: obligation type that is not known here" in said
    assert contract.obligations[1].prose == "no binding for softmax, ε"


def test_claims_by_name_have_their_names_as_ids() -> None:
    text = wild().replace(
        '  - {id: FALSIFY-SM-001, rule: Positivity, prediction: "it works", test:',
        '  FALSIFY-SM-001: {rule: Positivity, prediction: "it works", test:',
    )
    contract = load_text(text, "softmax-kernel-v1.yaml")
    assert [claim.id for claim in contract.falsification_tests] == ["FALSIFY-SM-001"]
    assert contract.falsification_tests[0].statement == "it works"
    text = text.replace("  - {id: KANI-SM-001, obligation", "  KANI-SM-001: {obligation")
    contract = load_text(text, "softmax-kernel-v1.yaml")
    assert [harness.id for harness in contract.harnesses] == ["KANI-SM-001"]


def test_keys_that_both_dialects_know_are_recorded_and_not_believed() -> None:
    text = wild().replace("metadata: {", "metadata: {kind: pattern, status: RETIRED, ")
    text = text.replace("rule: Positivity,", "rule: Positivity, status: PASS, examples: 3,")
    contract = load_text(text, "softmax-kernel-v1.yaml")
    assert (contract.metadata.kind, contract.metadata.status) == ("pattern", "ACTIVE")
    test = contract.falsification_tests[0]
    assert (test.status, test.examples) == ("ACTIVE", None)
    assert test.extra["wild"]["status"] == "PASS"


@pytest.mark.parametrize("content", ["3", "'text'", "[3]", "{a: 3}", "[[]]"])
@pytest.mark.parametrize("section", ["proof_obligations", "falsification_tests", "kani_harnesses"])
def test_a_section_that_holds_no_claims_is_an_error(section: str, content: str) -> None:
    text = f"metadata: {{version: 1.0.0, description: D}}\n{section}: {content}\n"
    with pytest.raises(ContractSyntaxError, match=section) as caught:
        load_text(text, "c.yaml")
    assert caught.value.where is not None
    assert caught.value.where.line == 2
    empty = f"metadata: {{version: 1.0.0, description: D}}\n{section}:\n"
    assert load_text(empty, "c.yaml").claims == ()
