"""Importing a module so that it counts its assertions, and its helpers with it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from pytest_contracts.asserting.helpers import Counter
from pytest_contracts.asserting.rewriting import COUNTER, rewrite

Explain = Callable[[ast.Module, bytes, str], None]
"""pytest's rewriting, by which a failing assertion explains itself."""


class CountingLoader(SourceFileLoader):
    """Loads a module that counts its assertions; nothing of it is kept in a cache of bytecode."""

    def __init__(
        self,
        name: str,
        path: str,
        counter: Counter,
        explain: Explain | None,
        procedures: Collection[str] = (),
    ) -> None:
        super().__init__(name, path)
        self._counter = counter
        self._explain = explain
        self._procedures = procedures

    def get_code(self, fullname: str) -> CodeType:
        """Return the rewritten module's code."""
        source = self.get_data(self.path)
        tree = ast.parse(source, filename=self.path)
        rewrite(tree, self._procedures)
        if self._explain is not None:
            self._explain(tree, source, self.path)
        code: CodeType = compile(tree, self.path, "exec", dont_inherit=True)
        return code

    def exec_module(self, module: ModuleType) -> None:
        """Run the module, which finds its counter among its globals."""
        vars(module)[COUNTER] = self._counter
        super().exec_module(module)


class HelperFinder(MetaPathFinder):
    """Finds modules below ``roots`` that are in no package of ``judged``, and has them count."""

    def __init__(
        self,
        roots: Collection[Path],
        judged: Collection[str],
        counter: Counter,
        explain: Explain | None,
    ) -> None:
        self._roots = roots
        self._judged = judged
        self._counter = counter
        self._explain = explain

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        """Return what the other finders say, with a loader that rewrites."""
        if fullname.partition(".")[0] in self._judged:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None:
                break
        else:
            return None
        if not spec.has_location or spec.origin is None or not self._is_helper(Path(spec.origin)):
            return None
        explained = not isinstance(spec.loader, SourceFileLoader)  # pytest's own loader
        explain = self._explain if explained else None
        spec.loader = CountingLoader(fullname, spec.origin, self._counter, explain)
        return spec

    def _is_helper(self, path: Path) -> bool:
        within = any(map(path.resolve().is_relative_to, self._roots))
        return within and path.suffix == ".py" and "site-packages" not in path.parts


@contextmanager
def helpers_found_by(finder: HelperFinder) -> Iterator[None]:
    """Have modules that are imported within the block count, where they are helpers."""
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
