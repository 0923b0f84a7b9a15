"""One formula, one tree, three uses: evaluate, render, compare.

A claim such as ``|Σ softmax(x) − 1| < ε`` is parsed once; ``judge`` decides it over arrays, and
what it reports is rendered from the tree that ran. A definition such as ``softmax(x) =
exp(x − max(x)) / Σ exp(x − max(x))`` becomes an oracle through ``as_function``. Row-wise
definitions name the axis and may define locally::

    attention(q, k, v) = w / sum(w, axis=-1, keepdims=true) @ v
        where s = q @ kᵀ / √(shape(q)[-1]); w = exp(s − max(s, axis=-1, keepdims=true))

The functions that exist are the rows of ``pytest_contracts.formula.library``; nothing else
resolves.

From below: ``tree``, ``operators`` and ``precedence`` are the language; ``reading`` makes trees of
texts, ``writing`` texts of trees; ``library`` holds the functions, ``evaluating`` the values of
nodes, ``judging`` the truth of claims and how far they are from failing.
"""

from __future__ import annotations

from pytest_contracts.formula.check import check
from pytest_contracts.formula.compare import same
from pytest_contracts.formula.distance import Closeness, closeness, noise_of
from pytest_contracts.formula.evaluating.evaluate import as_function, evaluate
from pytest_contracts.formula.judging.judge import judge, substituted
from pytest_contracts.formula.judging.judgement import Judgement
from pytest_contracts.formula.library import LIBRARY
from pytest_contracts.formula.reading.strict import parse, parse_definition
from pytest_contracts.formula.tree import Call, Definition, Expr, names, walk
from pytest_contracts.formula.values import Undefined
from pytest_contracts.formula.writing.latex import render_latex
from pytest_contracts.formula.writing.unicode import render_unicode

__all__ = [
    "LIBRARY",
    "Closeness",
    "Definition",
    "Expr",
    "Judgement",
    "Undefined",
    "as_function",
    "called_names",
    "check",
    "closeness",
    "evaluate",
    "free_names",
    "judge",
    "names",
    "noise_of",
    "parse",
    "parse_definition",
    "render_latex",
    "render_unicode",
    "same",
    "substituted",
]


def free_names(expr: Expr) -> frozenset[str]:
    """Return the names that an environment must provide: all but bound and library names."""
    values = names(expr, calls=False)
    return values | (names(expr) - LIBRARY.keys())


def called_names(expr: Expr) -> frozenset[str]:
    """Return the names of all functions called, the library's included."""
    return frozenset(node.function for node in walk(expr) if isinstance(node, Call))
