"""Text to syntax tree: a precedence-climbing parser for the grammar of the contract language.

From loosest to tightest: guards (``when``, ``where``, ``for all``), ``iff``, ``implies``,
``if``/``else``, ``or``, ``and``, ``not``, comparisons, ``|``, ``&``, shifts, sums, products, sign,
power, and what follows an operand (call, index, ``²``, ``ᵀ``). Ranges ``a..b`` exclude ``b``.
"""

from __future__ import annotations

from typing import Literal

from pytest_contracts.errors import FormulaError
from pytest_contracts.formula.lexer import Lexer, Token
from pytest_contracts.formula.scope import bind_subscripts, check_local_definitions, implied_domain
from pytest_contracts.formula.tree import (
    Array,
    Binary,
    Call,
    Compare,
    Conditional,
    Constant,
    Definition,
    Dots,
    Each,
    Expr,
    Index,
    Interval,
    Local,
    Logic,
    Members,
    Name,
    Number,
    Quantifier,
    Restrict,
    Slice,
    Unary,
    names,
)

MAX_NESTING = 100
MAX_ITEMS = 1000

IFF, IMPLIES, IF, OR, AND, NOT, COMPARISON, BIT_OR, BIT_AND, SHIFT, SUM, PRODUCT, SIGN, POWER = (
    range(1, 15)
)
_ARITHMETIC = {
    "|": BIT_OR,
    "&": BIT_AND,
    "<<": SHIFT,
    ">>": SHIFT,
    "+": SUM,
    "-": SUM,
    "*": PRODUCT,
    "/": PRODUCT,
    "//": PRODUCT,
    "%": PRODUCT,
    "@": PRODUCT,
}
_COMPARATORS = frozenset(["<", "<=", ">", ">=", "==", "!=", "approx", "in", "not in"])
_CONSTANTS = {
    "true": "true",
    "True": "true",
    "false": "false",
    "False": "false",
    "inf": "inf",
    "pi": "pi",
}
_ATTRIBUTES = {"shape": "shape", "size": "size", "ndim": "ndim", "T": "T"}


class _Parser:
    def __init__(self, text: str) -> None:
        self.lexer = Lexer(text)
        self.text = text
        self.current = self.lexer.token(0)
        self.nesting = 0
        self.in_bars = False
        self.grouped: Expr | None = None

    # -- tokens ---------------------------------------------------------------------------------

    def advance(self) -> Token:
        token = self.current
        self.current = self.lexer.token(token.end)
        return token

    def at(self, *operators: str) -> bool:
        return self.current.kind == "operator" and self.current.text in operators

    def at_word(self, word: str) -> bool:
        return self.current.kind == "name" and self.current.text == word

    def accept(self, operator: str) -> bool:
        if self.at(operator):
            self.advance()
            return True
        return False

    def error(
        self, message: str, token: Token | None = None, hint: str | None = None
    ) -> FormulaError:
        return self.lexer.error(message, (token or self.current).offset, hint)

    def expect(self, operator: str) -> Token:
        if not self.at(operator):
            raise self.error(f"expected '{operator}', found {self._found()}")
        return self.advance()

    def _found(self) -> str:
        token = self.current
        return token.text if token.kind == "end" else f"'{self.text[token.offset : token.end]}'"

    def identifier(self, what: str) -> Token:
        token = self.current
        if token.kind != "name" or token.text in _CONSTANTS or token.text[0] == "_":
            raise self.error(f"expected {what}, found {self._found()}")
        return self.advance()

    # -- claims ---------------------------------------------------------------------------------

    def claim(self) -> Expr:
        node = self.expression()
        while True:
            offset = self.current.offset
            if self.accept("when"):
                node = Logic("implies", (self.expression(), node), offset=offset)
            elif self.at_word("where"):
                self.advance()
                node = Restrict(node, self.expression(), offset=offset)
            elif self.at("for"):
                node = self._for_all(node)
            else:
                return node

    def _for_all(self, claim: Expr) -> Expr:
        offset = self.expect("for").offset
        if not self.at_word("all"):
            raise self.error(f"expected 'for all', found 'for' and {self._found()}")
        self.advance()
        variables = [self.identifier("a variable")]
        while self.accept(","):
            variables.append(self.identifier("a variable"))
        domain = self.domain() if self.accept("in") else None
        for variable in reversed(variables):
            claim = bind_subscripts(claim, variable.text)
            if variable.text not in names(claim):
                raise self.error(f"'{variable.text}' does not occur in the claim", variable)
            over = domain or implied_domain(claim, variable.text)
            # Without an index to range over, the variable is an input: the claim is made for
            # every input anyway.
            if over is not None:
                claim = Quantifier("forall", variable.text, over, claim, offset=offset)
        return claim

    def quantifier(self) -> Expr:
        token = self.advance()
        variables: list[tuple[Token, Expr | None]] = []
        while True:
            group = [self.identifier("a variable")]
            while self.accept(","):
                group.append(self.identifier("a variable"))
            domain = self.domain() if self.accept("in") else None
            variables += [(variable, domain) for variable in group]
            if not self.accept(","):
                break
        self.expect(":")
        with_bars, self.in_bars = self.in_bars, False
        body = self.claim()
        self.in_bars = with_bars
        kind: Literal["forall", "exists"] = "forall" if token.text == "forall" else "exists"
        for variable, domain in reversed(variables):
            body = bind_subscripts(body, variable.text)
            over = domain or implied_domain(body, variable.text)
            if over is None:
                raise self.error(
                    f"'{variable.text}' has no range",
                    variable,
                    f"write '{kind} {variable.text} in range(n): …'",
                )
            body = Quantifier(kind, variable.text, over, body, offset=token.offset)
        return body

    def domain(self) -> Expr:
        if self.at("{"):
            return self.members()
        return self.range_or_value()

    def range_or_value(self) -> Expr:
        start = self.expression(BIT_OR)
        offset = self.current.offset
        if not self.accept(".."):
            return start
        stop = self.expression(BIT_OR)
        zero = isinstance(start, Number) and start.value == 0
        return Call("range", (stop,) if zero else (start, stop), offset=offset)

    def members(self) -> Expr:
        offset = self.expect("{").offset
        return Members(self._items("}"), offset=offset)

    def _items(self, closing: str) -> tuple[Expr, ...]:
        with_bars, self.in_bars = self.in_bars, False
        items: list[Expr] = []
        while not self.at(closing):
            items.append(self.expression())
            if len(items) > MAX_ITEMS:
                raise self.error(f"more than {MAX_ITEMS} items")
            if not self.accept(","):
                break
        self.in_bars = with_bars
        self.expect(closing)
        return tuple(items)

    def membership(self) -> Expr:
        if self.at("{"):
            return self.members()
        if not self.at("[", "("):
            return self.range_or_value()
        opening = self.advance()
        with_bars, self.in_bars = self.in_bars, False
        low = self.expression()
        if not self.accept(","):
            raise self.error("expected ',' of an interval", None, "a set is written {a, b, c}")
        high = self.expression()
        self.in_bars = with_bars
        if not self.at("]", ")"):
            raise self.error(
                f"expected the end of an interval, found {self._found()}",
                None,
                "a set is written {a, b, c}",
            )
        closing = self.advance()
        return Interval(low, high, opening.text == "[", closing.text == "]", offset=opening.offset)

    # -- expressions ----------------------------------------------------------------------------

    def expression(self, minimum: int = IFF) -> Expr:
        self.deeper()
        node = self.prefix()
        while True:
            extended = self.infix(node, minimum)
            if extended is None:
                break
            node = extended
        self.nesting -= 1
        return node

    def deeper(self) -> None:
        """Count a level of recursion; whoever returns normally takes it back."""
        self.nesting += 1
        if self.nesting > MAX_NESTING:
            raise self.error(f"the formula nests deeper than {MAX_NESTING} levels")

    def infix(self, left: Expr, minimum: int) -> Expr | None:
        """Extend ``left`` by one operator, or return None when the next token does not bind."""
        token = self.current
        if token.kind != "operator" or (token.text == "|" and self.in_bars):
            return None
        operator = token.text
        power = _ARITHMETIC.get(operator)
        if power is not None and power >= minimum:
            self.advance()
            right = self.expression(power + 1)
            return Binary(operator, left, right, offset=token.offset)  # type: ignore[arg-type]
        if operator == "**" and minimum <= POWER:
            self.advance()
            return Binary("**", left, self.expression(SIGN), offset=token.offset)
        if (operator in _COMPARATORS or operator == "not") and minimum <= COMPARISON:
            return self.comparison(left)
        if operator in ("and", "or") and minimum <= (AND if operator == "and" else OR):
            return self.junction(left, token)
        looser = {"implies": IMPLIES, "iff": IFF}.get(operator, 0)
        if minimum <= looser:
            self.advance()
            sides = (left, self.expression(looser))
            return Logic(operator, sides, offset=token.offset)  # type: ignore[arg-type]
        if operator == "if" and minimum <= IF:
            self.advance()
            condition = self.expression(OR)
            self.expect("else")
            return Conditional(condition, left, self.expression(IF), offset=token.offset)
        return None

    def comparison(self, first: Expr) -> Expr:
        offset = self.current.offset
        rest = []
        while self.at(*_COMPARATORS, "not"):
            operator = self.advance().text
            if operator == "not":
                self.expect("in")
                operator = "not in"
            member = operator in ("in", "not in")
            rest.append((operator, self.membership() if member else self.expression(BIT_OR)))
        return Compare(first, tuple(rest), offset=offset)  # type: ignore[arg-type]

    def junction(self, left: Expr, token: Token) -> Expr:
        operands = [left]
        while self.accept(token.text):
            operands.append(self.expression(NOT if token.text == "and" else AND))
        return Logic(token.text, tuple(operands), offset=token.offset)  # type: ignore[arg-type]

    def prefix(self) -> Expr:
        token = self.current
        if token.kind == "operator":
            if token.text == "-":
                self.advance()
                return Unary("-", self.expression(SIGN), offset=token.offset)
            if token.text == "+":
                self.advance()
                return self.expression(SIGN)
            if token.text == "not":
                self.advance()
                return Unary("not", self.expression(NOT), offset=token.offset)
            if token.text in ("forall", "exists"):
                return self.quantifier()
            if token.text in ("Σ", "Π"):
                return self.big_operator()
        return self.followed(self.operand())

    def operand(self) -> Expr:
        token = self.current
        if token.kind == "number":
            self.advance()
            return Number(token.value, offset=token.offset)
        if token.kind == "name":
            return self.named()
        if self.accept("inf"):
            return Constant("inf", offset=token.offset)
        if self.accept("pi"):
            return Constant("pi", offset=token.offset)
        if self.at("("):
            return self.group()
        if self.at("["):
            self.advance()
            return Array(self._items("]"), offset=token.offset)
        if self.at("|", "‖"):
            return self.bars()
        if self.accept("√"):
            return self.root(token)
        if self.at("{"):
            raise self.error("a set stands only right of 'in'")
        raise self.error(f"expected a value, found {self._found()}")

    def named(self) -> Expr:
        token = self.advance()
        if token.text in _CONSTANTS:
            return Constant(_CONSTANTS[token.text], offset=token.offset)  # type: ignore[arg-type]
        if token.text[0] == "_":
            raise self.error(f"'{token.text}' is not a name", token)
        if token.text[-1] == "_":
            if self.at("{") and not self.current.spaced and len(token.text) > 1:
                base = Name(token.text[:-1], offset=token.offset)
                self.advance()
                return Index(base, self._items("}"), offset=token.offset)
            raise self.error(f"'{token.text}' is not a name", token)
        if self.at("(") and not self.current.spaced:
            return self.call(token)
        if token.text == "where":
            raise self.error("expected a value, found 'where'", token)
        return Name(token.text, offset=token.offset)

    def group(self) -> Expr:
        token = self.expect("(")
        with_bars, self.in_bars = self.in_bars, False
        node = self.claim()
        if self.accept(","):
            node = Array((node, *self._items(")")), offset=token.offset)
            self.in_bars = with_bars
            return node
        self.in_bars = with_bars
        self.expect(")")
        self.grouped = node
        return node

    def bars(self) -> Expr:
        token = self.advance()
        with_bars, self.in_bars = self.in_bars, True
        inner = self.expression(BIT_OR)
        self.in_bars = with_bars
        self.expect(token.text)
        if token.text == "|":
            return Call("abs", (inner,), offset=token.offset)
        return Call("norm", (inner, *self._norm_order()), offset=token.offset)

    def _norm_order(self) -> tuple[Expr, ...]:
        token = self.current
        if token.spaced:
            return ()
        if token.kind == "subscript":
            self.advance()
            return () if token.value == 2 else (Number(token.value, offset=token.offset),)
        if token.kind == "name" and token.text == "_F":
            self.advance()
            return ()
        if token.kind == "name" and token.text in ("_1", "_2"):
            self.advance()
            return () if token.text == "_2" else (Number(1, offset=token.offset),)
        if not self._at_subscript():
            return ()
        if token.text == "_":
            self.advance()
            if self.accept("inf"):
                return (Constant("inf", offset=token.offset),)
        raise self.error("a norm is ‖x‖, ‖x‖₁, ‖x‖₂, ‖x‖_F or ‖x‖_∞", token)

    def root(self, token: Token) -> Expr:
        self.deeper()
        argument = self.operand()
        self.nesting -= 1
        while self.at("[") or self._at_subscript():
            argument = self.index(argument)
        if self.at("**") or self.current.kind == "superscript":
            raise self.error("√ before a power is ambiguous", None, "write √(x²) or (√x)²")
        return Call("sqrt", (argument,), offset=token.offset)

    def big_operator(self) -> Expr:
        token = self.advance()
        function = "sum" if token.text == "Σ" else "prod"
        binding = self.current
        if binding.kind != "name" or binding.text[0] != "_" or binding.spaced:
            argument = self.expression(SIGN)
            if self.at("*", "@"):
                raise self.error(
                    f"{token.text} before a product is ambiguous",
                    None,
                    f"write {token.text}(a·b) or ({token.text} a)·b",
                )
            return Call(function, (argument,), offset=token.offset)
        self.advance()
        domain = None
        if binding.text == "_":
            self.expect("{")
            variable = self.identifier("a variable").text
            domain = self.domain() if self.accept("in") else None
            self.expect("}")
        else:
            variable = binding.text[1:]
        body = bind_subscripts(self.expression(PRODUCT), variable)
        over = domain or implied_domain(body, variable)
        if over is None:
            hint = f"write {token.text}_{{{variable}∈0..n}}"
            raise self.error(f"'{variable}' has no range", binding, hint)
        each = Each(variable, over, body, offset=token.offset)
        return Call(function, (each,), offset=token.offset)

    # -- what follows an operand ----------------------------------------------------------------

    def _at_subscript(self) -> bool:
        token = self.current
        return token.kind == "name" and token.text[0] == "_" and not token.spaced

    def followed(self, node: Expr) -> Expr:
        while True:
            token = self.current
            if self.at("[") or self._at_subscript():
                node = self.index(node)
            elif token.kind == "superscript":
                self.advance()
                node = Binary("**", node, _integer(token), offset=token.offset)
            elif self.accept("ᵀ"):
                node = Call("T", (node,), offset=token.offset)
            elif self.accept("."):
                node = self.attribute(node)
            elif self.at("(") and not token.spaced:
                raise self.error("only a named function can be called")
            else:
                return node

    def attribute(self, node: Expr) -> Expr:
        token = self.current
        if token.kind != "name" or token.text not in _ATTRIBUTES:
            raise self.error(
                f"attribute access is not part of the formula language: {self._found()}",
                None,
                f"only {', '.join('.' + name for name in _ATTRIBUTES)} are known",
            )
        self.advance()
        return Call(_ATTRIBUTES[token.text], (node,), offset=token.offset)

    def index(self, base: Expr) -> Expr:
        token = self.advance()
        if token.kind == "name":
            if token.text == "_":
                self.expect("{")
                return Index(base, self._items("}"), offset=token.offset)
            return Index(base, (self._subscript(token),), offset=token.offset)
        with_bars, self.in_bars = self.in_bars, False
        items = [self.index_item()]
        while self.accept(","):
            items.append(self.index_item())
        self.in_bars = with_bars
        self.expect("]")
        return Index(base, tuple(items), offset=token.offset)

    def _subscript(self, token: Token) -> Expr:
        text = token.text[1:]
        if text.isdecimal() and text.isascii():
            return Number(int(text[:20]), offset=token.offset)
        if not text.isidentifier():
            raise self.error(f"'{token.text}' is not a subscript", token)
        return Name(text, offset=token.offset)

    def index_item(self) -> Expr:
        token = self.current
        if self.accept("..."):
            return Dots(offset=token.offset)
        parts: list[Expr | None] = [None if self.at(":") else self.expression()]
        while self.accept(":"):
            parts.append(None if self.at(":", ",", "]") else self.expression())
        if len(parts) == 1 and parts[0] is not None:
            return parts[0]
        if len(parts) > 3:
            raise self.error("a slice is start:stop:step", token)
        return Slice(*parts, offset=token.offset)

    def call(self, name: Token) -> Expr:
        self.expect("(")
        with_bars, self.in_bars = self.in_bars, False
        arguments: list[Expr] = []
        keywords: list[tuple[str, Expr]] = []
        while not self.at(")"):
            argument = self.expression()
            if self.at("for"):
                arguments.append(self.each(argument))
            elif (
                isinstance(argument, Compare)
                and isinstance(argument.first, Name)
                and [operator for operator, _ in argument.rest] == ["=="]
                and argument.first.id in ("axis", "keepdims")
            ):
                keywords.append((argument.first.id, argument.rest[0][1]))
            elif keywords:
                raise self.error("a plain argument follows a keyword argument")
            else:
                arguments.append(argument)
            if len(arguments) > MAX_ITEMS:
                raise self.error(f"more than {MAX_ITEMS} arguments")
            if not self.accept(","):
                break
        self.in_bars = with_bars
        self.expect(")")
        if name.text == "approx" and len(arguments) == 2 and not keywords:
            return Compare(arguments[0], (("approx", arguments[1]),), offset=name.offset)
        if name.text == "range" and len(arguments) == 2:
            start = arguments[0]
            if isinstance(start, Number) and start.value == 0:
                arguments = arguments[1:]
        ordered = tuple(sorted(keywords, key=lambda keyword: keyword[0]))
        return Call(name.text, tuple(arguments), ordered, offset=name.offset)

    def each(self, body: Expr) -> Expr:
        offset = self.expect("for").offset
        variable = self.identifier("a variable").text
        self.expect("in")
        domain = self.domain()
        self.deeper()
        if self.at("for"):
            body = self.each(body)
        self.nesting -= 1
        return Each(variable, domain, bind_subscripts(body, variable), offset=offset)

    # -- whole texts ----------------------------------------------------------------------------

    def finish(self) -> None:
        """Accept the end of the text, or a trailing remark in parentheses."""
        if self.current.kind == "end":
            return
        remark = self.text[self.current.offset :].rstrip()
        if self.at("(") and self.current.spaced and _is_one_group(remark):
            return
        raise self.error(f"unexpected {self._found()} after the formula")

    def definition(self) -> Definition:
        name = self.identifier("the name that is defined")
        parameters: list[str] = []
        if self.accept("("):
            while not self.at(")"):
                parameter = self.identifier("a parameter")
                if parameter.text in parameters:
                    raise self.error(f"parameter '{parameter.text}' appears twice", parameter)
                parameters.append(parameter.text)
                if not self.accept(","):
                    break
            self.expect(")")
        if not self.accept("=="):
            raise self.error(
                f"expected '=' of a definition, found {self._found()}",
                None,
                "a definition is written name(x, y) = expression",
            )
        body = self.expression()
        if (
            isinstance(body, Compare)
            and body is not self.grouped
            and any(operator == "==" for operator, _ in body.rest)
        ):
            raise self.error(
                "a definition has one '='",
                name,
                "put a comparison that is part of the definition in parentheses",
            )
        return Definition(name.text, tuple(parameters), body, offset=name.offset)

    def whole_definition(self) -> Definition:
        main = self.definition()
        if not self.at_word("where"):
            return main
        offset = self.advance().offset
        local = [self.definition()]
        while self.accept(";") or self.accept(","):
            local.append(self.definition())
        check_local_definitions(self.lexer, main, local)
        body = Local(main.body, tuple(local), offset=offset)
        return Definition(main.name, main.parameters, body, offset=main.offset)


def _integer(token: Token) -> Expr:
    if token.value < 0:
        return Unary("-", Number(-token.value, offset=token.offset), offset=token.offset)
    return Number(token.value, offset=token.offset)


def _is_one_group(text: str) -> bool:
    depth = 0
    for position, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return position == len(text) - 1
    return False


def _located(error: FormulaError, text: str) -> FormulaError:
    return FormulaError(error.message, text=text, offset=error.offset or 0, hint=error.hint)


def parse(text: str) -> Expr:
    """Return the tree of a claim or of an expression.

    Raises:
        FormulaError: the text is not a formula; ``offset`` is the place.
    """
    parser = _Parser(text)
    try:
        node = parser.claim()
        parser.finish()
    except FormulaError as error:
        if error.offset is None:
            raise _located(error, text) from None
        raise
    return node


def parse_definition(text: str) -> Definition:
    """Return the tree of ``name(x, …) = body``, with local definitions after ``where``.

    Raises:
        FormulaError: the text is not a definition; ``offset`` is the place.
    """
    parser = _Parser(text)
    try:
        node = parser.whole_definition()
        parser.finish()
    except FormulaError as error:
        if error.offset is None:
            raise _located(error, text) from None
        raise
    return node
