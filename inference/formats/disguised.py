"""What lies where a model should: pointers, web pages and archives, by their first bytes."""

from __future__ import annotations

HEAD = 256
"""Bytes that are enough to tell."""


def disguise(head: bytes) -> str | None:
    """Say what a file is that begins with ``head``, and what to do; ``None``: nothing known."""
    if head[8:9] == b"{":  # safetensors, whose length in front may be any bytes
        return None
    start = head.lstrip()[:16].lower()
    if head.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer, not the file itself; run `git lfs pull` in its repository"
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "is a web page saved in place of the file (a log-in or an error?); download it again"
    if head.startswith((b"PK\x03\x04", b"\x80\x02", b"\x80\x04")):
        return "is an archive of pickled tensors (PyTorch's own format); convert it to safetensors"
    return None
