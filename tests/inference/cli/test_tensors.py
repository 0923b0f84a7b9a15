from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference.cli import main
from inference.data import TINY_MODEL
from inference.formats import open_model
from inference.formats import rows as packed_rows
from inference.quant import dequantize

TINY = str(TINY_MODEL)


def document(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert main(["tensors", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)["tensors"]


def test_every_tensor_in_the_order_of_the_file(
    tiny_apr: Path, make_hf: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (TINY_MODEL, tiny_apr, make_hf()):
        rows = document(capsys, str(path))
        with open_model(path) as file:
            assert {row["name"] for row in rows} == set(file.tensors)
            for row in rows:
                info = file.tensors[row["name"]]
                assert (row["type"], row["bytes"]) == (info.dtype.name, info.nbytes)
                assert (tuple(row["shape"]), row["offset"]) == (info.shape, info.offset)
        assert [row["offset"] for row in rows] == sorted(row["offset"] for row in rows)
        assert "stats" not in rows[0]


def test_a_filter_matches_either_name(
    make_hf: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(make_hf())
    by_gguf = document(capsys, path, "--filter", "blk.1.ffn_*")
    assert {row["name"].split(".")[2] for row in by_gguf} == {
        "ffn_norm", "ffn_gate", "ffn_up", "ffn_down",
    }  # fmt: skip
    by_file = document(capsys, path, "--filter", "model.layers.1.mlp.*")
    assert {row["file_name"] for row in by_file} < {row["file_name"] for row in by_gguf}
    assert len(by_file) == 3
    assert main(["tensors", path, "--filter", "blk.9.*"]) == 2
    assert "no tensor of" in capsys.readouterr().err


@pytest.mark.parametrize("strip", [256, 1 << 22])
def test_statistics_are_those_of_the_values(
    strip: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed_rows, "STRIP_VALUES", strip)
    rows = document(capsys, TINY, "--stats", "--filter", "blk.[01].attn_*")
    assert len(rows) > 8
    with open_model(TINY_MODEL) as file:
        for row in rows:
            info = file.tensors[row["name"]]
            values = dequantize(file.raw(info.name), info.dtype, info.shape).astype(np.float64)
            found = row["stats"]
            assert (found["min"], found["max"]) == (values.min(), values.max())
            assert found["mean"] == pytest.approx(values.mean(), abs=1e-12)
            assert found["std_dev"] == pytest.approx(values.std(ddof=1), rel=1e-9)
            assert found["zero_count"] == np.count_nonzero(values == 0)
            assert found["count"] == values.size


@pytest.mark.parametrize("strip", [256, 1 << 22])
@pytest.mark.parametrize("dtype", ["apr_q8", "apr_q4", "q8_0"])
def test_statistics_of_what_convert_wrote(
    dtype: str,
    strip: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(packed_rows, "STRIP_VALUES", strip)
    path = str(tmp_path / "packed.apr")
    assert main(["convert", TINY, "-o", path, "--quantize", dtype]) == 0
    capsys.readouterr()
    rows = document(capsys, path, "--stats", "--filter", "blk.0.*")
    assert dtype.upper() in {row["type"] for row in rows}
    with open_model(path) as file:
        for row in rows:
            info = file.tensors[row["name"]]
            values = dequantize(file.raw(info.name), info.dtype, info.shape)
            assert (row["stats"]["min"], row["stats"]["max"]) == (values.min(), values.max())
            assert row["stats"]["count"] == values.size


def test_nan_is_counted_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open_model(TINY_MODEL) as file:
        place = file.tensors["blk.2.attn_norm.weight"].offset
    data = bytearray(TINY_MODEL.read_bytes())
    data[place : place + 8] = b"\x00\x00\xc0\x7f\x00\x00\x80\x7f"
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(data)
    assert main(["tensors", str(broken), "--stats", "--filter", "*2.attn_norm*"]) == 0
    shown = capsys.readouterr().out
    assert "NaN 1  Inf 1" in shown
    assert shown.endswith("1 tensors, 1,024 bytes\n")
    assert document(capsys, str(broken), "--stats", "--filter", "*2.attn_norm*")


def test_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tensors", TINY, "--filter", "token_embd*"]) == 0
    name, rest = capsys.readouterr().out.splitlines()[0].split(maxsplit=1)
    assert name == "token_embd.weight"
    assert rest.endswith("512 × 256")
