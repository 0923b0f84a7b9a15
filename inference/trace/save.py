"""Stage values of a traced run as APRT files, one per stage and layer."""

from __future__ import annotations

from pathlib import Path

from inference.formats.aprt import stage_path, write_aprt
from inference.staging import check_target
from inference.trace.activations import Trace
from inference.trace.plan import TracePlan


def check_stages(plan: TracePlan, layers: range, directory: str | Path) -> None:
    """Raise ``ModelFileError`` where a stage of the plan could not be written, before it is run."""
    for stage in plan.stages:
        for layer in [None] if stage.whole_model else plan.layers or layers:
            check_target(stage_path(directory, stage.value, layer), parents=True)


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
