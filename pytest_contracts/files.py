"""Writing files so that each is either the old one or the whole new one."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_text(text: str, path: Path) -> None:
    """Write UTF-8 text to a temporary file beside ``path``, then rename it.

    Raises:
        OSError: the folder or the file cannot be written; ``path`` is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
