"""Whether a function that is not rewritten asserts; for helpers that were imported before."""

from __future__ import annotations

import ast
import sysconfig
import threading
from collections.abc import Callable, Collection
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Any, TypeVar

from pytest_contracts.asserting.meaning import Function, called_name, fails, says_something
from pytest_contracts.asserting.rewriting import COUNTER, asserts_by_name, expects
from pytest_contracts.asserting.tally import TALLY, Tally
from pytest_contracts.binding import unwrapped

T = TypeVar("T")

_LIBRARY = tuple(Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib"))


class Counter:
    """What a rewritten module counts with; ``judged`` names the modules of what is judged.

    An implementation's own assertions are no claims about it.
    """

    def __init__(self, judged: Callable[[], Collection[str]], tally: Tally = TALLY) -> None:
        self._judged = judged
        self._tally = tally
        self._known: dict[CodeType, bool] = {}
        self.note = tally.note
        self.each = tally.each
        self.value = tally.value

    def called(self, function: T) -> T:
        """Count the call of a function elsewhere that asserts; return the function."""
        code = getattr(function, "__code__", None)
        if code is not None:
            known = self._known.get(code)
            if known is None:
                known = self._known[code] = self._asserts(function)
            if known:
                self._tally.note()
        return function

    def unheard_of(self, error: AssertionError) -> None:
        """Keep an assertion's failure, unless it is one of an implementation's own."""
        last = error.__traceback__
        while last is not None and last.tb_next is not None:
            last = last.tb_next
        if last is None or last.tb_frame.f_globals.get("__name__") not in self._judged():
            self._tally.unheard_of(error)

    def _asserts(self, function: Any) -> bool:
        inner = unwrapped(function)
        code = getattr(inner, "__code__", None)
        if code is None or COUNTER in getattr(inner, "__globals__", {}):
            return False
        path, module = Path(code.co_filename), str(getattr(inner, "__module__", ""))
        judged = self._judged()
        if module in judged or "site-packages" in path.parts or _is_library(path):
            return False
        function = _function(code.co_filename, code.co_name, code.co_firstlineno)
        if function is None:
            return False
        if module.partition(".")[0] in {name.partition(".")[0] for name in judged}:
            # In the package of what is judged, what gives an answer may assert for itself.
            answers = (n for n in ast.walk(function) if isinstance(n, ast.Return | ast.Yield))
            if any(node.value is not None for node in answers):
                return False
        return _asserts(code.co_filename, function)


_PARSING = threading.RLock()
"""In Python 3.11 two threads that parse at once make each other fail: the depth is one number."""


def _tree(path: str) -> ast.Module:
    with _PARSING:
        return _parsed(path)


@cache
def _parsed(path: str) -> ast.Module:
    try:
        return ast.parse(Path(path).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return ast.Module([], [])


def _is_library(path: Path) -> bool:
    return any(map(path.is_relative_to, _LIBRARY))


def _functions(path: str) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(_tree(path)) if isinstance(node, Function)]


def _function(path: str, name: str, line: int) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    named = (function for function in _functions(path) if function.name == name)
    return next((function for function in named if _first_line(function) == line), None)


def _asserts(path: str, function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Tell whether a function asserts, or one of its file does that it calls."""
    by_name = {node.name: node for node in _functions(path)}
    waiting, seen = [function], set()
    while waiting:
        function = waiting.pop()
        seen.add(function.name)
        for node in ast.walk(function):
            if _is_assertion(node):
                return True
            if isinstance(node, ast.Call):
                called = by_name.get(called_name(node))
                if called is not None and called.name not in seen:
                    waiting.append(called)
    return False


def _first_line(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return min([function.lineno, *(d.lineno for d in function.decorator_list)])


def _is_assertion(node: ast.AST) -> bool:
    match node:
        case ast.Assert(test=test):
            return says_something(test)
        case ast.Raise(exc=ast.expr() as error):
            return "AssertionError" in ast.unparse(error)
        case ast.Call():
            return asserts_by_name(node)
        case ast.With(items=items):
            return any(expects(item.context_expr) for item in items)
        case ast.Expr():
            return fails(node)
    return False
