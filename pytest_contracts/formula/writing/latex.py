"""Trees to LaTeX, for reports."""

from __future__ import annotations

from pytest_contracts.formula.precedence import (
    AND,
    BIT_AND,
    BIT_OR,
    COMPARISON,
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

POSTFIX = POSTFIX
_BINARY = {
    "*": (r" \cdot ", PRODUCT),
    "@": (r" \, ", PRODUCT),
    "%": (r" \bmod ", PRODUCT),
    "+": (" + ", SUM),
    "-": (" - ", SUM),
    "&": (r" \mathbin{\&} ", BIT_AND),
    "|": (r" \mathbin{|} ", BIT_OR),
    "<<": (r" \ll ", SHIFT),
    ">>": (r" \gg ", SHIFT),
}
_COMPARE = {
    "<": "<",
    "<=": r"\le",
    ">": ">",
    ">=": r"\ge",
    "==": "=",
    "!=": r"\ne",
    "approx": r"\approx",
    "in": r"\in",
    "not in": r"\notin",
}
_LOGIC = {
    "and": (r" \land ", AND),
    "or": (r" \lor ", OR),
    "implies": (r" \implies ", IMPLIES),
    "iff": (r" \iff ", IFF),
}
_GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "varepsilon", "η": "eta",
    "θ": "theta", "κ": "kappa", "λ": "lambda", "μ": "mu", "ν": "nu", "ξ": "xi", "ρ": "rho",
    "σ": "sigma", "τ": "tau", "φ": "varphi", "χ": "chi", "ψ": "psi", "ω": "omega",
}  # fmt: skip
_OPERATORS = frozenset(("exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "max", "min"))


def render_latex(expr: Expr) -> str:
    """Return the formula as LaTeX mathematics, without delimiters."""
    return _latex(expr, 0)


def _latex(node: Expr, minimum: int) -> str:
    written, strength = _written(node)
    return rf"\left({written}\right)" if strength < minimum else written


def _written(node: Expr) -> tuple[str, int]:
    match node:
        case Number(value=value):
            return _number(value), POSTFIX
        case Constant(name=name):
            words = {"inf": r"\infty", "pi": r"\pi"}
            return words.get(name, rf"\mathrm{{{name}}}"), POSTFIX
        case Name(id=name):
            return _name(name), POSTFIX
        case Unary(operator="-", operand=operand):
            return f"-{_latex(operand, SIGN)}", SIGN
        case Unary(operand=operand):
            return rf"\lnot {_latex(operand, NOT)}", NOT
        case Binary():
            return _binary(node)
        case Compare(first=first, rest=rest):
            parts = [_latex(first, BIT_OR)]
            parts += [f"{_COMPARE[op]} {_latex(right, BIT_OR)}" for op, right in rest]
            return " ".join(parts), COMPARISON
        case Logic(operator=operator, operands=operands):
            sign, strength = _LOGIC[operator]
            return sign.join(_latex(operand, strength + 1) for operand in operands), strength
        case Conditional(condition=condition, then=then, otherwise=otherwise):
            branches = (
                rf"{_latex(then, 0)} & \text{{if }} {_latex(condition, 0)} \\ "
                rf"{_latex(otherwise, 0)} & \text{{otherwise}}"
            )
            return rf"\begin{{cases}} {branches} \end{{cases}}", POSTFIX
        case Call():
            return _call(node)
        case Index(base=base, items=items):
            shown = _latex(base, POSTFIX)
            # TeX takes one subscript only, so a base that has its own is grouped.
            return f"{f'{{{shown}}}' if '_' in shown else shown}_{{{_listed(items)}}}", POSTFIX
        case Slice(start=start, stop=stop, step=step):
            limits = [start, stop] if step is None else [start, stop, step]
            return ":".join("" if limit is None else _latex(limit, 0) for limit in limits), 0
        case Dots():
            return r"\dots", POSTFIX
        case Words(text=words):
            return rf"\text{{“{_escaped(words)}”}}", POSTFIX
        case Array(items=items):
            return rf"\left[{_listed(items)}\right]", POSTFIX
        case Members(items=items):
            return rf"\left\{{{_listed(items)}\right\}}", POSTFIX
        case Interval(low=low, high=high, closed_low=left, closed_high=right):
            ends = "[" if left else "(", "]" if right else ")"
            return rf"\left{ends[0]}{_listed((low, high))}\right{ends[1]}", POSTFIX
        case Each(variable=variable, domain=domain, body=body):
            return rf"{_latex(body, 0)} : {_name(variable)}{_within(domain)}", 0
        case Quantifier(kind=kind, variable=variable, domain=domain, body=body):
            head = rf"\{kind} {_name(variable)}{_within(domain)}"
            return rf"{head} :\; {_latex(body, 0)}", 0
        case Restrict(claim=claim, mask=mask):
            return rf"{_latex(claim, IFF)} \quad\text{{where }} {_latex(mask, 0)}", 0
        case Definition(name=name, parameters=parameters, body=body):
            inside = ", ".join(map(_name, parameters))
            head = rf"{_function(name)}\left({inside}\right)" if parameters else _name(name)
            return f"{head} = {_latex(body, 0)}", 0
        case Local(body=body, definitions=definitions):
            listed = r",\; ".join(_latex(definition, 0) for definition in definitions)
            return rf"{_latex(body, 0)} \quad\text{{where }} {listed}", 0
    raise TypeError(type(node).__name__)


def _number(value: int | float) -> str:
    mantissa, _, exponent = repr(value).partition("e")
    return rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if exponent else mantissa


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
    if name in _OPERATORS:
        return rf"\{name}"
    escaped = name.replace("_", r"\_")
    return rf"\operatorname{{{escaped}}}"


def _binary(node: Binary) -> tuple[str, int]:
    left, right = node.left, node.right
    if node.operator == "/":
        return rf"\frac{{{_latex(left, 0)}}}{{{_latex(right, 0)}}}", POSTFIX
    if node.operator == "//":
        quotient = rf"\frac{{{_latex(left, 0)}}}{{{_latex(right, 0)}}}"
        return rf"\left\lfloor {quotient} \right\rfloor", POSTFIX
    if node.operator == "**":
        return f"{{{_latex(left, POSTFIX)}}}^{{{_latex(right, 0)}}}", POWER
    sign, strength = _BINARY[node.operator]
    return f"{_latex(left, strength)}{sign}{_latex(right, strength + 1)}", strength


def _call(node: Call) -> tuple[str, int]:
    name, arguments = node.function, node.arguments
    if len(arguments) == 1 and not node.keywords:
        inner = arguments[0]
        match name:
            case "abs":
                return rf"\left|{_latex(inner, 0)}\right|", POSTFIX
            case "sqrt":
                return rf"\sqrt{{{_latex(inner, 0)}}}", POSTFIX
            case "floor" | "ceil":
                return rf"\left\l{name} {_latex(inner, 0)} \right\r{name}", POSTFIX
            case "T":
                base = _latex(inner, POSTFIX)
                return rf"{f'{{{base}}}' if '^' in base else base}^{{\top}}", POSTFIX
            case "sum" | "prod":
                return rf"\{name}{_under(inner)}", SUM
    if name == "norm" and not node.keywords:
        order = f"_{{{_latex(arguments[1], 0)}}}" if len(arguments) > 1 else ""
        return rf"\left\lVert {_latex(arguments[0], 0)} \right\rVert{order}", POSTFIX
    keywords = [rf"\mathrm{{{key}}}={_latex(value, 0)}" for key, value in node.keywords]
    listed = ", ".join([*(_latex(argument, 0) for argument in arguments), *keywords])
    return rf"{_function(name)}\left({listed}\right)", POSTFIX


def _under(argument: Expr) -> str:
    loops = ""
    while isinstance(argument, Each):
        loops += rf"_{{{_name(argument.variable)}{_within(argument.domain)}}}"
        argument = argument.body
        if isinstance(argument, Each):
            loops += r"\sum"
    return f"{loops} {_latex(argument, PRODUCT)}"


def _within(domain: Expr) -> str:
    return "" if domain == Words() else rf" \in {_domain(domain)}"


def _escaped(words: str) -> str:
    return "".join(rf"\{c}" if c in "_%&#$" else c for c in words)


def _domain(domain: Expr) -> str:
    if isinstance(domain, Call) and domain.function == "range" and len(domain.arguments) in (1, 2):
        start = domain.arguments[0] if len(domain.arguments) == 2 else Number(0)
        return rf"\left[{_latex(start, 0)}, {_latex(domain.arguments[-1], 0)}\right)"
    return _latex(domain, 0)


def _listed(items: tuple[Expr, ...]) -> str:
    return ", ".join(_latex(item, 0) for item in items)
