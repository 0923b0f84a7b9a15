"""JSON from files that are not to be trusted."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inference.errors import ModelFileError, UnsupportedFormatError
from inference.formats.disguised import HEAD, disguise

MAX_FILE = 1 << 28
_SURROGATE = re.compile("[\ud800-\udfff]")


def parse_object(
    data: bytes, path: Path, what: str, *, offset: int | None = None
) -> dict[str, Any]:
    """Return the JSON object in ``data``; of two equal keys the last wins.

    ``ModelFileError`` when it is not UTF-8, not JSON, nested too deeply or not an object.
    """
    try:
        value = json.loads(data.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(path, f"{what} is not valid JSON: {error}", offset=offset) from error
    if not isinstance(value, dict):
        raise ModelFileError(path, f"{what} is not a JSON object", offset=offset)
    return value


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object that a file holds."""
    try:
        if not path.is_file():
            raise ModelFileError(path, "no such file")
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        raise ModelFileError(path, f"cannot be read: {error.strerror or error}") from error
    if (disguised := disguise(data[:HEAD])) is not None:
        raise UnsupportedFormatError(path, disguised, offset=0)
    if len(data) > MAX_FILE:
        raise ModelFileError(path, f"is larger than {MAX_FILE:,} bytes")
    return parse_object(data, path, "the file")


def dump_object(value: Mapping[str, Any], *, indent: int | None = None) -> bytes:
    """Return UTF-8 JSON, compact unless indented; lone surrogates are kept as escapes.

    ``ValueError`` for floats that JSON lacks and for values nested too deeply.
    """
    try:
        text = json.dumps(
            value,
            ensure_ascii=False,
            allow_nan=False,
            indent=indent,
            separators=(",", ":") if indent is None else None,
        )
    except RecursionError as error:
        raise ValueError("values are nested too deeply") from error
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text).encode()


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")
