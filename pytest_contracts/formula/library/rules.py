"""Shape rules: the shape of a call's value, from the shapes of its arguments.

Each takes the call and the shapes of its arguments (one at least), and gives None where only the
values decide.
"""

from __future__ import annotations

from collections.abc import Sequence

from pytest_contracts.errors import FormulaError
from pytest_contracts.formula.shapes import Shape, fitting, shape_text
from pytest_contracts.formula.tree import Call, Constant, Expr, Number, Unary


def scalar(call: Call, shapes: Sequence[Shape]) -> Shape:
    """One number, or one text."""
    return ()


def same(call: Call, shapes: Sequence[Shape]) -> Shape:
    """The shape of the first argument."""
    return shapes[0]


def lined(call: Call, shapes: Sequence[Shape]) -> Shape:
    """The shape of the first argument; a number is a row of one."""
    return shapes[0] or (None if shapes[0] is None else (1,))


def fitted(call: Call, shapes: Sequence[Shape]) -> Shape:
    """The common shape of all arguments."""
    result = shapes[0]
    for other in shapes[1:]:
        result = fitting(result, other, call)
    return result


def reduced(call: Call, shapes: Sequence[Shape]) -> Shape:
    """The shape of the first argument without the axis that ``axis=`` names, or without all."""
    keywords = dict(call.keywords)
    if "axis" not in keywords:
        return None if "keepdims" in keywords else ()
    shape, position = shapes[0], _integer(keywords["axis"])
    if shape is None or position is None:
        return None
    if not -len(shape) <= position < len(shape):
        axes = f"{len(shape)} axes, {shape_text(shape)}"
        message = f"axis {position} does not exist in an array of {axes}"
        raise FormulaError(message, offset=call.offset)
    position %= len(shape)
    kept = keywords.get("keepdims", Constant("false"))
    if kept not in (Constant("true"), Constant("false")):
        return None
    one = (1,) if kept == Constant("true") else ()
    return (*shape[:position], *one, *shape[position + 1 :])


def reduced_or_fitted(call: Call, shapes: Sequence[Shape]) -> Shape:
    """Of one argument reduced, of several their common shape."""
    return reduced(call, shapes) if len(shapes) == 1 else fitted(call, shapes)


def transposed(call: Call, shapes: Sequence[Shape]) -> Shape:
    """The last two lengths swapped."""
    shape = shapes[0]
    return shape if shape is None or len(shape) < 2 else (*shape[:-2], shape[-1], shape[-2])


def rank(call: Call, shapes: Sequence[Shape]) -> Shape:
    """As many numbers as the argument has axes."""
    return None if shapes[0] is None else (len(shapes[0]),)


def row(call: Call, shapes: Sequence[Shape]) -> Shape:
    """One axis, of a length that the values decide."""
    return (None,)


def unknown(call: Call, shapes: Sequence[Shape]) -> Shape:
    """What the values decide, and the shapes alone do not."""
    return None


def _integer(node: Expr) -> int | None:
    sign = 1
    if isinstance(node, Unary):
        sign, node = -1, node.operand
    if isinstance(node, Number) and isinstance(node.value, int):
        return sign * node.value
    return None
