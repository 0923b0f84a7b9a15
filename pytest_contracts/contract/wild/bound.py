"""A wild contract and its bindings to one that runs: strict formulas, or the reason why not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, TypeVar

from pytest_contracts.contract.model import (
    Claim,
    Contract,
    FalsificationTest,
    ProofObligation,
    ReadFormula,
)
from pytest_contracts.contract.wild.binding_file import Binding
from pytest_contracts.contract.wild.resolving import Unresolved, broadcast, loosened, resolve
from pytest_contracts.contract.wild.vocabulary import Vocabulary
from pytest_contracts.errors import ContractBindingError, FormulaError
from pytest_contracts.formula import render_unicode
from pytest_contracts.formula.reading.wild import Reading, read
from pytest_contracts.formula.tree import Expr, names
from pytest_contracts.tolerance import ToleranceKind

_Claim = TypeVar("_Claim", ProofObligation, FalsificationTest)


def bind(contract: Contract, bindings: Iterable[Binding]) -> Contract:
    """Return the contract with every claim either executable or prose with its reason.

    Raises:
        ContractBindingError: a binding names an equation that the contract does not have, or says
            something of its words that is no formula.
    """
    binder = _Binder(Vocabulary(contract, bindings))
    return replace(
        contract,
        equations=tuple(binder.said.equations.values()),
        obligations=tuple(binder.obligation(claim) for claim in contract.obligations),
        falsification_tests=tuple(binder.test(claim) for claim in contract.falsification_tests),
    )


class _Binder:
    def __init__(self, said: Vocabulary) -> None:
        self.said = said

    def obligation(self, claim: ProofObligation) -> ProofObligation:
        if claim.formal is not None:
            return self.claim(claim, claim.formal, claim.statement)
        if claim.type == "equivalence":
            return self.equivalence(claim)
        return replace(claim, prose="it has no formal")

    def test(self, claim: FalsificationTest) -> FalsificationTest:
        """Return a test whose prediction is its claim; ``test:`` is never executed."""
        text = claim.formal or claim.statement
        where = claim.formal_where or claim.where
        return self.claim(replace(claim, formal_where=where), text, claim.statement)

    def claim(self, claim: _Claim, text: str, spoken: str) -> _Claim:
        """Return a claim with the formula of what it says, or with the reason for none."""
        kept = {**claim.extra.get("wild", {}), "written": text}
        try:
            reading = read(text)
            kept["reading"] = render_unicode(reading.tree)
            applies = self.said.applies_to(claim)
            tree, tolerance, kind = self.resolved(claim, reading, spoken)
        except FormulaError as error:
            return self.prose(claim, f"not a formula: {error.message}", kept)
        except Unresolved as error:
            return self.prose(claim, str(error), kept)
        return replace(
            claim,
            formal=render_unicode(tree),
            read=ReadFormula(tree, text),
            variables=self.said.variables_for(claim, tree),
            tolerance=tolerance,
            tolerance_kind=kind,
            applies_to=applies,
            extra=MappingProxyType({**claim.extra, "wild": MappingProxyType(kept)}),
        )

    def prose(self, claim: _Claim, reason: str, kept: Mapping[str, Any]) -> _Claim:
        extra = MappingProxyType({**claim.extra, "wild": MappingProxyType(dict(kept))})
        return replace(claim, formal=None, formal_where=None, prose=reason, extra=extra)

    def resolved(
        self, claim: Claim, reading: Reading, spoken: str
    ) -> tuple[Expr, float | None, ToleranceKind]:
        tolerance = claim.tolerance if claim.tolerance is not None else reading.tolerance
        scope = self.said.scope(claim)
        tree = resolve(reading.tree, scope, tolerance=tolerance is not None)
        if not names(tree) & self.said.bound:
            raise Unresolved("it calls nothing that is bound")
        if reading.remark.startswith("broadcast"):
            tree = broadcast(tree)
        if tolerance is not None and "tolerance" not in names(tree):
            tree = loosened(tree)
        ulp = reading.in_ulp or re.search(r"\bULPs?\b", spoken) is not None
        return tree, tolerance, "ulp" if ulp else "absolute"

    def equivalence(self, claim: ProofObligation) -> ProofObligation:
        """Return "SIMD matches scalar" as the template of its type, between two implementations."""
        pairs = [b for b in self.said.bindings if b.simd and b.equation is not None]
        if not pairs:
            cannot = next(iter(self.said.foreign.values()), None)
            reason = "it has no formal, and no binding says what simd and scalar are"
            return replace(claim, prose=reason if cannot is None else f"cannot import {cannot}")
        if len(pairs) > 1:
            return replace(claim, prose="it has no formal, and several equations may be meant")
        pair = pairs[0]
        if not {"simd", "scalar"} <= pair.simd.keys():
            raise ContractBindingError("simd: says what 'simd' and 'scalar' are", where=pair.where)
        ulp = re.search(r"\bULPs?\b", claim.statement) is not None
        return replace(
            claim,
            equation=pair.equation,
            applies_to=(pair.simd["simd"],),
            tolerance_kind="ulp" if ulp else claim.tolerance_kind,
            extra=MappingProxyType({**claim.extra, "to": pair.simd["scalar"]}),
        )
