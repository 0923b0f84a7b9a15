from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from inference.errors import DeviceUnavailableError
from inference.kernels.cuda.device import require_device

ROOT = Path(__file__).parents[2]


def test_without_a_device_no_evidence_is_written():
    try:
        require_device()
    except DeviceUnavailableError as missing:
        remedy = missing.remedy
    else:
        pytest.skip("this machine has a device: the check would run")
    before = set((ROOT / "evidence").glob("*"))
    done = subprocess.run(
        [ROOT / "tools" / "gpu_check.sh", sys.executable],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert remedy in done.stderr
    assert set((ROOT / "evidence").glob("*")) == before
