"""What the plugin costs: collecting and running claims beside the same properties written by hand.

Two small projects are written to a temporary folder: one with contracts, one with test files that a
person would write with Hypothesis. Each is collected, and each kind of claim is run, by pytest in a
process of its own; the two take turns. See README.md for how to read the figures.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PER_FILE = 20

ENGINE = """
import numpy as np

def softmax(x):
    terms = np.exp(x.astype(np.float64) - x.max())
    return (terms / terms.sum()).astype(np.float32)

def double(k):
    return 2 * k
"""

HEAD = """
metadata: {version: 1.0.0, description: A contract under test}
equations:
  softmax:
    formula: softmax(x) = exp(x − max(x)) / Σ exp(x − max(x))
    variables: {n: 1..64, x: {dtype: float32, shape: [n], range: [-200, 200]}}
    implementations: {cpu: "engine:softmax"}
  double:
    formula: double(k) = 2·k
    variables: {k: 0..1000}
    implementations: {cpu: "engine:double"}
proof_obligations:
"""

IMPORTS = """
import numpy as np
import hypothesis.strategies as st
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays
from engine import double, softmax
"""

# The idiom of Hypothesis's documentation.
OWN_STRATEGY = """
ELEMENTS = st.floats(-200, 200, width=32)
VECTORS = st.integers(1, 64).flatmap(lambda n: arrays(np.float32, n, elements=ELEMENTS))
NUMBERS = st.integers(0, 1000)
"""

# The very inputs that the contract draws, so that only the judging differs.
SAME_STRATEGY = """
from pathlib import Path
from pytest_contracts.contract import load
from pytest_contracts.domains.strategies import inputs_strategy, parse_domain

CONTRACT = load(Path(__file__).parents[1] / "contracts" / "overhead-0-v1.yaml")

def inputs(equation, name):
    variables = CONTRACT.equation(equation).variables
    return inputs_strategy([parse_domain(v, {}) for v in variables]).map(lambda drawn: drawn[name])

VECTORS, NUMBERS = inputs("softmax", "x"), inputs("double", "k")
"""


@dataclass(frozen=True)
class Kind:
    """One kind of claim, as a contract says it and as a person writes it."""

    title: str
    claim: str
    test: str


# "{i}" makes every claim and every test different from the others.
KINDS: Mapping[str, Kind] = {
    "sum": Kind(
        "a reduction over a vector",
        "type: invariant, equation: softmax, "
        'formal: "|Σ softmax(x) − 1| < ε + {i}·1e-12", tolerance: 1.0e-6',
        "@given(x=VECTORS)\n"
        "def test_sum_{i}(x):\n"
        "    assert abs(softmax(x).sum(dtype=np.float64) - 1) < 1e-6 + {i} * 1e-12\n",
    ),
    "bound": Kind(
        "every element of a vector",
        'type: invariant, equation: softmax, formal: "0 ≤ softmax(x) ≤ 1 + {i}·1e-9"',
        "@given(x=VECTORS)\n"
        "def test_bound_{i}(x):\n"
        "    y = softmax(x)\n"
        "    assert np.all((0 <= y) & (y <= 1 + {i} * 1e-9))\n",
    ),
    "oracle": Kind(
        "a vector against its definition in float64",
        "type: equivalence, equation: softmax, tolerance: 1.0e-{e}",
        "@given(x=VECTORS)\n"
        "def test_oracle_{i}(x):\n"
        "    wide = x.astype(np.float64)\n"
        "    terms = np.exp(wide - wide.max())\n"
        "    expected = terms / terms.sum()\n"
        "    np.testing.assert_allclose(softmax(x), expected, rtol=0, atol=1e-{e})\n",
    ),
    "number": Kind(
        "one whole number",
        'type: invariant, equation: double, formal: "double(k) = 2·k + 0·{i}"',
        "@given(k=NUMBERS)\ndef test_number_{i}(k):\n    assert double(k) == 2 * k + 0 * {i}\n",
    ),
}


def write_projects(root: Path, kinds: Sequence[str], claims: int) -> None:
    """Write the contracts, and the tests by hand with either strategy."""
    for name in ("contracts", "own", "same"):
        (root / name).mkdir(parents=True)
    (root / "engine.py").write_text(ENGINE, encoding="utf-8")
    (root / "pytest.ini").write_text("[pytest]\npythonpath = .\n", encoding="utf-8")
    for start in range(0, claims, PER_FILE):
        contract, tests = HEAD, ""
        for i in range(start, min(start + PER_FILE, claims)):
            kind = KINDS[kinds[i % len(kinds)]]
            claim, test = (t.replace("{i}", str(i)) for t in (kind.claim, kind.test))
            claim, test = (t.replace("{e}", str(5 + i % 2)) for t in (claim, test))
            contract += f"  - {{id: OV-{i:04d}, property: It holds, {claim}}}\n"
            test = f"@settings(deadline=None)\n{test}"
            tests += f"\n\n{test}"
        number = start // PER_FILE
        path = root / "contracts" / f"overhead-{number}-v1.yaml"
        path.write_text(contract.lstrip(), encoding="utf-8")
        for name, strategy in (("own", OWN_STRATEGY), ("same", SAME_STRATEGY)):
            path = root / name / f"test_{name}_{number}.py"
            path.write_text(IMPORTS + strategy + tests, encoding="utf-8")


@dataclass(frozen=True)
class Cost:
    """What one process took: user and system time in seconds, peak memory in MiB."""

    seconds: float
    mib: float


def run_pytest(root: Path, arguments: Sequence[str]) -> Cost:
    """Run pytest in a process of its own; RuntimeError where it fails."""
    command = [sys.executable, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    # Both sides read compiled files, as they do everywhere but on a first run.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    environment["PYTHONPYCACHEPREFIX"] = str(root / "pycache")
    plugins = ["-p", "pytest_contracts.plugin", "-p", "_hypothesis_pytestplugin"]
    output = root / "output.txt"
    with output.open("wb") as stream:
        pid = os.posix_spawn(
            sys.executable,
            [
                *command[:4],
                *plugins,
                *command[4:],
                "--rootdir",
                str(root),
                "-c",
                str(root / "pytest.ini"),
            ],
            environment,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, stream.fileno(), 1),
                (os.POSIX_SPAWN_DUP2, stream.fileno(), 2),
            ],
        )
    _, status, usage = os.wait4(pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise RuntimeError(f"{arguments}: {output.read_text('utf-8')[-2000:]}")
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def sides(root: Path, *arguments: str) -> dict[str, list[str]]:
    """Return the command line of each side."""
    contracts = [f"--contracts={root / 'contracts'}", str(root / "contracts"), *arguments]
    return {
        "contracts": contracts,
        "own": [str(root / "own"), *arguments],
        "same": [str(root / "same"), *arguments],
    }


def compare(root: Path, lines: Mapping[str, Sequence[str]], rounds: int) -> dict[str, list[Cost]]:
    """Run all sides in turn, the order reversed every other round; a first round is not counted."""
    costs: dict[str, list[Cost]] = {name: [] for name in lines}
    for number in range(rounds + 1):
        for name in sorted(lines, reverse=bool(number % 2)):
            cost = run_pytest(root, lines[name])
            if number:
                costs[name].append(cost)
    return costs


def start_cost(root: Path, rounds: int) -> float:
    """Return the seconds that pytest with Hypothesis and NumPy takes to run one empty test."""
    write_projects(root, list(KINDS), 1)
    folder = root / "one"
    folder.mkdir()
    test = IMPORTS + OWN_STRATEGY + "\n\ndef test_one():\n    pass\n"
    (folder / "test_one.py").write_text(test, encoding="utf-8")
    costs = [run_pytest(root, [str(folder)]).seconds for _ in range(rounds + 1)]
    return statistics.median(costs[1:])


def report(title: str, costs: Mapping[str, Sequence[Cost]], against: str, start: float) -> None:
    """Print one line: medians, and the median and range of the ratio within each round."""
    ours, theirs = costs["contracts"], costs[against]
    ratios = [a.seconds / b.seconds for a, b in zip(ours, theirs, strict=True)]
    net = [(a.seconds - start) / (b.seconds - start) for a, b in zip(ours, theirs, strict=True)]
    print(
        f"{title:<54} {_median(ours):7.2f} s {_median(theirs):7.2f} s"
        f"  {statistics.median(ratios):5.2f} ({min(ratios):.2f}–{max(ratios):.2f})"
        f"  {statistics.median(net):5.2f}"
        f"  {_memory(ours):5.0f} {_memory(theirs):5.0f} MiB"
    )


def _median(costs: Sequence[Cost]) -> float:
    return statistics.median(cost.seconds for cost in costs)


def _memory(costs: Sequence[Cost]) -> float:
    return statistics.median(cost.mib for cost in costs)


def main() -> None:
    """Write the projects, measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--claims", type=int, default=1000, help="claims to collect")
    parser.add_argument("--run", type=int, default=40, help="claims of each kind to run")
    parser.add_argument("--rounds", type=int, default=5, help="pairs of processes")
    parser.add_argument("--only", choices=["collect", *KINDS], help="measure this alone")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="overhead-") as folder:
        root = Path(folder).resolve()
        start = start_cost(root / "start", options.rounds)
        print(f"user and system time; starting pytest and Hypothesis takes {start:.2f} s of each")
        print(
            f"{'':<54} {'contracts':>9} {'by hand':>9}  {'ratio (range)':<18}   net   peak memory"
        )
        if options.only in (None, "collect"):
            place = root / "collect"
            write_projects(place, list(KINDS), options.claims)
            costs = compare(place, sides(place, "--collect-only"), options.rounds)
            report(f"collect {options.claims} claims", costs, "own", start)
        for name, kind in KINDS.items():
            if options.only in (None, name):
                place = root / name
                write_projects(place, [name], options.run)
                costs = compare(place, sides(place, "--hypothesis-seed=1"), options.rounds)
                title = f"run {options.run} × 100, {kind.title}"
                report(title, costs, "same", start)
                report("  … with Hypothesis's own arrays and integers", costs, "own", start)


if __name__ == "__main__":
    main()
