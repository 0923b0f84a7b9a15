"""Trees to LaTeX, for reports."""

from __future__ import annotations

from pytest_contracts.formula import parser
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
)

_ATOM = parser.POWER + 1
_BINARY = {
    "*": (r" \cdot ", parser.PRODUCT),
    "@": (r" \, ", parser.PRODUCT),
    "%": (r" \bmod ", parser.PRODUCT),
    "+": (" + ", parser.SUM),
    "-": (" - ", parser.SUM),
    "&": (r" \mathbin{\&} ", parser.BIT_AND),
    "|": (r" \mathbin{|} ", parser.BIT_OR),
    "<<": (r" \ll ", parser.SHIFT),
    ">>": (r" \gg ", parser.SHIFT),
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
    "and": (r" \land ", parser.AND),
    "or": (r" \lor ", parser.OR),
    "implies": (r" \implies ", parser.IMPLIES),
    "iff": (r" \iff ", parser.IFF),
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
            return _number(value), _ATOM
        case Constant(name=name):
            words = {"inf": r"\infty", "pi": r"\pi"}
            return words.get(name, rf"\mathrm{{{name}}}"), _ATOM
        case Name(id=name):
            return _name(name), _ATOM
        case Unary(operator="-", operand=operand):
            return f"-{_latex(operand, parser.SIGN)}", parser.SIGN
        case Unary(operand=operand):
            return rf"\lnot {_latex(operand, parser.NOT)}", parser.NOT
        case Binary():
            return _binary(node)
        case Compare(first=first, rest=rest):
            parts = [_latex(first, parser.BIT_OR)]
            parts += [f"{_COMPARE[op]} {_latex(right, parser.BIT_OR)}" for op, right in rest]
            return " ".join(parts), parser.COMPARISON
        case Logic(operator=operator, operands=operands):
            sign, strength = _LOGIC[operator]
            return sign.join(_latex(operand, strength + 1) for operand in operands), strength
        case Conditional(condition=condition, then=then, otherwise=otherwise):
            branches = (
                rf"{_latex(then, 0)} & \text{{if }} {_latex(condition, 0)} \\ "
                rf"{_latex(otherwise, 0)} & \text{{otherwise}}"
            )
            return rf"\begin{{cases}} {branches} \end{{cases}}", _ATOM
        case Call():
            return _call(node)
        case Index(base=base, items=items):
            return f"{_latex(base, _ATOM)}_{{{_listed(items)}}}", _ATOM
        case Slice(start=start, stop=stop, step=step):
            limits = [start, stop] if step is None else [start, stop, step]
            return ":".join("" if limit is None else _latex(limit, 0) for limit in limits), 0
        case Dots():
            return r"\dots", _ATOM
        case Array(items=items):
            return rf"\left[{_listed(items)}\right]", _ATOM
        case Members(items=items):
            return rf"\left\{{{_listed(items)}\right\}}", _ATOM
        case Interval(low=low, high=high, closed_low=left, closed_high=right):
            ends = "[" if left else "(", "]" if right else ")"
            return rf"\left{ends[0]}{_listed((low, high))}\right{ends[1]}", _ATOM
        case Each(variable=variable, domain=domain, body=body):
            return rf"{_latex(body, 0)} : {_name(variable)} \in {_domain(domain)}", 0
        case Quantifier(kind=kind, variable=variable, domain=domain, body=body):
            head = rf"\{kind} {_name(variable)} \in {_domain(domain)}"
            return rf"{head} :\; {_latex(body, 0)}", 0
        case Restrict(claim=claim, mask=mask):
            return rf"{_latex(claim, parser.IFF)} \quad\text{{where }} {_latex(mask, 0)}", 0
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
        return rf"\frac{{{_latex(left, 0)}}}{{{_latex(right, 0)}}}", _ATOM
    if node.operator == "//":
        quotient = rf"\frac{{{_latex(left, 0)}}}{{{_latex(right, 0)}}}"
        return rf"\left\lfloor {quotient} \right\rfloor", _ATOM
    if node.operator == "**":
        return f"{{{_latex(left, _ATOM)}}}^{{{_latex(right, 0)}}}", parser.POWER
    sign, strength = _BINARY[node.operator]
    return f"{_latex(left, strength)}{sign}{_latex(right, strength + 1)}", strength


def _call(node: Call) -> tuple[str, int]:
    name, arguments = node.function, node.arguments
    if len(arguments) == 1 and not node.keywords:
        inner = arguments[0]
        match name:
            case "abs":
                return rf"\left|{_latex(inner, 0)}\right|", _ATOM
            case "sqrt":
                return rf"\sqrt{{{_latex(inner, 0)}}}", _ATOM
            case "floor" | "ceil":
                return rf"\left\l{name} {_latex(inner, 0)} \right\r{name}", _ATOM
            case "T":
                return rf"{_latex(inner, _ATOM)}^{{\top}}", _ATOM
            case "sum" | "prod":
                return rf"\{name}{_under(inner)}", parser.SUM
    if name == "norm" and not node.keywords:
        order = f"_{{{_latex(arguments[1], 0)}}}" if len(arguments) > 1 else ""
        return rf"\left\lVert {_latex(arguments[0], 0)} \right\rVert{order}", _ATOM
    keywords = [rf"\mathrm{{{key}}}={_latex(value, 0)}" for key, value in node.keywords]
    listed = ", ".join([*(_latex(argument, 0) for argument in arguments), *keywords])
    return rf"{_function(name)}\left({listed}\right)", _ATOM


def _under(argument: Expr) -> str:
    loops = ""
    while isinstance(argument, Each):
        loops += rf"_{{{_name(argument.variable)} \in {_domain(argument.domain)}}}"
        argument = argument.body
        if isinstance(argument, Each):
            loops += r"\sum"
    return f"{loops} {_latex(argument, parser.PRODUCT)}"


def _domain(domain: Expr) -> str:
    if isinstance(domain, Call) and domain.function == "range" and len(domain.arguments) in (1, 2):
        start = domain.arguments[0] if len(domain.arguments) == 2 else Number(0)
        return rf"\left[{_latex(start, 0)}, {_latex(domain.arguments[-1], 0)}\right)"
    return _latex(domain, 0)


def _listed(items: tuple[Expr, ...]) -> str:
    return ", ".join(_latex(item, 0) for item in items)
