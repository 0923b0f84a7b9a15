"""What a formula cannot do: reach out of its language, run for ever, or fill the memory."""

from __future__ import annotations

import resource
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_contracts.contract import load_text
from pytest_contracts.errors import FormulaError
from pytest_contracts.formula import as_function, evaluate, judge, parse, parse_definition
from pytest_contracts.items.equations import Equations
from pytest_contracts.items.observation import Observation

ENVIRONMENT = {"x": np.arange(5.0), "big": np.zeros(1 << 22), "f": lambda value: value}
# Far more than any of these takes on a quiet machine.
PATIENCE_S = 60


def refused(text: str) -> FormulaError:
    """Parse and judge a text; return the error that it must end in, in bounded time."""
    began = time.process_time()
    with pytest.raises(FormulaError) as caught:
        judge(parse(text), ENVIRONMENT, tolerance=1e-6)
    assert time.process_time() - began < PATIENCE_S
    return caught.value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x.__class__ = 1", "'__class__' is not part of the formula language"),
        ("x.__class__.__mro__[1].__subclasses__() = 1", "not part of the formula language"),
        ("f.__globals__ = 1", "'__globals__' is not part"),
        ("f.func_globals = 1", "attribute access is not part"),
        ("x.tofile = 1", "attribute access is not part"),
        ("x.data = 1", "attribute access is not part"),
        ("__import__(x) = 1", "'__import__' is not part"),
        ("__builtins__ = 1", "'__builtins__' is not part"),
        ("import os", "'import' is not part"),
        ("lambda: x", "'lambda' is not part"),
        ("(yield x) = 1", "'yield' is not part"),
        ("open('/etc/passwd') = 1", "a formula holds no strings"),
        ("open(x) = 1", "unknown function 'open'"),
        ("eval(x) = 1", "unknown function 'eval'"),
        ("exec(x) = 1", "unknown function 'exec'"),
        ("compile(x, x, x) = 1", "unknown function 'compile'"),
        ("getattr(x, f) = 1", "unknown function 'getattr'"),
        ("setattr(x, f, x) = 1", "unknown function 'setattr'"),
        ("vars(x) = 1", "unknown function 'vars'"),
        ("globals() = 1", "unknown function 'globals'"),
        ("type(x) = 1", "unknown function 'type'"),
        ("input() = 1", "unknown function 'input'"),
        ("print(x) = 1", "unknown function 'print'"),
        ("load(x) = 1", "unknown function 'load'"),
        ("environ[0] = 1", "unknown name 'environ'"),
        ("os = 1", "unknown name 'os'"),
        ("np = 1", "unknown name 'np'"),
        ("factorial(10**9) = 1", "unknown function 'factorial'"),
        ("(x := 3) = 1", "':=' is not part"),
        ("f(x)(x) = 1", ""),
        ("(f)(x) = 1", ""),
        ("{x}(x) = 1", ""),
    ],
)
def test_a_formula_reaches_nothing_outside_of_its_language(text: str, message: str) -> None:
    error = refused(text)
    assert message in error.message
    assert error.offset is not None


def test_functions_of_python_are_not_called_whatever_they_are_named() -> None:
    called: list[Any] = []
    with pytest.raises(FormulaError, match="call it"):
        evaluate(parse("trap + 1"), {"trap": called.append})
    with pytest.raises(FormulaError, match="compared by calling it"):
        judge(parse("forall i in range(3): trap = i"), {"trap": called.append})
    assert called == []


@pytest.mark.untraced
@pytest.mark.parametrize(
    "text",
    [
        "9**9**9 > 0",
        "2**10**9 > 0",
        "1 << 10**9 > 0",
        "10**400 > 0",
        "(10**300)**(10**300) > 0",
        "Σ_{i∈0..10**12} i = 0",
        "sum(i for i in range(10**12)) = 0",
        "sum(1 for i in range(10**300)) = 0",
        "∀ i ∈ 0..10**12: i ≥ 0",
        "∃ i ∈ 0..10**12: i < 0",
        "∀ i ∈ 0..1000: ∀ j ∈ 0..1000: i + j ≥ 0",
        "sum(sum(i·j for i in range(1000)) for j in range(1000)) = 0",
        "sorted(i for i in range(10**7)) = 0",
        "∀ i ∈ 0..299999: sum(big + i) ≥ 0",
        "∀ i ∈ 0..299999: big ≥ −i",
        "∃ i ∈ 0..299999: sum(big[i:]) > 0",
        "∃ i ∈ 0..299999: norm(sorted(big)) + i < 0",
    ],
)
def test_no_formula_runs_for_ever(text: str) -> None:
    refused(text)


BOMBS = [
    "zeros((10**9, 10**9)) = 0",
    "zeros((2**20, 2**20, 2**20)) = 0",
    "full((10**9,), 1) = 1",
    "eye(10**6) = 0",
    "range(10**18) = 0",
    "repeat(x, 10**12) = 0",
    "outer(big, big) = 0",
    "big[:2**13] @ ones((2**13, 2**13, 2)) = 0",
    "zeros((2**14, 2**9)) @ ones((2**9, 2**14)) = 0",
    "ones((2**12, 2**12))[range(2**20)] > 0",
    "reshape(big, (2**22, 1)) + reshape(big, (1, 2**22)) > 0",
    "stack(ones(2**22) for i in range(100000)) > 0",
    f"[{', '.join(['ones(2**22)'] * 400)}] > 0",
    f"concat({', '.join(['ones(2**20)'] * 400)}) > 0",
    f"stack({', '.join(['big + 1'] * 400)}) > 0",
    f"where(x > 0, {'+'.join(['ones(2**24)'] * 40)}, 1) > 0",
]


@pytest.mark.untraced
def test_no_formula_fills_the_memory() -> None:
    """All in one process, whose largest size is then known."""
    code = f"""
    import resource, sys
    import numpy as np
    from pytest_contracts.errors import FormulaError
    from pytest_contracts.formula import parse
    from pytest_contracts.formula import judge

    environment = {{"x": np.arange(5.0), "big": np.zeros(1 << 22)}}
    for text in {BOMBS!r}:
        try:
            judge(parse(text), environment)
        except FormulaError:
            continue
        sys.exit(text)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    assert int(done.stdout) < 2048 + before


HEAD = "metadata: {version: 1.0.0, dialect: strict, description: d}\nequations:\n"


def chain(links: int, body: str) -> dict[str, Any]:
    """Return what a formula sees of equations that each call the one before."""
    lines = ["  e0: {formula: 'e0(x) = x + 1'}"]
    lines += [f"  e{k}: {{formula: 'e{k}(x) = {body.format(k - 1)}'}}" for k in range(1, links)]
    contract = load_text(HEAD + "\n".join(lines) + "\n", Path("a-v1.yaml"))
    return Equations(contract, None, Observation()).environment()


@pytest.mark.untraced
@pytest.mark.parametrize(
    ("links", "body"),
    [
        (40, "e{0}(x) + e{0}(x)"),
        (10, "sum(e{}(x + i) for i in range(1000))"),
        (900, "e{}(x) + 1"),
        (20, "(" * 40 + "e{}(x)" + " + 1)" * 40),
    ],
)
def test_definitions_that_call_definitions_share_one_limit(links: int, body: str) -> None:
    began = time.process_time()
    known = {**chain(links, body), "x": 1.0}
    with pytest.raises(FormulaError, match=r"steps|nest deeper"):
        judge(parse(f"e{links - 1}(x) ≥ 0"), known)
    assert time.process_time() - began < PATIENCE_S


def test_definitions_may_call_each_other_in_any_order() -> None:
    known = chain(5, "2·e{}(x)")
    assert evaluate(parse("e4(x)"), {**known, "x": 1.0}) == 32
    text = f"{HEAD}  a: {{formula: 'a(x) = b(x) + 1'}}\n  b: {{formula: 'b(x) = 2·x'}}\n"
    contract = load_text(text, Path("a-v1.yaml"))
    later = Equations(contract, None, Observation()).environment()
    assert evaluate(parse("a(x)"), {**later, "x": 3.0}) == 7


def test_definitions_in_a_circle_are_refused() -> None:
    text = f"{HEAD}  a: {{formula: 'a(x) = b(x)'}}\n  b: {{formula: 'b(x) = a(x)'}}\n"
    contract = load_text(text, Path("a-v1.yaml"))
    known = Equations(contract, None, Observation()).environment()
    with pytest.raises(FormulaError, match="nest deeper"):
        evaluate(parse("a(1)"), known)


@pytest.mark.parametrize(
    "text",
    [
        "f(x) = a0 where " + "; ".join(f"a{k} = a{k + 1} + 1" for k in range(500)) + "; a500 = x",
        "f(x) = a0(x) where "
        + "; ".join(f"a{k}(y) = a{k + 1}(y) + a{k + 1}(y)" for k in range(40))
        + "; a40(y) = y",
    ],
)
def test_local_definitions_share_the_limit(text: str) -> None:
    with pytest.raises(FormulaError, match=r"steps|nest deeper"):
        as_function(parse_definition(text))(1.0)


@pytest.mark.parametrize("depth", [20, 60])
def test_the_deepest_formula_is_evaluated_without_exhausting_the_stack(depth: int) -> None:
    text = "(" * depth + "1" + " + 1)" * depth
    known = {"f": as_function(parse_definition(f"f(x) = {text} + x"))}
    assert evaluate(parse(f"{text} + f(0)"), known) == 2 * depth + 2


@pytest.mark.parametrize(
    "text",
    [
        *("(" * 5000, "√" * 5000, "−" * 9000, "[" * 5000, "|" * 5000, "¬" * 5000, "1+" * 4999),
        *("forall i in x: " * 600, "1 if " * 2000, "a implies " * 990, "f(" * 4000),
        *("x[" * 4000, "x_" * 4000),
    ],
)
def test_deep_nesting_is_refused_and_not_recursed_into(text: str) -> None:
    with pytest.raises(FormulaError) as caught:
        parse(text)
    assert len(str(caught.value)) < 2100
