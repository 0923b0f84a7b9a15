"""Wild contracts at the command line and in pytest."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pytest_contracts.cli import app
from tests.within import unshrunk

from .conftest import Project

CORPUS = Path(__file__).parents[1] / "corpus"
SOFTMAX = CORPUS / "softmax-kernel-v1.yaml"
PIPELINE = CORPUS / "pipeline"
BINDING = """
bindings:
  - contract: softmax-kernel-v1.yaml
    equation: softmax
    implementations: {cpu: "engine:softmax", reference: "engine:softmax_reference"}
    arguments: [x]
    variables:
      n: 1..8
      x: {dtype: float32, shape: [n], range: [-5, 5]}
      c: {dtype: float32, range: [-5, 5]}
    simd: {simd: cpu, scalar: reference}
"""


@pytest.fixture(autouse=True)
def _unshrunk(_same_examples_always: None) -> Iterator[None]:
    """What is asked here is which claims run and fail, not on which inputs they do."""
    with unshrunk():
        yield


def pv(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def placed(folder: Path, *, binding: str | None = "binding.yaml") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(SOFTMAX, folder)
    if binding is not None:
        (folder / binding).write_text(textwrap.dedent(BINDING), "utf-8")
    return folder / SOFTMAX.name


def test_validate_counts_what_can_be_executed_and_notes_what_is_not_used(tmp_path: Path) -> None:
    path = placed(tmp_path, binding=None)
    result = pv("validate", path)
    assert result.exit_code == 0
    first = result.output.splitlines()[0]
    assert first == f"{path}: valid, 15 claims, wild dialect: 0 executable, 15 prose"
    assert f"{path}:137:5: note: not used: falsification key test (6 times)" in result.output
    placed(tmp_path, binding="mine.yaml")
    result = pv("validate", path, "--binding", tmp_path / "mine.yaml")
    assert "wild dialect: 9 executable, 6 prose" in result.output


def test_validate_takes_a_binding_file_for_what_it_is(tmp_path: Path) -> None:
    placed(tmp_path)
    result = pv("validate", tmp_path)
    assert result.output.endswith("1 valid, 0 invalid\n")
    result = pv("validate", tmp_path / "binding.yaml")
    assert result.output.splitlines()[0] == f"{tmp_path / 'binding.yaml'}: valid, a binding file"
    (tmp_path / "binding.yaml").write_text("bindings: [{contract: c, equaton: e}]\n", "utf-8")
    result = pv("validate", tmp_path)
    assert result.exit_code == 1
    assert f"{tmp_path / 'binding.yaml'}:1:26: unknown key 'equaton' in a binding" in result.output
    assert "Did you mean 'equation'?" in result.output


def test_validate_tells_the_dialect_as_json(tmp_path: Path) -> None:
    placed(tmp_path)
    [record] = json.loads(pv("validate", "--json", tmp_path).output)["contracts"]
    assert (record["dialect"], record["claims"], record["prose"]) == ("wild", 15, 6)


def test_show_prints_what_runs_and_why_the_rest_does_not(tmp_path: Path) -> None:
    path = placed(tmp_path)
    lines = pv("show", path).output.splitlines()
    at = lines.index("  SM-INV-001  Output sums to 1")
    assert lines[at + 1] == "      |sum(softmax(x)[i] for i in 0..len(softmax(x))) − 1.0| < ε"
    at = lines.index("  FALSIFY-SM-006  softmax([c,c,...,c]) = [1/n, 1/n, ..., 1/n]")
    assert lines[at + 1] == "      read as: softmax([c, c, ..., c]) = [1 / n, 1 / n, ..., 1 / n]"
    assert lines[at + 2] == "      prose: '...' stands for items left out"


def test_bound_claims_run_and_the_rest_is_prose_with_its_reason(project: Project) -> None:
    placed(project.pytester.path / "contracts")
    result = project.run()
    verdicts = project.verdicts()
    assert verdicts["SM-INV-001[cpu]"] == "HELD"
    assert verdicts["SM-INV-001[reference]"] == "HELD"
    assert verdicts["SM-EQV-001[cpu]"] == "HELD"
    assert verdicts["KANI-SM-001"] == "PROSE"
    assert "SM-EQV-001[reference]" not in verdicts
    assert result.ret == 1  # a claim about floats that only holds of real numbers
    ledger = project.ledger()
    assert ledger["FALSIFY-SM-006"]["message"] == "'...' stands for items left out"
    assert ledger["SM-EQV-001[cpu]"]["ran"] == {
        "softmax": "engine:softmax",
        "softmax_reference": "engine:softmax_reference",
    }


def test_a_broken_implementation_is_falsified(project: Project) -> None:
    placed(project.pytester.path / "contracts")
    broken = BINDING.replace("engine:softmax_reference", "engine:broken")
    project.pytester.makepyfile(
        engine=(project.pytester.path / "engine.py").read_text("utf-8")
        + "\n\ndef broken(x):\n    return [v + 0.25 for v in softmax_reference(x)]\n"
    )
    (project.pytester.path / "contracts" / "binding.yaml").write_text(broken, "utf-8")
    project.run("-k", "SM-INV-001 or SM-EQV-001")
    verdicts = project.verdicts()
    assert verdicts["SM-INV-001[cpu]"] == "HELD"
    assert verdicts["SM-INV-001[reference]"] == "FALSIFIED"
    assert verdicts["SM-EQV-001[cpu]"] == "FALSIFIED"


def test_the_option_names_binding_files(project: Project) -> None:
    placed(project.pytester.path / "contracts", binding=None)
    (project.pytester.path / "mine.yaml").write_text(BINDING, "utf-8")
    project.run()
    assert set(project.verdicts().values()) == {"PROSE"}
    project.run("--contracts-binding=mine.yaml", "-k", "SM-INV-001")
    assert project.verdicts()["SM-INV-001[cpu]"] == "HELD"
    result = project.run("--contracts-binding=absent.yaml")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: --contracts-binding: there is no file absent.yaml"])


def test_what_is_not_installed_is_prose_and_what_is_misspelt_is_not(project: Project) -> None:
    placed(project.pytester.path / "contracts")
    binding = project.pytester.path / "contracts" / "binding.yaml"
    binding.write_text(
        BINDING.replace("engine:softmax_reference", "no_such_package.kernels:f").replace(
            "engine:softmax", "engine:softmux"
        ),
        "utf-8",
    )
    project.run()
    ledger = project.ledger()
    absent, misspelt = ledger["SM-INV-001[reference]"], ledger["SM-INV-001[cpu]"]
    assert (absent["verdict"], misspelt["verdict"]) == ("PROSE", "VACUOUS")
    assert absent["message"] == (
        "cannot import no_such_package.kernels:f: there is no package no_such_package"
    )
    assert misspelt["message"] == "engine has no function 'softmux'"


def test_prose_fails_where_the_run_is_strict(project: Project) -> None:
    placed(project.pytester.path / "contracts", binding=None)
    assert project.run().ret == 0
    assert project.run("--contracts-strict").ret == 1


def test_a_bad_binding_is_an_error_of_its_contracts_and_the_others_run(project: Project) -> None:
    placed(project.pytester.path / "contracts" / "wild")
    bad = project.pytester.path / "contracts" / "wild" / "binding.yaml"
    bad.write_text(BINDING.replace("equation: softmax", "equation: softmx"), "utf-8")
    project.contract("falsification_tests: [{id: F-1, rule: R, formal: softmax(x) >= 0}]")
    result = project.run()
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*contracts/wild/binding.yaml:3: softmax-kernel-v1 has no equation 'softmx'*",
            "*Did you mean 'softmax'?*",
        ]
    )


def test_a_binding_speaks_for_the_equation_although_code_is_decorated(project: Project) -> None:
    placed(project.pytester.path / "contracts")
    project.pytester.makeconftest(
        """
        from pytest_contracts.binding import contract

        @contract("softmax-kernel-v1", equation="softmax", implementation="cpu")
        def other(x):
            return x
        """
    )
    project.run("-k", "SM-INV-001")
    assert project.ledger()["SM-INV-001[cpu]"]["ran"] == {"softmax": "engine:softmax"}


def test_prose_of_the_second_style_is_prose_and_never_fails(project: Project) -> None:
    folder = project.pytester.path / "contracts"
    shutil.copytree(PIPELINE, folder)
    result = project.run()
    assert result.ret == 0
    verdicts = [record["verdict"] for record in json.loads(ledger_text(project))["items"]]
    assert verdicts == ["PROSE"] * 30
    checked = pv("validate", folder)
    assert checked.exit_code == 0
    assert checked.output.count("wild dialect: 0 executable, 6 prose") == 5


def ledger_text(project: Project) -> str:
    return (project.pytester.path / ".contracts" / "ledger.json").read_text("utf-8")


def test_an_absent_dependency_is_a_warning_shown_once(project: Project) -> None:
    folder = project.pytester.path / "contracts"
    folder.mkdir()
    path = Path(shutil.copy(PIPELINE / "gpu-output-norm.yaml", folder))
    result = project.run()
    assert result.ret == 0
    result.assert_outcomes(skipped=6, warnings=1)
    warning = "ContractWarning: depends on 'wgsl-gemm-tiled-v1', which is no contract here"
    assert result.stdout.str().count(warning) == 1
    result.stdout.fnmatch_lines([f"*gpu-output-norm.yaml:13: {warning}"])
    refused = project.run("-W", "error::pytest_contracts.errors.ContractWarning")
    refused.assert_outcomes(errors=1)
    refused.stdout.fnmatch_lines(["contracts/gpu-output-norm.yaml:13: depends on 'wgsl-gemm-*"])
    for where in (folder, path):
        assert pv("validate", where).exit_code == 0
        assert pv("validate", where).output.splitlines()[1] == (
            f"  {path}:13:7: warning: depends on 'wgsl-gemm-tiled-v1', which is no contract here"
        )
    (folder / "wgsl-gemm-tiled-v1.yaml").write_text(
        "metadata: {version: 1.0.0, description: D, dialect: wild}\n", "utf-8"
    )
    project.run().assert_outcomes(skipped=6, warnings=0)
    for where in (folder, path):
        assert "warning: " not in pv("validate", where).output


def test_show_says_that_a_file_is_wild_and_why(tmp_path: Path) -> None:
    lines = pv("show", placed(tmp_path)).output.splitlines()
    assert lines[1].startswith("  wild dialect: nothing in the file shows the strict one, such as")
    said = tmp_path / "said-v1.yaml"
    said.write_text("metadata: {version: 1.0.0, description: D, dialect: wild}\n", "utf-8")
    assert pv("show", said).output.splitlines()[1] == "  wild dialect: metadata.dialect says so"


def test_a_schema_without_claims_is_valid_for_both(project: Project) -> None:
    path = project.contract(
        "surface: work\nverification_summary: {total_obligations: 47}\n",
        head="metadata: {kind: schema, version: 1.0.0, description: D}",
    )
    assert project.run().ret == 5  # nothing to run, and no error
    result = pv("validate", path)
    assert result.exit_code == 0
    assert "valid, 0 claims, wild dialect" in result.output
