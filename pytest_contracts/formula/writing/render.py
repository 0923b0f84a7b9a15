"""Trees to text: Unicode that parses back to the same tree, and LaTeX."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_contracts.formula.precedence import (
    AND,
    BIT_AND,
    BIT_OR,
    COMPARISON,
    GUARD,
    IF,
    IFF,
    IMPLIES,
    NOT,
    OR,
    POSTFIX,
    POWER,
    PRODUCT,
    SHIFT,
    SIGN,
    SUM,
)
from pytest_contracts.formula.reading.lexer import MAX_SCRIPT_DIGITS
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
    Words,
)

_BINARY = {
    "*": ("·", PRODUCT),
    "-": ("−", SUM),
    "+": ("+", SUM),
    "|": ("|", BIT_OR),
    "&": ("&", BIT_AND),
    "<<": ("<<", SHIFT),
    ">>": (">>", SHIFT),
    "/": ("/", PRODUCT),
    "//": ("//", PRODUCT),
    "%": ("%", PRODUCT),
    "@": ("@", PRODUCT),
    "**": ("**", POWER),
}
_COMPARE = {
    "<": "<",
    "<=": "≤",
    ">": ">",
    ">=": "≥",
    "==": "=",
    "!=": "≠",
    "approx": "≈",
    "in": "∈",
    "not in": "∉",
}
_LOGIC = {
    "and": ("∧", AND),
    "or": ("∨", OR),
    "implies": ("⟹", IMPLIES),
    "iff": ("⟺", IFF),
}
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class _Unicode:
    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = values

    def text(self, node: Expr, minimum: int = GUARD) -> str:
        """Return the text of a node, in parentheses where it binds looser than ``minimum``."""
        written, strength = self.written(node)
        return f"({written})" if strength < minimum else written

    def written(self, node: Expr) -> tuple[str, int]:
        match node:
            case Number(value=value):
                return _number(value), POSTFIX
            case Constant(name=name):
                return {"inf": "∞", "pi": "π"}.get(name, name), POSTFIX
            case Name(id=name):
                shown = self.values.get(name, "ε" if name == "tolerance" else name)
                return shown, SIGN if shown.startswith("-") else POSTFIX
            case Unary(operator="-", operand=operand):
                return f"−{self.text(operand, SIGN)}", SIGN
            case Unary(operand=operand):
                return f"¬{self.text(operand, NOT)}", NOT
            case Binary():
                return self.binary(node)
            case Compare(first=first, rest=rest):
                parts = [self.text(first, BIT_OR)]
                parts += [f"{_COMPARE[op]} {self.text(right, BIT_OR)}" for op, right in rest]
                return " ".join(parts), COMPARISON
            case Logic():
                return self.logic(node)
            case Conditional(condition=condition, then=then, otherwise=otherwise):
                chosen = f"{self.text(then, OR)} if {self.text(condition, OR)}"
                return f"{chosen} else {self.text(otherwise, IF)}", IF
            case Call():
                return self.call(node)
            case Index(base=base, items=items):
                return (
                    f"{self.text(base, POSTFIX)}[{self.listed(items)}]",
                    POSTFIX,
                )
            case Array(items=items):
                return f"[{self.listed(items)}]", POSTFIX
            case Members(items=items):
                return f"{{{self.listed(items)}}}", POSTFIX
            case Interval(low=low, high=high, closed_low=left, closed_high=right):
                inside = f"{self.text(low, IFF)}, {self.text(high, IFF)}"
                return f"{'[' if left else '('}{inside}{']' if right else ')'}", POSTFIX
            case Slice(start=start, stop=stop, step=step):
                limits = [start, stop] if step is None else [start, stop, step]
                return ":".join("" if p is None else self.text(p, IFF) for p in limits), 0
            case Dots():
                return "...", POSTFIX
            case Words(text=words):
                return f"“{words}”", POSTFIX
            case Each(variable=variable, domain=domain, body=body):
                return self.each(variable, domain, body), 0
            case Quantifier(kind=kind, variable=variable, domain=domain, body=body):
                sign = "∀" if kind == "forall" else "∃"
                return f"{sign} {variable}{self.within(domain)}: {self.text(body)}", -1
            case Restrict(claim=claim, mask=mask):
                # A quantifier would take the guard for its own body's.
                return (
                    f"{self.text(claim)} where {self.text(mask, IFF)}",
                    GUARD,
                )
            case Definition(name=name, parameters=parameters, body=body):
                head = f"{name}({', '.join(parameters)})" if parameters else name
                if isinstance(body, Local):
                    return f"{head} = {self.text(body)}", GUARD
                loose = isinstance(body, Compare) and any(op == "==" for op, _ in body.rest)
                return (
                    f"{head} = {self.text(body, POSTFIX if loose else IFF)}",
                    GUARD,
                )
            case Local(body=body, definitions=definitions):
                listed = "; ".join(self.text(definition) for definition in definitions)
                loose = isinstance(body, Compare) and any(op == "==" for op, _ in body.rest)
                inner = self.text(body, POSTFIX if loose else IFF)
                return f"{inner} where {listed}", GUARD
        raise TypeError(type(node).__name__)

    def binary(self, node: Binary) -> tuple[str, int]:
        sign, strength = _BINARY[node.operator]
        if node.operator == "**":
            power = _superscript(node.right)
            base = self.text(node.left, POSTFIX)
            if power is not None:
                return f"{base}{power}", POSTFIX
            return f"{base}**{self.text(node.right, SIGN)}", POWER
        left, right = self.text(node.left, strength), self.text(node.right, strength + 1)
        return f"{left} {sign} {right}", strength

    def logic(self, node: Logic) -> tuple[str, int]:
        sign, strength = _LOGIC[node.operator]
        if node.operator in ("and", "or"):
            return f" {sign} ".join(self.text(p, strength + 1) for p in node.operands), strength
        left, right = node.operands
        return f"{self.text(left, strength + 1)} {sign} {self.text(right, strength)}", strength

    def call(self, node: Call) -> tuple[str, int]:
        name, arguments = node.function, node.arguments
        if len(arguments) == 1 and not node.keywords and not isinstance(arguments[0], Each):
            inner = arguments[0]
            if name == "abs":
                within = self.text(inner, BIT_AND)
                # Bars within bars would read as a norm.
                barred = "|" in (within[0], within[-1])
                return f"abs({within})" if barred else f"|{within}|", POSTFIX
            if name == "norm":
                return f"‖{self.text(inner, BIT_AND)}‖", POSTFIX
            if name == "T":
                return f"{self.text(inner, POSTFIX)}ᵀ", POSTFIX
            if name == "sqrt" and isinstance(inner, Name | Number) and not self.values:
                # Below a power, so that √x is put in parentheses before ².
                return f"√{self.text(inner)}", SIGN
        if name in ("sum", "prod") and len(arguments) == 1 and not node.keywords:
            inner = arguments[0]
            if isinstance(inner, Name | Call) and not self.values:
                sign = "Σ" if name == "sum" else "Π"
                return f"{sign} {self.text(inner, POSTFIX)}", SUM
        if name == "range":
            return f"range({self.listed(arguments)})", POSTFIX
        keywords = [f"{key}={self.text(value, IFF)}" for key, value in node.keywords]
        listed = ", ".join([self.argument(a) for a in arguments] + keywords)
        return f"{name}({listed})", POSTFIX

    def argument(self, node: Expr) -> str:
        # Guards are not part of an argument.
        return self.text(node, 0 if isinstance(node, Each) else IFF)

    def each(self, variable: str, domain: Expr, body: Expr) -> str:
        head, loops = body, [f"for {variable}{self.within(domain, ' in ')}"]
        while isinstance(head, Each):
            loops.append(f"for {head.variable}{self.within(head.domain, ' in ')}")
            head = head.body
        return f"{self.text(head, IFF)} {' '.join(loops)}"

    def within(self, domain: Expr, sign: str = " ∈ ") -> str:
        # Nothing is written where any value is meant.
        return "" if domain == Words() else f"{sign}{self.domain(domain)}"

    def domain(self, node: Expr) -> str:
        if isinstance(node, Call) and node.function == "range" and len(node.arguments) in (1, 2):
            start = node.arguments[0] if len(node.arguments) == 2 else Number(0)
            stop = node.arguments[-1]
            return f"{self.text(start, SHIFT)}..{self.text(stop, SHIFT)}"
        return self.text(node, BIT_OR)

    def listed(self, items: tuple[Expr, ...]) -> str:
        return ", ".join(
            self.written(item)[0] if isinstance(item, Slice) else self.text(item, IFF)
            for item in items
        )


def _number(value: int | float) -> str:
    return repr(value)


def _superscript(exponent: Expr) -> str | None:
    sign = ""
    if isinstance(exponent, Unary) and exponent.operator == "-":
        sign, exponent = "-", exponent.operand
    if not isinstance(exponent, Number) or not isinstance(exponent.value, int):
        return None
    written = f"{sign}{exponent.value}"
    return written.translate(_SUPERSCRIPTS) if len(written) <= MAX_SCRIPT_DIGITS else None


def render_unicode(expr: Expr, *, values: Mapping[str, str] | None = None) -> str:
    """Return the formula as mathematics in plain text; ``values`` replace names."""
    return _Unicode(values or {}).text(expr, -1)
