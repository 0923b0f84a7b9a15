from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gguf import GGUFValueType as Kind
from tokenizers import Tokenizer

from inference.errors import ModelWarning, TokenizerError
from inference.formats import open_model
from inference.formats.apr.reader import AprFile
from inference.formats.apr.writer import write_apr
from inference.formats.tokenizer import tokenizer_spec
from inference.formats.tokenizer_spec import (
    BYTE,
    CONTROL,
    NORMAL,
    UNKNOWN,
    UNUSED,
    USER_DEFINED,
    TokenizerSpec,
)
from inference.surgery.converting import convert_model


def spec_of(path: Path) -> TokenizerSpec:
    with open_model(path) as file:
        return tokenizer_spec(file)


def edit(path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    whole = json.loads(path.read_text())
    change(whole)
    path.write_text(json.dumps(whole))
    return path.parent


def test_gguf(tiny_gguf: Path) -> None:
    spec = spec_of(tiny_gguf)
    assert (spec.model, spec.pre) == ("gpt2", "qwen2")
    assert spec.tokens[:8] == ["<|end|>", "<|begin|>", "a", "b", "ab", "Ġ", "é", "日本"]
    assert spec.token_types == [CONTROL] * 2 + [NORMAL] * 38
    assert spec.merges == ["a b"]
    assert (spec.bos_id, spec.eos_id, spec.unk_id, spec.pad_id) == (None, 0, None, None)
    assert (spec.add_bos, spec.add_eos, spec.tokenizer_json) == (False, False, None)
    assert spec.chat_template == "{{ messages }}"


def test_apr_carries_the_same(tiny_gguf: Path, tiny_apr: Path) -> None:
    assert spec_of(tiny_apr) == spec_of(tiny_gguf)


def test_hugging_face(make_hf: Callable[..., Path], tiny_gguf: Path) -> None:
    path = make_hf()
    spec = spec_of(path)
    expected = spec_of(tiny_gguf)
    padding = [f"[PAD{number}]" for number in range(36, 40)]
    assert spec == replace(
        expected,
        tokens=expected.tokens[:36] + padding,
        token_types=expected.token_types[:36] + [UNUSED] * 4,
        nfc=True,
        tokenizer_json=path / "tokenizer.json",
    )
    theirs = Tokenizer.from_file(str(path / "tokenizer.json"))
    assert theirs.get_vocab() == {token: i for i, token in enumerate(spec.tokens[:36])}


def test_sentencepiece_begins_with_bos_unless_told_otherwise(
    make_gguf: Callable[..., Path],
) -> None:
    scores = [0.0] * 40
    model = {
        "tokenizer.ggml.model": ("llama", Kind.STRING, None),
        "tokenizer.ggml.scores": (scores, Kind.ARRAY, Kind.FLOAT32),
    }
    assert not spec_of(make_gguf(changed=model)).add_bos
    assert spec_of(make_gguf(changed=model | {"tokenizer.ggml.add_bos_token": None})).add_bos
    assert not spec_of(make_gguf(changed={"tokenizer.ggml.add_bos_token": None})).add_bos


def test_sentencepiece_needs_scores(make_gguf: Callable[..., Path]) -> None:
    bare = {
        "tokenizer.ggml.model": ("llama", Kind.STRING, None),
        "tokenizer.ggml.merges": None,
    }
    with pytest.raises(TokenizerError, match="needs scores; there are none"):
        spec_of(make_gguf(changed=bare))


def test_a_space_prefix_is_the_rule_of_sentencepiece(make_gguf: Callable[..., Path]) -> None:
    changed = {
        "tokenizer.ggml.model": ("llama", Kind.STRING, None),
        "tokenizer.ggml.scores": ([0.0] * 40, Kind.ARRAY, Kind.FLOAT32),
    }
    assert spec_of(make_gguf(changed=changed)).add_space_prefix
    changed["tokenizer.ggml.add_space_prefix"] = (False, Kind.BOOL, None)
    assert not spec_of(make_gguf(changed=changed)).add_space_prefix


@pytest.mark.parametrize(
    ("normalizer", "pre", "expected"),
    [
        (None, None, False),
        ({"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}]}, None, True),
        (None, {"type": "Metaspace", "prepend_scheme": "first"}, True),
        (None, {"type": "Metaspace", "prepend_scheme": "never"}, False),
    ],
)
def test_hugging_face_says_the_prefix_in_its_steps(
    make_hf: Callable[..., Path], normalizer: Any, pre: Any, expected: bool
) -> None:
    path = make_hf()

    def change(whole: dict[str, Any]) -> None:
        whole["normalizer"], whole["pre_tokenizer"] = normalizer, pre

    spec = spec_of(edit(path / "tokenizer.json", change))
    assert (spec.model, spec.add_space_prefix) == ("llama", expected)


@pytest.mark.parametrize(
    ("key", "entry", "message"),
    [
        ("model", None, "carries no tokenizer"),
        ("tokens", None, "carries no tokenizer"),
        ("model", ("bert", Kind.STRING, None), "'bert' is not implemented"),
        ("model", (1, Kind.UINT32, None), "wrong type"),
        ("tokens", ([1, 2], Kind.ARRAY, Kind.UINT32), "wrong type"),
        ("tokens", (["a"] * 41, Kind.ARRAY, Kind.STRING), "41 tokens, but the embedding has 40"),
        ("tokens", (["a"] * 39, Kind.ARRAY, Kind.STRING), "40 token types for 39 tokens"),
        ("token_type", ("x", Kind.STRING, None), "wrong type"),
        ("scores", ([1.0], Kind.ARRAY, Kind.FLOAT32), "1 scores for 40 tokens"),
        ("scores", ([float("nan")] * 40, Kind.ARRAY, Kind.FLOAT32), "not finite"),
        ("merges", None, "needs merges"),
        ("eos_token_id", (40, Kind.UINT32, None), r"EOS token 40 is outside 0\.\.39"),
        ("bos_token_id", (-1, Kind.INT32, None), "BOS token -1"),
        ("padding_token_id", ("a", Kind.STRING, None), "wrong type"),
        ("add_bos_token", (1, Kind.UINT32, None), "wrong type"),
    ],
)
def test_bad_vocabularies_are_refused(
    key: str, entry: Any, message: str, make_gguf: Callable[..., Path]
) -> None:
    with pytest.raises(TokenizerError, match=message):
        spec_of(make_gguf(changed={f"tokenizer.ggml.{key}": entry}))


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (None, "carries no tokenizer; import the model again"),
        ([], "carries no tokenizer"),
        ({}, "no 'tokenizer.model'"),
        ({"model": "gpt2", "tokens": []}, "vocabulary is empty"),
        ({"model": "gpt2", "tokens": ["a"], "merges": [1]}, "'tokenizer.merges' has the wrong"),
        (
            {"model": "llama", "tokens": ["a"], "scores": [10**400]},
            "a token's score is not finite",
        ),
        ({"model": "gpt2", "tokens": "abc"}, "'tokenizer.tokens' has the wrong"),
    ],
)
def test_bad_apr_sections_are_refused(section: Any, message: str, tmp_path: Path) -> None:
    write_apr(tmp_path / "x.apr", {"tokenizer": section}, [])
    with pytest.raises(TokenizerError, match=message):
        spec_of(tmp_path / "x.apr")


def test_the_flag_of_the_header_tells_of_the_vocabulary(tiny_apr: Path, tmp_path: Path) -> None:
    write_apr(tmp_path / "x.apr", {}, [])
    with AprFile(tiny_apr) as full, AprFile(tmp_path / "x.apr") as bare:
        assert full.header.flags & 512
        assert not bare.header.flags & 512


@pytest.mark.parametrize(
    ("pre", "expected"),
    [
        ({"type": "ByteLevel"}, "gpt-2"),
        ({"type": "ByteLevel", "use_regex": False}, "unknown"),
        (
            {
                "type": "Sequence",
                "pretokenizers": [
                    {"type": "Digits", "individual_digits": True},
                    {"type": "ByteLevel"},
                ],
            },
            "smollm",
        ),
        (
            {
                "type": "Sequence",
                "pretokenizers": [
                    {"type": "Split", "pattern": {"Regex": "."}},
                    {"type": "ByteLevel", "use_regex": False},
                ],
            },
            "unknown",
        ),
    ],
)
def test_pre_tokenizers(pre: Any, expected: str, make_hf: Callable[..., Path]) -> None:
    path = make_hf() / "tokenizer.json"
    assert spec_of(edit(path, lambda whole: whole.update(pre_tokenizer=pre))).pre == expected


def test_byte_fallback_is_sentencepiece(make_hf: Callable[..., Path]) -> None:
    def change(whole: dict[str, Any]) -> None:
        whole["pre_tokenizer"] = None
        whole["model"]["unk_token"] = "b"
        whole["model"]["vocab"]["<0x0A>"] = 36
        whole["added_tokens"].append({"id": 37, "content": "word", "special": False})
        whole["post_processor"] = {
            "type": "Sequence",
            "processors": [
                {
                    "type": "TemplateProcessing",
                    "single": [{"SpecialToken": {"id": "<|begin|>"}}, {"Sequence": {"id": "A"}}],
                }
            ],
        }

    spec = spec_of(edit(make_hf() / "tokenizer.json", change))
    assert (spec.model, spec.pre, spec.add_bos, spec.add_eos) == ("llama", "default", True, False)
    assert spec.unk_id == 3
    assert [spec.token_types[i] for i in (2, 3, 36, 37)] == [NORMAL, UNKNOWN, BYTE, USER_DEFINED]


def test_special_tokens_from_config_json(make_hf: Callable[..., Path]) -> None:
    path = make_hf(changed={"eos_token_id": [4, 5], "bos_token_id": 1})
    (path / "tokenizer_config.json").unlink()
    (path / "chat_template.jinja").write_text("beside")
    spec = spec_of(path)
    assert (spec.bos_id, spec.eos_id, spec.chat_template) == (1, 4, "beside")


def test_the_default_of_several_chat_templates(make_hf: Callable[..., Path]) -> None:
    templates = [{"name": "tool", "template": "t"}, {"name": "default", "template": "d"}]
    path = make_hf() / "tokenizer_config.json"
    settings = {"chat_template": templates, "eos_token": {"content": "ab"}}
    spec = spec_of(edit(path, lambda whole: whole.update(settings)))
    assert (spec.chat_template, spec.eos_id) == ("d", 4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda whole: whole.pop("model"), "not laid out as"),
        (lambda whole: whole.update(model=[]), "not laid out as"),
        (lambda whole: whole["model"].update(vocab={"a": 2**40}), "token ids reach"),
        (lambda whole: whole["model"].update(vocab={"a": -1}), "token ids reach"),
        (lambda whole: whole["model"].update(vocab={"a": 1e400}), "not valid JSON"),
        (lambda whole: whole["model"]["vocab"].update(b=2), "two tokens have id 2"),
        (lambda whole: whole["model"]["vocab"].update(x="y"), "not laid out as"),
        (lambda whole: whole.update(added_tokens=[{}]), "not laid out as"),
    ],
)
def test_bad_tokenizer_files_are_refused(
    change: Callable[[dict[str, Any]], None], message: str, make_hf: Callable[..., Path]
) -> None:
    path = edit(make_hf() / "tokenizer.json", change)
    with pytest.raises(TokenizerError, match=message):
        spec_of(path)


def test_a_special_token_outside_the_vocabulary(make_hf: Callable[..., Path]) -> None:
    path = make_hf() / "tokenizer_config.json"
    with pytest.raises(TokenizerError, match="eos_token 'gone' is not in the vocabulary"):
        spec_of(edit(path, lambda whole: whole.update(eos_token="gone")))


def test_no_tokenizer_file_and_no_json(make_hf: Callable[..., Path]) -> None:
    path = make_hf()
    (path / "tokenizer.json").write_text("{")
    with pytest.raises(TokenizerError, match="not valid JSON"):
        spec_of(path)
    (path / "tokenizer.json").unlink()
    with pytest.raises(TokenizerError, match=r"has no tokenizer\.json"):
        spec_of(path)


def test_ends_of_generation_json_count(make_hf: Callable[..., Path]) -> None:
    path = make_hf()
    stated = '{"eos_token_id": [2, 0, 99], "suppress_tokens": [5]}'
    (path / "generation_config.json").write_text(stated)
    spec = spec_of(path)
    assert (spec.eos_id, spec.end_ids, spec.suppressed_ids) == (0, [2], [5])


def test_ends_of_config_json(make_hf: Callable[..., Path]) -> None:
    spec = spec_of(make_hf(changed={"eos_token_id": [3, 0]}))
    assert (spec.eos_id, spec.end_ids) == (0, [3])


def test_a_template_beside_counts_over_the_settings(make_hf: Callable[..., Path]) -> None:
    path = make_hf()
    (path / "chat_template.jinja").write_text("new")
    assert spec_of(path).chat_template == "new"


def test_special_tokens_for_templates(make_hf: Callable[..., Path]) -> None:
    path = make_hf()
    settings = {
        "eos_token": "<|end|>",
        "pad_token": {"content": "a"},
        "extra_special_tokens": {"image_token": "b"},
        "add_bos_token": False,
    }
    (path / "tokenizer_config.json").write_text(json.dumps(settings))
    (path / "special_tokens_map.json").write_text('{"pad_token": "old", "sep_token": "ab"}')
    expected = {"pad_token": "a", "image_token": "b", "sep_token": "ab"}
    assert spec_of(path).special_texts == expected


def test_ends_and_bans_of_gguf(make_gguf: Callable[..., Path]) -> None:
    path = make_gguf(
        changed={
            "tokenizer.ggml.eot_token_id": (4, Kind.UINT32, None),
            "tokenizer.ggml.eom_token_id": (99, Kind.UINT32, None),
            "tokenizer.ggml.suppress_tokens": ([7, -1, 99], Kind.ARRAY, Kind.INT32),
        }
    )
    spec = spec_of(path)
    assert (spec.end_ids, spec.suppressed_ids) == ([4], [7])


@pytest.mark.parametrize(("pre", "adds"), [("llama-bpe", True), ("llama3", True), ("qwen2", False)])
def test_bos_where_a_gguf_file_does_not_say(
    pre: str, adds: bool, make_gguf: Callable[..., Path]
) -> None:
    changed = {
        "tokenizer.ggml.pre": (pre, Kind.STRING, None),
        "tokenizer.ggml.add_bos_token": None,
        "tokenizer.ggml.bos_token_id": (1, Kind.UINT32, None),
    }
    assert spec_of(make_gguf(changed=changed)).add_bos is adds


def test_ids_that_a_sentencepiece_file_does_not_state(make_gguf: Callable[..., Path]) -> None:
    changed = {
        "tokenizer.ggml.model": ("llama", Kind.STRING, None),
        "tokenizer.ggml.eos_token_id": None,
        "tokenizer.ggml.add_bos_token": None,
    }
    spec = spec_of(make_gguf(changed=changed))
    assert (spec.bos_id, spec.eos_id, spec.unk_id, spec.add_bos) == (1, 2, 0, True)


@pytest.mark.parametrize("token", [40, 2**32 - 1])
def test_a_padding_token_outside_is_left_out(token: int, make_gguf: Callable[..., Path]) -> None:
    changed = {"tokenizer.ggml.padding_token_id": (token, Kind.UINT32, None)}
    with pytest.warns(ModelWarning, match=f"padding token {token} is outside 0..39"):
        assert spec_of(make_gguf(changed=changed)).pad_id is None


def test_ends_and_bans_survive_a_conversion(make_hf: Callable[..., Path], tmp_path: Path) -> None:
    path = make_hf()
    stated = '{"eos_token_id": [0, 2, 3, 4], "suppress_tokens": [5]}'
    (path / "generation_config.json").write_text(stated)
    for target, format in (("x.gguf", "gguf"), ("x.apr", "apr")):
        convert_model(path, tmp_path / target, format=format)  # type: ignore[arg-type]
        spec = spec_of(tmp_path / target)
        assert (spec.end_ids, spec.suppressed_ids) == ([2, 3, 4], [5])
