"""Whether contracts are well-formed: they load, formulas fit, references lead somewhere.

Nothing that a contract names in code is imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pytest_contracts.analysis.looseness import loose
from pytest_contracts.analysis.ranges import of_few_integers, without_end
from pytest_contracts.contract import (
    Contract,
    Variable,
    Where,
    check_dependencies,
    find_contracts,
    load,
)
from pytest_contracts.contract.loading import refuse_silence
from pytest_contracts.contract.meaning import expression, written
from pytest_contracts.contract.model import Claim, Remark
from pytest_contracts.contract.scope import (
    concerned,
    definition_of,
    refuse_two_meanings,
    variables_of,
)
from pytest_contracts.contract.unread import refuse_unread
from pytest_contracts.contract.wild.binding_file import is_binding_file, load_bindings
from pytest_contracts.domains.regressions import accepted, check_names
from pytest_contracts.domains.strategies import Domain, ordered, parse_domain
from pytest_contracts.errors import (
    ContractBindingError,
    ContractError,
    ContractSyntaxError,
    FormulaError,
)
from pytest_contracts.formula import check, free_names, parse_definition
from pytest_contracts.formula.check import Known
from pytest_contracts.formula.reading.remarks import refuse_named
from pytest_contracts.formula.shapes import Length
from pytest_contracts.items.formula_claim import refuse_tolerance
from pytest_contracts.items.formulas import Formula
from pytest_contracts.symbolic.result import not_built


@dataclass(frozen=True, slots=True)
class Note:
    """A remark on a part of a contract that is well-formed."""

    message: str
    where: Where
    kind: Literal["note", "warning"] = "note"

    def __str__(self) -> str:
        return f"{self.where}: {self.kind}: {self.message}"


@dataclass(frozen=True, slots=True)
class Validation:
    """One file: its contract, if it loads, what is wrong with it, and what will not be decided."""

    path: Path
    contract: Contract | None
    errors: tuple[ContractError, ...]
    notes: tuple[Note, ...] = ()

    @property
    def prose(self) -> int:
        """How many claims of a wild contract nothing can execute."""
        claims = () if self.contract is None else self.contract.claims
        return sum(claim.prose is not None for claim in claims)


def validate(paths: Iterable[Path], bindings: Iterable[Path] = ()) -> list[Validation]:
    """Return a report on each contract file among the paths and below the directories.

    Wild contracts are bound to what ``bindings`` and the binding files beside them say.
    Dependencies are looked up among all of them, and must be there if a directory is given.
    """
    paths = list(paths)
    files = dict.fromkeys(file for path in paths for file in _files(path))
    given = list(bindings)
    reports = [_report(file, given) for file in files]
    contracts = [report.contract for report in reports if report.contract is not None]
    complete = any(path.is_dir() for path in paths) and len(contracts) == len(reports)
    try:
        remarks = check_dependencies(contracts, complete=complete)
    except ContractError as error:
        at_fault = None if error.where is None else error.where.path
        return [replace(r, errors=(*r.errors, error)) if r.path == at_fault else r for r in reports]
    return [_warned(report, remarks) for report in reports]


def _warned(report: Validation, remarks: Iterable[Remark]) -> Validation:
    mine = [remark for remark in remarks if remark.where.path == report.path]
    notes = (Note(remark.message, remark.where, "warning") for remark in mine)
    return replace(report, notes=(*report.notes, *notes)) if mine else report


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from find_contracts(path)
    else:
        yield path


def _report(path: Path, bindings: list[Path]) -> Validation:
    try:
        if is_binding_file(path):
            load_bindings(path)
            return Validation(path, None, ())
        contract = load(path, bindings)
        refuse_silence(contract)
    except ContractError as error:
        return Validation(path, None, (error,))
    errors = (*formula_errors(contract), *input_errors(contract), *tolerance_errors(contract))
    return Validation(path, contract, errors, tuple(_notes(contract)))


def _notes(contract: Contract) -> Iterator[Note]:
    yield from (Note(remark.message, remark.where) for remark in contract.remarks)
    for harness in contract.harnesses:
        if harness.prose is not None:
            continue
        if missing := not_built(harness.strategy, harness.solver):
            yield Note(f"{harness.id} will be INCONCLUSIVE, {missing}", harness.where)
    if contract.dialect == "wild":
        return
    for variable in _variables(contract):
        if remark := of_few_integers(variable):
            yield Note(remark, variable.where)
    for equation in contract.equations:
        with suppress(ContractError):  # reported as such
            definition = definition_of(equation)
            for remark in without_end(definition) if definition is not None else ():
                yield Note(remark, equation.formula_where)
    for claim in contract.claims:
        with suppress(ContractError):
            tree = expression(claim)
            for remark in without_end(tree) if tree is not None else ():
                yield Note(remark, claim.formal_where or claim.where)
            if remark := loose(contract, claim, frozenset() if tree is None else free_names(tree)):
                yield Note(remark, claim.where, "warning")


def _variables(contract: Contract) -> Iterator[Variable]:
    for equation in contract.equations:
        yield from equation.variables
    for claim in contract.claims:
        yield from claim.variables


def tolerance_errors(contract: Contract) -> Iterator[ContractError]:
    """Yield what claims' tolerances do not mean."""
    for claim in contract.claims:
        with suppress(FormulaError):  # reported as such
            formula = Formula.of_claim(claim)
            try:
                refuse_tolerance(claim, () if formula is None else (formula,))
            except ContractSyntaxError as error:
                yield error


def formula_errors(contract: Contract) -> Iterator[ContractError]:
    """Yield what is wrong with the definitions and the claims of a contract."""
    common: dict[str, Known] = {name: _shape(value) for name, value in contract.constants.items()}
    definitions = []
    for equation in contract.equations:
        common[equation.name] = None
        if equation.formula is None:
            continue
        try:
            definition = parse_definition(equation.formula)
            refuse_named(equation.formula, {variable.name for variable in equation.variables})
        except FormulaError as error:
            yield error.located(equation.formula, equation.formula_where)
            continue
        definitions.append((equation, definition))
        common[equation.name] = definition
        common.setdefault(definition.name, definition)
    if len(definitions) < sum(equation.formula is not None for equation in contract.equations):
        return
    for equation, definition in definitions:
        known = {**_shapes(equation.variables), **common}
        try:
            check(definition, known)
        except FormulaError as error:
            yield error.located(equation.formula or "", equation.formula_where)
    for claim in contract.claims:
        if claim.formal_where is None:
            continue
        try:
            tree = expression(claim)
            if tree is None:
                continue
            variables = variables_of(contract, claim, concerned(contract, claim, free_names(tree)))
            known = {**common, **_shapes(variables.values()), **dict.fromkeys(claim.parametrize)}
            check(tree, {"tolerance": (), "definition": None, **known})
            refuse_two_meanings(contract, free_names(tree))
        except FormulaError as error:
            yield error.located(written(claim), claim.formal_where)
        except ContractSyntaxError as error:
            yield error


def input_errors(contract: Contract) -> Iterator[ContractError]:
    """Yield what is wrong with the domains and the recorded regressions of a contract.

    What only a project's own plugins know, such as a named strategy, is let pass.
    """
    seen: set[Where] = set()
    for claim in contract.claims:
        mentioned: frozenset[str] = frozenset()
        with suppress(FormulaError):  # reported as such
            tree = expression(claim)
            mentioned = mentioned if tree is None else free_names(tree)
            equations = concerned(contract, claim, mentioned)
            variables = variables_of(contract, claim, equations)
            domains: dict[str, Domain] = {}
            for variable in variables.values():
                try:
                    domains[variable.name] = parse_domain(variable, {})
                except ContractBindingError:
                    continue
                except ContractError as error:
                    if variable.where not in seen:
                        seen.add(variable.where)
                        yield error
            yield from _regression_errors(contract, claim, variables, domains)
        try:
            refuse_unread(contract, claim)
        except ContractBindingError as error:
            yield error


def _regression_errors(
    contract: Contract,
    claim: Claim,
    variables: Mapping[str, Variable],
    domains: Mapping[str, Domain],
) -> Iterator[ContractError]:
    drawn = {name: domain for name, domain in domains.items() if name not in claim.parametrize}
    elsewhere = {*contract.constants, *claim.parametrize, *(variables.keys() - domains.keys())}
    elsewhere |= frozenset().union(*(domain.needs for domain in drawn.values())) - drawn.keys()
    for regression in claim.regressions:
        try:
            check_names(regression, variables)
            accepted(regression, ordered(drawn, elsewhere), contract.constants)
        except ContractError as error:
            yield error


def _shapes(variables: Iterable[Variable]) -> dict[str, Known]:
    return {variable.name: _shape(variable.spec) for variable in variables}


def _shape(spec: Any) -> tuple[Length, ...] | None:
    """Return the shape that a domain gives its values, None where only drawing tells."""
    if isinstance(spec, Mapping):
        shape = spec.get("shape")
        if isinstance(shape, tuple):
            return tuple(n if isinstance(n, int | str) else None for n in shape)
        return () if "dtype" in spec and shape is None else None
    return () if isinstance(spec, int | float) else None
