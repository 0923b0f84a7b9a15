"""Files of helpers that are read while the code under judgement runs on threads of its own."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pytest_contracts.asserting import helpers


@pytest.fixture
def _switching_while_parsing() -> Iterator[None]:
    """Have the collector run Python code often, as Hypothesis does: threads take turns there."""
    threshold = gc.get_threshold()

    def heard(phase: str, info: object) -> None:
        time.sleep(0)

    gc.callbacks.append(heard)
    gc.set_threshold(50)
    yield
    gc.set_threshold(*threshold)
    gc.callbacks.remove(heard)


@pytest.mark.usefixtures("_switching_while_parsing")
def test_threads_may_meet_helpers_of_different_files(tmp_path: Path) -> None:
    source = "def helper(x):\n    assert x > (1 + (2 * (3 - x)))\n" * 200
    paths = [tmp_path / f"{number}.py" for number in range(24)]
    for path in paths:
        path.write_text(source, encoding="utf-8")
    with ThreadPoolExecutor(4) as pool:
        trees = list(pool.map(helpers._tree, map(str, paths)))
    assert [len(tree.body) for tree in trees] == [200] * 24
