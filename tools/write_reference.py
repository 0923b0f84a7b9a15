"""Write the tables of the reference pages that say what rows of the code say.

    python tools/write_reference.py

A page marks the place of a table with ``<!-- table: NAME -->`` and ``<!-- end of table -->``; what
stands between is written anew. ``tests/repo/test_docs.py`` fails while a page is behind the code.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from pytest_contracts.contract.obligation_keys import KEYS
from pytest_contracts.contract.obligation_types import TYPES, Judge
from pytest_contracts.formula import LIBRARY
from pytest_contracts.items.obligations import TEMPLATES

DOCS = Path(__file__).parents[1] / "docs"
_PLACE = re.compile(r"(<!-- table: ([\w ]+) -->\n).*?(<!-- end of table -->)", re.DOTALL)

Rows = Iterator[tuple[str, ...]]


def library_functions() -> Rows:
    """Yield the header and a row for each function of the formula language."""
    yield "function", "arguments", "axis", "value"
    for row in LIBRARY.values():
        yield f"`{row.name}`", row.arguments, "axis" if row.keywords else "", row.meaning


def obligation_keys() -> Rows:
    """Yield the header and a row for each key that only some types read."""
    yield "key", "value", ""
    yield from ((f"`{key.name}`", key.domain, key.means) for key in KEYS)


def obligation_types() -> Rows:
    """Yield the header and a row for each type."""
    yield "`type`", "code", "what it claims", "keys"
    for row in TYPES.values():
        needs = "; needs `formal` or `run`" if row.judge is Judge.NOBODY else ""
        yield f"`{row.name}`", row.code, row.claims + needs, _code(key.name for key in row.keys)


def templates_beside() -> Rows:
    """Yield the header and a row for each rule, with the types that go by it."""
    yield "types", "where"
    by_rule: dict[str, list[str]] = {}
    for name in TYPES:
        if name in TEMPLATES:
            by_rule.setdefault(TEMPLATES[name].enough.words, []).append(name)
    yield from ((_code(names), words) for words, names in by_rule.items())


TABLES: Mapping[str, Callable[[], Rows]] = {
    "library functions": library_functions,
    "obligation keys": obligation_keys,
    "obligation types": obligation_types,
    "templates beside a formula": templates_beside,
}


def _code(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _markdown(rows: Rows) -> str:
    header, *body = rows
    rule = "|---" * len(header) + "|"
    return "\n".join([_line(header), rule, *map(_line, body)])


def _line(cells: Iterable[str]) -> str:
    escaped = (cell.replace("|", "\\|") for cell in cells)
    return "|" + "|".join(f" {cell} " if cell else " " for cell in escaped) + "|"


def written(page: str) -> str:
    """Return the text of a page with its tables as the code has them now."""
    return _PLACE.sub(lambda at: f"{at[1]}\n{_markdown(TABLES[at[2]]())}\n\n{at[3]}", page)


def main() -> None:
    """Write every page that is behind."""
    for path in sorted(DOCS.rglob("*.md")):
        page = path.read_text(encoding="utf-8")
        if (new := written(page)) != page:
            path.write_text(new, encoding="utf-8")
            print(path.relative_to(DOCS.parent))


if __name__ == "__main__":
    main()
