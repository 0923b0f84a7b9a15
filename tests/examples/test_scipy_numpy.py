"""The example project: contracts on SciPy and NumPy, run as its own users would, without us."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.within import ALONE, WORDS

pytest.importorskip("scipy", reason="SciPy is not installed; run pip install -e '.[test]'")

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "scipy-numpy"
HAS_TORCH = importlib.util.find_spec("torch") is not None

# A project that has never heard of the engine: whoever imports it is told that it does not exist.
BLOCKER = """
import sys


class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "inference":
            raise ModuleNotFoundError(f"{name} is blocked", name=name)


# Plugins given by -p are imported before any conftest.py.
sys.meta_path.insert(0, Blocker())


def pytest_sessionfinish(session):
    assert not any(name.partition(".")[0] == "inference" for name in sys.modules)
"""


def copied(place: Path) -> Path:
    """A copy of the example far from this repository, with the blocker beside it."""
    folder = place / "scipy-numpy"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    (folder / "no_engine.py").write_text(BLOCKER, encoding="utf-8")
    return folder


@pytest.fixture
def example(tmp_path: Path) -> Path:
    return copied(tmp_path)


def run(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    words = ["-p", "no_engine", "-p", "no:cacheprovider", "-q", *arguments]
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    variables = {"CI": "true", "HYPOTHESIS_PROFILE": "ci", "PYTHONPATH": path, **variables}
    environment = {**os.environ, **variables}
    environment.pop("PYTEST_ADDOPTS", None)
    return subprocess.run(
        [sys.executable, "-P", "-m", "pytest", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def verdicts(folder: Path) -> dict[str, str]:
    """Return item to verdict of the last run."""
    ledger = json.loads((folder / ".contracts" / "ledger.json").read_text("utf-8"))
    return {
        f"{i['contract']}::{i['nodeid'].rpartition('::')[2]}": i["verdict"] for i in ledger["items"]
    }


def test_the_example_holds_without_the_engine(example: Path) -> None:
    done = run(example, "--contracts-examples=5")
    assert done.returncode == 0, done.stdout
    found = verdicts(example)
    of_torch = {name for name in found if name.endswith("[torch]")}
    assert len(of_torch) == 13
    counts = Counter(verdict for name, verdict in found.items() if name not in of_torch)
    # The breaches are real ones, of SciPy's and of the three lines of NumPy.
    assert counts == {"HELD": 67, "FALSIFIED": 3}
    assert {name for name, verdict in found.items() if verdict == "FALSIFIED"} - of_torch == {
        "softmax-v1::FALSIFY-SM-002[scipy]",
        "softmax-v1::FALSIFY-SM-002[numpy]",
        "convolution-v1::FALSIFY-CV-003[spectrum]",
    }
    if not HAS_TORCH:
        assert {found[name] for name in of_torch} == {"UNAVAILABLE"}
        assert "PyTorch is not installed; run `pip install torch`" in done.stdout


UNSHRUNK = """
from hypothesis import Phase, settings

settings.register_profile("unshrunk", derandomize=True, deadline=None, phases=[Phase.generate])
"""
"""That an example falsifies is enough here; with the formulas of sums, shrinking takes long."""
DEFECTS = {
    "no maximum subtracted": (
        "backends.py",
        "x - np.max(x)",
        "x",
        {"softmax-v1::SM-INV-001[numpy]"},
    ),
    "another norm": (
        "backends.py",
        'scipy.fft.idct(x, norm="ortho")',
        "scipy.fft.idct(x)",
        {"transforms-v1::FT-RTP-002[scipy]"},
    ),
    "conjugated": (
        "backends.py",
        "spectrum.imag",
        "-spectrum.imag",
        {"transforms-v1::FT-EQV-001[numpy]"},
    ),
    "a fallback": (
        "contracts/convolution-v1.yaml",
        "polyphase: scipy.signal:upfirdn",
        "polyphase: scipy.signal:convolve",
        {"convolution-v1::FALSIFY-CV-001[polyphase]"},
    ),
    "another function": (
        "contracts/logistic-v1.yaml",
        "scipy: \"scipy.special:expit\"",
        "scipy: \"numpy:tanh\"",
        {"logistic-v1::LG-EQV-001[scipy]", "logistic-v1::LG-BND-001[scipy]"},
    ),
}  # fmt: skip
"""Each is in code that none of the items that the others make fall comes by."""


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], str]:
    """The verdicts of the items of all defects with all of them planted, and what was printed."""
    example = copied(tmp_path_factory.mktemp("planted"))
    items = set[str]()
    for file, right, wrong, killed in DEFECTS.values():
        path = example / file
        text = path.read_text("utf-8")
        assert right in text
        path.write_text(text.replace(right, wrong, 1), encoding="utf-8")
        items |= killed
    names = [f"contracts/{name.replace('::', '.yaml::')}" for name in sorted(items)]
    (example / "unshrunk.py").write_text(UNSHRUNK, encoding="utf-8")
    words = [*WORDS, "-p", "unshrunk", "--contracts-examples=10"]
    done = run(example, *words, *names, HYPOTHESIS_PROFILE="unshrunk", **ALONE)
    assert done.returncode == 1, done.stdout
    return verdicts(example), done.stdout


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_planted_defect_is_falsified(defect: str, planted: tuple[dict[str, str], str]) -> None:
    found, printed = planted
    *_, wrong, killed = DEFECTS[defect]
    assert {found[name] for name in killed} == {"FALSIFIED"}
    if "convolve" in wrong:
        assert "convolve as 'polyphase' fell back to 'numpy'" in printed


def test_its_contracts_are_valid(example: Path) -> None:
    from pytest_contracts.analysis.validate import validate

    reports = validate([example / "contracts"])
    assert len(reports) == 7
    assert [str(error) for report in reports for error in report.errors] == []


def test_the_blocker_blocks(example: Path) -> None:
    (example / "conftest.py").write_text("import inference\n", encoding="utf-8")
    done = run(example, **ALONE)
    assert done.returncode != 0
    assert "inference is blocked" in done.stdout + done.stderr


def test_nothing_of_the_example_mentions_the_engine() -> None:
    for path in EXAMPLE.rglob("*"):
        if path.suffix in (".py", ".yaml", ".toml"):
            assert "inference" not in path.read_text("utf-8"), path
