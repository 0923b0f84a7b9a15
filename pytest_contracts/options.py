"""The plugin's options: one row each, and their values, read once.

A row says how an option is written, what it means and what it is where nobody gives it; pytest is
told of it from here, and the table of the reference page is compared with it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import Field, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

BINDINGS = "binding.yaml"
"""What the binding file beside contracts is called; it is no contract."""


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def _option(flag: str, help_text: str, **row: Any) -> Any:
    """Return the row of a command-line option; ``row`` is what ``addoption`` takes."""
    default = row.pop("default", None)
    return field(default=default, metadata={"flag": flag, "row": {"help": help_text, **row}})


def _several(flag: str, metavar: str, help_text: str) -> Any:
    """Return the row of an option that may be given several times."""
    return _option(flag, help_text, action="append", metavar=metavar, default=())


def _folders(key: str, help_text: str) -> Any:
    """Return the row of a list of folders in the configuration file."""
    return field(default=(), metadata={"ini": key, "row": {"help": help_text, "type": "paths"}})


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)  # each costs a start-up 0.4 ms
class Options:
    """What this plugin was asked on the command line and in the configuration file.

    ``root`` is pytest's root directory, ``start`` the folder in which pytest was started, from
    which names on the command line are read.
    """

    root: Path
    start: Path
    dirs: tuple[str, ...] = _several(
        "--contracts",
        "DIR",
        "directory of contract files (repeatable); without paths, only contracts run",
    )
    backend: str | None = _option(
        "--contracts-backend",
        "judge only the implementations of this name, such as cpu or cuda",
        metavar="NAME",
    )
    bindings: tuple[str, ...] = _several(
        "--contracts-binding",
        "FILE",
        "binding file of wild contracts, beside the binding.yaml next to them (repeatable)",
    )
    model: str | None = _option(
        "--contracts-model",
        "model under judgement, for the hooks of this project to read",
        metavar="MODEL",
    )
    examples: int | None = _option(
        "--contracts-examples",
        "examples per property, instead of what claims and profile ask for",
        type=_positive,
        metavar="N",
    )
    report: tuple[str, ...] = _several(
        "--contracts-report",
        "FILE",
        "write a report by extension: .json, .html, .sarif, .md, .svg (repeatable)",
    )
    baseline: str | None = _option(
        "--contracts-baseline",
        "a previous run's JSON report, to show in reports what has changed since",
        metavar="PREVIOUS.json",
    )
    fail_under: str | None = _option(
        "--contracts-fail-under",
        "fail where fewer equations or items (in percent) or a lower level was reached",
        metavar="binding=N,level=LN,verified=N",
    )
    partial: bool = _option(
        "--contracts-partial",
        "a run of a part is meant as one: its levels and thresholds are about the part",
        action="store_true",
        default=False,
    )
    strict: bool = _option(
        "--contracts-strict",
        "inconclusive proofs and claims that cannot be executed fail",
        action="store_true",
        default=False,
    )
    configured: tuple[Path, ...] = _folders("contracts", "directories of contract files")
    evidence: tuple[Path, ...] = _folders("contracts_evidence", "directories of evidence")

    @classmethod
    def of(cls, config: pytest.Config) -> Options:
        """Return what was asked in this run; it is read once."""
        if _KEY not in config.stash:
            values: dict[str, Any] = {row.name: _value(row, config) for row in rows()}
            start = config.invocation_params.dir
            config.stash[_KEY] = cls(root=config.rootpath, start=start, **values)
        return config.stash[_KEY]

    @cached_property
    def directories(self) -> tuple[Path, ...]:
        """Where the contracts to be judged lie: ``--contracts``, else as configured."""
        if self.dirs:
            return tuple((self.start / name).resolve() for name in self.dirs)
        return tuple(path.resolve() for path in self.configured)

    @cached_property
    def binding_files(self) -> tuple[Path, ...]:
        """The files that ``--contracts-binding`` names."""
        return tuple((self.start / name).resolve() for name in self.bindings)

    @property
    def evidence_folders(self) -> tuple[Path, ...]:
        """Where evidence lies; by default in ``evidence``."""
        return self.evidence or (self.root / "evidence",)

    @property
    def concern_this_run(self) -> bool:
        """Whether there is anything to do: contracts that may be judged, or something to write."""
        return bool(self.dirs or self.configured or self.asked)

    @property
    def asked(self) -> bool:
        """Whether the run is to be reported on, or held to something, whatever it judges."""
        return bool(self.report or self.baseline is not None or self.fail_under is not None)

    def check(self) -> None:
        """Raise UsageError for a directory or a binding file that does not exist."""
        for name, directory in zip(self.dirs, self.directories, strict=False):
            if not directory.is_dir():
                raise pytest.UsageError(f"--contracts: there is no directory {name}")
        for path in self.binding_files:
            if not path.is_file():
                shown = os.path.relpath(path, self.start)
                raise pytest.UsageError(f"--contracts-binding: there is no file {shown}")


_KEY = pytest.StashKey[Options]()


def rows() -> Iterator[Field[Any]]:
    """Yield the rows, those of the command line first."""
    yield from (row for row in fields(Options) if "row" in row.metadata)


def destination(row: Field[Any]) -> str:
    """Return the name under which pytest keeps an option."""
    return f"contracts_{row.name}"


def add_options(parser: pytest.Parser) -> None:
    """Tell pytest of every row."""
    group = parser.getgroup("contracts", "executable contracts")
    for row in rows():
        given = dict(row.metadata["row"])
        if "ini" in row.metadata:
            parser.addini(row.metadata["ini"], given.pop("help"), default=[], **given)
        else:
            group.addoption(row.metadata["flag"], dest=destination(row), **given)


def _value(row: Field[Any], config: pytest.Config) -> Any:
    """Return what was given; what may be given several times is a tuple."""
    if "ini" in row.metadata:
        return tuple(Path(path) for path in config.getini(row.metadata["ini"]))
    value = config.getoption(destination(row))
    return tuple(value or ()) if row.default == () else value
