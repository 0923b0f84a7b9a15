#!/usr/bin/env python3
"""Feed broken contract files to the loader and see that each is loaded or refused with its place.

An input passes where the contract loads and every clause of it is accepted or refused, with a
``ContractError`` that names a line of the file; anything else is a failure: another exception, an
error without a place, more than ``--limit`` seconds, more than ``--memory`` MiB. Failures are
printed minimal and ready to paste. Prints the outcomes by family as JSON; exits 1 on a failure.
The tests feed the first 500 of seed 20240607; a campaign, before a release and after a change
to what reads contracts, is the first line, a minute or two of one processor:

    python tools/fuzz_contracts.py --seed 20240607 --count 20000
    python tools/fuzz_contracts.py --seed 7 --first 4711 --count 1 --show
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import resource
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from contract_mutations import mutant

from pytest_contracts.analysis.validate import formula_errors
from pytest_contracts.contract import Contract, check_dependencies
from pytest_contracts.contract.loading import load_bytes
from pytest_contracts.contract.model import Claim
from pytest_contracts.contract.scope import concerned, variables_of
from pytest_contracts.domains.strategies import inputs_strategy, parse_domain
from pytest_contracts.errors import ContractError, FormulaError
from pytest_contracts.formula import judge, names, parse, render_latex, render_unicode
from pytest_contracts.items.equations import Equations
from pytest_contracts.items.formulas import Formula, check_names, known_names
from pytest_contracts.items.observation import Observation
from pytest_contracts.items.parameters import parameter_sets

PATH = Path("mutant-v1.yaml")
BLOCK = 100
SMALL: dict[str, Any] = {
    "n": 3,
    "i": 1,
    "u": 5,
    "tolerance": 1e-6,
    "x": np.array([0.5, -2.0, 3.0]),
    **dict.fromkeys("qkv", np.arange(6.0).reshape(2, 3)),
}


class Overtime(BaseException):
    """An input took too long; a BaseException, so that no handler on the way takes it."""


@contextmanager
def watchdog(seconds: float) -> Iterator[None]:
    """Raise Overtime after some seconds."""

    def ring(*_: object) -> None:
        raise Overtime(f"more than {seconds} s")

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def examine(data: bytes) -> str:
    """Return what became of a file: ``refused``, ``clause refused`` or ``accepted``."""
    try:
        contract = load_bytes(data, PATH)
        check_dependencies([contract])
    except ContractError as error:
        placed(error, data)
        return "refused"
    refused = [placed(error, data) for error in clauses(contract)]
    return "clause refused" if refused else "accepted"


def placed(error: ContractError, data: bytes) -> ContractError:
    """Check that an error says where, inside the file, in text that a terminal can show."""
    assert error.where is not None, f"no place: {error!r}"
    assert error.where.path == PATH
    lines = data.count(b"\n") + data.count(b"\r") + data.count(b"\xc2\x85") + 2
    lines += data.count(b"\xe2\x80\xa8") + data.count(b"\xe2\x80\xa9")
    assert 1 <= error.where.line <= lines, f"line {error.where.line} of {lines}"
    assert error.where.column >= 1
    text = str(error)
    assert len(text) < 20_000, f"a message of {len(text)} characters"
    assert not any((ord(c) < 32 and c not in "\n\t") or ord(c) == 127 for c in text), repr(text)
    text.encode()
    return error


def clauses(contract: Contract) -> Iterator[ContractError]:
    """Yield what is wrong with the clauses, as validation and as collection see them."""
    yield from formula_errors(contract)
    try:
        oracles = Equations(contract, None, Observation()).environment()
    except ContractError as error:
        yield error
        return
    for claim in contract.claims:
        try:
            of_claim(contract, claim, oracles)
        except ContractError as error:
            if error.where is None:
                error.where = claim.where  # as the collector does
            yield error


def of_claim(contract: Contract, claim: Claim, oracles: dict[str, Any]) -> None:
    """Read a claim as the collector does, judge its formula on small values."""
    parameter_sets(claim, dict.fromkeys(("layers", "models"), lambda *_: (1, 2)))
    formula = None
    if claim.formal is not None:
        formula = Formula.of(claim.formal, claim.formal_where or claim.where)
        render_latex(formula.tree)
        if len(formula.text) % 4 == 0:  # parsing is most of the work
            assert names(parse(render_unicode(formula.tree))) == names(formula.tree)
    mentioned = frozenset() if formula is None else formula.names
    variables = variables_of(contract, claim, concerned(contract, claim, mentioned))
    domains = [parse_domain(variable, {}) for variable in variables.values()]
    inputs_strategy(domains, contract.constants)
    if formula is not None:
        check_names(formula, known_names(contract, {**variables, **claim.parametrize}))
        drawn = dict.fromkeys(formula.names, 2)
        known = {**drawn, **contract.constants, **SMALL, **oracles}
        with suppress(FormulaError):  # the values are made up, and need not fit
            judge(formula.tree, known, tolerance=1e-6)


def outcome_of(data: bytes, limit: float) -> tuple[str, str, str]:
    """Return (outcome, site, reason); the last two are empty unless the outcome is ``FAILED``."""
    try:
        with watchdog(limit):
            return examine(data), "", ""
    except (Exception, Overtime) as error:
        reason = f"{type(error).__name__}: {str(error)[:300]}"
        return "FAILED", f"{type(error).__name__} {site(error)}", reason


def site(error: BaseException) -> str:
    """Return the line that raised; of an overtime the function that was entered last is enough."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "pytest_contracts" in frame.filename] or frames
    last = own[-1]
    line = "" if isinstance(error, Overtime) else f":{last.lineno}"
    return f"{Path(last.filename).name}{line} {last.name}"


def minimal(data: bytes, failing: str, limit: float, tries: int) -> bytes:
    """Return a smaller input that fails at the same site."""
    size = max(1, len(data) // 2)
    while size and tries > 0:
        start = 0
        while start < len(data) and tries > 0:
            candidate = data[:start] + data[start + size :]
            tries -= 1
            if outcome_of(candidate, limit)[1] == failing:
                data = candidate
            else:
                start += size
        size //= 2
    return data


def peak_kib() -> int:
    """Return the largest size of this process; Linux's ru_maxrss would count its parent's too."""
    status = Path("/proc/self/status")
    for line in status.read_text("utf-8").splitlines() if status.exists() else ():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def shown(data: bytes) -> list[str] | str:
    """Return an input for pasting: its lines where they are plain text, else a bytes literal."""
    text = data.decode("utf-8", "replace")
    plain = all(c == "\n" or c.isprintable() for c in text) and "\ufffd" not in text
    return text.split("\n") if plain and len(text) < 4000 else repr(data)[:4000]


def main() -> int:
    """Run a campaign."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--limit", type=float, default=5.0, help="seconds per input")
    parser.add_argument("--memory", type=int, default=2048, help="MiB beyond the start")
    parser.add_argument("--shrink", type=int, default=2000, help="tries to make one minimal")
    parser.add_argument("--show", action="store_true", help="print the inputs themselves")
    options = parser.parse_args()
    warnings.simplefilter("error")
    faulthandler.enable()
    start = peak_kib()
    outcomes: Counter[str] = Counter()
    failures: dict[str, dict[str, Any]] = {}
    slowest = (0.0, 0)
    for index in range(options.first, options.first + options.count):
        if index % BLOCK == 0:  # leave the process where not even Overtime is heard
            faulthandler.dump_traceback_later(BLOCK + 20 * options.limit, exit=True)
        family, data = mutant(options.seed, index)
        if options.show:
            sys.stdout.buffer.write(data + b"\n")
        began = time.perf_counter()
        outcome, failing, reason = outcome_of(data, options.limit)
        slowest = max(slowest, (time.perf_counter() - began, index))
        outcomes[f"{family}: {outcome}"] += 1
        if outcome == "FAILED":
            known = failures.setdefault(failing, {"inputs": 0, "index": index, "reason": reason})
            known["inputs"] += 1
            if "minimal" not in known:
                small = minimal(data, failing, options.limit, options.shrink)
                known["minimal"] = shown(small)
    grown = (peak_kib() - start) // 1024
    if grown > options.memory:
        failures["memory"] = {"reason": f"{grown} MiB of memory"}
    report = {
        "inputs": sum(outcomes.values()),
        "outcomes": dict(sorted(outcomes.items())),
        "slowest": {"seconds": round(slowest[0], 3), "index": slowest[1]},
        "memory_mib": grown,
        "failures": failures,
    }
    print(json.dumps(report, indent=1, ensure_ascii=False))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
