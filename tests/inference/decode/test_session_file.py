"""Sessions on disk: what comes back is what went in, or an error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import inference
from inference import Model, staging
from inference.data import TINY_MODEL
from inference.decode import session_file
from inference.errors import EngineError, InputError, ModelFileError

IDS = [5, 6, 7, 8]


@pytest.fixture
def saved(tiny: Model, tmp_path: Path) -> Path:
    session = tiny.session()
    session.advance(IDS)
    path = tmp_path / "talk.session"
    tiny.save_session(session, path)
    return path


def test_a_restored_session_goes_on_bit_for_bit(tiny: Model, saved: Path) -> None:
    back = tiny.load_session(saved)
    assert back.ids == tuple(IDS)
    session = tiny.session()
    session.advance(IDS)
    np.testing.assert_array_equal(back.advance([9]), session.advance([9]))
    assert [path.name for path in saved.parent.iterdir()] == ["talk.session"]


def test_an_empty_session_is_a_session(tiny: Model, tmp_path: Path) -> None:
    tiny.save_session(tiny.session(), tmp_path / "empty")
    assert tiny.load_session(tmp_path / "empty").length == 0


def test_another_model_or_path_is_refused(tiny: Model, saved: Path) -> None:
    with inference.load(TINY_MODEL) as other, pytest.raises(InputError, match="another model"):
        other.load_session(saved)
    with (
        inference.load(tiny.file.path, numerics="fused") as other,
        pytest.raises(InputError, match="another numeric path"),
    ):
        other.load_session(saved)


def test_a_failed_save_keeps_the_old_file(
    tiny: Model, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = saved.read_bytes()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(staging.os, "replace", full)
    with pytest.raises(ModelFileError, match="No space"):
        tiny.save_session(tiny.session(), saved)
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


def test_a_missing_file_is_named(tiny: Model, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        tiny.load_session(tmp_path / "nowhere")


def test_every_damage_is_a_typed_error(
    tiny: Model,
    saved: Path,
    mutations: Callable[..., Iterator[bytes]],
    overwrite: Callable[[Path, bytes], None],
) -> None:
    good = saved.read_bytes()
    refused = 0
    for place, broken in enumerate(mutations(good, 300, seed=7, upto=600)):
        overwrite(saved, broken)
        try:
            found = tiny.load_session(saved)
        except EngineError:
            refused += 1
        else:  # the damage hit nothing that is read
            assert found.ids == tuple(IDS), place
    assert refused > 200


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("values", lambda a: a + np.float32(1), "digest does not match"),
        ("ids", lambda a: a[::-1].copy(), "digest does not match"),
        ("ids", lambda a: a.astype(np.int32), "is not a saved session"),
    ],
)
def test_changed_values_are_noticed(
    tiny: Model, saved: Path, name: str, change: Callable[[Any], Any], message: str
) -> None:
    _rewrite(saved, {name: change}, keep_digest=True)
    with pytest.raises(ModelFileError, match=message):
        tiny.load_session(saved)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ids": lambda a: a[:-1].copy()}, "3 tokens, but keys"),
        ({"ids": lambda a: a + 10**6}, "not in the vocabulary"),
        ({"values": lambda a: a[:, :-1].copy()}, "but values"),
        ({"keys": lambda a: a[:-1].copy()}, "for 2 layers"),
        ({"keys": lambda a: a.reshape(-1)}, "4 tokens, but keys"),
    ],
)
def test_parts_that_disagree_are_refused(
    tiny: Model, saved: Path, changes: dict[str, Callable[[Any], Any]], message: str
) -> None:
    _rewrite(saved, changes, keep_digest=False)
    with pytest.raises(ModelFileError, match=f"does not fit: .*{message}"):
        tiny.load_session(saved)


def _rewrite(path: Path, changes: dict[str, Callable[[Any], Any]], *, keep_digest: bool) -> None:
    from safetensors import safe_open

    with safe_open(path, framework="np") as file:
        metadata = dict(file.metadata())
    arrays = load_file(path)
    for name, change in changes.items():
        arrays[name] = change(arrays[name])
    if not keep_digest:
        metadata["sha256"] = session_file._digest(arrays)
    save_file(arrays, path, metadata)
