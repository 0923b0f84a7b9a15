"""What a function's behaviour rests on, read from its sources."""

from __future__ import annotations

import functools
import importlib
import math

import pytest

from pytest_contracts.ledger.sources import SourceTree

FILES = {
    "pkg/__init__.py": "from pkg.unused import nothing\nVALUE = 1\n",
    "pkg/unused.py": "nothing = 0\n",
    "pkg/kernel.py": """
from __future__ import annotations
from typing import TYPE_CHECKING
import pkg.sub.deep
from . import sibling
from .sub import given
if TYPE_CHECKING:
    from pkg import types_only

def kernel():
    import lazy
    from pkg.missing import gone
    return open("kernel.cu"), "table.bin", "not/here.txt"

class Callable:
    def __call__(self):
        return 1
""",
    "pkg/sibling.py": "from pkg import kernel\n",
    "pkg/types_only.py": "",
    "pkg/kernel.cu": '#include "inc/a.cuh"\n#include <cuda.h>\n',
    "pkg/inc/a.cuh": '  #  include "b.cuh"\n',
    "pkg/inc/b.cuh": '#include "a.cuh"\n',
    "pkg/table.bin": "00",
    "pkg/sub/__init__.py": "from .deep import given\n",
    "pkg/sub/deep.py": "given = 2\n",
    "lazy.py": "import numpy, os\nfrom pkg import VALUE\n",
    "broken.py": "def f(: pass\n",
    ".venv/lib/site-packages/installed.py": "def f(): pass\n",
}


@pytest.fixture
def tree(tmp_path, monkeypatch):
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend(tmp_path / ".venv/lib/site-packages")
    before = set(importlib.sys.modules)
    yield SourceTree(tmp_path)
    for name in set(importlib.sys.modules) - before:
        del importlib.sys.modules[name]


def test_imports_and_named_files_are_followed(tree):
    kernel = importlib.import_module("pkg.kernel")
    expected = (
        "lazy.py",
        "pkg/__init__.py",
        "pkg/inc/a.cuh",
        "pkg/inc/b.cuh",
        "pkg/kernel.cu",
        "pkg/kernel.py",
        "pkg/sibling.py",
        "pkg/sub/__init__.py",
        "pkg/sub/deep.py",
        "pkg/table.bin",
        "pkg/unused.py",
    )
    assert tree.files([kernel.kernel]) == expected
    assert tree.files([functools.partial(kernel.kernel)]) == expected
    assert tree.files([kernel.Callable()]) == expected
    assert "lazy" not in importlib.sys.modules, "nothing is imported to find out"


def test_a_package_on_the_way_is_not_followed(tree):
    deep = importlib.import_module("pkg.sub.deep")

    def given():
        return deep.given

    given.__module__ = "pkg.sub.deep"
    assert tree.files([given]) == ("pkg/sub/deep.py",)


def test_installed_code_is_known_by_its_module_and_not_followed(tree):
    installed = importlib.import_module("installed")
    assert tree.files([installed.f]) == ("module:installed",)
    assert tree.digest("module:installed") is not None
    assert tree.files([], [installed.f]) == ()


def test_code_without_a_file_has_no_sources(tree):
    assert tree.files([math.prod.__class__, print]) == ()


def test_digest_is_of_the_file_as_it_is_now(tree):
    path = tree.root / "lazy.py"
    first = tree.digest("lazy.py")
    path.write_text(path.read_text() + "# changed\n")
    assert tree.digest("lazy.py") != first
    path.unlink()
    assert tree.digest("lazy.py") is None
    assert tree.digest("module:no.such.module") is None
