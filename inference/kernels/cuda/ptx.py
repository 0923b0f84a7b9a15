"""What the text of a PTX module says about its kernels; no device and no compiler needed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_ENTRY = re.compile(
    r"\.visible\s+\.entry\s+(?P<name>\w+)\s*\((?P<parameters>.*?)\)(?P<attributes>.*?)"
    r"\{(?P<body>.*?)\n\}",
    re.DOTALL,
)
_SHARED_DECLARATION = re.compile(r"\.shared\s+\.align\s+\d+\s+\.b8\s+\w+\[(\d+)\]")
_SHARED_ACCESS_64 = re.compile(r"\b(?:ld|st|atom|red)\.shared\S*\s[^;]*\[%rd\d+")


@dataclass(frozen=True, slots=True)
class PtxEntry:
    """One kernel: its parameters and what stands in its body."""

    name: str
    parameters: int
    body: str

    def count(self, instruction: str) -> int:
        """Return how often an instruction, or the start of one ("dp4a"), stands in the body."""
        return len(re.findall(rf"(?<![\w.%]){re.escape(instruction)}\b", self.body))

    def reads(self, register: str) -> bool:
        """Tell whether the body reads a special register such as ``%ctaid.y``."""
        return re.search(rf"{re.escape(register)}\b", self.body) is not None

    @property
    def uses_f64(self) -> bool:
        """Whether any instruction or register is in double precision."""
        return re.search(r"\.f64\b", self.body) is not None

    @property
    def uses_local_memory(self) -> bool:
        """Whether values spill, or arrays live, in local memory."""
        return re.search(r"\.local\b|__local_depot", self.body) is not None

    @property
    def wide_shared_accesses(self) -> int:
        """Accesses to shared memory through a 64-bit address: slow, and needless."""
        return len(_SHARED_ACCESS_64.findall(self.body)) + self.count("cvta.shared")

    @property
    def shared_bytes(self) -> int:
        """Bytes of statically declared shared memory."""
        return sum(int(size) for size in _SHARED_DECLARATION.findall(self.body))


@dataclass(frozen=True, slots=True)
class PtxModule:
    """A PTX text, taken apart."""

    target: str
    address_size: int
    entries: Mapping[str, PtxEntry]


def parse_ptx(text: str) -> PtxModule:
    """Take a PTX module apart.

    Raises:
        ValueError: the text names no target or no address size.
    """
    target = re.search(r"^\.target\s+(\w+)", text, re.MULTILINE)
    address_size = re.search(r"^\.address_size\s+(\d+)", text, re.MULTILINE)
    if target is None or address_size is None:
        raise ValueError("not a PTX module: no .target or no .address_size")
    entries = {
        match["name"]: PtxEntry(
            match["name"], len(re.findall(r"\.param\b", match["parameters"])), match["body"]
        )
        for match in _ENTRY.finditer(text)
    }
    return PtxModule(target[1], int(address_size[1]), entries)
