"""``--contracts-fail-under``: what a run must reach, computed from what ran."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pytest_contracts.ledger.extent import counted
from pytest_contracts.ledger.levels import LEVELS
from pytest_contracts.ledger.verdict import Level, Verdict
from pytest_contracts.report.report import Report, Section
from pytest_contracts.report.text import count, percent, shown_percent

MOST_NAMED = 12


@dataclass(frozen=True)
class Thresholds:
    """What a run must reach; None asks nothing.

    ``binding`` is the share of equations, in percent, of which an implementation ran; ``level`` the
    lowest level of any contract; ``verified`` the share of items, in percent.
    """

    binding: float | None = None
    level: Level | None = None
    verified: float | None = None

    @classmethod
    def parse(cls, text: str) -> Thresholds:
        """Read ``binding=95,level=L3,verified=90``, in any order.

        Raises:
            ValueError: a name or a value that is none of these, or a name given twice.
        """
        values: dict[str, float | Level] = {}
        for part in text.split(","):
            name, _, value = (word.strip() for word in part.partition("="))
            if name not in cls.__dataclass_fields__:
                known = ", ".join(cls.__dataclass_fields__)
                raise ValueError(f"{name!r} is no threshold: known are {known}")
            if name in values:
                raise ValueError(f"{name} is given twice")
            values[name] = _level(value) if name == "level" else _percent(name, value)
        return cls(**values)  # type: ignore[arg-type]

    def missed(self, report: Report) -> list[str]:
        """Return what the run did not reach, one line each: by how much, by which contracts."""
        lines = list(_uncollected(report))
        if self.binding is not None:
            lines += _share("equations ran", self.binding, report, equations_run)
        if self.level is not None:
            lines += _levels(self.level, report)
        if self.verified is not None:
            lines += _share("items verified", self.verified, report, items_verified)
        return lines


def equations_run(report: Report, section: Section) -> tuple[int, int, str]:
    """Return how many equations of a contract had an implementation that ran, of how many."""
    contract = report.contract(section)
    names = [equation.name for equation in contract.equations] if contract is not None else []
    judged = [record for record in section.records if Verdict(record.verdict).ran]
    ran = {name for record in judged for name in record.ran}
    absent = [name for name in names if name not in ran]
    return len(names) - len(absent), len(names), ", ".join(absent)


def items_verified(report: Report, section: Section) -> tuple[int, int, str]:
    """Return how many items of a contract are verified, of how many; gates are no claims."""
    verified, claims = counted(section.records)
    return verified, claims, f"{claims - verified} of {claims}"


def _uncollected(report: Report) -> Iterator[str]:
    paths = list(report.extent.missing)
    if paths:
        yield f"{count(len(paths), 'contract file')} not read, so nothing of them ran{_by(paths)}"


def _share(
    what: str,
    threshold: float,
    report: Report,
    measure: Callable[[Report, Section], tuple[int, int, str]],
) -> list[str]:
    found = [(section.name, *measure(report, section)) for section in report.whole]
    part, whole = sum(f[1] for f in found), sum(f[2] for f in found)
    value = percent(part, whole)
    if value >= threshold:
        return []
    lacking = [f"{name} ({missing})" for name, have, of, missing in found if have < of]
    return [
        f"{shown_percent(part, whole)} of {what} ({part:,} of {whole:,}), "
        f"{threshold - value:.1f} under {threshold:g} %{_by(lacking)}"
    ]


def _levels(threshold: Level, report: Report) -> list[str]:
    if not report.records:
        return [f"no contract ran, so none reached {threshold}"]
    under = [(level, name) for name, level in report.levels.items() if level < threshold]
    if not under:
        return []
    lowest, _ = min(under)
    steps = LEVELS.index(threshold) - LEVELS.index(lowest)
    named = [f"{name} ({level})" for level, name in sorted(under)]
    return [f"lowest level {lowest}, {count(steps, 'level')} under {threshold}{_by(named)}"]


def _by(names: list[str]) -> str:
    more = [f"and {len(names) - MOST_NAMED} more"] if len(names) > MOST_NAMED else []
    return f": {', '.join([*names[:MOST_NAMED], *more])}" if names else ""


def _level(value: str) -> Level:
    try:
        return Level(value.upper())
    except ValueError:
        raise ValueError(f"level={value!r}: it is one of {', '.join(LEVELS)}") from None


def _percent(name: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 100:
        raise ValueError(f"{name}={value!r}: it is a percentage from 0 to 100")
    if 0 < number <= 1 and "." in value:
        raise ValueError(
            f"{name}={value} is {value} percent; for {value} of all write {name}={100 * number:g}"
        )
    return number
