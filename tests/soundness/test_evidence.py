"""Evidence rests on all that the verdict rested on, as it was when it ran."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pytest_contracts.cli import app
from tests.within import run_here

CONTRACT = """
metadata: {version: 1.0.0, description: A kernel with a table}
equations:
  scale:
    formula: scale(x) = 2·x
    variables: {x: @}
    implementations: {cuda: "pkg.kernel:scale"}
proof_obligations:
  - {id: EQV, type: equivalence, property: It doubles, requires: gpu}
"""
CONFTEST = """
import os

import hypothesis.strategies as st

from helping import FROM
from pytest_contracts.errors import Unavailable

def pytest_contracts_resources(config):
    def gpu():
        if not os.path.exists("gpu"):
            raise Unavailable("there is no GPU", "run on a machine that has one")
    return {"gpu": gpu}

def pytest_contracts_strategies(config):
    return {"small": lambda: st.integers(FROM, 90)}
"""
READERS = {
    "as text": (
        "import json\nfrom pathlib import Path\n"
        "TABLE = Path(__file__).parents[1] / 'data' / 'table.bin'\n"
        "def scale(x):\n    return x * len(TABLE.read_text())\n"
    ),
    "once, when it is imported": (
        "from pathlib import Path\n"
        "SIZE = len((Path(__file__).parents[1] / 'data' / 'table.bin').read_bytes())\n"
        "def scale(x):\n    return x * SIZE\n"
    ),
    "from where it was started": (
        "import os\n"
        "def scale(x):\n"
        "    handle = os.open(os.path.join('data', 'table.bin'), os.O_RDONLY)\n"
        "    try:\n        return x * len(os.read(handle, 9))\n"
        "    finally:\n        os.close(handle)\n"
    ),
    "as a memory map": (
        "from pathlib import Path\nimport numpy as np\n"
        "def scale(x):\n"
        "    return x * len(np.memmap(Path('data') / ('table' + '.bin'), np.uint8, 'r'))\n"
    ),
    "with fromfile": (
        "import numpy as np\n"
        "def scale(x):\n    return x * len(np.fromfile('data/table.' + 'bin', np.uint8))\n"
    ),
    "through a mmap": (
        "import mmap\n"
        "def scale(x):\n"
        "    with open('data/table.' + 'bin', 'rb') as file:\n"
        "        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:\n"
        "            return x * len(view)\n"
    ),
    "in a thread": (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from pathlib import Path\n"
        "def _size():\n    return len(Path('data/table.' + 'bin').read_bytes())\n"
        "def scale(x):\n"
        "    with ThreadPoolExecutor(1) as pool:\n        return x * pool.submit(_size).result()\n"
    ),
}


class Device:
    """A project whose claim runs where the file ``gpu`` lies, and the evidence from there."""

    def __init__(self, pytester: pytest.Pytester, kernel: str, domain: str = "1..90") -> None:
        self.pytester = pytester
        self.root: Path = pytester.path
        for folder in ("contracts", "data", "pkg", "evidence"):
            (self.root / folder).mkdir()
        (self.root / "contracts" / "table-v1.yaml").write_text(
            CONTRACT.replace("@", domain), encoding="utf-8"
        )
        (self.root / "data" / "table.bin").write_bytes(b"xx")
        (self.root / "pkg" / "kernel.py").write_text(kernel)
        (self.root / "helping.py").write_text("FROM = 1\n")
        pytester.makeconftest(CONFTEST)
        pytester.makeini("[pytest]\ncontracts = contracts\ntestpaths = contracts\n")
        pytester.syspathinsert()

    def run(self) -> str:
        """Run; return the verdict."""
        run_here(self.pytester, "--contracts-report=r.json")
        [item] = json.loads((self.root / "r.json").read_text("utf-8"))["items"]
        return f"{item['verdict']} {item['message']}"

    def keep(self) -> tuple[int, str]:
        """Run where the device is, and extract the evidence."""
        (self.root / "gpu").touch()
        assert self.run() == "HELD "
        (self.root / "gpu").unlink()
        words = [str(self.root / "r.json"), "-o", str(self.root / "evidence" / "e.json")]
        result = CliRunner().invoke(app, ["evidence", *words, "--device=H100"])
        return result.exit_code, result.output


@pytest.mark.parametrize("kernel", READERS.values(), ids=READERS)
def test_evidence_is_stale_when_a_file_that_was_read_changes(
    pytester: pytest.Pytester, kernel: str
) -> None:
    device = Device(pytester, kernel)
    assert device.keep()[0] == 0
    assert device.run().startswith("EVIDENCED ")
    (device.root / "data" / "table.bin").write_bytes(b"xxxxx")
    assert device.run().startswith("STALE data/table.bin changed ")


@pytest.mark.parametrize("name", ["conftest.py", "helping.py"])
def test_evidence_is_stale_when_a_hook_changes(pytester: pytest.Pytester, name: str) -> None:
    device = Device(pytester, READERS["as text"], "small")
    assert device.keep()[0] == 0
    assert device.run().startswith("EVIDENCED ")
    path = device.root / name
    path.write_text(path.read_text() + "\n# changed\n")
    assert device.run().startswith(f"STALE {name} changed ")


def test_a_module_under_a_computed_name_is_known(pytester: pytest.Pytester) -> None:
    device = Device(
        pytester,
        "import importlib\n"
        "def scale(x):\n    return importlib.import_module('pkg.' + 'fast').scale(x)\n",
    )
    fast = device.root / "pkg" / "fast.py"
    fast.write_text("def scale(x):\n    return 2 * x\n")
    assert device.keep()[0] == 0
    assert device.run().startswith("EVIDENCED ")
    fast.write_text("def scale(x):\n    return 3 * x\n")
    assert device.run().startswith("STALE pkg/fast.py changed ")


def test_a_file_that_the_kernel_writes_itself_is_no_input(pytester: pytest.Pytester) -> None:
    device = Device(
        pytester,
        "import time\nfrom pathlib import Path\n"
        "SCRATCH = Path('data') / ('scratch' + '.txt')\n"
        "def scale(x):\n    SCRATCH.write_text(str(time.time()))\n"
        "    return 2 * x if SCRATCH.read_text() else 0\n",
    )
    assert device.keep()[0] == 0
    (device.root / "data" / "scratch.txt").write_text("0")
    assert device.run().startswith("EVIDENCED ")


@pytest.mark.parametrize("name", ["pkg/kernel.py", "data/table.bin", "helping.py"])
def test_what_was_edited_during_the_run_gives_no_evidence(
    pytester: pytest.Pytester, name: str
) -> None:
    device = Device(pytester, READERS["as text"])
    path = device.root / "conftest.py"
    path.write_text(
        path.read_text() + "\ndef pytest_runtest_logfinish(nodeid):\n"
        f"    with open({name!r}, 'ab') as file:\n        file.write(b'  ')\n"
    )
    code, said = device.keep()
    assert code == 1, said
    ledger = json.loads((device.root / "r.json").read_text("utf-8"))
    assert name in ledger["run"]["changed"]
