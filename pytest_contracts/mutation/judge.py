"""Judge claims in forks of one warm process that has never imported the code under judgement.

Starting Python, pytest, Hypothesis and NumPy costs more than most claims do; a fork starts where
the imports are done. What a mutant's package needs is imported in the fork, from the copy with the
defect in it, so that nothing of the healthy package is left in the process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pytest_contracts.contract.model import Contract
from pytest_contracts.errors import ContractBindingError
from pytest_contracts.ledger.verdict import Verdict
from pytest_contracts.mutation.defects import Defect
from pytest_contracts.mutation.overlays import packages_of

TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one run said: the verdicts by claim, the gate's included, and what pytest printed."""

    exit_code: int
    verdicts: Mapping[str, tuple[Verdict, ...]]
    output: str
    loaded: tuple[str, ...] = ()
    """The project's files that the run has read, from the root as POSIX writes them, sorted."""


class JudgeError(RuntimeError):
    """The judging process gave no answer, or one of a run that never got to the claims."""


class Judge:
    """A warm process in a project's root; a context manager, which ends it.

    ``arguments`` are pytest's, such as ``--contracts=contracts``; ``preload`` names installed
    modules beside the plugin's own that every run needs.
    """

    def __init__(
        self, root: Path, arguments: Sequence[str] = (), preload: Sequence[str] = ()
    ) -> None:
        self._arguments = list(arguments)
        # A second --cov, and whatever else is meant for the run around this one, stays out.
        unwanted = ("PYTEST_", "COV_", "COVERAGE_")
        environment = {k: v for k, v in os.environ.items() if not k.startswith(unwanted)}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "pytest_contracts.mutation.server", *preload],
            cwd=root,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the process; a run that is under way ends with it."""
        self._process.communicate()

    def __call__(
        self,
        contract: Contract,
        claims: Sequence[str],
        defect: Defect | None = None,
        overlay: Path | None = None,
        *,
        examples: int | None = None,
    ) -> Judgement:
        """Judge claims, and the gate by what they say, with or without a defect.

        ``examples`` is the number to draw, in place of what claims and profile ask for. With a
        defect the claims end at their first counterexample, and are judged on the changed
        implementation alone where they have an item for it.

        Raises:
            ContractBindingError: nothing that ran imported the module with the defect.
            JudgeError: no answer came; the message says why.
        """
        number = [f"--contracts-examples={examples}"] if examples is not None else []
        answer = self._ask(
            arguments=[*self._arguments, *number, str(contract.path)],
            claims=list(claims),
            gate=contract.qa_gate.id if contract.qa_gate is not None else None,
            overlay=None if overlay is None else str(overlay),
            original=None if defect is None else str(packages_of(defect)),
            module=None if defect is None else defect.module,
            implementation=None if defect is None else defect.implementation,
        )
        verdicts: dict[str, tuple[Verdict, ...]] = {}
        for claim, verdict in answer["items"]:
            verdicts[claim] = (*verdicts.get(claim, ()), Verdict(verdict))
        ran = any(not verdict.absent for claim in claims for verdict in verdicts.get(claim, ()))
        if defect is not None and ran and not answer["imported"]:
            raise ContractBindingError(
                f"mutant '{defect.mutant.id}': none of the claims imported {defect.module}\n"
                + answer["output"],
                where=defect.mutant.where,
            )
        loaded = tuple(answer["loaded"])
        return Judgement(answer["exit_code"], verdicts, answer["output"], loaded)

    def _ask(self, **request: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise JudgeError(f"the judging process ended: status {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        if "failed" in answer:
            raise JudgeError(answer["failed"])
        return answer
