from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from gguf import GGUFValueType as Kind

from inference.cli import main


def test_inspect_json(tiny_gguf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(tiny_gguf), "--json", "--tensors"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["format"] == "gguf"
    assert document["architecture"] == "qwen2"
    assert document["tensor_count"] == len(document["tensors"]) == 27
    assert document["types"]["Q5_0"]["tensors"] == 13
    assert sum(row["bytes"] for row in document["types"].values()) == document["tensor_bytes"]
    assert document["config"]["hidden"] == 64
    assert document["config"]["rope_type"] == "neox"
    assert document["tokenizer"]["tokens"] == 40
    assert document["metadata"]["tokenizer.ggml.tokens"] == "[40 values]"
    assert document["metadata"]["extra.nan"] == "nan"
    assert document["metadata"]["extra.floats"][:2] == [1.5, "-inf"]
    assert document["tensors"][0]["shape"] == [40, 64]


def test_inspect_text_for_every_format(
    tiny_gguf: Path,
    tiny_apr: Path,
    make_hf: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    for path in (tiny_gguf, tiny_apr, make_hf()):
        assert main(["inspect", str(path), "--tensors"]) == 0
        out = capsys.readouterr().out
        assert "architecture qwen2" in out
        assert "27 tensors" in out
        assert "40 × 64" in out


def test_texts_of_a_file_do_not_reach_the_terminal_raw(
    make_gguf: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = make_gguf(changed={"general.name": ("\x1b[2Jboo\r", Kind.STRING, None)})
    assert main(["inspect", str(path)]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert r"\x1b[2Jboo\r" in out


def test_inspect_shows_what_it_cannot_use(
    make_gguf: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = make_gguf(architecture="mamba", changed={"tokenizer.ggml.model": None})
    assert main(["inspect", str(path), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert "'mamba' is not implemented" in document["config"]["unsupported"]
    assert "carries no tokenizer" in document["tokenizer"]["unusable"]


def test_inspect_of_deeply_nested_metadata(
    make_hf: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = make_hf()
    config = (path / "config.json").read_text()
    (path / "config.json").write_text(config[:-1] + ', "deep": ' + "[" * 500 + "]" * 500 + "}")
    assert main(["inspect", str(path), "--json"]) == 0
    assert "…" in capsys.readouterr().out


def test_import(tiny_gguf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "out.apr"
    assert main(["import", str(tiny_gguf), "-o", str(target)]) == 0
    assert "27 tensors" in capsys.readouterr().out
    assert main(["import", str(tiny_gguf), "-o", str(target), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["tensors"] == len(document["sha256"]) == 27
    assert document["bytes"] == target.stat().st_size


def test_import_names_its_target_after_the_source(
    tiny_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["import", str(tiny_gguf)]) == 0
    assert (tmp_path / "tiny.apr").is_file()


def test_a_damaged_file_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(b"GGUF\3\0\0\0")
    for command in ("inspect", "import"):
        assert main([command, str(path)]) == 3
        err = capsys.readouterr().err
        assert "byte 0x8" in err
        assert err.count("\n") == 1
