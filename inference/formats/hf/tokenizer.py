"""A tokenizer's vocabulary and rules out of Hugging Face's tokenizer.json."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from inference.errors import ModelFileError, TokenizerError
from inference.formats.base import ModelFile
from inference.formats.hf.unexpressed import (
    Steps,
    steps_of,
    unexpressed_added,
    unexpressed_model,
    unexpressed_normalizers,
    unexpressed_post_processors,
    unexpressed_pre_tokenizers,
)
from inference.formats.jsonfile import read_object
from inference.formats.tokenizer_spec import (
    BYTE,
    CONTROL,
    LLAMA3_RULES,
    NORMAL,
    UNKNOWN,
    UNKNOWN_PRE,
    UNUSED,
    USER_DEFINED,
    TokenizerSpec,
)

MAX_TOKENS = 1 << 22

_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_PATTERNS: Mapping[str, str] = {
    _WORDS + r"\p{N}" + _REST: "qwen2",
    _WORDS + r"\p{N}{1,3}" + _REST: "llama-bpe",
}
_BY_ID = ("bos_token", "eos_token")
"""Special tokens that a chat template gets from their ids."""

_BYTE_TOKEN = re.compile(r"<0x[0-9A-F]{2}>")


def read_hf_tokenizer(file: ModelFile) -> TokenizerSpec:
    """Return the tokenizer of a Hugging Face directory.

    What tokenizer.json says beyond a specification is in ``unexpressed``; the file itself makes the
    ids then. ``pre`` is ``unknown`` where llama.cpp has no name for the pre-tokenizer.
    """
    path = file.path / "tokenizer.json"
    if not path.is_file():
        raise TokenizerError(f"{file.path}: has no tokenizer.json")
    config_path = file.path / "tokenizer_config.json"
    try:
        whole = read_object(path)
        settings = read_object(config_path) if config_path.is_file() else {}
        generation_path = file.path / "generation_config.json"
        generation = read_object(generation_path) if generation_path.is_file() else {}
        return _Reader(file, path, whole, settings, generation).spec()
    except ModelFileError as error:
        raise TokenizerError(str(error)) from error
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise TokenizerError(f"{path}: is not laid out as tokenizer.json is: {error!r}") from error


class _Reader:
    def __init__(
        self,
        file: ModelFile,
        path: Path,
        whole: dict[str, Any],
        settings: dict[str, Any],
        generation: dict[str, Any],
    ) -> None:
        self.path = path
        self.config = file.metadata
        self.settings = settings
        self.generation = generation
        self.whole = whole
        self.model = whole["model"]
        self.added = whole.get("added_tokens") or []
        self.ids: dict[str, int] = {}

    def spec(self) -> TokenizerSpec:
        steps = steps_of(self.whole.get("pre_tokenizer"), "pretokenizers")
        byte_level = any(step.get("type") == "ByteLevel" for step in steps)
        tokens, types = self._vocabulary(byte_level)
        pre = _pre(steps) if byte_level else "default"
        first, last = self._template()
        bos, eos = self._special("bos_token"), self._special("eos_token")
        return TokenizerSpec(
            model="gpt2" if byte_level else "llama",
            pre=pre,
            tokens=tokens,
            token_types=types,
            merges=[
                merge if isinstance(merge, str) else " ".join(merge)
                for merge in self.model.get("merges") or []
            ],
            bos_id=bos,
            eos_id=eos,
            unk_id=self._special("unk_token"),
            pad_id=self._special("pad_token"),
            add_bos=first if first is not None else self.settings.get("add_bos_token") is True,
            add_eos=last if last is not None else self.settings.get("add_eos_token") is True,
            add_space_prefix=not byte_level and self._prepends_space(steps),
            nfc=self._normalizes("NFC"),
            chat_template=self._chat_template(),
            end_ids=self._ends(eos),
            suppressed_ids=self._listed(self.generation.get("suppress_tokens")),
            special_texts=self._special_texts(),
            tokenizer_json=self.path,
            unexpressed=tuple(self._unexpressed(steps, byte_level, pre, bos, eos)),
        )

    def _unexpressed(
        self, steps: Steps, byte_level: bool, pre: str, bos: int | None, eos: int | None
    ) -> Iterator[str]:
        normalizers = steps_of(self.whole.get("normalizer"), "normalizers")
        yield from unexpressed_model(
            self.model,
            byte_level=byte_level,
            ignore_merges=pre in LLAMA3_RULES,
        )
        yield from unexpressed_normalizers(normalizers, byte_level=byte_level)
        yield from unexpressed_pre_tokenizers(
            steps, byte_level=byte_level, known=pre != UNKNOWN_PRE
        )
        yield from unexpressed_added(self.added, normalizes=bool(normalizers))
        post = steps_of(self.whole.get("post_processor"), "processors")
        texts = {number: text for text, number in self.ids.items()}
        names = [None if token is None else texts.get(token) for token in (bos, eos)]
        yield from unexpressed_post_processors(post, *names)

    def _ends(self, eos: int | None) -> list[int]:
        """Return the ends of generation beside EOS: those of generation_config.json count first."""
        stated = self.generation.get("eos_token_id")
        if stated is None:
            stated = self.config.get("eos_token_id")
        return [token for token in self._listed(stated) if token != eos]

    def _listed(self, stated: Any) -> list[int]:
        """Return the ids of one number or a list that are in the vocabulary."""
        found = stated if isinstance(stated, list) else [stated]
        known = set(self.ids.values())
        return [token for token in found if type(token) is int and token in known]

    def _special_texts(self) -> dict[str, str]:
        """Return every special token that the settings name, as a chat template may name it."""
        found: dict[str, str] = {}
        for settings in (self._special_tokens_map(), self.settings):
            extra = settings.get("extra_special_tokens")
            for name, value in {**(extra if isinstance(extra, dict) else {}), **settings}.items():
                text = value.get("content") if isinstance(value, dict) else value
                if name.endswith("_token") and isinstance(text, str):
                    found[name] = text
        return {name: text for name, text in found.items() if name not in _BY_ID}

    def _special_tokens_map(self) -> dict[str, Any]:
        path = self.path.with_name("special_tokens_map.json")
        return read_object(path) if path.is_file() else {}

    def _prepends_space(self, steps: list[dict[str, Any]]) -> bool:
        return self._normalizes("Prepend") or any(
            step.get("type") == "Metaspace" and step.get("prepend_scheme", "always") != "never"
            for step in steps
        )

    def _normalizes(self, kind: str) -> bool:
        normalizer = self.whole.get("normalizer") or {}
        return any(
            step.get("type") == kind for step in normalizer.get("normalizers") or [normalizer]
        )

    def _vocabulary(self, byte_level: bool) -> tuple[list[str], list[int]]:
        """Return tokens and token types by id; ids without a token are padding, as in GGUF."""
        vocab = self.model["vocab"]
        if isinstance(vocab, list):  # of Unigram: texts with their scores
            vocab = {entry[0]: number for number, entry in enumerate(vocab)}
        self.ids = {str(token): int(number) for token, number in vocab.items()}
        self.ids.update((entry["content"], int(entry["id"])) for entry in self.added)
        stated = self.config.get("vocab_size")
        count = max(self.ids.values(), default=-1) + 1
        count = max(count, stated if type(stated) is int else 0)
        if count > MAX_TOKENS or min(self.ids.values(), default=0) < 0:
            raise TokenizerError(f"{self.path}: token ids reach {count - 1:,}")
        tokens = [f"[PAD{number}]" for number in range(count)]
        types = [UNUSED] * count
        for token, number in self.ids.items():
            if types[number] != UNUSED:
                raise TokenizerError(f"{self.path}: two tokens have id {number}")
            tokens[number], types[number] = token, NORMAL
            if not byte_level and _BYTE_TOKEN.fullmatch(token):
                types[number] = BYTE
        for entry in self.added:
            types[int(entry["id"])] = CONTROL if entry.get("special") else USER_DEFINED
        unknown = self.model.get("unk_token")
        if not byte_level and unknown in self.ids:
            types[self.ids[unknown]] = UNKNOWN
        return tokens, types

    def _special(self, name: str) -> int | None:
        value = self.settings.get(name)
        token = value.get("content") if isinstance(value, dict) else value
        if token is None and name == "unk_token":
            token = self.model.get("unk_token")
        if isinstance(token, str):
            if token not in self.ids:
                raise TokenizerError(f"{self.path}: {name} {token[:40]!r} is not in the vocabulary")
            return self.ids[token]
        if name in self.settings:
            return None
        number = self.config.get(f"{name}_id")
        if isinstance(number, list) and number:
            number = number[0]
        return number if type(number) is int else None

    def _template(self) -> tuple[bool | None, bool | None]:
        """Tell whether the post-processor adds a token in front and behind; ``None``: unsaid."""
        post = self.whole.get("post_processor") or {}
        for step in post.get("processors") or [post]:
            if step.get("type") == "TemplateProcessing":
                single = step["single"]
                return "SpecialToken" in single[0], "SpecialToken" in single[-1]
            if step.get("type") in ("RobertaProcessing", "BertProcessing"):
                return True, True
        return None, None

    def _chat_template(self) -> str | None:
        beside = self.path.with_name("chat_template.jinja")
        if beside.is_file():  # counts over an older one in the settings
            return beside.read_text(encoding="utf-8")
        template = self.settings.get("chat_template")
        if isinstance(template, list):
            template = {entry["name"]: entry["template"] for entry in template}.get("default")
        return template if isinstance(template, str) else None


def pre_tokenizer_steps(pre: str) -> list[dict[str, Any]] | None:
    """Return tokenizer.json's steps for llama.cpp's name of a pre-tokenizer; ``None``: unknown.

    The inverse of what ``read_hf_tokenizer`` recognizes.
    """
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    if pre in ("gpt-2", "smollm"):
        digits = [{"type": "Digits", "individual_digits": True}] if pre == "smollm" else []
        return [*digits, {**byte_level, "use_regex": True}]
    patterns = {name: pattern for pattern, name in _PATTERNS.items()}
    pattern = patterns.get("llama-bpe" if pre == "llama3" else pre)
    if pattern is None:
        return None
    split = {"type": "Split", "behavior": "Isolated", "invert": False}
    return [{**split, "pattern": {"Regex": pattern}}, {**byte_level, "use_regex": False}]


def _pre(steps: list[dict[str, Any]]) -> str:
    """Return llama.cpp's name of a byte-level pre-tokenizer."""
    kinds = [step.get("type") for step in steps]
    if kinds == ["ByteLevel"] and steps[0].get("use_regex", True):
        return "gpt-2"
    if kinds == ["Digits", "ByteLevel"] and steps[0].get("individual_digits"):
        return "smollm"
    if kinds == ["Split", "ByteLevel"] and not steps[1].get("use_regex", True):
        return _PATTERNS.get(steps[0]["pattern"].get("Regex", ""), UNKNOWN_PRE)
    return UNKNOWN_PRE
