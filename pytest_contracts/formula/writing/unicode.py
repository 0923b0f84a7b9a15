"""Trees to text: mathematics in Unicode that parses back to the same tree."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_contracts.formula.library import LIBRARY
from pytest_contracts.formula.limits import MAX_SCRIPT_DIGITS
from pytest_contracts.formula.operators import ARITHMETIC, COMPARISONS, CONNECTIVES
from pytest_contracts.formula.precedence import (
    BIT_OR,
    COMPARISON,
    GUARD,
    IF,
    IFF,
    NOT,
    OR,
    POSTFIX,
    POWER,
    SHIFT,
    SIGN,
)
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
from pytest_contracts.formula.writing.domains import bounds_of

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
                parts += [f"{COMPARISONS[op].written} {self.text(s, BIT_OR)}" for op, s in rest]
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
            case Each():
                return self.each(node), 0
            case Quantifier(kind=kind, body=body):
                sign = "∀" if kind == "forall" else "∃"
                return f"{sign} {self.bound(node)}: {self.text(body)}", -1
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
        row = ARITHMETIC[node.operator]
        if node.operator == "**":
            power = _superscript(node.right)
            base = self.text(node.left, POSTFIX)
            if power is not None:
                return f"{base}{power}", POSTFIX
            return f"{base}**{self.text(node.right, SIGN)}", POWER
        left, right = self.text(node.left, row.strength), self.text(node.right, row.strength + 1)
        return f"{left} {row.written} {right}", row.strength

    def logic(self, node: Logic) -> tuple[str, int]:
        row = CONNECTIVES[node.operator]
        sides = [self.text(operand, row.strength + 1) for operand in node.operands]
        if node.operator in ("implies", "iff"):  # they associate to the right
            sides[-1] = self.text(node.operands[-1], row.strength)
        return f" {row.written} ".join(sides), row.strength

    def call(self, node: Call) -> tuple[str, int]:
        function = LIBRARY.get(node.function)
        written = None if function is None else function.form.unicode(self, node)
        if written is not None:
            return written
        keywords = [f"{key}={self.text(value, IFF)}" for key, value in node.keywords]
        listed = ", ".join([self.argument(a) for a in node.arguments] + keywords)
        return f"{node.function}({listed})", POSTFIX

    def argument(self, node: Expr) -> str:
        # Guards are not part of an argument.
        return self.text(node, 0 if isinstance(node, Each) else IFF)

    def each(self, node: Each) -> str:
        loops, body = [f"for {self.bound(node, ' in ')}"], node.body
        while isinstance(body, Each):
            loops.append(f"for {self.bound(body, ' in ')}")
            body = body.body
        return f"{self.text(body, IFF)} {' '.join(loops)}"

    def bound(self, node: Each | Quantifier, sign: str = " ∈ ") -> str:
        """Return a bound variable and what it ranges over."""
        # Nothing is written where any value is meant.
        within = "" if node.domain == Words() else f"{sign}{self.domain(node.domain)}"
        return f"{node.variable}{within}"

    def domain(self, node: Expr) -> str:
        bounds = bounds_of(node)
        if bounds is None:
            return self.text(node, BIT_OR)
        return f"{self.text(bounds[0], SHIFT)}..{self.text(bounds[1], SHIFT)}"

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
