"""The dialect is a property of the evidence in a file: one piece of it wins, and none is wild."""

from __future__ import annotations

import copy
import functools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pytest_contracts.contract import load, load_text
from pytest_contracts.contract.wild.dialect import IN_DOUBT, dialect_of, slipped
from pytest_contracts.contract.yaml_tree import (
    Entry,
    Node,
    Scalar,
    Sequence,
    Source,
    Table,
    compose,
)
from pytest_contracts.errors import ContractSyntaxError

ROOT = Path(__file__).parents[4]
PIPELINE = sorted((ROOT / "tests" / "corpus" / "pipeline").glob("*.yaml"))
STRICT = [
    *sorted((ROOT / "contracts").rglob("*.yaml")),
    *sorted((ROOT / "examples").rglob("contracts/*.yaml")),
    *sorted((ROOT / "tests" / "pytest_contracts" / "fuzz" / "seeds").glob("*.yaml")),
]
Document = dict[str, Any]
BASES: list[Document] = [yaml.safe_load(path.read_text("utf-8")) for path in PIPELINE]


DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def written(document: Document) -> str:
    text: str = yaml.dump(document, Dumper=DUMPER, allow_unicode=True, sort_keys=False)
    return text


def dialect(text: str) -> str:
    return dialect_of(compose(Source(text, Path("c.yaml"))))[0]


# -- noise: what a wild file may hold without being taken for a strict one ------------------------


Change = Callable[[Document], None]


def metadata(**keys: Any) -> Change:
    return lambda document: document["metadata"].update(keys)


def section(**keys: Any) -> Change:
    return lambda document: document.update(keys)


def in_each(section: str, **keys: Any) -> Change:
    def change(document: Document) -> None:
        parts = document[section]
        for part in parts.values() if isinstance(parts, dict) else parts:
            part.update(keys)

    return change


equations = functools.partial(in_each, "equations")
obligations = functools.partial(in_each, "proof_obligations")
predictions = functools.partial(in_each, "falsification_tests")


def by_name(document: Document) -> None:
    listed = document["falsification_tests"]
    document["falsification_tests"] = {each.pop("id"): each for each in listed}


def harness(**keys: Any) -> Change:
    return section(kani_harnesses=[{"id": "KANI-X-001", "bound": 8, **keys}])


NOISE: dict[str, Change] = {
    "as it is": lambda document: None,
    "kind kernel": metadata(kind="kernel"),
    "kind pattern": metadata(kind="pattern", last_modified="2026-09-06"),
    "kind schema": metadata(kind="schema", status="PROPOSED", registry=False),
    "a kind of its own": metadata(kind="leaderboard"),
    "statuses of claims": predictions(status="PASS", result="PASS, seen on the GPU"),
    "statuses of obligations": obligations(status="proved", level="L4"),
    "ids of obligations": obligations(statement="it holds", discharged_by="falsification_tests[0]"),
    "the equation it is about": predictions(equation="catalog_coverage", binds_to="lineage"),
    "constants": section(constants={"QK_K": 256, "sizes": [32, 64]}),
    "what a claim requires": obligations(requires=["x.len() > 0"], ensures="finite"),
    "how many examples": predictions(examples=1000, because="a paper says so", slow=True),
    "a kind of tolerance": obligations(tolerance_kind="relative", floor=0.5, measure="MSE"),
    "a command to run": predictions(run="cargo test -p aprender --lib"),
    "commands to run": predictions(run=["make", "check"]),
    "how it is parametrized": predictions(parametrize="over every layer"),
    "variables in prose": equations(variables={"x": "the input vector", "n": "its length"}),
    "ranges in prose": equations(
        variables={"a": "1..128 tokens", "b": "n ∈ 1..128", "c": "x, y...", "d": "1, ..., n"}
    ),
    "variables in a list": equations(variables=["x", "n >= 1"]),
    "variables with Rust types": equations(variables={"x": {"type": "Vec<f32>", "shape": "[n]"}}),
    "variables of f32": equations(variables={"x": {"dtype": "f32", "description": "input"}}),
    "implementations in Rust": equations(implementations={"simd": "aprender::nn::softmax_avx2"}),
    "implementations in files": equations(implementations=["src/softmax.rs", "kernel.cu"]),
    "functions in files": equations(implementations={"avx2": "softmax.rs:softmax_row"}),
    "implementations by state": equations(implementations={"cpu": "implemented", "gpu": "planned"}),
    "more of an equation": equations(preconditions=["x"], lean_theorem="T", formula_alt="y = x"),
    "tests by name": by_name,
    "a domain in words": obligations(over="all inputs", require="finite"),
    "no tests": section(falsification_tests=[]),
    "no obligations": section(proof_obligations=None),
    "types unheard of": obligations(type="vibes", lean_theorem="Theorems.X"),
    "tests in shell": predictions(test="grep -c PASS report.json", falsification_test="no"),
    "harnesses": harness(harness="verify_x", solver="cadical", strategy="stub_float"),
    "a harness that runs cargo": harness(run="cargo kani --harness verify_x"),
    "a gate in words": section(qa_gate={"id": "F-X", "checks": ["a"], "falsification": "break it"}),
    "a gate with a list": section(qa_gate={"id": "F-X", "falsification": ["break it", {"a": 1}]}),
    "a pipeline": section(
        pipeline={"steps": [{"name": "n", "run": "make", "variables": {"a": 1}}]}
    ),
    "a summary": section(verification_summary={"total_obligations": 3}, name="x", version="1.0.0"),
    "bindings": section(bindings=[{"implementations": {"cpu": "a:b"}, "run": "check"}]),
}


@pytest.mark.untraced
@pytest.mark.parametrize("noise", NOISE)
@pytest.mark.parametrize("base", BASES, ids=[path.stem for path in PIPELINE])
def test_no_variation_of_the_second_style_is_taken_for_strict(base: Document, noise: str) -> None:
    document = copy.deepcopy(base)
    NOISE[noise](document)
    text = written(document)
    assert dialect(text) == "wild"
    contract = load_text(text, "variation-v1.yaml")
    assert {claim.formal for claim in contract.claims} <= {None}
    assert all(claim.prose for claim in contract.claims)
    assert len(contract.claims) >= 3


EVIDENCE: dict[str, Change] = {
    "implementations": equations(implementations={"cpu": "pkg.softmax.cpu:softmax"}),
    "one of several": equations(implementations={"rust": "a::b", "cpu": "pkg.cpu:f"}),
    "a range": equations(variables={"n": "1..128"}),
    "a range of expressions": equations(variables={"n": "1..2*m - 1"}),
    "a choice": equations(variables={"n": "{32, 64}"}),
    "a flow mapping of sizes": equations(variables={"n": {32: None, 64: None}}),
    "an array": equations(variables={"x": {"dtype": "float32", "shape": ["n"]}}),
    "blocks": equations(variables={"x": {"block": "Q4_K", "count": 4}}),
    "a test's own variables": predictions(variables={"n": "0.5..2.0"}),
    "a procedure": predictions(run="per_layer_ratio"),
    "a harness's procedure": harness(run="verify_ratio"),
    "parameters": obligations(parametrize={"layer": "layers(model)"}),
    "what it is over": obligations(over=["one-v1", "kernels-*"]),
    "a gate's defects": section(
        qa_gate={"id": "F", "falsification": [{"id": "m", "target": "f.cpu", "killed_by": ["F"]}]}
    ),
    "metadata": metadata(dialect="strict"),
}


@pytest.mark.untraced
@given(
    base=st.sampled_from(BASES),
    noise=st.lists(st.sampled_from(sorted(NOISE)), max_size=6),
    evidence=st.sampled_from([None, *sorted(EVIDENCE)]),
)
def test_one_piece_of_evidence_outweighs_any_noise(
    base: Document, noise: list[str], evidence: str | None
) -> None:
    document = copy.deepcopy(base)
    shape = {"tests by name", "no tests", "no obligations"}
    for name in noise:
        if name not in shape:
            NOISE[name](document)
    if evidence is not None:
        EVIDENCE[evidence](document)
    assert dialect(written(document)) == ("wild" if evidence is None else "strict")


# -- slips: a typo in a strict file is an error at its line, and never makes it wild --------------


def with_one_key_changed(node: Node, change: Callable[[str], str]) -> Iterator[tuple[str, Node]]:
    """Yield the tree once for each of its keys, with that key changed."""
    if isinstance(node, Sequence):
        for i, item in enumerate(node.items):
            for key, new in with_one_key_changed(item, change):
                items = (*node.items[:i], new, *node.items[i + 1 :])
                yield key, Sequence(items, node.where, node.size)
    if isinstance(node, Table):
        for i, entry in enumerate(node.entries):
            word = change(entry.key.text)
            renamed = Entry(Scalar(word, word, entry.key.where), entry.value)
            inner = ((k, Entry(entry.key, v)) for k, v in with_one_key_changed(entry.value, change))
            for key, new_entry in [(entry.key.text, renamed), *inner]:
                entries = (*node.entries[:i], new_entry, *node.entries[i + 1 :])
                yield key, Table(entries, node.where, node.size)


SLIPS: dict[str, Callable[[str], str]] = {
    "last letter missing": lambda key: key[:-1] or "q",
    "first letter twice": lambda key: key[0] + key,
    "first two swapped": lambda key: key[1::-1] + key[2:],
    "a wrong letter": lambda key: key[:2] + "q" + key[3:],
}


@pytest.mark.parametrize("path", STRICT, ids=[path.stem for path in STRICT])
def test_strict_files_are_strict_whichever_of_their_keys_has_a_slip(path: Path) -> None:
    root = compose(Source(path.read_text("utf-8"), path))
    assert load(path).dialect == "strict"
    for slip, change in SLIPS.items():
        for key, tree in with_one_key_changed(root, change):
            assert dialect_of(tree)[0] == "strict", f"{slip}: {key}"


def test_there_are_strict_files() -> None:
    assert len(STRICT) >= 19 + 7


@pytest.mark.parametrize(
    ("only_evidence", "message"),
    [
        ("equations: {f: {implementation: {cpu: 'a:b'}}}", "unknown key 'implementation'"),
        ("equatons: {f: {implementations: {cpu: 'a:b'}}}", "unknown section 'equatons'"),
        ("equations: {f: {varaibles: {n: 1..3}}}", "unknown key 'varaibles'"),
        (
            "falsification_tests: [{id: F-1, rule: R, rum: check}]",
            "unknown key 'rum' in falsification_tests[0] (F-1)",
        ),
        (
            "falsification_test: [{id: F-1, rule: R, run: check}]",
            "unknown section 'falsification_test'",
        ),
        (
            "proof_obligations: [{type: invariant, property: P, formall: x, run: check}]",
            "unknown key 'formall' in proof_obligations[0]",
        ),
    ],
)
def test_a_slip_in_the_only_evidence_is_still_an_error(only_evidence: str, message: str) -> None:
    with pytest.raises(ContractSyntaxError) as caught:
        load_text(f"metadata: {{version: 1.0.0, description: D}}\n{only_evidence}\n", "c.yaml")
    assert caught.value.message.startswith(message)
    assert caught.value.where is not None
    assert caught.value.where.line == 2


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("run", False), ("rum", True), ("rn", True), ("runn", True), ("urn", True),
        ("runner", False), ("rule", False), ("r", False), ("nur", False), ("", False),
    ],
)  # fmt: skip
def test_a_slip_is_one_letter(word: str, expected: bool) -> None:
    assert slipped(word, "run") is expected


def test_without_evidence_a_file_is_wild_and_says_why() -> None:
    text = (
        "metadata: {version: 1.0.0, description: D}\n"
        "proof_obligations:\n  - {type: invariant, property: P, formall: x > 0}\n"
    )
    contract = load_text(text, "c.yaml")
    assert contract.dialect == "wild"
    assert contract.dialect_shown is not None
    assert contract.dialect_shown.message == IN_DOUBT
    assert [remark.message for remark in contract.remarks] == ["not used: obligation key formall"]
    strict = load_text(text.replace("formall", "run").replace("x > 0", "check"), "c.yaml")
    assert strict.dialect == "strict"
    assert strict.dialect_shown is not None
    assert strict.dialect_shown.message == "'run' is the strict dialect's"
    assert strict.dialect_shown.where.line == 3


@pytest.mark.parametrize("value", ["a..b" * 16000 + ";", "a " * 30000 + "..b", "x" * 60000])
def test_a_long_text_is_no_evidence_and_takes_no_time(value: str) -> None:
    document: Document = {
        "metadata": {"version": "1.0.0", "description": "D"},
        "equations": {"f": {"variables": {"n": value}, "implementations": {"cpu": value}}},
    }
    start = time.process_time()
    assert dialect(written(document)) == "wild"
    assert time.process_time() - start < 50
