"""Hugging Face directories: config.json beside one or several safetensors files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.errors import ModelFileError, UnsupportedFormatError
from inference.formats.base import TensorInfo
from inference.formats.hf.safetensors import read_safetensors
from inference.formats.jsonfile import read_object
from inference.formats.mapped import Closing
from inference.formats.names import from_hf
from inference.model.architectures import ARCHITECTURES, architecture_of_model_type

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"


_NESTED = "text_config"
_ABOUT_THE_TEXT = (
    "bos_token_id", "eos_token_id", "pad_token_id", "torch_dtype", "dtype", "tie_word_embeddings",
)  # fmt: skip
_TEXT_PARTS = ("language_model.model.", "model.language_model.", "language_model.lm_head.")
_OTHER_PARTS = ("vision_tower.", "multi_modal_projector.", "audio_tower.", "embed_vision.")
_BUFFER = ".rotary_emb.inv_freq"


class HfDirectory(Closing):
    """An open Hugging Face directory; ``metadata`` is its config.json.

    Of a multimodal model it is the text model alone: ``text_config`` and the tensors of the
    language model. Tensors of a model that was saved without its head lack the prefix ``model.``.
    The rotary frequencies that Transformers stored until 4.32 are computed, and left out.

    The offset of a tensor counts from the start of the shard that holds it.
    """

    format = "hf"

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not (self.path / "config.json").is_file():
            raise UnsupportedFormatError(
                self.path, "is a directory without config.json, so no Hugging Face model"
            )
        config = read_object(self.path / "config.json")
        self._multimodal = isinstance(config.get(_NESTED), dict)
        self.metadata: Mapping[str, Any] = _text_model(config) if self._multimodal else config
        self.shards = self._shards()
        found: list[tuple[int, TensorInfo]] = []
        self._shard_of: dict[str, int] = {}
        self._files = []
        try:
            for number, (shard, expected) in enumerate(self.shards):
                file, infos = read_safetensors(self.path / shard)
                self._files.append(file)
                self._check_listed(shard, expected, {info.file_name for info in infos})
                found += [(number, info) for info in infos]
            self.tensors: Mapping[str, TensorInfo] = self._named(found)
        except BaseException:
            self.close()
            raise

    def _shards(self) -> list[tuple[str, set[str] | None]]:
        """Return the names of the shards, each with the tensors that the index places in it."""
        index = self.path / INDEX
        if (self.path / SINGLE).is_file():  # a later save as one file leaves an index behind
            return [(SINGLE, None)]
        if not index.is_file():
            raise ModelFileError(self.path, f"has neither {SINGLE} nor {INDEX}{self._instead()}")
        weight_map = read_object(index).get("weight_map")
        if not isinstance(weight_map, dict) or not weight_map:
            raise ModelFileError(index, "has no weight_map")
        shards: dict[str, set[str]] = {}
        for tensor, shard in weight_map.items():
            if (
                not isinstance(shard, str)
                or Path(shard).name != shard
                or not shard.endswith(".safetensors")
            ):
                raise ModelFileError(index, f"names {str(shard)[:80]!r}, no safetensors file here")
            shards.setdefault(shard, set()).add(tensor)
        return sorted(shards.items())

    def _check_listed(self, shard: str, expected: set[str] | None, found: set[str]) -> None:
        if expected is not None and expected != found:
            odd = min(expected ^ found)
            raise ModelFileError(
                self.path / shard, f"the index and the shard disagree about tensor {odd!r}"
            )

    def _instead(self) -> str:
        """Say what is there where no weights are that can be read."""
        if (self.path / "adapter_config.json").is_file():
            return "; this is an adapter, open the model that it was trained on"
        other = next(
            (path.name for end in ("*.bin", "*.pt", "*.pth") for path in self.path.glob(end)), None
        )
        return "" if other is None else f"; {other} is no safetensors file: convert it"

    def _named(self, found: list[tuple[int, TensorInfo]]) -> dict[str, TensorInfo]:
        """Return the tensors of the text model by canonical name."""
        architecture = architecture_of_model_type(str(self.metadata.get("model_type")))
        without_head = any(info.file_name == "embed_tokens.weight" for _, info in found)
        tensors: dict[str, TensorInfo] = {}
        for number, info in found:
            usual = info.file_name
            if usual.endswith(_BUFFER):
                continue
            if self._multimodal:
                if usual.removeprefix("model.").startswith(_OTHER_PARTS):
                    continue
                usual = _in_the_text_model(usual)
            name = from_hf(f"model.{usual}" if without_head else usual, architecture)
            if name in tensors:
                shard = self.path / self.shards[number][0]
                raise ModelFileError(shard, f"tensor {info.file_name!r} occurs twice")
            tensors[name] = replace(info, name=name)
            self._shard_of[name] = number
        return tensors

    def raw(self, name: str) -> NDArray[np.uint8]:
        """Return the bytes of a tensor, shape [nbytes], as a read-only view."""
        info = self.tensors[name]
        return self._files[self._shard_of[name]].view(info.offset, info.nbytes)

    def close(self) -> None:
        """Release the memory maps."""
        for file in self._files:
            file.close()


def _text_model(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return config.json of the text model in a multimodal one."""
    shared = {key: config[key] for key in _ABOUT_THE_TEXT if config.get(key) is not None}
    text = {**shared, **config[_NESTED]}
    row = ARCHITECTURES.get(architecture_of_model_type(str(text.get("model_type"))))
    if row is not None:
        text["architectures"] = [row.hf_class]
    return text


def _in_the_text_model(name: str) -> str:
    """Return what a tensor of the language model is called where there is nothing else."""
    for part in _TEXT_PARTS:
        if name.startswith(part):
            kept = "lm_head." if part.endswith("lm_head.") else "model."
            return kept + name.removeprefix(part)
    return name
