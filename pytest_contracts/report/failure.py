"""What a failing item shows: the clause, the numbers, the counterexample, the way back."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from _pytest._code.code import (
    ExceptionChainRepr,
    ReprEntryNative,
    ReprFileLocation,
    ReprTraceback,
    TerminalRepr,
)

from pytest_contracts.errors import Falsified
from pytest_contracts.options import Options
from pytest_contracts.report.paths import relative
from pytest_contracts.where import Where

MAX_SHOWN_ELEMENTS = 512


def failure_repr(
    where: Where, headline: str, body: str, traceback: TerminalRepr | str | None = None
) -> ExceptionChainRepr:
    """Return a failure's text, first the place and the headline, then the body, then a traceback.

    Built from pytest's own parts, since xdist carries no others between processes.
    """
    crash = ReprFileLocation(str(where.path), where.line, headline)
    text = f"{where.path}:{where.line}: {headline}\n"
    if body:
        text += f"\n{body}\n"
    own = [ReprEntryNative(text.splitlines(keepends=True))]
    if isinstance(traceback, ExceptionChainRepr) and traceback.chain:
        chain = list(traceback.chain)
        first, location, description = chain[0]
        joined = ReprTraceback([*own, *first.reprentries], first.extraline, style=first.style)
        chain[0] = (joined, location, description)
        last, _, description = chain[-1]
        chain[-1] = (last, crash, description)
        return ExceptionChainRepr(chain)
    if traceback is not None:
        own.append(ReprEntryNative([f"\n{traceback}\n"]))
    return ExceptionChainRepr([(ReprTraceback(own, None, style="native"), crash, None)])


def falsified_text(error: Falsified) -> str:
    """Return the failing comparison as aligned lines."""
    return aligned(falsified_rows(error))


def falsified_rows(error: Falsified) -> list[tuple[str, str]]:
    """Return the failing comparison: the formula with its values, both sides, the distance."""
    rows = [("failing", error.claim)]
    if error.substituted:
        rows.append(("values", error.substituted))
    at = f"[{', '.join(map(str, error.index))}]" if error.index else ""
    if error.left is not None or error.right is not None:
        rows.append((f"left{at}", show(error.left)))
        rows.append((f"right{at}", show(error.right)))
    if error.error is not None:
        allowed = "" if error.tolerance is None else f", tolerance {error.tolerance:.9g}"
        rows.append(("error", f"{error.error:.9g}{allowed}"))
    rows += [(key, str(value)) for key, value in error.detail.items() if key != "traceback"]
    return rows


def aligned(rows: list[tuple[str, str]]) -> str:
    """Return aligned ``label: value`` lines."""
    width = max((len(label) for label, _ in rows), default=0)
    return "\n".join(
        f"  {label + ':':<{width + 2}}{value}".replace("\n", f"\n{' ' * (width + 4)}")
        for label, value in rows
    )


def show(value: Any) -> str:
    """Return one side of a comparison, short enough to read."""
    import numpy as np

    if isinstance(value, np.ndarray):
        with np.printoptions(threshold=16, edgeitems=4, precision=9):
            return np.array2string(value, separator=", ")
    if isinstance(value, np.generic):
        value = value.item()
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:197]}..."


def counterexample_yaml(inputs: Mapping[str, Any]) -> str:
    """Return inputs as YAML that can be pasted into a contract."""
    import yaml

    lines = []
    for name, value in inputs.items():
        plain = _plain(value)
        text = yaml.safe_dump(
            plain, default_flow_style=True, width=10**6, allow_unicode=True, sort_keys=False
        )
        lines.append(f"{name}: {text.removesuffix('...' + chr(10)).strip()}")
    return "\n".join(lines)


def _plain(value: Any) -> Any:
    """Return a value as YAML knows it; floats keep the shortest text of their own precision."""
    import numpy as np

    if isinstance(value, np.ndarray):
        if value.size > MAX_SHOWN_ELEMENTS:
            return f"{value.dtype} array of shape {list(value.shape)}, too large to show"
        if value.dtype.kind == "f" and value.dtype.itemsize < 8:
            shortest = [float(str(element)) for element in value.ravel()]
            return np.array(shortest, np.float64).reshape(value.shape).tolist()
        return value.tolist()
    if isinstance(value, np.floating):
        return float(str(value))
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value if isinstance(value, str | int | float | bool | None) else repr(value)


def reproduce_command(path: Path, name: str, config: pytest.Config) -> str:
    """Return the command that runs one item again, or a whole file where ``name`` is empty.

    Node ids start at the root directory, which need not be where pytest was started.
    """
    options = Options.of(config)
    words = ["pytest", *(f"--contracts={name}" for name in options.dirs)]
    root = config.getoption("rootdir")
    words += [f"--rootdir={root}"] if root else []
    words += [f"--contracts-backend={options.backend}"] if options.backend else []
    words += [f"--contracts-model={options.model}"] if options.model else []
    shown = relative(path, config).as_posix()
    return shlex.join([*words, f"{shown}::{name}" if name else shown])
