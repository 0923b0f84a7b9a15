"""Write the table of library functions into docs/reference/formula-language.md, from their rows."""

from __future__ import annotations

from pathlib import Path

from pytest_contracts.formula import LIBRARY

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "formula-language.md"
HEAD = "| function | arguments | axis | value |\n|---|---|---|---|\n"


def main() -> None:
    """Replace the lines below the table's head by those of the rows."""
    before, head, after = PAGE.read_text(encoding="utf-8").partition(HEAD)
    _, end, rest = after.partition("\n\n")
    table = "\n".join(function.documentation for function in LIBRARY.values())
    PAGE.write_text(before + head + table + end + rest, encoding="utf-8")


if __name__ == "__main__":
    main()
