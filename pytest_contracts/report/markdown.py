"""The report as Markdown, for GitHub's step summary and merge requests."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from pytest_contracts.ledger.extent import counted
from pytest_contracts.ledger.records import Record
from pytest_contracts.ledger.verdict import Verdict
from pytest_contracts.report.report import Place, Report, expected, failed
from pytest_contracts.report.text import count, one_line, shown_percent, visible
from pytest_contracts.report.trend import Trend

MOST_ROWS = 50
"""Failing items shown in full; GitHub refuses a step summary of more than a MiB."""
_SPECIAL = re.compile(r"([\\`*_{}\[\]|~<>&@$])")


def render(report: Report) -> str:
    """Return the report as GitHub-flavoured Markdown."""
    parts = [_head(report), _contracts(report), _errors(report), _failures(report)]
    parts += [_trend(report), _missing(report)]
    return "\n\n".join(filter(None, parts)) + "\n"


def escaped(text: object) -> str:
    """Return a text on one line that Markdown shows as it is, never as markup or a mention."""
    entities = {"<": "&lt;", ">": "&gt;", "&": "&amp;", "@": "&#64;", "|": "&#124;", "$": "&#36;"}
    return _SPECIAL.sub(lambda m: entities.get(m[1], f"\\{m[1]}"), one_line(text))


def code(text: object, limit: int = 300) -> str:
    """Return a text on one line as code, also within a table."""
    shown = one_line(text, limit).replace("|", "¦")
    fence = "`" * (max((len(run) for run in re.findall("`+", shown)), default=0) + 1)
    padded = f" {shown} " if shown.startswith("`") or shown.endswith("`") else shown
    return f"{fence}{padded}{fence}" if shown else ""


def block(text: str) -> str:
    """Return a text of several lines as a fenced block."""
    fence = "`" * max(3, max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    return f"{fence}text\n{visible(text)}\n{fence}"


def _head(report: Report) -> str:
    claims, extent = report.claims, report.extent
    bad = sum(failed(record) for record in report.records) + len(report.errors)
    wrong = bad or report.thresholds or extent.cut
    mark = "❌" if wrong else "⚠️" if extent.partial or extent.lost else "✅"
    verified, counts = counted(extent.whole)
    said = f"{shown_percent(verified, counts)} verified"
    if extent.cut or extent.partial:
        said = f"{'cut short' if extent.cut else 'partial'}, {verified:,} of {counts:,} verified"
    examples = sum(record.examples for record in claims)
    compared = sum(record.compared for record in claims)
    lines = [
        f"## {mark} Contracts: {said}",
        "",
        f"{report.verified:,} of {count(len(claims), 'item')} verified in "
        f"{count(len(report.sections), 'contract')}: {examples:,} examples drawn, "
        f"{compared:,} elements compared.",
    ]
    lines += [f"\n**{escaped(line)}**" for line in extent.sentences()]
    lines += [f"\n**Under the threshold:** {escaped(line)}" for line in report.thresholds]
    return "\n".join(lines)


def _contracts(report: Report) -> str:
    present = {record.verdict for record in report.records}
    verdicts = [verdict for verdict in reversed(Verdict) if verdict in present]
    rows = []
    for section in report.sections:
        counts = Counter(record.verdict for record in section.records)
        cells = [f"{counts[verdict]:,}" if counts[verdict] else "" for verdict in verdicts]
        rows.append([escaped(section.name), report.levels[section.name].value, *cells])
    heads = [f"{_mark(verdict)} {verdict.lower()}".strip() for verdict in verdicts]
    return table(["contract", "level", *heads], rows, numbers=len(verdicts))


def _mark(verdict: Verdict) -> str:
    return "❌" if verdict.refuted or verdict is Verdict.LOST else "✅" if verdict.verified else ""


def _failures(report: Report) -> str:
    bad = [record for record in report.records if failed(record)]
    known = [record for record in report.records if expected(record)]
    parts = []
    if bad:
        shown = "\n\n".join(_failure(record, report) for record in bad[:MOST_ROWS])
        more = f"\n\n… and {count(len(bad) - MOST_ROWS, 'more')}" if len(bad) > MOST_ROWS else ""
        parts.append(f"### {count(len(bad), 'failing item')}\n\n{shown}{more}")
    if known:
        lines = [f"- {code(r.nodeid)} {r.status}: {escaped(r.message)}" for r in known[:MOST_ROWS]]
        parts.append(f"### {count(len(known), 'item')} known not to hold\n\n" + "\n".join(lines))
    return "\n\n".join(parts)


def _failure(record: Record, report: Report) -> str:
    place = Place.of(record.where)
    rows = [f"{label}: {value}" for label, value in record.failure.items()]
    if record.counterexample:
        rows += ["counterexample:", *(f"  {line}" for line in record.counterexample.splitlines())]
    rows.append(f"reproduce: {report.reproduce(record)}")
    return (
        f"<details><summary><b>{record.verdict}</b> "
        f"<code>{html.escape(one_line(record.nodeid.rpartition('::')[2]))}</code> "
        f"{html.escape(one_line(record.message))}</summary>\n\n"
        f"{code(f'{place.path}:{place.line}')}\n\n{block(chr(10).join(rows))}\n\n</details>"
    )


def _errors(report: Report) -> str:
    if not report.errors:
        return ""
    lines = [
        f"- {code(f'{error.path}:{error.line}')} {escaped(error.message)}"
        for error in report.errors[:MOST_ROWS]
    ]
    head = f"### {count(len(report.errors), 'file')} that could not be read as a contract"
    return f"{head}\n\n" + "\n".join(lines)


def _trend(report: Report) -> str:
    if report.baseline is None:
        return ""
    trend = Trend.between(report.baseline, report.records)
    lines = [f"### Since {escaped(trend.since)}\n"]
    for title, records in trend.groups:
        names = ", ".join(code(r.nodeid.rpartition("::")[2]) for r in records[:10])
        more = f" and {len(records) - 10} more" if len(records) > 10 else ""
        lines.append(f"- **{title}:** {len(records)}{f' ({names}{more})' if records else ''}")
    return "\n".join(lines)


def _missing(report: Report) -> str:
    absent = [r for r in report.claims if Verdict(r.verdict).absent or r.verdict == Verdict.LOST]
    reasons = Counter(record.message for record in absent)
    lines = [f"- {count(n, 'item')}: {escaped(reason)}" for reason, n in reasons.most_common(20)]
    return "### Not run here\n\n" + "\n".join(lines) if lines else ""


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], numbers: int = 0) -> str:
    """Return a table whose last ``numbers`` columns are right-aligned."""
    rule = ["---"] * (len(heads) - numbers) + ["---:"] * numbers
    return "\n".join(f"| {' | '.join(row)} |" for row in (heads, rule, *rows))
