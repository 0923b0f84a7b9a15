"""Every error that a contract's author can cause.

ContractError                  base; has .message and .where
  ContractSyntaxError          not YAML, duplicate key, wrong type, unknown key, duplicate id
  ContractBindingError         names an implementation, strategy or procedure that does not exist
  FormulaError                 does not parse, or does not fit its values; has .text and .offset
  VacuousError                 nothing was compared, or no input met the precondition
Falsified (AssertionError)     the promise was broken; carries both sides of the failing comparison
Unavailable                    what the claim needs is not on this machine; says how to get it
ContractWarning (UserWarning)  something that a reader should know and that stops nothing

All of them travel between processes: message and attributes survive pickle and copy.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_contracts.where import Where


# Control characters, and those that turn the direction of the text around them.
_UNSAFE = re.compile(
    "[^\n\t\x20-\x7e\xa0-\ud7ff\ue000-\U0010ffff]|[\u2028\u2029\u200e\u200f]"
    "|[\u202a-\u202e\u2066-\u2069\ufffe\uffff]"
)
_MAX_SHOWN = 2000
_SHOWN, _SHOWN_BEFORE = 400, 200
"""Characters of a formula that an error shows, and how many of them before the place."""


def showable(text: str) -> str:
    """Return text from a file as a terminal can show it: no control characters, no novel."""
    if len(text) > _MAX_SHOWN:
        text = f"{text[:_MAX_SHOWN]}…"
    return _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", text)


class Travelling:
    """An exception that pickle and copy make anew as it is, whatever its ``__init__`` takes.

    Python's own way calls the class with ``args``, which are the message alone here.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return _remade, (type(self), self.args, vars(self))  # type: ignore[attr-defined]


def _remade(kind: type[BaseException], args: tuple[Any, ...], state: dict[str, Any]) -> Any:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class ContractError(Travelling, Exception):
    """A contract is at fault: what is wrong, where, and what to do about it.

    ``where`` is attached by the layer that knows the file; formula parsing alone does not.
    """

    def __init__(
        self,
        message: str,
        *,
        where: Where | None = None,
        hint: str | None = None,
        excerpt: str | None = None,
    ) -> None:
        message = showable(message)
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = None if hint is None else showable(hint)
        self.excerpt = excerpt

    def __str__(self) -> str:
        head = f"{self.where}: {self.message}" if self.where is not None else self.message
        if self.excerpt:
            head += "\n\n" + "\n".join(f"  {line}" for line in self.excerpt.splitlines()) + "\n"
        return f"{head}\n  {self.hint}" if self.hint else head


class ContractSyntaxError(ContractError):
    """The file is not a contract: YAML, schema, duplicate or unknown names."""


class ContractBindingError(ContractError):
    """A name in the contract leads to nothing that can be run."""


class FormulaError(ContractError):
    """A formula does not parse, or names or shapes in it make no sense."""

    def __init__(
        self,
        message: str,
        *,
        text: str = "",
        offset: int | None = None,
        where: Where | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, where=where, hint=hint)
        self.text = text
        self.offset = offset

    def located(self, text: str, where: Where | None) -> FormulaError:
        """Return the error with its place in the file and a caret below the formula."""
        if self.where is not None:
            return self
        begin = max(0, (self.offset or 0) - _SHOWN_BEFORE)
        end = begin + _SHOWN
        shown = f"{'…' if begin else ''}{text[begin:end]}{'…' * (len(text) > end)}"
        lines = [self.message, f"    {shown}"]
        if self.offset is not None and "\n" not in text:
            lines.append(" " * (4 + bool(begin) + self.offset - begin) + "^")
        return FormulaError(
            "\n".join(lines), text=text, offset=self.offset, where=where, hint=self.hint
        )


class VacuousError(ContractError):
    """The claim compared nothing, so it says nothing."""


class ContractWarning(UserWarning):
    """Something in a contract that is probably not meant, but stops nothing.

    The place of the warning is the place in the contract's file.
    """


class Unavailable(Travelling, Exception):
    """What a claim needs is not here; ``remedy`` tells how to get it."""

    def __init__(self, missing: str, remedy: str) -> None:
        super().__init__(f"{missing}; {remedy}")
        self.missing = missing
        self.remedy = remedy


@dataclass(eq=False)
class Falsified(Travelling, AssertionError):
    """A promise was broken: the comparison that failed and the numbers on both sides."""

    claim: str
    substituted: str = ""
    left: Any = None
    right: Any = None
    error: float | None = None
    tolerance: float | None = None
    index: tuple[int, ...] | None = None
    detail: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [f"falsified: {self.claim}"]
        if self.substituted:
            lines.append(f"  with values: {self.substituted}")
        at = f" at index {self.index}" if self.index is not None else ""
        if self.left is not None or self.right is not None:
            lines += [f"  left{at}:  {self.left!r}", f"  right{at}: {self.right!r}"]
        if self.error is not None:
            lines.append(f"  error {self.error:.9g}, tolerance {self.tolerance!r}")
        lines += [f"  {key}: {value}" for key, value in self.detail.items()]
        return "\n".join(lines)
