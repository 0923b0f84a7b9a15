"""The report as one HTML page that needs nothing else: no network, no server, no library."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources

from markupsafe import Markup

from pytest_contracts.ledger.extent import counted
from pytest_contracts.report.graph import draw
from pytest_contracts.report.report import Report
from pytest_contracts.report.templates import environment
from pytest_contracts.report.text import shown_percent
from pytest_contracts.report.trend import Trend
from pytest_contracts.report.view import Tally, contract_views


def render(report: Report) -> str:
    """Return the page."""
    style, script = _own("report.css"), _own("report.js")
    contracts = contract_views(report)
    verified, claims = counted(report.extent.whole)
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            style=style,
            script=script,
            policy=_policy(style, script),
            title=report.title,
            run=report.document["run"],
            contracts=contracts,
            anchors={contract.name: contract.anchor for contract in contracts},
            tally=Tally.of(report.claims),
            verified=verified,
            counted=claims,
            share=f"{verified:,} of {claims:,}"
            if report.extent.cut or report.extent.partial
            else shown_percent(verified, claims),
            extent=tuple(report.extent.sentences()),
            examples=sum(record.examples for record in report.claims),
            compared=sum(record.compared for record in report.claims),
            lowest=min(report.levels.values(), default=None),
            errors=report.errors,
            thresholds=report.thresholds,
            reproduce=report.reproduce,
            trend=None
            if report.baseline is None
            else Trend.between(report.baseline, report.records),
            graph=draw(
                {
                    contract.name: contract.contract.metadata.depends_on
                    for contract in contracts
                    if contract.contract is not None
                }
            ),
        )
    )


def _own(name: str) -> Markup:
    """Return a file of this package as it is; nothing of a contract is in it."""
    text = resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
    return Markup(text)


def _policy(style: str, script: str) -> str:
    """Return the page's content security policy: its own style and script, and nothing else.

    Were a contract's text ever written without escapes, it still could neither run nor load.
    """
    return (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
