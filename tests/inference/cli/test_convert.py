from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from inference.cli import main
from inference.cli.writing import size_in_bytes
from inference.data import TINY_MODEL
from inference.formats import open_model


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_model_goes_round_all_formats(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    way = [TINY_MODEL, tmp_path / "a.apr", tmp_path / "b.gguf", tmp_path / "c"]
    for source, target in pairwise(way):
        code, out, _ = run(capsys, "export", source, "-o", target)
        assert code == 0
        assert f"{target}: 51 tensors" in out
    formats = []
    for path in way[1:]:
        with open_model(path) as file:
            formats.append(file.format)
    assert formats == ["apr", "gguf", "hf"]
    assert (tmp_path / "b.gguf").read_bytes() == TINY_MODEL.read_bytes()


def test_json_tells_every_digest(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    target = tmp_path / "x.gguf"
    code, out, _ = run(capsys, "convert", TINY_MODEL, "-o", target, "--quantize", "q8-0", "--json")
    document = json.loads(out)
    assert code == 0
    assert document["format"] == "gguf"
    assert document["types"] == {"Q8_0": 30, "F32": 21}
    assert (document["tensors"], document["tensors_kept"]) == (51, 21)
    assert document["bytes"] == target.stat().st_size
    assert len(document["sha256"]) == 51


def test_a_directory_in_shards(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    arguments = ("--quantize", "bf16", "--max-shard-size", "1MB")
    code, out, _ = run(capsys, "convert", TINY_MODEL, "-o", tmp_path / "hf", *arguments)
    assert code == 0
    assert "51 BF16" in out
    assert len(list((tmp_path / "hf").glob("*.safetensors"))) > 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-o", "x.safetensors"), "safetensors models are directories"),
        (("-o", "x.gguf", "--quantize", "q9"), "no type is called 'q9'; there are APR_Q4"),
        (("-o", "x.gguf", "--quantize", "iq1_s"), "no quantizer for IQ1_S"),
        (("-o", "x", "--quantize", "q4_k"), "hold F32, F16 or BF16, not Q4_K"),
        (("-o", "x", "--max-shard-size", "many"), "'many' is no size"),
        (("-o", "x.gguf", "--max-shard-size", "1GB"), "not written in shards"),
        (("-o", "x.gguf", "--compress", "zstd"), "only APR files are compressed"),
        ((), "Missing option"),
    ],
)
def test_wrong_usage(
    arguments: tuple[str, ...],
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = run(capsys, "convert", TINY_MODEL, *arguments)
    assert code == 2
    assert message in " ".join(err.replace("│", " ").split())
    assert not list(tmp_path.iterdir())


def test_a_directory_with_something_in_it_is_kept(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "mine").write_text("x")
    code, _, err = run(capsys, "export", TINY_MODEL, "-o", tmp_path)
    assert code == 3
    assert "exists already and is not empty" in err
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("text", "size"),
    [("12", 12), ("2GB", 2 * 10**9), ("500 mb", 5 * 10**8), ("1GiB", 2**30), (None, None)],
)
def test_sizes(text: str | None, size: int | None) -> None:
    assert size_in_bytes(text) == size
