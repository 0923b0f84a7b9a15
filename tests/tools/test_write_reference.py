"""Tables of the pages from rows: filled where they are marked, and nowhere else."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "write_reference.py"


@pytest.fixture(scope="module")
def tool() -> dict[str, Any]:
    return runpy.run_path(str(TOOL))


def test_a_marked_table_is_filled_and_stays_as_it_is(tool: dict[str, Any]) -> None:
    empty = "before\n<!-- table: obligation types -->\nold\n<!-- end of table -->\n| after |\n"
    page = tool["written"](empty)
    assert page.startswith("before\n<!-- table: obligation types -->\n\n| `type` | code |")
    assert page.endswith("\n\n<!-- end of table -->\n| after |\n")
    assert "old" not in page
    assert "| `idempotency` | IDM | f(f(x)) ≈ f(x) | `argument` |\n" in page
    assert tool["written"](page) == page


def test_a_bar_in_a_cell_does_not_end_it(tool: dict[str, Any]) -> None:
    assert (
        tool["_markdown"](iter([("a", ""), ("|x|", "y")])) == "| a | |\n|---|---|\n| \\|x\\| | y |"
    )


def test_a_mark_that_names_no_table_is_an_error(tool: dict[str, Any]) -> None:
    with pytest.raises(KeyError, match="obligation tipes"):
        tool["written"]("<!-- table: obligation tipes -->\n<!-- end of table -->\n")
