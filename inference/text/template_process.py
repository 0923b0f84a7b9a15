"""The process in which one chat template runs: a request on standard input, an answer on output.

Run as a file by `chat.py`, under ``python -I -S``; it imports nothing of this package.
"""

from __future__ import annotations

import json
import resource
import sys
from datetime import datetime
from typing import Any


def main() -> None:
    """Read the request, limit this process, render, and write ``{"text"}`` or ``{"error"}``."""
    request = json.load(sys.stdin)
    sys.path[:0] = request["import_from"]
    import jinja2.sandbox  # noqa: F401 - before the limits: they are meant for the template alone

    _limit(resource.RLIMIT_AS, request["memory"])
    _limit(resource.RLIMIT_CPU, request["cpu_seconds"])
    _limit(resource.RLIMIT_FSIZE, 0)
    sys.stdout.write(json.dumps(answer(request)))


def answer(request: dict[str, Any]) -> dict[str, str]:
    """Render a request without limits of the process; the error says what the template did."""
    from jinja2 import TemplateError, TemplateSyntaxError

    try:
        return {"text": _render(request)}
    except _Refusal as error:
        problem = f"refuses this conversation: {error}"
    except _TooLong:
        problem = f"writes more than {request['output']:,} characters"
    except RecursionError:
        problem = "recurses without end"
    except MemoryError:
        problem = f"needs more than {request['memory'] >> 20} MiB of memory"
    except TemplateSyntaxError as error:
        problem = f"does not parse, line {error.lineno}: {error.message}"
    except (
        TemplateError,
        ArithmeticError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ) as e:
        problem = f"failed: {type(e).__name__}: {e}"
    return {"error": problem}


class _Refusal(Exception):
    """The template called ``raise_exception``."""


class _TooLong(Exception):
    """The output passed its limit."""


def _limit(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))


def _render(request: dict[str, Any]) -> str:
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_generation_extension(), loopcontrols]
    )
    now = datetime.fromisoformat(request["now"])
    environment.filters["tojson"] = _tojson
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = now.strftime
    chunks = []
    written = 0
    for chunk in environment.from_string(request["template"]).generate(request["context"]):
        written += len(chunk)
        if written > request["output"]:
            raise _TooLong
        chunks.append(chunk)
    return "".join(chunks)


def _refuse(message: str) -> None:
    raise _Refusal(message)


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    # Jinja's own filter escapes for HTML; templates expect plain JSON, as Transformers gives them.
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


def _generation_extension() -> type:
    from jinja2 import nodes
    from jinja2.ext import Extension
    from jinja2.parser import Parser

    class Generation(Extension):
        """``{% generation %}`` marks the assistant's part for training; here it only renders."""

        tags = {"generation"}  # noqa: RUF012 - the base class says set

        def parse(self, parser: Parser) -> nodes.Node:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

        def _body(self, caller: Any) -> str:
            return str(caller())

    return Generation


if __name__ == "__main__":
    main()
