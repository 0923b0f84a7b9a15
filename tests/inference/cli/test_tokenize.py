"""`apr tokenize`: the same ids as the engine's, with their texts and bytes."""

from __future__ import annotations

import json

import pytest

from inference.cli import main
from inference.data import TINY_MODEL

TINY = str(TINY_MODEL)


def test_lines_show_text_or_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tokenize", TINY, "What é"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "    335  'What'",
        "    220  ' '",
        "    127  c3",
        "    102  a9",
    ]


def test_ids_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tokenize", TINY, "What is 2+2?", "--ids"]) == 0
    assert capsys.readouterr().out == "335 309 220 17 10 17 30\n"


def test_json_names_every_byte(capsys: pytest.CaptureFixture[str]) -> None:
    text = "What é日"
    assert main(["tokenize", TINY, text, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [token["id"] for token in found["tokens"]] == found["ids"]
    assert b"".join(bytes.fromhex(token["bytes"]) for token in found["tokens"]) == text.encode()
    assert found["tokens"][0]["text"] == "What"
    assert found["tokens"][-1]["text"] is None


def test_control_tokens_can_be_read_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    for extra, count in (([], 1), (["--no-special"], None)):
        assert main(["tokenize", TINY, "<|im_end|>", "--ids", *extra]) == 0
        ids = capsys.readouterr().out.split()
        assert len(ids) == count if count else len(ids) > 1


def test_a_missing_model_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tokenize", "nowhere.gguf", "x"]) == 3
    assert "no such file" in capsys.readouterr().err
