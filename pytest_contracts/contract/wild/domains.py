"""Domains of wild equations, ``x ∈ ℝ^n, n ≥ 1``, to variables, where they are understood."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pytest_contracts.contract.model import Variable
from pytest_contracts.where import Where

MAX_LENGTH = 2000
LARGEST = 8
"""How long an axis of a vector is drawn at most, where nothing bounds it."""

_REALS = re.compile(r"(?:ℝ|R)(?:\^?(?P<sizes>\w+|[({][^(){}]*[)}]))?")
_MEMBER = re.compile(r"(?P<names>[^\W\d]\w*(?:\s*,\s*[^\W\d]\w*)*)\s*(?:∈|\bin\b)\s*(?P<set>.+)")
_AT_LEAST = re.compile(r"(?P<name>[^\W\d]\w*)\s*(?P<sign>≥|>=|>)\s*(?P<bound>\d{1,6})")
_NUMBER = r"-?\d+(?:\.\d+)?(?:e-?\d+)?"
_INTERVAL = re.compile(
    rf"(?P<open>[\[(])\s*(?P<low>{_NUMBER})\s*,\s*(?P<high>{_NUMBER})\s*(?P<close>[\])])"
)
_ITEMS = re.compile(rf"\{{\s*{_NUMBER}(?:\s*,\s*{_NUMBER})*\s*\}}")


def read_domain(text: str, where: Where) -> tuple[Variable, ...]:
    """Return the variables that a domain in words and signs declares; what is unclear is left out.

    ``x ∈ ℝ^n`` is a float32 array of shape [n], ``ℝ^{n x d}`` one of two axes, ``p in [0, 1)`` a
    number; sizes are drawn from their least value (1 unless ``n ≥ 2`` says otherwise) to a few.
    """
    if len(text) > MAX_LENGTH:
        return ()
    found: dict[str, Any] = {}
    least: dict[str, int] = {}
    sizes: list[str] = []
    for part in _parts(text):
        if match := _AT_LEAST.fullmatch(part):
            bound = int(match["bound"]) + (match["sign"] == ">")
            least[match["name"]] = max(bound, least.get(match["name"], 0))
        elif match := _MEMBER.fullmatch(part):
            names = [name.strip() for name in match["names"].split(",")]
            for name in names:
                spec = _spec(match["set"].strip(), sizes)
                if spec is not None:
                    found[name] = spec
    for size in sizes:
        if not size.isdigit():
            lowest = least.get(size, 1)
            found.setdefault(size, f"{lowest}..{max(LARGEST, lowest + LARGEST - 1)}")
    return tuple(Variable(name, spec, where) for name, spec in found.items())


def _parts(text: str) -> Iterator[str]:
    depth, start = 0, 0
    pending = ""
    for position, character in enumerate(f"{text},"):
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            part = f"{pending}{text[start:position]}".strip()
            start = position + 1
            # "Q, K in R^n" is one statement about two names.
            if re.fullmatch(r"[^\W\d]\w*(?:\s*,\s*[^\W\d]\w*)*", part):
                pending = f"{part}, "
                continue
            pending = ""
            yield part


def _spec(written: str, sizes: list[str]) -> Any:
    if match := _REALS.fullmatch(written):
        axes = match["sizes"]
        if axes is None:
            return {"dtype": "float32"}
        listed = [axis.strip() for axis in re.split(r"\s+x\s+|×|,", axes.strip("(){}"))]
        if not all(re.fullmatch(r"[^\W\d]\w*|\d{1,4}", axis) for axis in listed):
            return None
        sizes += listed
        return {"dtype": "float32", "shape": tuple(_axis(axis) for axis in listed)}
    if match := _INTERVAL.fullmatch(written):
        low, high = float(match["low"]), float(match["high"])
        left_out = [low] if match["open"] == "(" else []
        left_out += [high] if match["close"] == ")" else []
        spec: dict[str, Any] = {"dtype": "float64", "range": (low, high)}
        return {**spec, "exclude": tuple(left_out)} if left_out else spec
    return written if _ITEMS.fullmatch(written) else None


def _axis(written: str) -> int | str:
    return int(written) if written.isdigit() else written
