from __future__ import annotations

import importlib.util
import xml.etree.ElementTree as ET
from pathlib import Path
from types import ModuleType

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "make_report_picture.py"

CONTRACT = """
metadata: {version: 1.0.0, description: Numbers}
equations:
  negated:
    formula: negated(n) = 0 - n
    variables: {n: 0..9}
    implementations: {cpu: "operator:neg"}
falsification_tests:
  - {id: FALSIFY-NM-001, rule: Sign, prediction: "n + −n = 0", formal: "n + negated(n) = 0"}
"""


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_report_picture", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_picture_shows_a_real_summary(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    (tmp_path / "numbers-v1.yaml").write_text(CONTRACT, encoding="utf-8")
    lines = tool.summary(tool.captured(["--contracts", ".", "-p", "no:cacheprovider"]))
    svg = tool.drawn(lines)
    root = ET.fromstring(svg)
    shown = "".join(root.itertext()).replace("\xa0", " ")
    assert "numbers-v1  L3" in shown
    assert "1 held" in shown
    assert "1 of 1 items verified" in shown
    assert "rootdir" not in shown
    assert "@font-face" not in svg


def test_a_red_run_is_not_drawn(tool: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="exit code"):
        tool.captured([str(tmp_path / "nowhere.yaml")])


def test_a_run_without_contracts_is_refused(tool: ModuleType) -> None:
    with pytest.raises(SystemExit, match="no contracts"):
        tool.summary(["collected 0 items", "no tests ran"])
