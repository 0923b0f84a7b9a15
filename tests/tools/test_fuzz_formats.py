"""A bounded run of the fuzzer; ``FUZZ_COUNT`` cases per format where somebody asks for more."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "fuzz_formats.py"
COUNT = int(os.environ.get("FUZZ_COUNT", "100"))
FORMATS = ("gguf", "apr", "apr-lz4", "apr-zstd", "apr-set", "hf", "tokenizer", "aprt")


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fuzz_formats", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_format_is_run(tool: ModuleType) -> None:
    assert FORMATS == tool.FORMATS


@pytest.mark.parametrize("format", FORMATS)
def test_damaged_files_load_or_raise_typed_errors(format: str, tool: ModuleType) -> None:
    counts, failures = tool.fuzz(format, COUNT, seed=2)
    assert failures == []
    assert counts.total() == COUNT
    # Neither does everything get through, nor does the first check stop everything.
    errors = {name for name in counts if name != "loaded"}
    assert counts["loaded"] > COUNT / 50
    assert errors
    assert all(name.endswith("Error") for name in errors)


class TestPlantedDefects:
    """The fuzzer sees what readers must not do."""

    def run(self, tool: ModuleType, folder: Path, source: str, count: int = 3) -> list[str]:
        """Run a copy of the fuzzer whose exercise begins with a line of somebody else's."""
        text = TOOL.read_text(encoding="utf-8")
        at = '    if format == "aprt":\n        read_aprt(path)\n'
        assert at in text
        text = text.replace(at, f"    {source}\n{at}")
        text = text.replace("SECONDS_PER_CASE = 10", "SECONDS_PER_CASE = 0.2")
        text = text.replace("Path(__file__).parents[1]", f"Path({str(TOOL.parents[1])!r})")
        copy = folder / "fuzz_copy.py"
        copy.write_text(text, encoding="utf-8")
        tool_of_copy = importlib.util.spec_from_file_location("fuzz_copy", copy)
        assert tool_of_copy is not None
        assert tool_of_copy.loader is not None
        module = importlib.util.module_from_spec(tool_of_copy)
        tool_of_copy.loader.exec_module(module)
        counts, failures = module.fuzz("aprt", count)
        assert counts.total() == count
        return [outcome for _, outcome, _ in failures]

    @pytest.mark.parametrize(
        ("source", "outcome"),
        [
            ("raise KeyError('an error that is not ours')", "FAILURE KeyError"),
            ("bytes(1 << 31)", "FAILURE MemoryError"),
            ("while True: pass", "FAILURE TimeoutError"),
            ("os._exit(7)", "FAILURE process ended with 7"),
        ],
    )
    def test_it_is_seen(self, source: str, outcome: str, tool: ModuleType, tmp_path: Path) -> None:
        assert self.run(tool, tmp_path, source) == [outcome] * 3
