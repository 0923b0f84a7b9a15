"""Local definitions: evaluated when first used, in the scope where they stand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_contracts.errors import FormulaError
from pytest_contracts.formula.evaluating.evaluation import Evaluation
from pytest_contracts.formula.tree import Call, Definition, Local


class Lazy:
    """A local definition, and its value once it was used."""

    def __init__(self, definition: Definition, scope: Mapping[str, Any]) -> None:
        self.definition = definition
        self.scope = scope
        self._value: Any = None
        self._known = False

    def get(self, run: Evaluation, name: str) -> Any:
        """Return the value."""
        if self.definition.parameters:
            raise FormulaError(f"'{name}' is a function; call it", offset=self.definition.offset)
        if not self._known:
            with run.budget.deeper(self.definition.depth), run.scope({}, self.scope):
                self._value = run.value(self.definition.body)
            self._known = True
        return self._value


def local(run: Evaluation, node: Local) -> Any:
    """Return the value of a body among its local definitions, each usable in the others."""
    scope = dict(run.bound)
    scope.update({d.name: Lazy(d, scope) for d in node.definitions})
    with run.scope({}, scope):
        return run.value(node.body)


def local_call(run: Evaluation, node: Call, target: Lazy) -> Any:
    """Return the value of a call of a local definition."""
    definition = target.definition
    if not definition.parameters:
        raise FormulaError(f"'{node.function}' takes no arguments", offset=node.offset)
    if len(node.arguments) != len(definition.parameters):
        raise FormulaError(
            f"'{definition.name}' takes {len(definition.parameters)} arguments, "
            f"not {len(node.arguments)}",
            offset=node.offset,
        )
    values = [run.value(argument) for argument in node.arguments]
    bound = dict(zip(definition.parameters, values, strict=True))
    with run.budget.deeper(definition.depth), run.scope(bound, target.scope):
        return run.value(definition.body)
