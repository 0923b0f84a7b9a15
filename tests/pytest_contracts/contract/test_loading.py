"""Files to contracts: what a good one means, and what is wrong with each bad one."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import random
from pathlib import Path
from textwrap import dedent, indent

import pytest

from pytest_contracts.contract import (
    Contract,
    check_dependencies,
    find_contracts,
    load,
    load_directory,
    load_text,
)
from pytest_contracts.contract.loading import MAX_BYTES
from pytest_contracts.errors import ContractError, ContractSyntaxError

GOOD = """\
metadata:
  version: 1.0.0
  kind: kernel
  status: ACTIVE
  description: Numerically stable softmax
  references: ["Milakov & Gimelshein 2018"]
  depends_on: []
  created: 2026-02-18

constants: {limit: 128, table: [1, 2.5]}

equations:
  softmax:
    formula: softmax(x) = exp(x − max(x)) / Σ exp(x − max(x))   # the oracle
    variables:
      n: 1..128
      x: {dtype: float32, shape: [n], range: [-1000, 1000]}
      width: {32, 64}
    codomain: (0, 1)^n
    implementations:
      reference: pkg.softmax.reference:softmax
      cpu: pkg.softmax.cpu:softmax

proof_obligations:
  - type: invariant
    property: Output sums to one
    formal: "|Σ softmax(x) − 1| < ε"
    tolerance: 1e-6
  - type: bound
    property: Between zero and one
    formal: 0 ≤ softmax(x) ≤ 1
    applies_to: [reference, cpu]
  - type: invariant
    property: Shift
    formal: softmax(x + 1) ≈ softmax(x)
    tolerance: 4
    tolerance_kind: ulp
    floor: 1e-30
    because: measured
    status: PROPOSED
    level: L3
  - id: SM-EQV-001
    type: equivalence
    property: Every implementation matches the definition
    tolerance_kind: noise

falsification_tests:
  - id: FALSIFY-SM-001
    rule: Normalization
    prediction: Σ softmax(x) = 1
    formal: "|Σ softmax(x) − 1| < ε"
    tolerance: 1.0e-6
    examples: 10000
    variables: {n: 1..4}
    if_fails: Missing max subtraction
  - id: FALSIFY-SM-002
    rule: A procedure
    run: per_layer
    parametrize: {layer: "layers(model)", k: [1, 2]}
    requires: model

kani_harnesses:
  - id: KANI-SM-001
    obligation: SM-INV-002
    bound: 8
    strategy: stub_float
    solver: z3
  - id: KANI-SM-002
    property: By hand
    run: verify

qa_gate:
  id: F-SM-001
  checks: [FALSIFY-SM-001, SM-INV-001, KANI-SM-001]
  falsification:
    - {id: no-max, target: softmax.cpu, replace: ["x - m", "x"], killed_by: [FALSIFY-SM-001]}
    - {id: inc, target: "pkg.a:f", killed_by: [SM-BND-001], incident: INC-07, description: d}

simd_dispatch: {softmax: {scalar: softmax_scalar}}
"""


def good() -> Contract:
    return load_text(GOOD, "softmax-kernel-v1.yaml")


def refused(text: str, path: str = "c.yaml") -> ContractSyntaxError:
    with pytest.raises(ContractSyntaxError) as error:
        load_text(text, path)
    return error.value


# -- what a contract says -------------------------------------------------------------------------


def test_the_header_and_the_equation() -> None:
    contract = good()
    assert contract.name == "softmax-kernel-v1"
    assert contract.path == Path("softmax-kernel-v1.yaml")
    assert contract.sibling == Path("softmax_kernel_v1.py")
    assert contract.sha256 == hashlib.sha256(GOOD.encode()).hexdigest()
    assert contract.metadata.version == "1.0.0"
    assert contract.metadata.references == ("Milakov & Gimelshein 2018",)
    assert contract.metadata.extra == {"created": "2026-02-18"}
    assert contract.constants == {"limit": 128, "table": (1, 2.5)}
    equation = contract.equation("softmax")
    assert equation.formula == "softmax(x) = exp(x − max(x)) / Σ exp(x − max(x))"
    assert [v.name for v in equation.variables] == ["n", "x", "width"]
    assert equation.variables[1].spec["shape"] == ("n",)
    assert set(equation.variables[2].spec) == {32, 64}
    assert equation.implementations["cpu"] == "pkg.softmax.cpu:softmax"
    assert equation.implementation_where["cpu"].line == 22
    assert equation.formula_where.line == 14
    with pytest.raises(KeyError):
        contract.equation("other")
    assert contract.extra == {"simd_dispatch": {"softmax": {"scalar": "softmax_scalar"}}}


def test_obligations_without_an_id_are_counted_per_type() -> None:
    ids = [claim.id for claim in good().obligations]
    assert ids == ["SM-INV-001", "SM-BND-001", "SM-INV-002", "SM-EQV-001"]


def test_claims_keep_what_they_say_and_where() -> None:
    contract = good()
    shift = contract.obligations[2]
    assert (shift.tolerance, shift.tolerance_kind, shift.floor) == (4.0, "ulp", 1e-30)
    assert (shift.status, shift.declared_level) == ("PROPOSED", "L3")
    assert shift.extra == {"because": "measured"}
    assert shift.statement == "Shift"
    assert shift.formal_where is not None
    assert shift.formal_where.line == 35
    assert shift.kind == "obligation"
    assert contract.obligations[0].applies_to == ("all",)
    assert contract.obligations[0].status == "ACTIVE"
    assert contract.obligations[1].applies_to == ("reference", "cpu")
    first, second = contract.falsification_tests
    assert (first.examples, first.statement, first.rule) == (
        10000,
        "Σ softmax(x) = 1",
        "Normalization",
    )
    assert first.variables[0].spec == "1..4"
    assert second.statement == "A procedure"
    assert second.run == "per_layer"
    assert second.run_where is not None
    assert second.parametrize == {"layer": "layers(model)", "k": (1, 2)}
    assert second.requires == ("model",)
    assert second.kind == "falsification"


def test_harnesses_and_the_gate_refer_to_claims() -> None:
    contract = good()
    first, second = contract.harnesses
    assert (first.obligation, first.bound, first.strategy) == ("SM-INV-002", 8, "stub_float")
    assert first.statement == "Shift"
    assert (second.obligation, second.statement, second.run) == (None, "By hand", "verify")
    assert (second.strategy, second.solver, second.kind) == ("exhaustive", "auto", "harness")
    gate = contract.qa_gate
    assert gate is not None
    assert gate.checks == ("FALSIFY-SM-001", "SM-INV-001", "KANI-SM-001")
    no_max, incident = gate.mutants
    assert no_max.replace == ("x - m", "x")
    assert no_max.killed_by == ("FALSIFY-SM-001",)
    assert (incident.incident, incident.replace, incident.description) == ("INC-07", None, "d")
    assert len(contract.claims) == 8


def test_the_model_is_frozen() -> None:
    contract = good()
    for holder, name in [
        (contract, "name"),
        (contract.metadata, "version"),
        (contract.obligations[0], "formal"),
        (contract.equations[0], "formula"),
    ]:
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(holder, name, "other")
    with pytest.raises(TypeError):
        contract.constants["limit"] = 1  # type: ignore[index]
    with pytest.raises(TypeError):
        contract.equations[0].variables[1].spec["dtype"] = "float64"


@pytest.mark.parametrize(
    ("ids", "stem", "expected"),
    [
        (
            "falsification_tests: [{id: FALSIFY-APR-GGUF-PARITY-001, rule: r}]",
            "x",
            "APR-GGUF-PARITY",
        ),
        ("falsification_tests: [{id: FT-GPU-CTX-001, rule: r}]", "x", "GPU-CTX"),
        ("falsification_tests: [{id: other, rule: r}]", "rope-kernel-v1", "ROPE-KERNEL"),
        ("kani_harnesses: [{id: KANI-KD-001, run: f}]", "x", "KD"),
        ("", "tensor_layout-v12", "TENSOR-LAYOUT"),
        ("", "---", "CONTRACT"),
    ],
)
def test_the_prefix_of_derived_ids(ids: str, stem: str, expected: str) -> None:
    text = f"""\
metadata: {{version: 1.0.0, description: d}}
proof_obligations: [{{type: safety, property: p}}]
{ids}
"""
    assert load_text(text, f"{stem}.yaml").obligations[0].id == f"{expected}-SAF-001"


def test_a_contract_may_consist_of_its_header() -> None:
    contract = load_text("metadata: {version: 1.0.0, description: d}", "c.yaml")
    assert contract.claims == ()
    assert contract.qa_gate is None
    assert contract.constants == {}
    assert (contract.metadata.kind, contract.metadata.status) == ("kernel", "ACTIVE")


def test_a_harness_inherits_the_equation_of_its_obligation() -> None:
    text = """\
metadata: {version: 1.0.0, description: d, dialect: strict}
equations: {f: {}, g: {}}
proof_obligations: [{id: A, type: safety, property: p, equation: g}]
kani_harnesses: [{id: K, obligation: A}, {id: L, obligation: A, equation: f}]
"""
    contract = load_text(text, "c.yaml")
    assert [claim.equation for claim in contract.claims] == ["g", "g", "f"]


# -- what is wrong with a bad one -----------------------------------------------------------------


def edited(old: str, new: str) -> str:
    assert GOOD.count(old) == 1, old
    return GOOD.replace(old, new)


BAD = [
    ("  version: 1.0.0\n", "", "metadata lacks 'version'", 1, 1),
    ("1.0.0", "1.0", "metadata.version must be a text, not the number 1.0", 2, 12),
    ("kind: kernel", "kind: kernl", "metadata.kind cannot be 'kernl'", 3, 9),
    ("status: ACTIVE", "status: Active", "metadata.status cannot be 'Active'", 4, 11),
    ("description: Num", "descripton: Num", "unknown key 'descripton' in metadata", 5, 3),
    ("limit: 128", "limit: big",
     "constants.limit must be a number or true or false or a list, not 'big'", 10, 20),
    ("limit: 128", "softmax: 128", "'softmax' is a constant and an equation", 13, 3),
    ("limit: 128", "inf: 128", "'inf' has a fixed meaning in formulas", 10, 13),
    ("      n: 1..128", "      ε: 1..128", "'ε' has a fixed meaning in formulas", 16, 7),
    ("  softmax:\n    formula", "  soft-max:\n    formula",
     "'soft-max' in equations is not a word of letters, digits and underscores", 13, 3),
    ("pkg.softmax.cpu:softmax", "pkg.softmax.cpu.softmax",
     "equations.softmax.implementations.cpu cannot be 'pkg.softmax.cpu.softmax'", 22, 12),
    ("type: bound", "type: bounds", "proof_obligations[1].type cannot be 'bounds'", 29, 11),
    ("tolerance: 1e-6", "tolerence: 1e-6",
     "unknown key 'tolerence' in proof_obligations[0]", 28, 5),
    ("tolerance: 1e-6", "tolerance: -1",
     "proof_obligations[0].tolerance must be at least 0, not the number -1", 28, 16),
    ("tolerance: 1e-6", "tolerance: small",
     "proof_obligations[0].tolerance must be a number, not 'small'", 28, 16),
    ("tolerance: 1e-6", "tolerance: .nan", "tolerance must be finite, not .nan", 28, 16),
    ("floor: 1e-30", "floor: .inf", "floor must be finite, not .inf", 38, 12),
    ("property: Shift", "property: ''", "proof_obligations[2].property is empty", 34, 15),
    ("property: Shift", "property: null",
     "proof_obligations[2].property must be a text, not nothing", 34, 15),
    ("applies_to: [reference, cpu]", "applies_to: gpu",
     "implementation 'gpu' does not exist", 32, 17),
    ("applies_to: [reference, cpu]", "applies_to: []",
     "proof_obligations[1].applies_to needs at least 1 items, not 0", 32, 17),
    ("tolerance_kind: ulp", "tolerance_kind: ulps",
     "proof_obligations[2].tolerance_kind cannot be 'ulps'", 37, 21),
    ("level: L3", "level: L7", "proof_obligations[2].level cannot be 'L7'", 41, 12),
    ("id: SM-EQV-001", "id: SM-INV-001", "duplicate id 'SM-INV-001'", 42, 9),
    ("id: FALSIFY-SM-002", "id: FALSIFY-SM-001", "duplicate id 'FALSIFY-SM-001'", 56, 9),
    ("id: KANI-SM-002", "id: SM-BND-001", "duplicate id 'SM-BND-001'", 68, 9),
    ("id: F-SM-001", "id: KANI-SM-001", "duplicate id 'KANI-SM-001'", 73, 7),
    ("examples: 10000", "examples: 0",
     "falsification_tests[0].examples (FALSIFY-SM-001) must be at least 1, not the number 0",
     53, 15),
    ("run: per_layer", "run: a.b",
     "falsification_tests[1].run (FALSIFY-SM-002) cannot be 'a.b'", 58, 10),
    ("rule: A procedure", "equation: soft",
     "falsification_tests[1] (FALSIFY-SM-002) lacks 'rule'", 56, 5),
    ("rule: A procedure", "rule: r\n    equation: soft", "equation 'soft' does not exist", 58, 15),
    ("obligation: SM-INV-002", "obligation: SM-INV-003",
     "obligation 'SM-INV-003' does not exist", 64, 17),
    ("obligation: SM-INV-002", "obligation: FALSIFY-SM-001",
     "obligation 'FALSIFY-SM-001' does not exist", 64, 17),
    ("strategy: stub_float", "strategy: guess",
     "kani_harnesses[0].strategy (KANI-SM-001) cannot be 'guess'", 66, 15),
    ("    run: verify\n", "", "harness 'KANI-SM-002' has neither 'obligation' nor 'run'", 68, 5),
    ("checks: [FALSIFY-SM-001,", "checks: [FALSIFY-SM-009,",
     "claim 'FALSIFY-SM-009' does not exist", 74, 12),
    ("target: softmax.cpu", "target: softmax.gpu", "implementation 'gpu' does not exist", 76, 28),
    ("target: softmax.cpu", "target: sofmax.cpu", "equation 'sofmax' does not exist", 76, 28),
    ("target: softmax.cpu", "target: softmax", "target 'softmax' names no function", 76, 28),
    ("killed_by: [SM-BND-001]", "killed_by: [SM-BND-002]",
     "claim 'SM-BND-002' does not exist", 77, 48),
    ("killed_by: [SM-BND-001]", "killed_by: []",
     "qa_gate.falsification[1].killed_by (inc) needs at least 1 items, not 0", 77, 47),
    ("incident: INC-07", "incident: seven",
     "qa_gate.falsification[1].incident (inc) cannot be 'seven'", 77, 71),
    ('replace: ["x - m", "x"]', 'replace: ["x"]',
     "qa_gate.falsification[0].replace (no-max) needs at least 2 items, not 1", 76, 50),
    ("id: inc", "id: no-max", "duplicate mutant 'no-max'", 77, 7),
    ("proof_obligations:", "proof_obligation:", "unknown section 'proof_obligation'", 24, 1),
    ("qa_gate:", "qa-gate:", "unknown section 'qa-gate'", 72, 1),
    ("kani_harnesses:\n", "kani_harnesses: {}\nx:\n",
     "kani_harnesses must be a list, not a mapping", 62, 17),
]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "message", "line", "column"), BAD, ids=[bad[2][:50] for bad in BAD]
)
def test_each_fault_has_its_message_and_place(
    old: str, new: str, message: str, line: int, column: int
) -> None:
    error = refused(edited(old, new), "softmax-kernel-v1.yaml")
    assert error.where is not None
    assert (error.message, error.where.line, error.where.column) == (message, line, column)


def test_the_whole_message_points_and_suggests() -> None:
    error = refused(edited("    floor: 1e-30\n", "    flor: 1e-30\n"), "dir/c.yaml")
    shown = str(error)
    assert shown.startswith(
        "dir/c.yaml:38:5: unknown key 'flor' in proof_obligations[2]\n"
        "\n"
        "    37 |     tolerance_kind: ulp\n"
        "  > 38 |     flor: 1e-30\n"
        "\n"
        "  Did you mean 'floor'? Known: id, type, property, "
    )


def test_several_faults_are_counted_and_the_first_is_shown() -> None:
    text = GOOD.replace("kind: kernel", "kind: k").replace("status: ACTIVE", "status: on")
    error = refused(text)
    assert error.where is not None
    assert error.where.line == 3
    assert error.hint is not None
    assert error.hint.endswith("(1 more: line 4)")


def test_quotes_are_suggested_where_a_number_is_meant_as_text() -> None:
    error = refused(edited("1.0.0", "1.0"))
    assert error.hint == 'Put it in quotes: "1.0".'


def test_duplicates_name_the_other_place() -> None:
    error = refused(edited("id: KANI-SM-002", "id: SM-BND-001"), "c.yaml")
    assert error.hint == "it is first defined at c.yaml:29:5"


@pytest.mark.parametrize("text", ["[]", "text", "42", "- a\n"])
def test_a_contract_is_a_mapping(text: str) -> None:
    assert refused(text).message == "a contract is a mapping of sections"


@pytest.mark.parametrize("section", ["metadata", "equations", "proof_obligations", "qa_gate"])
@pytest.mark.parametrize("content", ["null", "3", "[3]", "{a: 3}", "'text'", "[[]]", "[{}]"])
def test_sections_of_the_wrong_shape_are_refused(section: str, content: str) -> None:
    header = "metadata: {version: 1.0.0, description: d, dialect: strict}\n"
    header = "" if section == "metadata" else header
    error = refused(f"{header}{section}: {content}\n")
    assert error.where is not None


# -- files ----------------------------------------------------------------------------------------


def write(folder: Path, name: str, text: str = GOOD) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def named(folder: Path, name: str, *depends_on: str) -> Path:
    listed = ", ".join(depends_on)
    return write(
        folder,
        f"{name}.yaml",
        "metadata:\n  version: 1.0.0\n  description: d\n"
        f"  depends_on: [{listed}]\n  dialect: strict\n",
    )


def test_files_are_read_as_utf_8_with_or_without_a_mark(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert load(path).equation("softmax").where.column == 3
    path.write_bytes(GOOD.encode("utf-16"))
    with pytest.raises(ContractSyntaxError, match="not UTF-8: byte 0xff"):
        load(path)
    path.write_bytes(b"a: 1\nbc: \xe9\n")
    with pytest.raises(ContractSyntaxError) as error:
        load(path)
    assert error.value.where is not None
    assert (error.value.where.line, error.value.where.column) == (2, 5)


def test_windows_line_ends_change_no_place(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(GOOD.replace("\n", "\r\n").encode())
    assert load(path).equation("softmax").implementation_where["cpu"].line == 22


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractSyntaxError, match="cannot be read: No such file"):
        load(tmp_path / "none.yaml")
    with pytest.raises(ContractSyntaxError, match="cannot be read: Is a directory"):
        load(tmp_path)
    with pytest.raises(ContractSyntaxError, match="not a regular file"):
        load("/dev/zero")
    path = tmp_path / "large.yaml"
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(ContractSyntaxError, match=f"larger than {MAX_BYTES} bytes"):
        load(path)


def test_contract_files_are_found_in_a_stable_order(tmp_path: Path) -> None:
    for name in (
        "b.yaml",
        "a/z.yaml",
        "c.yml",
        ".hidden.yaml",
        ".git/x.yaml",
        "__pycache__/y.yaml",
        "n.txt",
    ):
        write(tmp_path, name)
    found = [path.relative_to(tmp_path).as_posix() for path in find_contracts(tmp_path)]
    assert found == ["b.yaml", "a/z.yaml"]


def test_dependencies_are_looked_up(tmp_path: Path) -> None:
    named(tmp_path, "a", "b", "c")
    named(tmp_path, "b", "c")
    named(tmp_path, "c")
    assert [contract.name for contract in load_directory(tmp_path)] == ["a", "b", "c"]
    path = named(tmp_path, "b", "cc")
    with pytest.raises(ContractSyntaxError) as error:
        load_directory(tmp_path)
    assert str(error.value) == (
        f"{path}:4:16: depends on 'cc', which is no contract here\n"
        "  Did you mean 'c'? Known: a, b, c."
    )
    check_dependencies([load(path)], complete=False)


@pytest.mark.parametrize(
    ("graph", "cycle"),
    [
        ({"a": ["a"]}, "a → a"),
        ({"a": ["b"], "b": ["c"], "c": ["a"]}, "a → b → c → a"),
        ({"a": ["b"], "b": ["c"], "c": ["b"]}, "b → c → b"),
        ({"a": [], "b": ["a", "c"], "c": ["a", "b"]}, "b → c → b"),
    ],
)
def test_cycles_are_refused(tmp_path: Path, graph: dict[str, list[str]], cycle: str) -> None:
    for name, depends_on in graph.items():
        named(tmp_path, name, *depends_on)
    with pytest.raises(ContractSyntaxError) as error:
        load_directory(tmp_path)
    assert error.value.message == f"cyclic depends_on: {cycle}"
    assert error.value.where is not None
    assert error.value.where.line == 4


def test_a_long_chain_of_dependencies_is_no_recursion(tmp_path: Path) -> None:
    contract = load_text("metadata: {version: 1.0.0, description: d}", "c0.yaml")
    chain = []
    for i in range(3000):
        metadata = dataclasses.replace(contract.metadata, depends_on=(f"c{i + 1}",))
        chain.append(dataclasses.replace(contract, name=f"c{i}", metadata=metadata))
    check_dependencies(chain, complete=False)


def test_two_contracts_of_one_name_are_refused(tmp_path: Path) -> None:
    named(tmp_path, "a")
    named(tmp_path / "sub", "a")
    with pytest.raises(ContractSyntaxError, match="contract 'a' exists twice"):
        load_directory(tmp_path)


# -- mutated files --------------------------------------------------------------------------------


def outcome(data: bytes, path: Path) -> str:
    """Return what became of a file; anything but a contract or its error is raised."""
    from pytest_contracts.contract.loading import load_bytes

    try:
        load_bytes(data, path)
    except ContractError as error:
        return type(error).__name__ if error.where is not None and str(error) else "unplaced"
    return "Contract"


INSERTS = [b"[", b"{", b"&a ", b"*a ", b"- ", b"\n", b": ", b"!"]


@pytest.mark.untraced
def test_mutated_files_load_or_are_refused() -> None:
    rng = random.Random(20261)
    whole = GOOD.encode()
    outcomes = set()
    for _ in range(1500):
        data = bytearray(whole)
        for _ in range(rng.choice([1, 1, 2, 5])):
            place = rng.randrange(len(data))
            action = rng.randrange(4)
            if action == 0:
                data[place] = rng.randrange(256)
            elif action == 1:
                del data[place : place + rng.randrange(1, 40)]
            elif action == 2:
                data[place:place] = rng.choice(
                    [b"[", b"{", b"&a ", b"*a ", b"- ", b"\n", b": ", b"!"]
                )
            else:
                end = place + rng.randrange(1, 60)
                data[place:place] = data[place:end]
        outcomes.add(outcome(bytes(data), Path("c.yaml")))
    assert outcomes == {"Contract", "ContractSyntaxError"}


@pytest.mark.untraced
def test_truncated_files_load_or_are_refused() -> None:
    whole = GOOD.encode()
    results = [outcome(whole[:end], Path("c.yaml")) for end in range(0, len(whole), 7)]
    assert "ContractSyntaxError" in results


@pytest.mark.parametrize(
    "spec",
    [
        "null",
        "[]",
        "{}",
        "3",
        "true",
        "text",
        "[[[]]]",
        "{shape: {a: 1}}",
        "{1: {2: 3}}",
        "&a [*a]",
    ],
)
def test_any_domain_is_read_or_refused(spec: str) -> None:
    outcome(edited("n: 1..128", f"n: {spec}").encode(), Path("c.yaml"))


def test_the_shipped_contracts_load() -> None:
    root = Path(__file__).parents[3] / "contracts"
    if not root.is_dir() or not os.listdir(root):
        pytest.skip("the contracts are not beside the tests")
    assert load_directory(root)


def test_indented_documents_keep_their_places() -> None:
    text = dedent(indent(GOOD, "  "))
    assert load_text(text, "c.yaml").equation("softmax").where.column == 3
