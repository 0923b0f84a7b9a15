"""No proof of what is false: the kept set and its table, true twins, and contradictions."""

from __future__ import annotations

import json
import re
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from pytest_contracts.asserting.tally import TALLY
from pytest_contracts.cli import app
from pytest_contracts.symbolic import verify
from pytest_contracts.symbolic.draws import ConcreteDraws
from pytest_contracts.symbolic.explorer import explore
from pytest_contracts.symbolic.verification import _preload_crosshair
from tests.soundness.must_not_confirm import CASES, ODD
from tests.within import run_here

TABLE = Path(__file__).parents[2] / "docs" / "explanation" / "proofs.md"
FLOATS = [
    "`float(n) == n`", "`n + 0.0 == n`", "`n - 0.0 == n`", "`n * 1.0 == n`", "`n / 1 == n`",
    "`sum([n], 0.0) == n`", "`max(float(n), 0.0) == n`", "`float(n + 1) > float(n)`",
]  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def crosshair() -> None:
    _preload_crosshair()


@pytest.mark.parametrize("name", CASES)
def test_what_is_false_is_not_confirmed(name: str) -> None:
    case = CASES[name]
    with pytest.raises((AssertionError, ArithmeticError)):
        case.harness(ConcreteDraws(case.witness))
    result = verify(case.harness, solver="crosshair", timeout_s=0.3 if case.needle else 2)
    assert result.verdict in (("INCONCLUSIVE",) if case.needle else ("FALSIFIED", "INCONCLUSIVE"))
    if result.verdict == "FALSIFIED":  # what counts is that it fails here, whatever was proved
        with pytest.raises((AssertionError, ArithmeticError)):
            case.harness(ConcreteDraws(result.values))


@pytest.mark.parametrize("name", FLOATS)
def test_integers_that_may_be_rounded_are_seen_whatever_the_solver_finds(name: str) -> None:
    found = explore(CASES[name].harness, None, cpu_s=0.2)
    assert any("may exceed 2^53" in step for step in found.inexact)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.needle])
def test_numpy_is_seen_where_no_drawn_value_would_tell(name: str) -> None:
    found = explore(CASES[name].harness, None, cpu_s=0.2)
    assert any("NumPy" in step for step in found.inexact)


@pytest.mark.parametrize(
    ("holds", "step"),
    [(lambda n: np.array([n % 4])[0] >= 0, "NumPy"), (lambda n: float(n) >= 0, "exceed 2^53")],
    ids=["NumPy", "floats"],
)
def test_what_only_the_engine_finds_true_of_all_is_not_confirmed(holds, step) -> None:
    def harness(k):
        assert holds(k.int("n", 0, 2**60))

    result = verify(harness, solver="crosshair", timeout_s=5)
    assert result.verdict == "INCONCLUSIVE"
    assert "all paths pass, but only in the engine's model" in result.reason
    assert step in result.reason


def test_the_table_in_the_docs_is_the_kept_set() -> None:
    said = r"(?:\*\*proves it\*\*|refutes it|undecided)"
    rows = re.findall(rf"^\| (.+) \| {said} \| {said} \|$", TABLE.read_text("utf-8"), re.MULTILINE)
    assert [row.replace("\\|", "|") for row in rows] == list(CASES)
    versions = f"{metadata.version('crosshair-tool')}, z3 {metadata.version('z3-solver')}"
    assert versions in TABLE.read_text("utf-8")


def offsets(k):
    heads, length, width = (k.int(name, 1, 2**20) for name in ("heads", "length", "width"))
    h, p, d = k.int("h", 0, heads - 1), k.int("p", 0, length - 1), k.int("d", 0, width - 1)
    assert 0 <= (h * length + p) * width + d < heads * length * width


def nibbles(k):
    byte = k.bytes("b", 4)[k.int("i", 0, 3)]
    assert (byte & 15) + (byte >> 4 << 4) == byte


def little_endian(k):
    n = k.int("n", 0, 2**32 - 1)
    assert int.from_bytes(n.to_bytes(4, "little"), "little") == n


def blocks(k):
    n, size = k.int("n", 0, 2**60), k.int("size", 1, 1024)
    assert 0 <= -(-n // size) * size - n < size


def table(k):
    n = k.int("n", 0, 2**40)
    assert int(np.arange(8)[n % 8]) == n % 8


def float_of_no_importance(k):
    n = k.int("n", 0, 2**60)
    assert f"{2**0.5:.3f}" == "1.414"
    assert n + 1 > n


@pytest.mark.parametrize(
    "true", [offsets, nibbles, little_endian, blocks, table, float_of_no_importance]
)
def test_what_is_true_of_integers_stays_confirmed(true) -> None:
    result = verify(true, solver="crosshair")
    assert result.verdict == "CONFIRMED", result
    assert "over all paths" in result.assumptions


@pytest.mark.parametrize(
    "true",
    [
        lambda n: float(n) == n,
        lambda n: n + 0.0 == n,
        lambda n: n / 2 * 2 == n,
        lambda n: 0.5 * n <= n,
        lambda n: (n > 3.7) == (n >= 4),
    ],
)
def test_integers_that_are_floats_are_no_reason_to_doubt(true) -> None:
    def harness(k):
        assert true(k.int("n", 0, ODD - 1))

    assert not explore(harness, None, cpu_s=0.2).inexact


def test_assumptions_bound_an_integer_as_well_as_its_draw_does() -> None:
    def assumed(k):
        n = k.int("n", 0, 2**60)
        k.assume(n < 2**40)
        assert float(n) == n

    assert not explore(assumed, None, cpu_s=0.2).inexact


CONTRACT = """
metadata: {version: 1.0.0, kind: kernel, description: d}
equations:
  twice:
    formula: twice(n) = 2 · n
    variables: {n: 0..20}
    implementations: {cpu: "kernels:twice"}
proof_obligations:
  - {id: A, type: equivalence, property: P, status: @, formal: twice(n) = 2 · n}
kani_harnesses:
  - {id: KANI-1, obligation: A, bound: 20, run: small}
qa_gate: {id: G, checks: [KANI-1]}
"""
PROOF = """
from kernels import twice
def small(k):
    n = k.int("n", 0, k.bound)
    assert twice(n) >= n
"""


def run(pytester: pytest.Pytester, kernel: str, status: str, *arguments: str) -> pytest.RunResult:
    folder = pytester.path / "contracts"
    folder.mkdir(exist_ok=True)
    (folder / "twice-v1.yaml").write_text(CONTRACT.replace("@", status), encoding="utf-8")
    (folder / "twice_v1.py").write_text(PROOF, encoding="utf-8")
    (pytester.path / "kernels.py").write_text(kernel, encoding="utf-8")
    pytester.syspathinsert()
    return run_here(
        pytester, "-p", "no:cacheprovider", "--contracts=contracts", "--contracts-report=l.json",
        "--contracts-report=r.md", "--contracts-report=b.svg", *arguments,
    )  # fmt: skip


@pytest.mark.parametrize("status", ["ACTIVE", "VIOLATED"])
def test_a_proof_of_what_is_refuted_is_an_error_of_its_own(pytester, status) -> None:
    result = run(pytester, "def twice(n):\n    return 2 * n + 1\n", status)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*KANI-1: contradiction: CONFIRMED for 0 ≤ n ≤ 20*A*FALSIFIED*"])
    assert "contradiction" in (pytester.path / "r.md").read_text("utf-8")
    assert "failing" in (pytester.path / "b.svg").read_text("utf-8")
    items = ledger(pytester)
    assert {name: item["verdict"] for name, item in items.items()} == {
        "A[cpu]": "FALSIFIED", "KANI-1": "INCONCLUSIVE", "G": "INCONCLUSIVE",
    }  # fmt: skip
    assert (items["KANI-1"]["level"], items["KANI-1"]["outcome"]) == ("L1", "failed")


def test_a_proof_of_one_run_and_a_refutation_of_another_are_one_when_merged(pytester) -> None:
    kernel = "def twice(n):\n    return 2 * n + 1\n"
    assert run(pytester, kernel, "VIOLATED", "-k", "A[cpu]").ret == pytest.ExitCode.OK
    (pytester.path / "l.json").rename(pytester.path / "one.json")
    assert run(pytester, kernel, "VIOLATED", "-k", "KANI").ret == pytest.ExitCode.OK
    paths = [str(pytester.path / name) for name in ("one.json", "l.json", "both.json")]
    merged = CliRunner().invoke(app, ["merge", *paths[:2], "-o", paths[2]])
    assert merged.exit_code == 1
    assert "KANI-1: INCONCLUSIVE: contradiction: CONFIRMED" in merged.output
    assert ledger(pytester, "both.json")["KANI-1"]["verdict"] == "INCONCLUSIVE"
    # The ledger that stays has both as well; run again, the proof is not kept.
    kept = pytester.path / ".contracts" / "ledger.json"
    assert ledger(pytester, kept)["KANI-1"]["verdict"] == "INCONCLUSIVE"


def test_a_proof_of_what_holds_is_none(pytester) -> None:
    result = run(pytester, "def twice(n):\n    return 2 * n\n", "ACTIVE")
    assert result.ret == pytest.ExitCode.OK
    assert ledger(pytester)["KANI-1"]["verdict"] == "CONFIRMED"
    result.stdout.no_fnmatch_line("*contradiction*")


def ledger(pytester: pytest.Pytester, name: str | Path = "l.json") -> dict[str, dict[str, object]]:
    """Return the records of a ledger by item name."""
    items = json.loads((pytester.path / name).read_text("utf-8"))["items"]
    return {item["nodeid"].rpartition("::")[2]: item for item in items}


def test_a_failure_that_is_suppressed_is_a_counterexample() -> None:
    """As a procedure's module, the harness's tells of it; here the harness does itself."""

    def harness(k):
        n = k.int("n", 0, 3)
        try:
            assert n < 3
        except AssertionError as error:
            TALLY.unheard_of(error)

    for solver in ("enumerate", "crosshair"):
        result = verify(harness, solver=solver, timeout_s=5)
        assert (result.verdict, dict(result.values)) == ("FALSIFIED", {"n": 3})
