"""Definitions: ``name(x, …) = body``, with local ones after ``where``."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_contracts.formula.reading.lexer import Lexer
from pytest_contracts.formula.reading.parser import Parser
from pytest_contracts.formula.tree import Compare, Definition, Local, names


def definition(parser: Parser) -> Definition:
    """Parse ``name(x, …) = body``."""
    name = parser.identifier("the name that is defined")
    parameters: list[str] = []
    if parser.accept("("):
        while not parser.at(")"):
            parameter = parser.identifier("a parameter")
            if parameter.text in parameters:
                raise parser.error(f"parameter '{parameter.text}' appears twice", parameter)
            parameters.append(parameter.text)
            if not parser.accept(","):
                break
        parser.expect(")")
    if not parser.accept("=="):
        raise parser.error(
            f"expected '=' of a definition, found {parser.found()}",
            None,
            "a definition is written name(x, y) = expression",
        )
    body = parser.expression()
    if (
        isinstance(body, Compare)
        and body is not parser.grouped
        and any(operator == "==" for operator, _ in body.rest)
    ):
        raise parser.error(
            "a definition has one '='",
            name,
            "put a comparison that is part of the definition in parentheses",
        )
    return Definition(name.text, tuple(parameters), body, offset=name.offset)


def whole_definition(parser: Parser) -> Definition:
    """Parse a definition and its local ones."""
    main = definition(parser)
    if not parser.at_word("where"):
        return main
    offset = parser.advance().offset
    local = [definition(parser)]
    while parser.accept(";") or parser.accept(","):
        local.append(definition(parser))
    _check_local(parser.lexer, main, local)
    body = Local(main.body, tuple(local), offset=offset)
    return Definition(main.name, main.parameters, body, offset=main.offset)


def _check_local(lexer: Lexer, main: Definition, local: Sequence[Definition]) -> None:
    """Refuse repeated, shadowing and circular local definitions."""
    uses: dict[str, frozenset[str]] = {}
    for definition in local:
        taken = definition.name in uses or definition.name in (main.name, *main.parameters)
        if taken:
            raise lexer.error(f"'{definition.name}' is defined twice", definition.offset)
        uses[definition.name] = names(definition)
    pending = dict(uses)
    while pending:
        ready = [name for name, used in pending.items() if not (used & pending.keys())]
        if not ready:
            name = next(iter(pending))
            offset = next(d.offset for d in local if d.name == name)
            raise lexer.error(f"'{name}' is defined through itself", offset)
        for name in ready:
            del pending[name]
