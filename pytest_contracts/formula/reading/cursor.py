"""The parser's place in the text: the current token, and what may come next."""

from __future__ import annotations

from pytest_contracts.errors import FormulaError
from pytest_contracts.formula.precedence import IFF
from pytest_contracts.formula.reading.lexer import Lexer, Token
from pytest_contracts.formula.tree import Expr

MAX_NESTING = 100
CONSTANTS = {
    "true": "true",
    "True": "true",
    "false": "false",
    "False": "false",
    "inf": "inf",
    "pi": "pi",
}


class Cursor:
    """Reads tokens one by one; ``nesting`` bounds the recursion of those who parse."""

    lexer_type = Lexer

    def __init__(self, text: str) -> None:
        self.lexer = self.lexer_type(text)
        self.text = text
        self.current = self.lexer.token(0)
        self.nesting = 0
        self.in_bars = False
        self.grouped: Expr | None = None

    def claim(self) -> Expr:
        """Parse a claim with its guards."""
        raise NotImplementedError

    def expression(self, minimum: int = IFF) -> Expr:
        """Parse an expression whose operators bind at least as tightly as ``minimum``."""
        raise NotImplementedError

    def advance(self) -> Token:
        """Take the current token."""
        token = self.current
        self.current = self.lexer.token(token.end)
        return token

    def at(self, *operators: str) -> bool:
        """Tell whether the current token is one of these operators."""
        return self.current.kind == "operator" and self.current.text in operators

    def at_word(self, word: str) -> bool:
        """Tell whether the current token is this name."""
        return self.current.kind == "name" and self.current.text == word

    def accept(self, operator: str) -> bool:
        """Take the current token if it is this operator."""
        if self.at(operator):
            self.advance()
            return True
        return False

    def error(
        self, message: str, token: Token | None = None, hint: str | None = None
    ) -> FormulaError:
        """Return an error at a token, the current one by default."""
        return self.lexer.error(message, (token or self.current).offset, hint)

    def expect(self, operator: str) -> Token:
        """Take the current token, which must be this operator."""
        if not self.at(operator):
            raise self.error(f"expected '{operator}', found {self.found()}")
        return self.advance()

    def found(self) -> str:
        """Return the current token as it is written, for a message."""
        token = self.current
        return token.text if token.kind == "end" else f"'{self.text[token.offset : token.end]}'"

    def identifier(self, what: str) -> Token:
        """Take a name that may be given to something."""
        token = self.current
        if token.kind != "name" or token.text in CONSTANTS or token.text[0] == "_":
            raise self.error(f"expected {what}, found {self.found()}")
        return self.advance()

    def deeper(self) -> None:
        """Count a level of recursion; whoever returns normally takes it back."""
        self.nesting += 1
        if self.nesting > MAX_NESTING:
            raise self.error(f"the formula nests deeper than {MAX_NESTING} levels")
