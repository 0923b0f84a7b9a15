from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from inference.errors import DownloadError
from inference.hub import registry
from inference.hub.cache import cache_dir, cached, cached_models, place_of, remove, staging_of
from inference.hub.download import pull
from inference.hub.registry import HUB, Entry

from .conftest import CONTENT, Hub


def test_the_folder_is_the_users_unless_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APR_CACHE", "~/models")
    assert cache_dir() == Path.home() / "models"
    monkeypatch.delenv("APR_CACHE")
    assert cache_dir().name == "apr"


def test_models_are_found_by_id(hub: Hub, registered: Entry) -> None:
    assert cached("tiny") is None
    assert cached_models() == {}
    path = pull("tiny")
    assert cached("tiny") == path
    assert cached_models() == {"tiny": path}
    with pytest.raises(DownloadError, match="no model 'other'"):
        cached("other")


@pytest.mark.parametrize("stamp", ["", "[]", "not json", '{"sha256": "0"}', None])
def test_a_broken_stamp_verifies_nothing(hub: Hub, entry: Entry, stamp: str | None) -> None:
    path = pull(entry)
    place = path.with_name("verified.json")
    place.unlink() if stamp is None else place.write_text(stamp)
    assert cached(entry) is None


def test_another_digest_in_the_registry_needs_another_check(hub: Hub, entry: Entry) -> None:
    assert pull(entry) == cached(entry)
    assert cached(replace(entry, sha256="0" * 64)) is None


def test_removing_frees_the_model_and_what_was_staged(hub: Hub, registered: Entry) -> None:
    path = pull("tiny")
    staging_of(registered).write_bytes(b"left over")
    assert remove("tiny") == len(CONTENT) + 9
    assert not path.parent.exists()
    assert cached("tiny") is None
    assert remove(registered) == 0
    assert not place_of(registered).exists()


def test_the_hub_is_the_default_endpoint(entry: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_ENDPOINT")
    assert entry.hub_url == f"{HUB}/someone/tiny/resolve/main/tiny.gguf"
    assert registry.entry_of("smollm2-135m-instruct").size == 98_362_432
