"""``pv``: contracts at the command line, without running a claim."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pytest_contracts.analysis.validate import Validation
    from pytest_contracts.contract import Contract

_NOT_WRITTEN = 3
_UNKNOWN = "the ledger does not say whether its run came to its end: an older version wrote it"
_BINDING = typer.Option("--binding", help="A binding file of wild contracts (repeatable).")

app = typer.Typer(
    name="pv",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def pv() -> None:
    """Inspect mathematical contracts. To run their claims: pytest --contracts PATH."""


@app.command()
def validate(
    paths: Annotated[list[Path], typer.Argument(help="Contract files, or directories of them.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    binding: Annotated[list[Path] | None, _BINDING] = None,
) -> None:
    """Check that contracts are well-formed: schema, references, formulas, names and shapes.

    Exit codes: 0 all are valid, 1 at least one is not, 2 wrong usage or no contract found.
    """
    for path in paths:
        if not path.exists():
            raise typer.BadParameter(f"{path} does not exist", param_hint="PATHS")
    from pytest_contracts.analysis.validate import validate as reports_on

    reports = reports_on(paths, binding or ())
    if not reports:
        raise typer.BadParameter("no *.yaml below the given directories", param_hint="PATHS")
    invalid = [report for report in reports if report.errors]
    if as_json:
        document = {"valid": not invalid, "contracts": [_record(report) for report in reports]}
        _print_json(document)
    else:
        for report in reports:
            _print(report)
        typer.echo(f"{len(reports) - len(invalid)} valid, {len(invalid)} invalid")
    if invalid:
        raise typer.Exit(1)


@app.command()
def show(
    path: Annotated[Path, typer.Argument(help="A contract file.")],
    latex: Annotated[bool, typer.Option("--latex", help="Formulas as LaTeX.")] = False,
    binding: Annotated[list[Path] | None, _BINDING] = None,
) -> None:
    """Print the equations and claims of a contract, as they are understood.

    Exit codes: 0 printed, 1 the contract is not valid, 2 wrong usage.
    """
    from pytest_contracts.contract import load
    from pytest_contracts.errors import ContractError

    try:
        contract = load(path, binding or ())
        lines = _described(contract, latex)
    except ContractError as error:
        _complain(str(error))
        raise typer.Exit(1) from None
    for line in lines:
        typer.echo(line)


@app.command()
def schema() -> None:
    """Print the JSON Schema of a contract file, for editors."""
    from pytest_contracts.contract.schema import schema_text

    typer.echo(schema_text().rstrip())


@app.command()
def evidence(
    ledger: Annotated[Path, typer.Argument(help="The ledger of a run: --contracts-report=FILE.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")],
    device: Annotated[
        str | None, typer.Option(help="Where it ran, if the run did not say.")
    ] = None,
    commit: Annotated[str | None, typer.Option(help="The commit, if the run did not say.")] = None,
) -> None:
    """Keep what held in a run as evidence for machines that cannot run it.

    Exit codes: 0 written, 1 the ledger holds no evidence, 2 wrong usage.
    """
    from pytest_contracts.errors import ContractError
    from pytest_contracts.files import check_target
    from pytest_contracts.ledger.evidence import extract
    from pytest_contracts.ledger.reading import read
    from pytest_contracts.ledger.records import End, write_json

    try:
        check_target(output)
        source = read(ledger)
        document, refused = extract(source, device=device, commit=commit)
        write_json(document, output)
    except ContractError as error:
        _complain(str(error))
        raise typer.Exit(1) from None
    except OSError as error:
        _complain(f"cannot write {output}: {error.strerror}")
        raise typer.Exit(1) from None
    for reason in refused:
        typer.echo(f"left out: {reason}")
    if source.extent.end is End.UNKNOWN:
        typer.echo(_UNKNOWN)
    noun = "item" if len(document["items"]) == 1 else "items"
    typer.echo(f"{output}: {len(document['items'])} {noun} on {document['device']}")


@app.command("proof-status")
def proof_status(
    ledger: Annotated[Path, typer.Argument(help="The ledger of a run: .contracts/ledger.json.")],
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Contract files, or directories of them. [default: contracts]"),
    ] = None,
) -> None:
    """Print the levels that claims declare beside those that a run achieved.

    Exit codes: 0 all are reached, 1 at least one is not, the run was cut short, or a contract is
    not valid, 2 wrong usage.
    """
    from pytest_contracts.analysis.proof_status import proof_status as standings_of
    from pytest_contracts.contract import find_contracts, load
    from pytest_contracts.errors import ContractError
    from pytest_contracts.ledger.levels import contract_level
    from pytest_contracts.ledger.reading import LedgerError, read
    from pytest_contracts.ledger.records import End

    folders = paths or [Path("contracts")]
    for path in folders:
        if not path.exists():
            raise typer.BadParameter(f"{path} does not exist", param_hint="PATHS")
    try:
        extent = read(ledger).extent
        files = [f for p in folders for f in (find_contracts(p) if p.is_dir() else [p])]
        contracts = [load(file) for file in files]
    except LedgerError as error:
        raise typer.BadParameter(str(error), param_hint="LEDGER") from None
    except ContractError as error:
        _complain(str(error))
        raise typer.Exit(1) from None
    under = declared = 0
    for contract in contracts:
        own = extent.of_contract(contract.name)
        typer.echo(f"{contract.name}  {contract_level(own) if own else 'not run'}")
        for standing in standings_of(contract, extent.records):
            achieved = standing.achieved or standing.note
            mark = ", under" if standing.under else ""
            typer.echo(
                f"  {standing.claim}  declared {standing.declared}, achieved {achieved}{mark}"
            )
            declared += 1
            under += standing.under
    for sentence in extent.sentences():
        typer.echo(sentence)
    if extent.end is End.UNKNOWN:
        typer.echo(_UNKNOWN)
    typer.echo(f"{declared} declared, {under} under")
    if under or extent.cut:
        raise typer.Exit(1)


@app.command()
def merge(
    ledgers: Annotated[list[Path], typer.Argument(help="Ledgers: --contracts-report=FILE.json.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")],
    strict: Annotated[
        bool, typer.Option("--strict", help="Undecided gates and claims that no run selected fail.")
    ] = False,
) -> None:
    """Merge the ledgers of runs that each judged a part, and decide the gates from all of them.

    Exit codes: 0 merged and nothing fails, 1 merged and something fails, two ledgers disagree or
    claims have no verdict in any of them, 2 not merged.
    """
    from pytest_contracts.errors import ContractError
    from pytest_contracts.files import check_target
    from pytest_contracts.ledger.merging import merge as merged_of
    from pytest_contracts.ledger.merging import summary
    from pytest_contracts.ledger.reading import read
    from pytest_contracts.ledger.records import write_json

    try:
        check_target(output)
        merged = merged_of([read(path) for path in ledgers], strict=strict)
        write_json(merged.document, output)
    except ContractError as error:
        _complain(str(error))
        raise typer.Exit(2) from None
    except OSError as error:
        _complain(f"cannot write {output}: {error.strerror}")
        raise typer.Exit(2) from None
    for line in summary(merged):
        typer.echo(line)
    if merged.failed or merged.conflicts or merged.lacking or merged.document["errors"]:
        raise typer.Exit(1)


def _print(report: Validation) -> None:
    if report.errors:
        for error in report.errors:
            typer.echo(f"{error}\n")
        return
    if report.contract is None:
        typer.echo(f"{report.path}: valid, a binding file")
        return
    claims = len(report.contract.claims)
    counted = f"{claims} {'claim' if claims == 1 else 'claims'}"
    if report.contract.dialect == "wild":
        counted += f", wild dialect: {claims - report.prose} executable, {report.prose} prose"
    typer.echo(f"{report.path}: valid, {counted}")
    for note in report.notes:
        typer.echo(f"  {note}")


def _record(report: Validation) -> dict[str, Any]:
    contract = report.contract
    return {
        "path": str(report.path),
        "name": report.path.stem,
        "valid": not report.errors,
        "claims": None if contract is None else len(contract.claims),
        "dialect": None if contract is None else contract.dialect,
        "prose": None if contract is None else report.prose,
        "sha256": None if contract is None else contract.sha256,
        "errors": [
            {
                "type": type(error).__name__,
                "message": error.message,
                "line": None if error.where is None else error.where.line,
                "column": None if error.where is None else error.where.column,
                "hint": error.hint,
            }
            for error in report.errors
        ],
        "notes": [
            {"message": note.message, "line": note.where.line, "column": note.where.column}
            for note in report.notes
        ],
    }


def _described(contract: Contract, latex: bool) -> list[str]:
    from pytest_contracts.contract.meaning import expression
    from pytest_contracts.errors import FormulaError
    from pytest_contracts.formula import parse_definition, render_latex, render_unicode

    render = render_latex if latex else render_unicode
    lines = [f"{contract.name} {contract.metadata.version} ({contract.metadata.status})"]
    lines += [f"  {contract.metadata.description}", ""]
    if contract.dialect == "wild" and contract.dialect_shown is not None:
        lines[1:1] = [f"  wild dialect: {contract.dialect_shown.message}"]
    for equation in contract.equations:
        if equation.formula is not None:
            lines.append(f"  {render(parse_definition(equation.formula))}")
        for name, target in equation.implementations.items():
            lines.append(f"      {name}: {target}")
    for claim in contract.claims:
        lines.append(f"  {claim.id}  {claim.statement}")
        try:
            tree = expression(claim)
            lines += [] if tree is None else [f"      {render(tree)}"]
        except FormulaError as error:
            lines.append(f"      prose: {error.message}")
        if claim.prose is not None:
            reading = claim.extra.get("wild", {}).get("reading")
            lines += [f"      read as: {reading}"] if reading else []
            lines.append(f"      prose: {claim.prose}")
        if claim.run is not None:
            lines.append(f"      run: {claim.run}")
    return lines


def _print_json(document: Any) -> None:
    from pytest_contracts.streams import encodable

    text = json.dumps(document, indent=2, ensure_ascii=False)
    # JSON has escapes of its own for what a stream cannot carry.
    typer.echo(text if encodable(text) else json.dumps(document, indent=2))


def _complain(message: str) -> None:
    """Say what is wrong; a standard error that takes nothing is no reason to fail otherwise."""
    with contextlib.suppress(OSError):
        typer.echo(message, err=True)


def main() -> None:
    """Run ``pv``; exit code 3 where its own output cannot be written, or memory runs out."""
    from pytest_contracts.streams import delivered, settle

    settle()
    try:
        app()
    except OSError as error:
        delivered()
        if isinstance(error.__context__, typer.TyperException):  # it could not be shown
            raise SystemExit(error.__context__.exit_code) from None
        _complain(f"pv: {error}" if error.filename else f"pv: cannot write: {error.strerror}")
        raise SystemExit(_NOT_WRITTEN) from None
    except MemoryError as error:
        _complain(f"pv: not enough memory: {error or 'the system gives no more'}")
        raise SystemExit(_NOT_WRITTEN) from None
    finally:
        delivered()
