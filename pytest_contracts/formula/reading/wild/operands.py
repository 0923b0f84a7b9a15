"""Operands of existing contract files: ``h_{ij}``, ``Σ_{i=1}^{n}``, ``E[x]``, ``{0, ..., n}``."""

from __future__ import annotations

from pytest_contracts.formula.precedence import BIT_OR, PRODUCT, SIGN
from pytest_contracts.formula.reading.lexer import Token
from pytest_contracts.formula.reading.parser import Parser
from pytest_contracts.formula.reading.wild.indices import LETTERS, bind, domain, index_range
from pytest_contracts.formula.reading.wild.lexer import WildLexer
from pytest_contracts.formula.tree import (
    Binary,
    Call,
    Compare,
    Constant,
    Dots,
    Each,
    Expr,
    Index,
    Name,
    Number,
    Unary,
)

MAX_NESTING = 25
_LIMITED = {"sum": "sum", "prod": "prod", "max": "max", "min": "min"}
_BRACKETED = frozenset({"E", "Var", "Cov"})
"""What takes its argument in brackets: the expectation of x is written E[x]."""
_METHODS = {"is_finite": "finite", "is_nan": "isnan", "len": "len"}


class WildOperands(Parser):
    """Parses operands as existing contract files write them."""

    lexer_type = WildLexer

    def named(self) -> Expr:
        """Parse a name, a call, an expectation, or a reduction with limits."""
        token = self.current
        head, _, letter = token.text.rpartition("_")
        after = self.lexer.token(token.end)
        if head in _LIMITED and len(letter) <= 1 and not after.spaced:
            if not letter and after.text == "{":
                self.advance()
                return self._limited(_LIMITED[head], token)
            if letter in LETTERS and after.text == "(":
                self.advance()
                return self._reduced(_LIMITED[head], [(letter, None)], self.group(), token)
        if token.text == "norm" and after.text == "(":
            raise self.error("a length or a normalization?", token, "write ‖x‖ for a length")
        if token.text in _BRACKETED and after.text == "[" and not after.spaced:
            return self._expectation(token)
        node = super().named()
        if isinstance(node, Index) and len(node.items) == 1:
            return _split(node)
        return node

    def _expectation(self, token: Token) -> Expr:
        self.advance()
        node = super().index(Name(token.text, offset=token.offset))
        assert isinstance(node, Index)
        if any(isinstance(item, Call | Binary) for item in node.items):
            return Call(token.text, node.items, offset=token.offset)
        raise self.error(f"{token.text}[…] is an expectation or an item", token)

    def index(self, base: Expr) -> Expr:
        """Parse an index or a subscript; ``h_{ij}`` has two."""
        braced = self.current.kind == "name" and self.current.text == "_"
        node = super().index(base)
        return _split(node) if braced and isinstance(node, Index) else node

    def call(self, name: Token) -> Expr:
        """Parse a call's arguments; ``f(heads=n)`` gives one by name."""
        node = super().call(name)
        if not isinstance(node, Call):
            return node
        plain, keywords = [], list(node.keywords)
        for argument in node.arguments:
            match argument:
                case Compare(first=Name(id=key), rest=(("==", value),)):
                    at = argument.offset
                    if name.text in ("P", "Pr", "Prob"):
                        raise self.error("the probability of an event is no call", name)
                    if self.text[at : at + 2] != "==":
                        keywords.append((key, value))
                        continue
            plain.append(argument)
        return Call(node.function, tuple(plain), tuple(sorted(keywords)), offset=node.offset)

    def deeper(self) -> None:
        """Count a level of recursion; guards within guards take more of the stack."""
        super().deeper()
        if self.nesting > MAX_NESTING:
            raise self.error(f"the formula nests deeper than {MAX_NESTING} levels")

    def group(self) -> Expr:
        """Parse what is in parentheses."""
        with_lists, self.lists = self.lists, False
        node = super().group()
        self.lists = with_lists
        return node

    lists = True
    """Whether a comma here joins claims; inside parentheses it separates items."""

    def operand(self) -> Expr:
        """Parse what an operator stands between; ``...`` stands for items left out."""
        if self.at("...", ".."):
            token = self.current
            if token.text == "...":
                self.advance()
                return Dots(offset=token.offset)
        return super().operand()

    def members(self) -> Expr:
        """Parse a set; ``{0, ..., n-1}`` is a range."""
        node = super().members()
        items = node.items  # type: ignore[attr-defined]
        if not any(isinstance(item, Dots) for item in items):
            return node
        match items:
            case (start, Dots(), last):
                pass
            case (Number(value=first) as start, Number(value=second), Dots(), last) if (
                second == first + 1
            ):
                pass
            case _:
                raise self.error("which items '...' stands for is not clear")
        return Call("range", _bounds(start, last), offset=node.offset)

    def bars(self) -> Expr:
        """Parse bars: an absolute value, a norm, or a size, by what stands within."""
        node = super().bars()
        if isinstance(node, Call) and node.function == "abs":
            inner = node.arguments[0]
            if isinstance(inner, Call) and inner.function in ("union", "intersection"):
                return Call("cardinality", (inner,), offset=node.offset)
            if isinstance(inner, Name | Call | Index):
                # |p| is the size of a number, but the length of a list: only its value tells.
                return Call("magnitude", (inner,), offset=node.offset)
        return node

    def _norm_order(self) -> tuple[Expr, ...]:
        token = self.current
        if token.kind == "name" and token.text == "_inf" and not token.spaced:
            self.advance()
            return (Constant("inf", offset=token.offset),)
        return super()._norm_order()

    def attribute(self, node: Expr) -> Expr:
        """Parse an attribute, or one of the few methods."""
        token = self.current
        if token.kind == "name" and token.text in _METHODS:
            self.advance()
            if self.accept("("):
                self.expect(")")
            return Call(_METHODS[token.text], (node,), offset=token.offset)
        return super().attribute(node)

    def followed(self, node: Expr) -> Expr:
        """Parse what follows an operand, transposition ``^T`` included."""
        node = super().followed(node)
        while self.at("^") and self._transposes(node):
            self.advance()
            self.advance()
            node = super().followed(Call("T", (node,), offset=node.offset))
        return node

    def _transposes(self, node: Expr) -> bool:
        exponent = self.lexer.token(self.current.end)
        if isinstance(node, Number) or exponent.text != "T" or exponent.kind != "name":
            return False
        return self.lexer.token(exponent.end).text not in ("_", "[")

    def power(self, base: Expr) -> Expr:
        """Parse what stands right of ``^``."""
        token = self.advance()
        if self.accept("{"):
            exponent = self.expression()
            self.expect("}")
        else:
            exponent = self.expression(SIGN)
        inverse = Unary("-", Number(1))
        if exponent == inverse and isinstance(base, Name) and base.id.isupper():
            raise self.error("a matrix's inverse or a reciprocal?", token, "write inv(A) or 1/a")
        return Binary("**", base, exponent, offset=token.offset)

    def big_operator(self) -> Expr:
        """Parse Σ or Π with or without limits."""
        token = self.advance()
        function = "sum" if token.text == "Σ" else "prod"
        binding = self.current
        if binding.kind == "name" and binding.text[0] == "_" and not binding.spaced:
            self.advance()
            if binding.text == "_":
                return self._limited(function, token)
            letters = binding.text[1:]
            if not set(letters) <= LETTERS:
                raise self.error(f"'{letters}' is no index", binding)
            limits: list[tuple[str, Expr | None]] = [(letter, None) for letter in letters]
            return self._reduced(function, limits, self.expression(PRODUCT), token)
        body = self.expression(SIGN)
        if self.at("*", "@"):
            raise self.error(f"{token.text} before a product is ambiguous")
        return Call(function, (body,), offset=token.offset)

    def _limited(self, function: str, token: Token) -> Expr:
        """Parse ``{i = 1}^{n}``, ``{i in S}`` or ``{i, j}`` and what is reduced."""
        self.expect("{")
        limits: list[tuple[str, Expr | None]] = []
        while True:
            variable = self.identifier("a variable").text
            if self.accept("in"):
                limits.append((variable, self.domain()))
            elif self.accept("=="):
                start = self.expression(BIT_OR)
                self.expect("}")
                if not self.accept("^"):
                    raise self.error("a sum that begins somewhere ends somewhere")
                over = Call("range", _bounds(start, self._upper()), offset=token.offset)
                body = self.expression(PRODUCT)
                if start != Number(0) and index_range(bind(body, variable), variable) is not None:
                    raise self.error("whether items count from 0 or 1 is not clear", token)
                return self._reduced(function, [(variable, over)], body, token)
            else:
                limits.append((variable, None))
            if not self.accept(","):
                self.expect("}")
                break
        return self._reduced(function, limits, self.expression(PRODUCT), token)

    def _upper(self) -> Expr:
        if self.accept("{"):
            upper = self.expression(BIT_OR)
            self.expect("}")
            return upper
        return self.operand()

    def _reduced(
        self, function: str, limits: list[tuple[str, Expr | None]], body: Expr, token: Token
    ) -> Expr:
        """Return a reduction over bound variables, the first of them outermost."""
        for variable, over in reversed(limits):
            body = bind(body, variable)
            body = Each(variable, over or domain(body, variable), body, offset=token.offset)
        return Call(function, (body,), offset=token.offset)


def _split(node: Index) -> Index:
    """Read ``h_{ij}`` as h[i, j]: two or three letters of indices are no name."""
    match node.items:
        case (Name(id=word),) if len(word) in (2, 3) and set(word) <= frozenset("hijklmnt"):
            return Index(node.base, tuple(Name(letter) for letter in word), offset=node.offset)
    return node


def _bounds(start: Expr, last: Expr) -> tuple[Expr, ...]:
    """Return the bounds of a range that includes its last item."""
    match last:
        case Binary(operator="-", left=stop, right=Number(value=1)):
            pass
        case Number(value=int(number)):
            stop = Number(number + 1)
        case _:
            stop = Binary("+", last, Number(1))
    return (stop,) if start == Number(0) else (start, stop)
