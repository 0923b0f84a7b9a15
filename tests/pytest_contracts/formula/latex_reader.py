"""Reads the LaTeX of formulas as a mathematician sees it: braces are invisible, signs are not.

What would look like something else, a power beside a fraction or cases with a term behind them,
is refused.
"""

from __future__ import annotations

import re

from pytest_contracts.formula import parse
from pytest_contracts.formula.tree import Binary, Call, Each, Expr, Index, Name, rebuild

_SIGNS = {
    r"\cdot": "*", r"\,": "@", r"\bmod": "%", r"\mathbin{\&}": "&", r"\mathbin{|}": "|",
    r"\ll": "<<", r"\gg": ">>", r"\le": "<=", r"\ge": ">=", r"\ne": "!=", r"\approx": "≈",
    r"\in": "in", r"\notin": "not in", r"\land": "and", r"\lor": "or", r"\implies": "implies",
    r"\iff": "iff", r"\lnot": "not", r"\infty": "inf", r"\pi": "pi", r"\dots": "...",
    r"\varepsilon": "tolerance", r"\gamma": "γ", r"\theta": "θ", r"\quad": "",
    r"\text{where }": "where",
}  # fmt: skip
_OPENING = {
    r"\left(": "(", r"\left[": "[", r"\left\{": "{", r"\left|": "abs(",
    r"\left\lVert": "norm(", r"\left\lfloor": "floor(", r"\left\lceil": "ceil(",
}  # fmt: skip
_CLOSING = {
    r"\right)": ")", r"\right]": "]", r"\right\}": "}", r"\right|": ")",
    r"\right\rfloor": ")", r"\right\rceil": ")",
}  # fmt: skip
_POWER_OF_TEN = re.compile(r"(\d[\d.]*) \\cdot 10\^\{(-?\d+)\}")
_TOKEN = re.compile(
    r"\\left(?:\\[A-Za-z]+|\\\{|.)|\\right(?:\\[A-Za-z]+|\\\}|.)|\\(?:mathbin|text)\{[^}]*\}"
    r"|\\[A-Za-z]+|\\\\|\\.|[A-Za-z0-9.]+|[^\W\d]|\s+|."
)
_ALL = "everything"  # stands for the domain of a sum without limits


def read_latex(latex: str) -> Expr:
    """Return the tree that the LaTeX shows."""
    reader = _Reader(_POWER_OF_TEN.sub(r"\1e\2", latex))
    return normal(parse(reader.sequence(())))


def normal(node: Expr) -> Expr:
    """Return one of the trees that look alike: floor(a / b) for a // b, d[k] for d_k."""
    node = rebuild(node, normal)
    if isinstance(node, Name) and "_" in node.id:
        base, _, index = node.id.partition("_")
        return Index(Name(base), (Name(index),))
    if isinstance(node, Binary) and node.operator == "//":
        return Call("floor", (Binary("/", node.left, node.right),))
    if isinstance(node, Call) and node.function in ("sum", "prod") and len(node.arguments) == 1:
        each = node.arguments[0]
        if isinstance(each, Each) and each.variable == _ALL:
            return Call(node.function, (each.body,))
        if isinstance(each, Each):
            return Call(node.function, (_merged(each, node.function),))
    return node


def _merged(each: Each, function: str) -> Each:
    body = each.body
    if isinstance(body, Each):
        return Each(each.variable, each.domain, _merged(body, function))
    inner = body.arguments[:1] if isinstance(body, Call) and body.function == function else ()
    if inner and isinstance(inner[0], Each):
        return Each(each.variable, each.domain, inner[0])
    return each


class _Reader:
    def __init__(self, latex: str) -> None:
        self.tokens = [*_TOKEN.findall(latex), ""]
        self.position = 0

    @property
    def token(self) -> str:
        return self.tokens[self.position]

    def take(self, expected: str | None = None) -> str:
        token = self.token
        assert expected in (None, token), f"{expected} expected, {token} found"
        self.position += 1
        return token

    def group(self) -> str:
        self.take("{")
        inside = self.sequence(("}",))
        self.take("}")
        return inside

    def sequence(self, stops: tuple[str, ...]) -> str:
        """Return what stands before one of the stops, in the strict notation."""
        pieces: list[tuple[str, str]] = []
        while self.token and self.token not in stops:
            written = [kind for text, kind in pieces if not text.isspace()]
            # Cases have no end, so that what follows would belong to the last of them.
            behind = self.token.isspace() or self.token == ","
            assert written[-1:] != ["cases"] or behind, "a term behind cases"
            if self.token in ("^", "_"):
                pieces.append(self.script(*pieces.pop()))
            else:
                pieces.append(self.piece())
        return "".join(text for text, _ in pieces)

    def script(self, base: str, kind: str) -> tuple[str, str]:
        sign = self.take()
        assert kind not in ("fraction", "cases"), "a script beside what has no end"
        assert kind not in ("^", "_"), "a script beside a script"
        if sign == "_":
            name = self.tokens[self.position + 1] == r"\mathrm"
            return f"{base}[{self.group()}]", "" if name else "_"
        if self.tokens[self.position + 1] == r"\top":
            self.position += 3
            return f"{base}ᵀ", "^"
        return f"{base}**({self.group()})", "^"

    def piece(self) -> tuple[str, str]:
        token = self.token
        if token == "{":
            self.take("{")
            inner: list[tuple[str, str]] = []
            while self.token != "}":
                inner.append(
                    self.script(*inner.pop()) if self.token in ("^", "_") else self.piece()
                )
            self.take("}")
            kind = inner[0][1] if len(inner) == 1 and inner[0][1] in ("fraction", "cases") else ""
            return "".join(text for text, _ in inner), kind
        self.take()
        if token in (r"\sum", r"\prod"):
            return self.big("Σ" if token == r"\sum" else "Π"), ""
        if token in (r"\forall", r"\exists"):
            sign = "∀" if token == r"\forall" else "∃"
            head = self.bound((":",))
            self.take(":")
            self.take(r"\;")
            return f"{sign} {head}: ", ""
        if token == r"\frac":
            return f"(({self.group()})/({self.group()}))", "fraction"
        if token == r"\sqrt":
            return f"sqrt({self.group()})", ""
        if token in (r"\mathrm", r"\operatorname"):
            self.take("{")
            name = ""
            while self.token != "}":
                name += self.take().removeprefix("\\")
            self.take("}")
            return name, ""
        if token == r"\begin":
            return self.cases(), "cases"
        if token in _OPENING:
            return self.enclosed(_OPENING[token]), ""
        if token in _SIGNS:
            return f" {_SIGNS[token]} ", ""
        return token.removeprefix("\\"), ""

    def enclosed(self, opening: str) -> str:
        closing = (*_CLOSING, r"\right\rVert")
        inside = self.sequence(closing)
        token = self.take()
        if token != r"\right\rVert":
            return f"{opening}{inside}{_CLOSING[token]}"
        if self.token != "_":
            return f"norm({inside})"
        self.take("_")
        return f"norm({inside}, {self.group()})"

    def big(self, sign: str) -> str:
        if self.token != "_":
            return f"{sign}_{{{_ALL} in {{0}}}} "
        self.take("_")
        self.take("{")
        head = self.bound(("}",))
        self.take("}")
        return f"{sign}_{{{head}}} "

    def bound(self, stops: tuple[str, ...]) -> str:
        """Return a variable and its domain; ``[a, b)`` is a range here."""
        head = self.sequence((*stops, r"\in")).strip()
        if self.token in stops:
            return head
        self.take(r"\in")
        self.take(" ")
        if self.token != r"\left[":
            return f"{head} in {self.sequence(stops)}"
        self.take()
        start = self.sequence((",",))
        self.take(",")
        stop = self.sequence((r"\right)",))
        self.take()
        assert not self.sequence(stops).strip()
        return f"{head} in range({start}, {stop})"

    def cases(self) -> str:
        self.group()
        then = self.sequence(("&",))
        self.take("&")
        self.take(" ")
        self.take(r"\text{if }")
        condition = self.sequence((r"\\",))
        self.take()
        otherwise = self.sequence(("&",))
        while self.take() != r"\end":
            pass
        self.group()
        return f"(({then}) if ({condition}) else ({otherwise}))"
