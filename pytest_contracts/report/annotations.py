"""Annotations on the lines of a pull request, by GitHub's workflow commands.

Source: docs.github.com, "Workflow commands for GitHub Actions", and the escapes of the runner's
own toolkit (actions/toolkit, command.ts).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pytest_contracts.report.report import Place, Report, failed
from pytest_contracts.report.text import visible

_DATA = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_PROPERTY = {**_DATA, ":": "%3A", ",": "%2C"}


def wanted(environment: Mapping[str, str]) -> bool:
    """Tell whether the run is a step of a GitHub job."""
    return environment.get("GITHUB_ACTIONS") == "true"


def commands(report: Report) -> Iterator[str]:
    """Yield an ``::error …`` line for each item that failed and each file that is no contract."""
    for error in report.errors:
        place = Place(error.path, error.line, 1)
        yield _command(report, place, "not a contract", error.message)
    for record in report.records:
        if failed(record):
            name = record.nodeid.rpartition("::")[2]
            lines = [record.message, *(f"{k}: {v}" for k, v in record.failure.items())]
            lines.append(f"reproduce: {report.reproduce(record)}")
            title = f"{record.verdict}: {record.contract} {name}"
            yield _command(report, Place.of(record.where), title, "\n".join(lines))


def _command(report: Report, place: Place, title: str, message: str) -> str:
    path = report.in_repository(place.path) or place.path
    named = {"file": path, "line": place.line, "col": place.column, "title": title}
    properties = ",".join(f"{key}={_escaped(value, _PROPERTY)}" for key, value in named.items())
    return f"::error {properties}::{_escaped(message, _DATA)}"


def _escaped(value: object, table: Mapping[str, str]) -> str:
    # "%" goes first, or the escapes would be escaped; the other hidden characters are spelled out.
    text = str(value)
    for sign, code in table.items():
        text = text.replace(sign, code)
    return visible(text)
