"""Formulas typeset by the browser itself: LaTeX to MathML, no script and no font needed."""

from __future__ import annotations

import html
from functools import lru_cache
from xml.etree import ElementTree

from markupsafe import Markup

from pytest_contracts.errors import FormulaError
from pytest_contracts.formula import LIBRARY, Expr, parse, parse_definition, render_latex

# latex2mathml takes the first for variables, so that they would stand without space, and the
# second for operators, so that they would stand apart from their arguments.
_RELATIONS = frozenset("⟹⟺¬:")
_FUNCTIONS = frozenset(name for name, function in LIBRARY.items() if function.form.command)
_LONGEST = 4000


@lru_cache(maxsize=4096)
def typeset(formula: str, *, definition: bool = False) -> Markup | None:
    """Return a formula as a ``math`` element, None for one that cannot be typeset.

    It does not parse, it is very long, or the library refuses its LaTeX; the text is shown anyway.
    """
    if len(formula) > _LONGEST:
        return None
    try:
        return mathml(parse_definition(formula) if definition else parse(formula))
    except (FormulaError, RecursionError):
        return None


def mathml(tree: Expr) -> Markup | None:
    """Return a formula's tree as a ``math`` element, None where its LaTeX is refused."""
    # \operatorname would come apart into slanted letters where a name has an underscore.
    element = _converted(render_latex(tree).replace(r"\operatorname{", r"\mathrm{"))
    if element is None:
        return None
    element.attrib.pop("xmlns", None)  # HTML knows the element
    # Texts are handed out as character references, for the library's own writer to resolve.
    for part in element.iter():
        part.text = html.unescape(part.text) if part.text else None
    for part in element.iter():
        _join_word(part)
        if part.tag == "mi" and part.text in _RELATIONS:
            part.tag = "mo"
        elif part.tag == "mo" and part.text in _FUNCTIONS:
            part.tag = "mi"
    return Markup(ElementTree.tostring(element, encoding="unicode"))


def _converted(latex: str) -> ElementTree.Element | None:
    from latex2mathml import converter, exceptions

    refusals = tuple(  # they have no base of their own
        kind
        for kind in vars(exceptions).values()
        if isinstance(kind, type) and issubclass(kind, Exception)
    )
    try:
        return converter.convert_to_element(latex, display="block")
    except refusals:
        return None


def _join_word(row: ElementTree.Element) -> None:
    """Make one identifier of the upright letters of a name, to be read and spoken as a word."""
    letters = list(row)
    if row.tag != "mrow" or not letters or letters[0].get("mathvariant") != "normal":
        return
    if all(letter.tag in ("mi", "mn") and not len(letter) for letter in letters):
        word = "".join(letter.text or "" for letter in letters)
        row.clear()
        row.tag = "mi"
        row.text = word
        if len(word) == 1:
            row.set("mathvariant", "normal")
