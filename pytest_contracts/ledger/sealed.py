"""JSON documents that carry their own digest, so that an edit by hand shows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MAX_BYTES = 64 * 1024 * 1024


class UnreadableError(ValueError):
    """A file is no JSON object; the message says why, the caller knows what it was to be."""


def read(path: Path) -> dict[str, Any]:
    """Return the document in a file; whether its seal fits is another question.

    Raises:
        UnreadableError: there is none.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        document = json.loads(data) if len(data) <= MAX_BYTES else None
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"not JSON: {error}") from None
    if not isinstance(document, dict):
        raise UnreadableError("not a JSON object, or too large")
    return document


def seal(document: Mapping[str, Any]) -> str:
    """Return the SHA-256 of everything but the ``digest`` itself."""
    rest = {key: value for key, value in document.items() if key != "digest"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
