"""The notation of existing contract files: read into the same tree, or refused as prose.

``->`` and ``=>``, ``forall``, ``AND``, ``infinity``, ``x^2``, ``attn_{ij}``, ``xᵢ``, ``||x||``,
guards and quantifiers in words. Precision comes first: what could be meant in two ways is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pytest_contracts.errors import FormulaError
from pytest_contracts.formula.reading.wild.checks import check_reading
from pytest_contracts.formula.reading.wild.indices import close
from pytest_contracts.formula.reading.wild.parser import WildParser
from pytest_contracts.formula.tree import Call, Compare, Constant, Expr, Name, Words, rebuild, walk

__all__ = ["Reading", "read"]


@dataclass(frozen=True, slots=True)
class Reading:
    """A formula as it is understood.

    ``remark`` is what stands beside the claim and changes nothing of it. ``tolerance`` and
    ``in_ulp`` are what the text itself says: "within 4 ULP", "(tolerance 1e-12)".
    """

    tree: Expr
    remark: str = ""
    tolerance: float | None = None
    in_ulp: bool = False

    @property
    def words(self) -> tuple[str, ...]:
        """The conditions and domains in words, which only a binding can give a meaning."""
        found = (node.text for node in walk(self.tree) if isinstance(node, Words))
        return tuple(dict.fromkeys(text for text in found if text))


def read(text: str) -> Reading:
    """Return the reading of a formula of an existing contract file.

    Raises:
        FormulaError: it is prose, or ambiguous; ``offset`` is the place.
    """
    try:
        parser = WildParser(_sentence(text))
        tree = _settled(close(parser.whole()))
        check_reading(tree, text)
    except FormulaError as error:
        if error.offset is not None:
            raise
        raise FormulaError(error.message, text=text, offset=0, hint=error.hint) from None
    stated = re.fullmatch(r"tolerance (\d+(?:\.\d+)?(?:e-\d+)?)", parser.remark)
    tolerance = parser.guards.tolerance if stated is None else float(stated.group(1))
    return Reading(tree, parser.remark, tolerance, parser.guards.in_ulp)


def _sentence(text: str) -> str:
    """Return the text without the full stop of a sentence."""
    whole = text.rstrip()
    return whole[:-1] if whole.endswith(".") and not whole.endswith("..") else whole


def _settled(node: Expr) -> Expr:
    """Read ``|x| < ∞`` and ``|x| < ε`` as absolute values: no list is that long."""
    node = rebuild(node, _settled)
    if not isinstance(node, Compare) or len(node.rest) != 1:
        return node
    match node.first, node.rest[0][1]:
        case Call(function="magnitude") as size, (Constant(name="inf") | Name(id="tolerance")):
            absolute = Call("abs", size.arguments, offset=size.offset)
            return Compare(absolute, node.rest, offset=node.offset)
    return node
