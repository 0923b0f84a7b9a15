"""The templates of this package, every value escaped."""

from __future__ import annotations

from functools import cache

import jinja2

from pytest_contracts.report.text import count, one_line, visible


@cache
def environment() -> jinja2.Environment:
    """Return the environment; names that do not exist are errors, not blanks."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("pytest_contracts.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(one_line=one_line, count=count)
    return made


def _visible(value: object) -> object:
    """Show hidden characters of every text that a template writes; markup made here is left."""
    return visible(value) if isinstance(value, str) and not hasattr(value, "__html__") else value
