"""What an operator stands between: names, numbers, calls, bars, big operators, indices, sets."""

from __future__ import annotations

from pytest_contracts.formula.precedence import BIT_OR, PRODUCT, SIGN
from pytest_contracts.formula.reading.binders import bind_subscripts, implied_domain
from pytest_contracts.formula.reading.cursor import CONSTANTS, Cursor
from pytest_contracts.formula.reading.lexer import Token
from pytest_contracts.formula.tree import (
    Array,
    Binary,
    Call,
    Compare,
    Constant,
    Dots,
    Each,
    Expr,
    Index,
    Interval,
    Members,
    Name,
    Number,
    Slice,
    Unary,
)

MAX_ITEMS = 1000
_ATTRIBUTES = {"shape": "shape", "size": "size", "ndim": "ndim", "T": "T"}


class Operands(Cursor):
    """Parses operands and what follows them."""

    def operand(self) -> Expr:
        """Parse what an operator stands between."""
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
        raise self.error(f"expected a value, found {self.found()}")

    def named(self) -> Expr:
        """Parse a name, a constant or a call."""
        token = self.advance()
        if token.text in CONSTANTS:
            return Constant(CONSTANTS[token.text], offset=token.offset)  # type: ignore[arg-type]
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
        """Parse what is in parentheses."""
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
        """Parse an absolute value or a norm."""
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
        """Parse what follows √."""
        self.deeper()
        argument = self.operand()
        self.nesting -= 1
        while self.at("[") or self._at_subscript():
            argument = self.index(argument)
        if self.at("**") or self.current.kind == "superscript":
            raise self.error("√ before a power is ambiguous", None, "write √(x²) or (√x)²")
        return Call("sqrt", (argument,), offset=token.offset)

    def big_operator(self) -> Expr:
        """Parse Σ or Π."""
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

    def _at_subscript(self) -> bool:
        token = self.current
        return token.kind == "name" and token.text[0] == "_" and not token.spaced

    def followed(self, node: Expr) -> Expr:
        """Parse calls, indices, powers and transpositions that follow an operand."""
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
        """Parse one of the few attributes there are."""
        token = self.current
        if token.kind != "name" or token.text not in _ATTRIBUTES:
            raise self.error(
                f"attribute access is not part of the formula language: {self.found()}",
                None,
                f"only {', '.join('.' + name for name in _ATTRIBUTES)} are known",
            )
        self.advance()
        return Call(_ATTRIBUTES[token.text], (node,), offset=token.offset)

    def index(self, base: Expr) -> Expr:
        """Parse an index or a subscript."""
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
        """Parse one index, slice or "..." of several."""
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
        """Parse a call's arguments."""
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
        """Parse the loop of a reduction."""
        offset = self.expect("for").offset
        variable = self.identifier("a variable").text
        self.expect("in")
        domain = self.domain()
        self.deeper()
        if self.at("for"):
            body = self.each(body)
        self.nesting -= 1
        return Each(variable, domain, bind_subscripts(body, variable), offset=offset)

    def domain(self) -> Expr:
        """Parse the domain of a bound variable."""
        if self.at("{"):
            return self.members()
        return self.range_or_value()

    def range_or_value(self) -> Expr:
        """Parse "a..b" or a value."""
        start = self.expression(BIT_OR)
        offset = self.current.offset
        if not self.accept(".."):
            return start
        stop = self.expression(BIT_OR)
        zero = isinstance(start, Number) and start.value == 0
        return Call("range", (stop,) if zero else (start, stop), offset=offset)

    def members(self) -> Expr:
        """Parse a set."""
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
        """Parse what stands right of "in"."""
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
                f"expected the end of an interval, found {self.found()}",
                None,
                "a set is written {a, b, c}",
            )
        closing = self.advance()
        return Interval(low, high, opening.text == "[", closing.text == "]", offset=opening.offset)


def _integer(token: Token) -> Expr:
    if token.text.startswith("-"):
        return Unary("-", Number(-token.value, offset=token.offset), offset=token.offset)
    return Number(token.value, offset=token.offset)
