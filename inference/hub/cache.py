"""Where pulled models are kept, and how a verified one is known again without hashing it.

Next to each model lies a stamp with the digest that was checked and the file's size and time of
change then; a model counts as cached while both still fit.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from pathlib import Path

from inference.hub.registry import MODELS, Entry, entry_of
from inference.staging import staged_file

_STAMP = "verified.json"


def cache_dir() -> Path:
    """Return the cache's folder: ``APR_CACHE``, or the user's cache folder for `apr`."""
    override = os.environ.get("APR_CACHE")
    if override:
        return Path(override).expanduser().absolute()
    from platformdirs import user_cache_path

    return user_cache_path("apr", appauthor=False)


def cached(entry: str | Entry) -> Path | None:
    """Return the path of a verified model, or None; reads no more than the stamp.

    ``DownloadError`` for an id that the registry does not know.
    """
    entry = entry_of(entry) if isinstance(entry, str) else entry
    path = place_of(entry)
    try:
        stamp = json.loads(_stamp_of(entry).read_text(encoding="utf-8"))
        return path if stamp == _stamp_for(entry, path) else None
    except (OSError, ValueError):
        return None


def cached_models() -> dict[str, Path]:
    """Return the registry's models that are here, by id."""
    found = ((entry.id, cached(entry)) for entry in MODELS.values())
    return {model_id: path for model_id, path in found if path is not None}


def remove(entry: str | Entry) -> int:
    """Delete a model and what is left of an interrupted pull; returns the bytes freed."""
    entry = entry_of(entry) if isinstance(entry, str) else entry
    freed = 0
    for path in (place_of(entry), staging_of(entry)):
        with contextlib.suppress(FileNotFoundError):
            size = path.stat().st_size
            path.unlink()
            freed += size
    shutil.rmtree(place_of(entry).parent, ignore_errors=True)
    return freed


def place_of(entry: Entry) -> Path:
    """Return where the model's file belongs once verified."""
    return cache_dir() / entry.id / entry.file


def staging_of(entry: Entry) -> Path:
    """Return the file that collects the model's bytes while it is pulled: always a prefix of it."""
    return cache_dir() / "staging" / f"{entry.id}.part"


def mark_verified(entry: Entry) -> None:
    """Record that the file at the model's place has just been found to have the right digest."""
    stamp = _stamp_of(entry)
    with staged_file(stamp, durable=False) as temporary:
        text = json.dumps(_stamp_for(entry, place_of(entry)))
        temporary.write_text(text, encoding="utf-8")


def _stamp_of(entry: Entry) -> Path:
    return place_of(entry).with_name(_STAMP)


def _stamp_for(entry: Entry, path: Path) -> dict[str, object]:
    status = path.stat()
    return {"sha256": entry.sha256, "size": status.st_size, "mtime_ns": status.st_mtime_ns}
