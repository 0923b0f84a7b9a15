"""What a run is asked to write and to reach, read from its options before anything runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_contracts.errors import ContractError
from pytest_contracts.files import NoFileError
from pytest_contracts.report.formats import Target

if TYPE_CHECKING:
    from pytest_contracts.ledger.reading import StoredLedger
    from pytest_contracts.options import Options
    from pytest_contracts.report.thresholds import Thresholds


@dataclass(frozen=True)
class Outputs:
    """The files to write, the run to compare with, and the thresholds."""

    targets: tuple[Target, ...] = ()
    baseline: StoredLedger | None = None
    thresholds: Thresholds | None = None

    @classmethod
    def of(cls, options: Options) -> Outputs:
        """Read the options.

        Raises:
            UsageError: a format that does not exist, a target that is no file, a baseline that is
                no ledger, a threshold that means nothing.
        """
        option = "report"
        try:
            targets = tuple(Target.of(name, options.start) for name in options.report)
            for target in targets:
                target.check()
            option = "baseline"
            baseline = _baseline(options.baseline, options.start)
            option = "fail-under"
            thresholds = _thresholds(options.fail_under)
        except NoFileError as error:
            said = f"cannot write {error.filename}: {error.strerror}"
            raise pytest.UsageError(f"--contracts-{option}: {said}") from None
        except (ValueError, ContractError) as error:
            raise pytest.UsageError(f"--contracts-{option}: {error}") from None
        return cls(targets, baseline, thresholds)


def _baseline(name: str | None, start: Path) -> StoredLedger | None:
    if name is None:
        return None
    from pytest_contracts.ledger.reading import read

    return read(start / name)


def _thresholds(text: str | None) -> Thresholds | None:
    if text is None:
        return None
    from pytest_contracts.report.thresholds import Thresholds

    return Thresholds.parse(text)
