"""Stage values of a traced run as APRT files, one per stage and layer."""

from __future__ import annotations

from pathlib import Path

from inference.formats.aprt import stage_path, write_aprt
from inference.trace.activations import Trace


def save_stages(trace: Trace, directory: str | Path) -> list[Path]:
    """Write every kept value below ``directory``, which is made if missing and never cleaned.

    Returns the paths in the order of computation: ``layer-<N>/<stage>.bin``, and ``<stage>.bin``
    for the stages of the whole model.
    """
    written = []
    for (stage, layer), value in trace.values.items():
        path = stage_path(directory, stage.value, layer)
        write_aprt(path, layer, value)
        written.append(path)
    return written
