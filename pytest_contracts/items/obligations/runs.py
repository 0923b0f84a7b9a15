"""What repeated and observed runs show: the same bits, and nothing touched."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from pytest_contracts.binding import attribute
from pytest_contracts.contract.obligation_keys import MODIFIES, STATE, THREADS
from pytest_contracts.errors import ContractBindingError, Falsified
from pytest_contracts.items.fingerprint import Snapshot
from pytest_contracts.items.memoized import Memories
from pytest_contracts.items.obligations.clause import Clause, Test
from pytest_contracts.items.obligations.enough import ALWAYS
from pytest_contracts.items.obligations.templates import template


@template("determinism", beside=ALWAYS)
def determinism(clause: Clause) -> Test:
    """Two runs on the same input give the same bits, with each number of ``threads:``.

    What the implementation remembers of the first run by ``functools.cache`` is forgotten before
    the second.
    """
    subject, name = clause.subject(), clause.equation.name
    threads = clause.value(THREADS)
    settings: list[dict[str, Any]] = [{"threads": count} for count in threads] or [{}]
    settings.insert(0, settings[0])

    def takes_threads() -> None:
        if threads and not subject.takes("threads"):
            raise ContractBindingError(
                f"{subject.implementation!r} of {name} has no keyword 'threads' to vary",
                where=clause.claim.where,
                hint="Let the function take threads=, or name others under applies_to.",
            )

    @cache
    def memories() -> Memories:
        return subject.memories()

    def result(arguments: tuple[Any, ...], setting: Mapping[str, Any]) -> Snapshot:
        memories().forget()
        return Snapshot.of(subject.run(subject.given(arguments), **setting))

    def same_bits(inputs: Mapping[str, Any], arguments: tuple[Any, ...]) -> None:
        first, *others = (result(arguments, setting) for setting in settings)
        for setting, other in zip(settings[1:], others, strict=True):
            # That nothing is returned twice is no evidence of anything.
            nothing = first.nothing and other.nothing
            clause.case.observation.compared(0 if nothing else max(first.size, other.size))
            apart = first.difference(other)
            if apart is None:
                continue
            many = setting.get("threads")
            ran = f"two runs of {name}"
            if threads:
                ran = f"{name} with {settings[0]['threads']} and with {many} threads"
            raise Falsified(f"{ran} are bit-identical", **apart)

    test = clause.observed(subject, same_bits)
    clause.case.prepare.append(takes_threads)
    return test


@template("frame", beside=ALWAYS)
def frame(clause: Clause) -> Test:
    """Nothing but what ``modifies:`` names is changed, of the arguments and of ``state:``.

    ``state:`` names ``module:attribute``; all is hashed before and after the call.
    """
    subject, where = clause.subject(), clause.claim.where
    state, modifies = clause.value(STATE), clause.value(MODIFIES)
    for name in modifies:
        if name not in (*clause.parameters, *state):
            raise clause.refusal(
                f"modifies names {name!r}, which is neither a parameter nor declared state",
                f"Known: {', '.join((*clause.parameters, *state))}.",
            )
    kept_state = [name for name in state if name not in modifies]
    kept = [i for i, name in enumerate(clause.parameters) if name not in modifies]
    if not (kept or kept_state):
        raise clause.refusal("modifies names everything, so nothing is left to keep")

    def find_state() -> None:
        for name in kept_state:
            attribute(name, where=where)

    def snapshots(given: list[Any]) -> dict[str, Snapshot]:
        found = {clause.parameters[i]: Snapshot.of(given[i]) for i in kept}
        for name in kept_state:
            found[name] = Snapshot.of(attribute(name, where=where), where=where)
        return found

    def unchanged(inputs: Mapping[str, Any], arguments: tuple[Any, ...]) -> None:
        given = subject.given(arguments)
        before = snapshots(given)
        subject.run(given)
        for name, after in snapshots(given).items():
            # A name of a module can be given another value, whatever its value is.
            counted = after.size if after.mutable else int(name in kept_state)
            clause.case.observation.compared(counted)
            apart = before[name].difference(after)
            if apart is not None:
                raise Falsified(f"{clause.call()} leaves {name} as it was", **apart)

    test = clause.observed(subject, unchanged)
    clause.case.prepare.append(find_state)
    return test
