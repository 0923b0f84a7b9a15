"""How much one evaluation may do: steps, elements, nesting; shared by all that it calls.

A formula comes from a file, and must neither run for ever nor fill the memory. The definitions of
equations call each other, so the limits hold for an evaluation with all those inside it; otherwise
a chain of forty definitions, each calling the one before twice, would never end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from pytest_contracts.errors import FormulaError

MAX_STEPS = 300_000
"""Nodes that one formula, or one call of a definition, may evaluate."""
MAX_INNER_STEPS = 1_000_000
"""Nodes that all calls of definitions below one formula may evaluate."""
MAX_WORK = 1 << 27
"""Elements that all operations below one formula may read and make; 1 GiB of float64."""
MAX_NESTING = 150
"""Levels of syntax trees that may wait for each other."""
MULTIPLICATIONS_PER_ELEMENT = 16
STEPS_OF_A_CALL = 10


class Budget:
    """What is left for an evaluation and those inside it."""

    def __init__(self) -> None:
        self.steps = MAX_INNER_STEPS
        self.work = MAX_WORK
        self.nesting = 0

    def spend(self, elements: int) -> None:
        """Count elements that an operation reads or makes.

        Raises:
            FormulaError: the limit is reached.
        """
        self.work -= elements
        if self.work < 0:
            raise FormulaError(f"the evaluation works on more than {MAX_WORK} elements")

    def step(self, steps: int) -> None:
        """Count the steps of a definition.

        Raises:
            FormulaError: the limit is reached.
        """
        self.steps -= steps + STEPS_OF_A_CALL
        if self.steps < 0:
            raise FormulaError(f"the evaluation takes more than {MAX_INNER_STEPS} steps")

    @contextmanager
    def deeper(self, levels: int) -> Iterator[None]:
        """Count the levels of a definition while it is evaluated.

        Raises:
            FormulaError: the limit is reached.
        """
        self.nesting += levels
        try:
            if self.nesting > MAX_NESTING:
                raise FormulaError(
                    f"definitions inside definitions nest deeper than {MAX_NESTING} levels"
                )
            yield
        finally:
            self.nesting -= levels

    def sharing(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function; evaluations that it starts count here."""
        token = _running.set(self)
        try:
            return function(*arguments)
        finally:
            _running.reset(token)


_running: ContextVar[Budget | None] = ContextVar("budget", default=None)


def current() -> Budget:
    """Return the budget of the evaluation that is under way, a full one where there is none."""
    return _running.get() or Budget()
