"""What may stand behind a whole formula and changes nothing of it."""

from __future__ import annotations

import re

from pytest_contracts.formula.reading.wild.operators import WildOperators


def closing_remark(parser: WildOperators) -> str:
    """Accept the end of the text, or return a remark after a dash or in parentheses."""
    rest = parser.text[parser.current.offset :].strip()
    if parser.current.kind == "end":
        return ""
    if parser.at("—"):
        remark = rest[1:].strip()
        if re.search(r"[^\W\d]{3,}\s+[^\W\d]{2,}", remark):
            return remark
    elif parser.at("(") and parser.current.spaced and re.fullmatch(r"\([^()]*\)", rest):
        remark = rest[1:-1].strip()
        plain = re.fullmatch(r"[A-Za-z][\w\s,.+\-]*", remark)
        sum_of = re.search(r"\s[+\-]\s|\+\w", remark)  # 10 (p - q) is a product
        if plain and not sum_of and _explains(parser, remark):
            return remark
    raise parser.error(f"unexpected {parser.found()} after the formula")


def _explains(parser: WildOperators, remark: str) -> bool:
    """Tell a remark from the argument of a function written with a space, ``f (x)``."""
    before = re.search(r"(\w+)\s*$", parser.text[: parser.current.offset])
    if before is None or before.group(1).isdigit() or " " in remark:
        return len(remark) > 2
    used = re.findall(rf"\b{re.escape(before.group(1))}\b", parser.text)
    return len(used) > 1 and len(remark) > 2
