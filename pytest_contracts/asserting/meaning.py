"""What can be told of an assertion from its text: whether anything could make it fail."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Collection, Iterator

_READS = {"open", "input", "eval", "exec", "vars", "globals", "locals", "__import__", "dir", "id"}
_PURE = frozenset(dir(builtins)) - _READS
"""Builtins that say the same of the same arguments in every run."""
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
Function = ast.FunctionDef | ast.AsyncFunctionDef
_DISPLAYS = (ast.Tuple, ast.List, ast.Set, ast.Dict)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def names_of(node: ast.AST, known: Collection[str] = ()) -> set[str]:
    """Return the names that an expression's value depends on.

    Left out: ``known`` constants, builtins, and what a comprehension over constants binds.
    """
    if isinstance(node, ast.Name):
        return set() if node.id in known or node.id in _PURE else {node.id}
    if isinstance(node, ast.Lambda):
        bound = {argument.arg for argument in ast.walk(node.args) if isinstance(argument, ast.arg)}
        return names_of(node.body, {*known, *bound})
    if isinstance(node, _COMPREHENSIONS):
        return _names_of_comprehension(node, known)
    return set().union(*(names_of(child, known) for child in ast.iter_child_nodes(node)))


def _names_of_comprehension(node: Comprehension, known: Collection[str]) -> set[str]:
    found: set[str] = set()
    bound = set(known)
    for clause in node.generators:
        found |= names_of(clause.iter, bound)
        bound |= {part.id for part in ast.walk(clause.target) if isinstance(part, ast.Name)}
    parts = [part for clause in node.generators for part in clause.ifs]
    parts += [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
    return found.union(*(names_of(part, bound) for part in parts))


def always_true(test: ast.expr) -> bool:
    """Tell whether an expression is true whatever its parts are."""
    if isinstance(test, ast.Constant):
        return bool(test.value)
    if isinstance(test, ast.Tuple | ast.List | ast.Set):
        return any(not isinstance(element, ast.Starred) for element in test.elts)
    if isinstance(test, ast.Dict):
        return any(key is not None for key in test.keys)
    if isinstance(test, ast.JoinedStr):
        return any(isinstance(part, ast.Constant) and part.value for part in test.values)
    if isinstance(test, ast.BoolOp):
        among = any if isinstance(test.op, ast.Or) else all
        return among(always_true(value) for value in test.values)
    if isinstance(test, ast.ListComp | ast.SetComp | ast.DictComp):
        return not any(clause.ifs for clause in test.generators)  # [a == b for …] has elements
    return isinstance(test, ast.Lambda | ast.GeneratorExp)


def says_something(test: ast.expr, known: Collection[str] = ()) -> bool:
    """Tell whether an asserted expression depends on anything, so that it could be false."""
    return not always_true(test) and bool(names_of(test, known))


def is_empty(node: ast.expr) -> bool:
    """Tell whether an expression is an empty display: ``[]``, ``()``, ``{}``, ``set()``."""
    if isinstance(node, _DISPLAYS):
        return not (node.keys if isinstance(node, ast.Dict) else node.elts)
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in {"list", "set", "dict", "tuple"}
        and not node.args
        and not node.keywords
    )


def is_literal(node: ast.expr, known: Collection[str] = ()) -> bool:
    """Tell whether an expression is a constant that nothing can change afterwards."""
    changeable = (ast.List, ast.Set, ast.Dict, *_COMPREHENSIONS)
    if any(isinstance(part, changeable) for part in ast.walk(node)):
        return False
    return not is_empty(node) and not names_of(node, known)


def called_name(node: ast.expr) -> str:
    """Return the last word of what a call calls: ``assert_allclose`` of ``np.testing.…``."""
    if isinstance(node, ast.Call):
        node = node.func
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def fails(statement: ast.stmt) -> bool:
    """Tell whether a statement does nothing but fail: raise, ``pytest.fail``, ``assert False``.

    What says that something is missing here does not fail: it skips.
    """
    match statement:
        case ast.Raise(exc=None):
            return False
        case ast.Raise(exc=error):
            assert error is not None
            name = called_name(error)
            return not ("Unavailable" in name or "skip" in name.lower())
        case ast.Expr(value=ast.Call(func=function)):
            return called_name(function) in {"fail", "exit"}
        case ast.Assert(test=ast.Constant(value=value)):
            return not value
    return False


def fails_as_assertion(statement: ast.stmt) -> bool:
    """Tell whether a statement fails as an assertion does, not for an argument that it refuses."""
    if isinstance(statement, ast.Raise) and statement.exc is not None:
        return called_name(statement.exc) in {"AssertionError", "Falsified"}
    return fails(statement)


def own_nodes(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """Yield every node of a body, without what is within functions and classes of its own."""
    waiting: list[ast.AST] = list(reversed(body))
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, Function | ast.ClassDef | ast.Lambda):
            waiting += reversed(list(ast.iter_child_nodes(node)))
