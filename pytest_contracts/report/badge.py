"""The badge: how many items are verified, and the lowest level of any contract."""

from __future__ import annotations

from pytest_contracts.ledger.extent import counted
from pytest_contracts.report.report import Report, failed
from pytest_contracts.report.templates import environment
from pytest_contracts.report.text import shown_percent

LABEL = "contracts"
PADDING = 6
# White on each of these has a contrast of at least 4.5 : 1.
GREEN, AMBER, RED, GREY = "#2a7d46", "#946200", "#c0392b", "#5f6673"


def render(report: Report) -> str:
    """Return the badge as SVG."""
    message, color = wording(report)
    split = _width(LABEL)
    return (
        environment()
        .get_template("badge.svg.j2")
        .render(
            label=LABEL,
            message=message,
            color=color,
            pad=PADDING,
            split=split,
            width=split + _width(message),
        )
    )


def wording(report: Report) -> tuple[str, str]:
    """Return the message and its colour: red failed, amber is not all verified, green is.

    A run that was cut short is red, and a part is never green, also where one was all that was
    wanted.
    """
    failures = sum(failed(record) for record in report.records) + len(report.errors)
    if failures:
        return f"{failures:,} failing", RED
    extent = report.extent
    if extent.cut:
        return f"run {extent.end}", RED
    if not report.claims:
        return "nothing ran", GREY
    level = min(report.levels.values())
    if extent.partial:
        verified, claims = counted((*extent.records, *extent.unselected))
        return f"partial run: {verified:,} of {claims:,} verified, {level}", AMBER
    verified, claims = counted(extent.whole)
    message = f"{shown_percent(verified, claims)} verified, {level}"
    return message, GREEN if verified == claims else AMBER


def _width(text: str) -> int:
    """Return a text's width in 11 px Verdana, padding included; ``textLength`` evens it out."""
    narrow = sum(c in " .,:iljt1" for c in text)
    return round(7.1 * (len(text) - narrow) + 4.6 * narrow) + 2 * PADDING
