"""The files that ``--contracts-report`` can write, chosen by extension."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_contracts.files import NoFileError, check_target, write_text

if TYPE_CHECKING:
    from pytest_contracts.report.report import Report

FORMATS: Mapping[str, str] = {
    ".json": "json_report",
    ".html": "html",
    ".sarif": "sarif",
    ".md": "markdown",
    ".svg": "badge",
}
"""Extension to the module of this package whose ``render(report)`` returns the text."""


@dataclass(frozen=True)
class Target:
    """A file to write; ``append`` is for the summary that GitHub collects from a job's steps."""

    path: Path
    extension: str
    append: bool = False

    @classmethod
    def of(cls, name: str, start: Path, environment: Mapping[str, str] = os.environ) -> Target:
        """Return the target that an option names.

        Raises:
            ValueError: no format has that extension.
        """
        path = start / name
        step_summary = environment.get("GITHUB_STEP_SUMMARY")
        if step_summary and path == Path(step_summary):
            return cls(path, ".md", append=True)
        extension = path.suffix.lower()
        if extension not in FORMATS:
            known = ", ".join(FORMATS)
            raise ValueError(f"cannot tell the format of {name!r}: known are {known}")
        return cls(path, extension)

    def check(self) -> None:
        """Raise ``NoFileError`` where no file could be written; for before the run."""
        if self.append and self.path.is_char_device():
            return  # what is appended to a device destroys nothing
        try:
            check_target(self.path)
        except NoFileError:
            raise
        except OSError:
            pass  # it may be otherwise when the run is over, which says so if not

    def write(self, report: Report) -> None:
        """Render the report and write it."""
        module = import_module(f"{__package__}.{FORMATS[self.extension]}")
        text: str = module.render(report)
        if self.append:
            self.check()
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(text)
        else:
            write_text(text, self.path)


def write_all(targets: Iterable[Target], report: Report) -> list[str]:
    """Write every target that can be written; return what is wrong with the others."""
    problems = []
    for target in targets:
        try:
            target.write(report)
        except OSError as error:
            problems.append(f"cannot write {target.path}: {error.strerror or error}")
    return problems
