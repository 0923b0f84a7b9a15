"""Outputs that are no files, seen from the commands."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest

from inference.cli import main
from inference.data import TINY_MODEL


@pytest.mark.parametrize(
    "words",
    [
        ["import", str(TINY_MODEL)],
        ["convert", str(TINY_MODEL), "--format", "gguf", "--quantize", "q8_0"],
        ["export", str(TINY_MODEL), "--format", "hf"],
        ["export", str(TINY_MODEL), "--format", "apr", "--max-shard-size", "300KB"],
    ],
)
def test_a_fifo_stays_a_fifo(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "x.apr"
    os.mkfifo(target)
    assert main([*words, "-o", str(target)]) == 3
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert target.is_fifo()
    assert [path.name for path in tmp_path.iterdir()] == ["x.apr"]


def test_a_stage_onto_a_fifo_is_refused_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from inference.engine.model import Model

    monkeypatch.setattr(Model, "trace", pytest.fail)
    (tmp_path / "layer-0").mkdir()
    os.mkfifo(tmp_path / "layer-0" / "ffn_gate.bin")
    words = ["--save-tensor", "ffn_gate", "--save-tensor-dir", str(tmp_path)]
    assert main(["trace", str(TINY_MODEL), *words]) == 3
    assert "it is a FIFO" in capsys.readouterr().err


def test_a_conversation_outlives_what_cannot_be_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "fifo")
    good = tmp_path / "good.json"
    places = [
        f"{tmp_path}/fifo", f"{tmp_path}", f"{tmp_path}/no/x", "/proc/x", "~nobody-of-this-name/x",
        f"{tmp_path}/a\0b", "x" * 300, str(good),
    ]  # fmt: skip
    typed = "".join(f"/save {place}\n" for place in places)
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    assert main(["chat", str(TINY_MODEL), "-n", "1"]) == 0
    told = capsys.readouterr().err.splitlines()
    assert len(told) == len(places)
    assert all(line.startswith("apr: ") for line in told[:-1])
    assert good.is_file()
