"""A module's tree with calls in it that count its assertions.

Counted are, once they held and where something could have made them fail: ``assert``, functions
called ``assert…``, ``pytest.raises`` and its like, an ``if`` that else raises, and calls of
functions elsewhere that assert. Line numbers stay, and so does what pytest explains.
"""

from __future__ import annotations

import ast
import copy
import sys
from collections.abc import Collection, Iterable
from itertools import accumulate
from operator import or_
from typing import TypeVar

from pytest_contracts.asserting.meaning import (
    Comprehension,
    Function,
    called_name,
    fails,
    fails_as_assertion,
    names_of,
    own_nodes,
    says_something,
)
from pytest_contracts.asserting.scope import Loop, Scope

N = TypeVar("N", bound=ast.AST)

COUNTER = "@asserting"
"""The name, which no source can contain, of what counts in a rewritten module."""
EXPECTATIONS = ("raises", "warns", "deprecated_call", "RaisesGroup")
"""Context managers that fail where the block under them does not."""
_COMPILED = ("jit", "vectorize", "stencil", "cfunc")
_TOLD = {"print", "log", "debug", "info", "warning", "error", "exception", "critical", "warn"}
_QUIET = sys.stdlib_module_names | {"numpy"}
"""Packages whose functions assert nothing but what is named so."""


def expects(call: ast.expr) -> bool:
    """Tell whether a context manager is one that demands an exception or a warning."""
    name = called_name(call)
    return isinstance(call, ast.Call) and (name in EXPECTATIONS or name.startswith("assert"))


def asserts_by_name(call: ast.Call) -> bool:
    """Tell whether a call asserts, by its name, something that could fail."""
    name = called_name(call)
    by_call = name in EXPECTATIONS and len(call.args) > 1
    if not (by_call or name.lower().startswith("assert")):
        return False
    arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
    return not arguments or any(names_of(argument) for argument in arguments)


def rewrite(module: ast.Module, procedures: Collection[str] = ()) -> None:
    """Make a module count its assertions; ``procedures`` are the functions that claims run.

    Whatever a procedure raises under an ``if`` is its verdict; elsewhere an error of the arguments
    is no assertion.
    """
    _Rewriter(module, procedures).visit_module()


def _call(method: str, argument: ast.expr | None, like: ast.AST) -> ast.Call:
    function = ast.Attribute(ast.Name(COUNTER, ast.Load()), method, ast.Load())
    call = ast.Call(function, [] if argument is None else [argument], [])
    return _placed(call, like)


def _placed(node: N, like: ast.AST) -> N:
    for part in ast.walk(node):
        if "lineno" in part._attributes and not hasattr(part, "lineno"):
            ast.copy_location(part, like)
    return node


def _note(like: ast.stmt) -> ast.stmt:
    return _placed(ast.Expr(_call("note", None, like)), like)


class _Rewriter:
    """Rewrites one module; ``_scope`` is that of the function whose body is being rewritten."""

    def __init__(self, module: ast.Module, procedures: Collection[str]) -> None:
        self._module = module
        self._procedures = procedures
        self._within = ""
        self._scope = Scope.of(module, Scope())
        self._own = {n.name for n in module.body if isinstance(n, Function | ast.ClassDef)}
        self._quiet = {
            alias.asname or alias.name.partition(".")[0]
            for node in ast.walk(module)
            if isinstance(node, ast.Import)
            for alias in node.names
            if alias.name.partition(".")[0] in _QUIET
        }
        self._called = {
            alias.asname: alias.name
            for node in ast.walk(module)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
            if alias.asname is not None
        }
        """What names stand for that an import gives a function."""
        self._turning: set[int] = set()
        """The loops and comprehensions, by identity, whose turns count."""

    def visit_module(self) -> None:
        self._mark(self._module.body)
        self._module.body = self._block(self._module.body, False)

    def _mark(self, body: list[ast.stmt]) -> None:
        """Note which loops and comprehensions the assertions of a body are about."""
        for node in own_nodes(body):
            if isinstance(node, ast.Assert) and says_something(node.test, self._scope.constants):
                self._turning.update(map(id, self._scope.fillers(node.test)))

    def _block(self, body: list[ast.stmt], failing_after: bool) -> list[ast.stmt]:
        """Return the statements of a block; ``failing_after``: behind it is one that fails."""
        behind = accumulate(map(_contains_failure, body[:0:-1]), or_, initial=failing_after)
        made: list[ast.stmt] = []
        for statement, failing in zip(body, reversed(list(behind)), strict=False):
            made += self._statement(statement, failing)
        return made

    def _statement(self, statement: ast.stmt, failing_after: bool) -> list[ast.stmt]:
        if isinstance(statement, Function):
            self._function(statement)
            return [statement]
        if isinstance(statement, ast.ClassDef):
            statement.body = self._block(statement.body, False)
            return [statement]
        if isinstance(statement, ast.Assert):
            return self._assertion(statement)
        before: list[ast.stmt] = []
        after: list[ast.stmt] = []
        muffled = _muffles(statement) and not failing_after
        expecting = isinstance(statement, ast.Try) and (
            failing_after or _contains_failure(statement)
        )
        if isinstance(statement, ast.If | ast.Match) and self._guards_failure(statement):
            before.append(_note(statement))
        items = statement.items if isinstance(statement, ast.With) else []
        if any(expects(item.context_expr) for item in items):
            after.append(_note(statement))
        self._expressions(statement)
        self._blocks(statement, failing_after)
        if isinstance(statement, Loop) and id(statement) in self._turning:
            statement.body.insert(0, _note(statement.body[0]))
        if expecting:
            assert isinstance(statement, ast.Try)
            for handler in statement.handlers:
                if _is_specific(handler):
                    handler.body.insert(0, _note(handler.body[0]))
        if muffled:
            assert isinstance(statement, ast.Try | ast.With)
            statement.body = [_heard(statement.body)]
        return [*before, statement, *after]

    def _function(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        if any(
            word in ast.unparse(decorator)
            for decorator in function.decorator_list
            for word in _COMPILED
        ):
            return  # a compiler reads the function: it would not know what counts
        outer, self._scope = self._scope, Scope.of(function, self._scope)
        caller, self._within = self._within, function.name
        self._mark(function.body)
        function.body = self._block(function.body, False)
        self._scope, self._within = outer, caller

    def _assertion(self, statement: ast.Assert) -> list[ast.stmt]:
        test = statement.test
        if not says_something(test, self._scope.constants):
            return [statement]
        fillers = self._scope.fillers(test)
        for node in ast.walk(test):
            if isinstance(node, Comprehension) and id(node) in self._turning:
                _count_turns(node)
        if fillers:
            return [statement]
        if isinstance(test, ast.Name):
            counted = _placed(ast.Expr(_call("value", copy.copy(test), statement)), statement)
            return [statement, counted]
        if isinstance(test, ast.Attribute):
            statement.test = _call("value", test, test)
            return [statement]
        return [statement, _note(statement)]

    def _guards_failure(self, statement: ast.If | ast.Match) -> bool:
        judges = fails if self._within in self._procedures else fails_as_assertion
        if isinstance(statement, ast.Match):
            asked = statement.subject
            inside = [part for case in statement.cases for part in case.body]
        else:
            asked, inside = statement.test, [*statement.body, *statement.orelse]
        return any(map(judges, inside)) and says_something(asked, self._scope.constants)

    def _expressions(self, statement: ast.stmt) -> None:
        """Rewrite the expressions of a statement, not of the statements within it."""
        for name, value in ast.iter_fields(statement):
            if isinstance(value, ast.expr):
                setattr(statement, name, self._expression(value))
            elif isinstance(value, list) and value and isinstance(value[0], ast.expr):
                setattr(statement, name, [self._expression(part) for part in value])
            elif isinstance(value, list) and value and isinstance(value[0], ast.withitem):
                for item in value:
                    item.context_expr = self._expression(item.context_expr)

    def _expression(self, expression: ast.expr) -> ast.expr:
        for node in list(ast.walk(expression)):
            if isinstance(node, ast.Call) and not _only_expects(node):
                method = self._counted_call(node)
                if method is not None:
                    node.func = _call(method, node.func, node.func)
            elif isinstance(node, Comprehension) and id(node) in self._turning:
                _count_turns(node)
        return expression

    def _counted_call(self, call: ast.Call) -> str | None:
        """Return by which method of the counter a call is counted, None for one that is not."""
        if asserts_by_name(call):
            return "each"
        function = call.func
        if isinstance(function, ast.Name):
            if self._called.get(function.id, "").lower().startswith("assert"):
                return "each"
            known = function.id in self._own or not names_of(function)
            return None if known or function.id.startswith("@") else "called"
        root: ast.expr = function
        while isinstance(root, ast.Attribute | ast.Call | ast.Subscript):
            root = root.func if isinstance(root, ast.Call) else root.value
        if isinstance(root, ast.Name):
            return None if root.id in self._quiet or root.id == COUNTER else "called"
        return None if isinstance(root, ast.Constant | ast.JoinedStr) else "called"

    def _blocks(self, statement: ast.stmt, failing_after: bool) -> None:
        for name, value in ast.iter_fields(statement):
            if not isinstance(value, list) or not value:
                continue
            if isinstance(value[0], ast.stmt):
                setattr(statement, name, self._block(value, failing_after))
            elif isinstance(value[0], ast.ExceptHandler | ast.match_case):
                for part in value:
                    part.body = self._block(part.body, failing_after)


def _only_expects(call: ast.Call) -> bool:
    """Tell whether a call only makes ready to expect: ``pytest.raises(ValueError)``."""
    return called_name(call) in EXPECTATIONS and len(call.args) < 2


def _count_turns(comprehension: Comprehension) -> None:
    """Count each turn of a comprehension: of its innermost condition, else of what it yields."""
    conditions = comprehension.generators[-1].ifs
    if conditions:
        conditions[0] = _call("each", conditions[0], conditions[0])
    elif isinstance(comprehension, ast.DictComp):
        comprehension.value = _call("each", comprehension.value, comprehension.value)
    else:
        comprehension.elt = _call("each", comprehension.elt, comprehension.elt)


def _contains_failure(statement: ast.stmt) -> bool:
    return any(isinstance(node, ast.stmt) and fails(node) for node in own_nodes([statement]))


def _catches(handler: ast.ExceptHandler) -> Iterable[str]:
    if handler.type is None:
        return ("BaseException",)
    parts = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return tuple(map(called_name, parts))


_ANY = {"AssertionError", "Exception", "BaseException"}


def _is_specific(handler: ast.ExceptHandler) -> bool:
    """Tell whether a handler waits for one kind of exception, as ``pytest.raises`` does."""
    return not {"Exception", "BaseException"} & set(_catches(handler))


def _muffles(statement: ast.stmt) -> bool:
    """Tell whether an assertion within a statement could fail and nobody would hear of it."""
    if isinstance(statement, ast.With):
        return any(
            called_name(item.context_expr) == "suppress"
            and isinstance(item.context_expr, ast.Call)
            and _ANY & set(map(called_name, item.context_expr.args))
            for item in statement.items
        )
    if not isinstance(statement, ast.Try) or _contains_failure(statement):
        return False
    deaf = any(_ANY & set(_catches(h)) and all(map(_is_deaf, h.body)) for h in statement.handlers)
    return deaf or any(isinstance(node, ast.Return) for node in own_nodes(statement.finalbody))


def _is_deaf(statement: ast.stmt) -> bool:
    """Tell whether a statement lets an exception pass, at most with a word about it."""
    match statement:
        case ast.Pass() | ast.Continue() | ast.Break() | ast.Return(value=None):
            return True
        case ast.Expr(value=ast.Constant()):
            return True
        case ast.Expr(value=ast.Call() as call):
            return called_name(call) in {*_TOLD, "skip"}
    return False


def _heard(body: list[ast.stmt]) -> ast.stmt:
    """Return a block that tells the counter of an assertion's failure before it goes on."""
    error = ast.Name("@error", ast.Load())
    handler = ast.ExceptHandler(
        ast.Name("AssertionError", ast.Load()),
        "@error",
        [ast.Expr(_call("unheard_of", error, body[0])), ast.Raise()],
    )
    return _placed(ast.Try(body, [handler], [], []), body[0])
