"""A function that is called by address: compiled by itself, cached, and heard when it fails."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SOURCE = """
from numba import types

from inference.kernels.cpu.apart import calling, code_of
from inference.kernels.cpu.compiled import njit

WORK = types.int64(types.int64, types.float64)
call = calling(WORK)


@njit(cache=True, nogil=True)
def divided(a, b):
    return int(a / b)


@njit(cache=True, nogil=True)
def rounded(a, b):
    return a + b


@njit(nogil=True)
def none(a, b):
    pass


@njit(nogil=True)
def both(code, a, b):
    return 10 * call(code, (a, b)) + call(code, (1, 1))
"""


@pytest.fixture
def module(tmp_path: Path) -> Callable[[], Any]:
    """Import the same file anew, as the next process would."""
    path = tmp_path / "apart_here.py"
    path.write_text(SOURCE)

    def load() -> Any:
        spec = importlib.util.spec_from_file_location("apart_here", path)
        assert spec is not None
        assert spec.loader is not None
        found = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(found)
        return found

    return load


def test_it_is_called_whether_compiled_or_from_the_cache(module: Callable[[], Any]) -> None:
    for hits in (0, 1):
        here = module()
        code = here.code_of(here.divided, here.WORK)
        assert here.both(code, 7, 2) == 31, "arguments are converted to the signature's types"
        assert sum(here.divided.stats.cache_hits.values()) == hits


def test_what_it_raises_is_raised_by_its_caller(module: Callable[[], Any]) -> None:
    for _ in ("compiled", "from the cache"):
        here = module()
        with pytest.raises(ZeroDivisionError):
            here.both(here.code_of(here.divided, here.WORK), 7, 0)


@pytest.mark.parametrize("name", ["rounded", "none"])
def test_another_result_than_the_caller_reads_is_refused(
    name: str, module: Callable[[], Any]
) -> None:
    here = module()
    with pytest.raises(TypeError, match=r"returns (float64|none), not int64"):
        here.code_of(getattr(here, name), here.WORK)
