"""Which parts of a tokenizer.json a specification, and so GGUF or APR, has no words for.

Everything is refused that is not known to be the same: ids are wrong without a word otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

SPACE = "▁"
_FLAGS = ("lstrip", "rstrip", "single_word")
Steps = list[dict[str, Any]]


def steps_of(part: Mapping[str, Any] | None, name: str) -> Steps:
    """Return the steps of a normalizer, pre-tokenizer or post-processor, a sequence or one."""
    if not part:
        return []
    return list(part[name]) if part.get("type") == "Sequence" else [dict(part)]


def unexpressed_normalizers(steps: Steps, *, byte_level: bool) -> Iterator[str]:
    """Yield what is neither NFC nor SentencePiece's treatment of spaces."""
    kinds = [step.get("type") for step in steps]
    if not byte_level and _escapes_spaces(steps[-1:]):
        kinds.pop()
        prepends = [step for step in steps if step.get("type") == "Prepend"]
        if kinds[-1:] == ["Prepend"] and prepends[-1].get("prepend") == SPACE:
            kinds.pop()
    elif not byte_level:
        yield "no normalizer that writes spaces as U+2581"
    if kinds[:1] == ["NFC"]:
        kinds.pop(0)
    yield from (f"normalizer {kind}" for kind in kinds)


def _escapes_spaces(steps: Steps) -> bool:
    return any(
        step.get("type") == "Replace"
        and step.get("pattern") == {"String": " "}
        and step.get("content") == SPACE
        for step in steps
    )


def unexpressed_pre_tokenizers(steps: Steps, *, byte_level: bool, known: bool) -> Iterator[str]:
    """Yield what is not one of the rules that have a name (``known``), or changes it."""
    for step in steps:
        kind = step.get("type")
        if kind == "ByteLevel" and step.get("add_prefix_space", True):
            yield "pre-tokenizer ByteLevel with add_prefix_space"
        elif kind == "Split" and byte_level:
            if step.get("behavior") != "Isolated" or step.get("invert"):
                yield f"pre-tokenizer Split, {step.get('behavior')}"
        elif not byte_level and not (kind == "Split" and step.get("pattern") == {"String": " "}):
            yield f"pre-tokenizer {kind}"  # no space is left to split at
    if byte_level and not known:
        yield "pre-tokenizer " + ", ".join(str(step.get("type")) for step in steps)


def unexpressed_model(
    model: Mapping[str, Any], *, byte_level: bool, ignore_merges: bool
) -> Iterator[str]:
    """Yield what is not plain BPE; ``ignore_merges`` is what the pre-tokenizer's name implies."""
    if model.get("type") != "BPE":
        yield f"model {model.get('type')}"
        return
    for key in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(key):
            yield f"{key} of BPE"
    if bool(model.get("ignore_merges")) != ignore_merges:
        yield f"ignore_merges {bool(model.get('ignore_merges'))} with this pre-tokenizer"
    if byte_level and (model.get("unk_token") is not None or model.get("byte_fallback")):
        yield "an unknown token or byte_fallback of byte-level BPE"
    if any(not isinstance(merge, str) and " " in "".join(merge) for merge in model["merges"]):
        yield "merges of texts with a space"


def unexpressed_added(added: Steps, *, normalizes: bool) -> Iterator[str]:
    """Yield flags that move the borders of an added token, or look for it in normalized text."""
    for flag in _FLAGS:
        found = next((entry for entry in added if entry.get(flag)), None)
        if found is not None:
            yield f"{flag} of added token {str(found.get('content'))[:40]!r}"
    if normalizes:
        found = next((entry for entry in added if entry.get("normalized")), None)
        if found is not None:
            yield f"added token {str(found.get('content'))[:40]!r}, matched after normalizing"


def unexpressed_post_processors(steps: Steps, first: str | None, last: str | None) -> Iterator[str]:
    """Yield what adds anything but ``first`` (BOS) in front and ``last`` (EOS) behind."""
    for step in steps:
        kind = step.get("type")
        if kind == "TemplateProcessing":
            single = step["single"]
            around = [part.get("SpecialToken", {}).get("id") for part in single]
            place = around.index(None)
            before, after = around[:place], around[place + 1 :]
            if before not in ([], [first]) or after not in ([], [last]):
                yield f"post-processor that adds {', '.join(t for t in around if t is not None)}"
        elif kind != "ByteLevel":
            yield f"post-processor {kind}"
