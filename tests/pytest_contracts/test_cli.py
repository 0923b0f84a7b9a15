"""``pv``: output, exit codes, and what it says about bad contracts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pytest_contracts.cli import app

HEADER = "metadata: {version: 1.0.0, description: A thing}\n"
GOOD = (
    HEADER
    + """\
equations:
  f:
    formula: f(x) = 2·x where two = 2
    variables: {n: 1..4, x: {dtype: float64, shape: [n]}, y: {dtype: float64, shape: [m]}}
    implementations: {cpu: "pkg:f"}
proof_obligations:
  - {id: F-INV-001, type: invariant, property: Doubles, formal: f(x) ≈ 2·x, tolerance: 1e-9}
falsification_tests:
  - {id: FALSIFY-F-001, rule: By procedure, run: doubles, parametrize: {k: [1]}}
  - {id: FALSIFY-F-002, rule: With a parameter, formal: f(x) > k, parametrize: {k: [1]}}
"""
)


def pv(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_valid_contracts_exit_with_zero(tmp_path: Path) -> None:
    path = write(tmp_path, "a.yaml", GOOD)
    result = pv("validate", path)
    assert result.exit_code == 0
    assert result.output == f"{path}: valid, 3 claims\n1 valid, 0 invalid\n"


def test_invalid_contracts_exit_with_one_and_say_where(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", GOOD)
    path = write(tmp_path, "b.yaml", GOOD + "proof_obligation: []\n")
    result = pv("validate", tmp_path)
    assert result.exit_code == 1
    assert f"{path}:12:1: unknown section 'proof_obligation'" in result.output
    assert "  > 12 | proof_obligation: []" in result.output
    assert "Did you mean 'proof_obligations'?" in result.output
    assert result.output.endswith("1 valid, 1 invalid\n")


FORMULAS = [
    ("f(x) ≈ 2·x", "f(x) ≈ 2x", "'2x' is neither a number nor a name"),
    ("f(x) ≈ 2·x", "f(x) ≈ 2·q", "unknown name 'q'"),
    ("f(x) ≈ 2·x", "f() ≈ 2·x", "'f' takes 1 argument, not 0"),
    ("f(x) ≈ 2·x", "x ≈ y", "shapes [n] and [m] do not fit together"),
    ("f(x) = 2·x", "f(x) = 2·x +", "expected a value, found 'where'"),
    ("f(x) = 2·x", "f(x) = 2·w", "unknown name 'w'"),
    ("f(x) > k", "f(x) > kk", "unknown name 'kk'"),
]


@pytest.mark.parametrize(("old", "new", "message"), FORMULAS)
def test_formulas_are_checked(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = write(tmp_path, "a.yaml", GOOD.replace(old, new))
    result = pv("validate", path)
    assert result.exit_code == 1
    assert message in result.output


def test_json_names_every_contract_and_error(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", GOOD)
    write(tmp_path, "b.yaml", "a: [\n")
    write(tmp_path, "c.yaml", GOOD.replace("f(x) ≈ 2·x", "q ≈ 2·r"))
    result = pv("validate", "--json", tmp_path)
    assert result.exit_code == 1
    document = json.loads(result.output)
    assert document["valid"] is False
    assert [record["valid"] for record in document["contracts"]] == [True, False, False]
    first, second, third = document["contracts"]
    assert (first["name"], first["claims"], first["errors"]) == ("a", 3, [])
    assert len(first["sha256"]) == 64
    assert second["claims"] is None
    assert second["errors"][0]["type"] == "ContractSyntaxError"
    assert (second["errors"][0]["line"], second["errors"][0]["column"]) == (2, 1)
    assert third["errors"][0]["type"] == "FormulaError"
    assert third["errors"][0]["line"] == 8


def test_dependencies_are_checked_where_all_are_given(tmp_path: Path) -> None:
    text = GOOD.replace("A thing}", "A thing, depends_on: [b]}")
    path = write(tmp_path, "a.yaml", text)
    assert pv("validate", path).exit_code == 0
    result = pv("validate", tmp_path)
    assert result.exit_code == 1
    assert "depends on 'b', which is no contract here" in result.output
    write(tmp_path, "b.yaml", text.replace("[b]", "[a]"))
    result = pv("validate", path, tmp_path / "b.yaml")
    assert result.exit_code == 1
    assert "cyclic depends_on: a → b → a" in result.output


def test_wrong_usage_exits_with_two(tmp_path: Path) -> None:
    missing = pv("validate", tmp_path / "none.yaml")
    assert missing.exit_code == 2
    assert "does not exist" in missing.output
    empty = pv("validate", tmp_path)
    assert empty.exit_code == 2
    assert "no *.yaml below" in empty.output
    assert pv("validate").exit_code == 2
    assert pv("unknown").exit_code == 2


def test_the_schema_is_printed_for_editors() -> None:
    result = pv("schema")
    assert result.exit_code == 0
    assert json.loads(result.output)["title"] == "Contract"


def test_show_renders_formulas(tmp_path: Path) -> None:
    path = write(tmp_path, "a.yaml", GOOD)
    shown = pv("show", path)
    assert shown.exit_code == 0
    assert "  f(x) = 2 · x where two = 2\n      cpu: pkg:f\n" in shown.output
    assert "  F-INV-001  Doubles\n      f(x) ≈ 2 · x\n" in shown.output
    assert "      run: doubles\n" in shown.output
    latex = pv("show", path, "--latex")
    assert r"\operatorname{f}\left(x\right) \approx 2 \cdot x" in latex.output
    prose = pv("show", write(tmp_path, "p.yaml", GOOD.replace("f(x) > k", "each one is fine")))
    assert "      prose: unexpected 'one' after the formula\n" in prose.output
    broken = pv("show", write(tmp_path, "b.yaml", "a: ["))
    assert broken.exit_code == 1


def test_the_shipped_contracts_are_valid() -> None:
    root = Path(__file__).parents[2] / "contracts"
    if not root.is_dir():
        pytest.skip("the contracts are not beside the tests")
    result = pv("validate", root)
    assert result.exit_code == 0, result.output


def test_the_command_line_starts_without_numerical_libraries() -> None:
    code = "import sys, pytest_contracts.cli; print(*({'numpy', 'pytest'} & sys.modules.keys()))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []


def test_engines_that_are_not_built_are_noted(tmp_path: Path) -> None:
    harness = (
        "kani_harnesses:\n  - {id: K-1, property: P, run: f, strategy: bounded_int, solver: z3}"
    )
    path = write(tmp_path, "a.yaml", GOOD + harness)
    result = pv("validate", path)
    assert result.exit_code == 0
    assert "K-1 will be INCONCLUSIVE, not built yet: solver 'z3'" in result.output
    (record,) = json.loads(pv("validate", path, "--json").output)["contracts"]
    assert record["valid"]
    assert record["notes"][0]["line"] == len(GOOD.splitlines()) + 2


def test_directory_means_yaml_and_a_file_may_have_any_name(tmp_path: Path) -> None:
    path = write(tmp_path, "a.yml", GOOD)
    assert pv("validate", tmp_path).exit_code == 2
    assert pv("validate", path).exit_code == 0


def test_a_contract_that_claims_nothing_is_refused_as_pytest_does(tmp_path: Path) -> None:
    path = write(tmp_path, "a.yaml", GOOD[: GOOD.index("proof_obligations")])
    result = pv("validate", path)
    assert result.exit_code == 1
    assert f"{path}:1:1: the contract claims nothing" in result.output
    retired = GOOD.replace("A thing}", "A thing, status: RETIRED}")
    write(tmp_path, "a.yaml", retired[: retired.index("proof_obligations")])
    assert pv("validate", path).exit_code == 0
