"""Trees to LaTeX, for reports."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_contracts.formula.library import LIBRARY
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

_GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "varepsilon", "η": "eta",
    "θ": "theta", "κ": "kappa", "λ": "lambda", "μ": "mu", "ν": "nu", "ξ": "xi", "ρ": "rho",
    "σ": "sigma", "τ": "tau", "φ": "varphi", "χ": "chi", "ψ": "psi", "ω": "omega",
}  # fmt: skip
_CONSTANTS = {"inf": r"\infty", "pi": r"\pi"}


def render_latex(expr: Expr) -> str:
    """Return the formula as LaTeX mathematics, without delimiters."""
    return _Latex().text(expr, GUARD)


class _Latex:
    values: Mapping[str, str] = {}

    def text(self, node: Expr, minimum: int) -> str:
        written, strength = self.written(node)
        return rf"\left({written}\right)" if strength < minimum else written

    def written(self, node: Expr) -> tuple[str, int]:
        match node:
            case Number(value=value):
                return _number(value)
            case Constant(name=name):
                return _CONSTANTS.get(name, rf"\mathrm{{{name}}}"), POSTFIX
            case Name(id=name):
                return _name(name), POSTFIX
            case Unary(operator="-", operand=operand):
                return f"-{self.text(operand, SIGN)}", SIGN
            case Unary(operand=operand):
                return rf"\lnot {self.text(operand, NOT)}", NOT
            case Binary():
                return self.binary(node)
            case Compare(first=first, rest=rest):
                parts = [self.text(first, BIT_OR)]
                parts += [f"{COMPARISONS[op].latex} {self.text(side, BIT_OR)}" for op, side in rest]
                return " ".join(parts), COMPARISON
            case Logic(operator=operator, operands=operands):
                row = CONNECTIVES[operator]
                sides = (self.text(operand, row.strength + 1) for operand in operands)
                return f" {row.latex} ".join(sides), row.strength
            case Conditional(condition=condition, then=then, otherwise=otherwise):
                branches = (
                    rf"{self.text(then, 0)} & \text{{if }} {self.text(condition, 0)} \\ "
                    rf"{self.text(otherwise, 0)} & \text{{otherwise}}"
                )
                # Nothing closes the cases, so that what follows would belong to the last.
                return rf"\begin{{cases}} {branches} \end{{cases}}", IF
            case Call():
                return self.call(node)
            case Index(base=base, items=items):
                return f"{self.indexed(base)}_{{{self.listed(items)}}}", POSTFIX
            case Slice(start=start, stop=stop, step=step):
                limits = [start, stop] if step is None else [start, stop, step]
                return ":".join("" if part is None else self.text(part, OR) for part in limits), 0
            case Dots():
                return r"\dots", POSTFIX
            case Words(text=words):
                return rf"\text{{“{_escaped(words)}”}}", POSTFIX
            case Array(items=items):
                return rf"\left[{self.listed(items)}\right]", POSTFIX
            case Members(items=items):
                return rf"\left\{{{self.listed(items)}\right\}}", POSTFIX
            case Interval(low=low, high=high, closed_low=left, closed_high=right):
                opening, closing = "[" if left else "(", "]" if right else ")"
                return rf"\left{opening}{self.listed((low, high))}\right{closing}", POSTFIX
            case Each():
                return self.each(node), 0
            case Quantifier(kind=kind, body=body):
                return rf"\{kind} {self.bound(node)} :\; {self.text(body, 0)}", 0
            case Restrict(claim=claim, mask=mask):
                guard = rf"\quad\text{{where }} {self.text(mask, IFF)}"
                return f"{self.text(claim, IFF)} {guard}", 0
            case Definition(name=name, parameters=parameters, body=body):
                inside = ", ".join(map(_name, parameters))
                head = rf"{_function(name)}\left({inside}\right)" if parameters else _name(name)
                return f"{head} = {self.text(body, 0)}", 0
            case Local(body=body, definitions=definitions):
                listed = r",\; ".join(self.text(definition, 0) for definition in definitions)
                return rf"{self.text(body, 0)} \quad\text{{where }} {listed}", 0
        raise TypeError(type(node).__name__)

    def indexed(self, base: Expr) -> str:
        shown = self.text(base, POSTFIX)
        # What stands below the bars of a norm is its order.
        if shown.endswith(r"\right\rVert"):
            return rf"\left({shown}\right)"
        # TeX takes one subscript only, and sets it below a power, whichever came first.
        return f"{{{shown}}}" if {"^", "_"} & set(shown) else shown

    def binary(self, node: Binary) -> tuple[str, int]:
        left, right = node.left, node.right
        row = ARITHMETIC[node.operator]
        if node.operator == "**":
            return f"{{{self.text(left, POSTFIX)}}}^{{{self.text(right, 0)}}}", POWER
        if node.operator in ("/", "//"):
            quotient = rf"\frac{{{self.text(left, 0)}}}{{{self.text(right, 0)}}}"
            if node.operator == "//":
                return rf"\left\lfloor {quotient} \right\rfloor", POSTFIX
            # An exponent beside a fraction would be taken for the numerator's.
            return quotient, POWER
        sides = self.text(left, row.strength), self.text(right, row.strength + 1)
        return f" {row.latex} ".join(sides), row.strength

    def call(self, node: Call) -> tuple[str, int]:
        function = LIBRARY.get(node.function)
        written = None if function is None else function.form.latex(self, node)
        if written is not None:
            return written
        keywords = [rf"\mathrm{{{key}}}={self.text(value, 0)}" for key, value in node.keywords]
        listed = ", ".join([*(self.text(argument, 0) for argument in node.arguments), *keywords])
        return rf"{_function(node.function)}\left({listed}\right)", POSTFIX

    def each(self, node: Each) -> str:
        loops, body = [self.bound(node)], node.body
        while isinstance(body, Each):
            loops.append(self.bound(body))
            body = body.body
        return f"{self.text(body, 0)} : {', '.join(loops)}"

    def bound(self, node: Each | Quantifier) -> str:
        # Nothing is written where any value is meant.
        within = "" if node.domain == Words() else rf" \in {self.domain(node.domain)}"
        return f"{_name(node.variable)}{within}"

    def domain(self, node: Expr) -> str:
        bounds = bounds_of(node)
        if bounds is None:
            return self.text(node, 0)
        return rf"\left[{self.text(bounds[0], 0)}, {self.text(bounds[1], 0)}\right)"

    def listed(self, items: tuple[Expr, ...]) -> str:
        return ", ".join(self.text(item, 0) for item in items)


def _number(value: int | float) -> tuple[str, int]:
    mantissa, _, exponent = repr(value).partition("e")
    if not exponent:
        return mantissa, POSTFIX
    return rf"{mantissa} \cdot 10^{{{int(exponent)}}}", POWER


def _name(name: str) -> str:
    if name == "tolerance":
        return r"\varepsilon"
    head, _, rest = name.partition("_")
    if head in _GREEK:
        shown = rf"\{_GREEK[head]}"
    else:
        shown = head if len(head) == 1 else rf"\mathrm{{{head}}}"
    index = rest.replace("_", r"\_")
    return rf"{shown}_{{\mathrm{{{index}}}}}" if rest else shown


def _function(name: str) -> str:
    if name in LIBRARY and LIBRARY[name].form.command:
        return rf"\{name}"
    escaped = name.replace("_", r"\_")
    return rf"\operatorname{{{escaped}}}"


def _escaped(words: str) -> str:
    return "".join(rf"\{c}" if c in "_%&#$" else c for c in words)
