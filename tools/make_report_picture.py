"""Draw the summary of a pytest run as an SVG: ``make_report_picture.py OUT.svg PYTEST-ARGUMENTS``.

The picture in the README:
    python tools/make_report_picture.py docs/_static/report.svg --contracts contracts/
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

WIDTH = 120
_ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
# Web fonts are not loaded where a picture is embedded; the viewer's own monospaced font will do.
_FONT_FACE = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)


def captured(arguments: list[str]) -> list[str]:
    """Return the coloured lines of a run, as a terminal of ``WIDTH`` columns gets them.

    Raises:
        SystemExit: the run is not green.
    """
    command = [sys.executable, "-m", "pytest", "--color=yes", *arguments]
    environment = {**os.environ, "COLUMNS": str(WIDTH)}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{done.stdout}\npytest ended with exit code {done.returncode}")
    return done.stdout.splitlines()


def summary(lines: list[str]) -> list[str]:
    """Return the contracts' section and the last line.

    Raises:
        SystemExit: the run has no such section.
    """
    plain = [_ESCAPE.sub("", line) for line in lines]
    starts = [i for i, line in enumerate(plain) if re.fullmatch(r"=+ contracts =+", line)]
    if not starts:
        raise SystemExit("the run shows no contracts:\n" + "\n".join(plain))
    end = next(i for i in range(starts[0] + 1, len(plain)) if plain[i].startswith("="))
    return [*lines[starts[0] : end], lines[-1]]


def drawn(lines: list[str]) -> str:
    """Return the lines as an SVG."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    for line in lines:
        console.print(Text.from_ansi(line), soft_wrap=True)
    svg = console.export_svg(title="pytest --contracts contracts/", unique_id="report")
    return _FONT_FACE.sub("", svg)


def main() -> None:
    """Run, draw, write."""
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    target = Path(sys.argv[1])
    svg = drawn(summary(captured(sys.argv[2:])))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
