from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

import numpy as np
from gguf import GGUFReader

from inference.data import TINY_MODEL

TOOL = Path(__file__).parents[2] / "tools" / "make_tiny_model.py"


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_tool_makes_the_committed_bytes(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("make_tiny_model", TOOL)
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    tool.write(tmp_path / "made.gguf")
    assert digest(tmp_path / "made.gguf") == digest(TINY_MODEL)


def test_the_gguf_package_reads_it() -> None:
    reader = GGUFReader(TINY_MODEL)
    types = {tensor.tensor_type.name for tensor in reader.tensors}
    assert types == {"Q4_K", "Q6_K", "F32"}
    assert len(reader.tensors) == 4 * 12 + 3
    assert all(np.isfinite(t.data).all() for t in reader.tensors if t.tensor_type.name == "F32")
