"""Defects planted into the engine on purpose, to show that contracts see them."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import inference
from inference import Model
from inference.backends.cpu.operations import Operations, Run
from inference.data import TINY_MODEL
from inference.formats import open_model
from inference.formats.overlay import Overlay, tensor_values
from inference.model.ops import AddBias, Operation, Program, Rope, SwiGlu
from inference.surgery.importing import import_model
from inference.trace.activations import Trace
from inference.trace.plan import TracePlan

CONTRACTS = Path(__file__).parents[2] / "contracts"


@pytest.fixture(scope="session")
def procedures() -> Callable[[str], ModuleType]:
    """Return a function from ``area/module`` to the procedures beside a contract."""

    def load(name: str) -> ModuleType:
        path = CONTRACTS / f"{name}.py"
        key = f"procedures_under_test_{path.stem}"
        if key not in sys.modules:
            spec = importlib.util.spec_from_file_location(key, path)
            assert spec is not None
            assert spec.loader is not None
            sys.modules[key] = module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        return sys.modules[key]

    return load


@pytest.fixture(scope="session")
def tiny_apr(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped model, imported as APR."""
    target = tmp_path_factory.mktemp("apr") / "tiny.apr"
    import_model(TINY_MODEL, target)
    return target


@dataclass(frozen=True)
class Clamp(Operation):
    """Bound a buffer; no model has this, a route-around might."""

    x: str
    limit: float


def clamp(operations: Operations, op: Clamp, run: Run) -> None:
    """Carry out a clamp, operation by operation."""
    run.buffers[op.x] = np.clip(run.buffers[op.x], -op.limit, op.limit)


class LastTokenReporter(Model):
    """A model whose traces summarise the last token where all tokens are meant."""

    def trace(self, ids: Any, plan: TracePlan | None = None) -> Trace:
        trace = super().trace(ids, plan)
        layers = tuple(
            replace(
                layer,
                **{
                    name: getattr(layer.last_token, name)
                    for name in layer.last_token.__dataclass_fields__
                },
            )
            for layer in trace.forward.layer_activations
            if layer.last_token is not None
        )
        return replace(trace, forward=replace(trace.forward, layer_activations=layers))


class Defects:
    """Models with one defect each; ``numerics`` is the path they run on."""

    def __init__(self, path: Path, stack: ExitStack, patch: pytest.MonkeyPatch) -> None:
        self._path = path
        self._stack = stack
        self._patch = patch

    def healthy(self, numerics: Any = "fused") -> Model:
        return self._stack.enter_context(inference.load(self._path, numerics=numerics))

    def gate_scaled(self, factor: float, numerics: Any = "fused", layer: int = 3) -> Model:
        """INC-07: the gate matrix is wrong."""
        return self._open(self._overlay(f"blk.{layer}.ffn_gate.weight", factor), numerics)

    def gate_scaled_and_clamped(
        self, factor: float, limit: float, numerics: Any = "fused"
    ) -> Model:
        """INC-07: the gate matrix is wrong, and the product bounded until nobody notices."""
        model = self.gate_scaled(factor, numerics)
        self._patch.setattr(Operations, "handlers", {**Operations.handlers, Clamp: clamp})
        ops: list[Any] = []
        for op in model.program.ops:
            ops.append(op)
            if isinstance(op, SwiGlu):
                ops.append(Clamp(op.out, limit))
        model.program = Program(tuple(ops), model.program.output)
        return model

    def without_bias(self, numerics: Any = "fused") -> Model:
        """INC-09: the QKV bias is left out."""
        return self._rewritten(lambda op: None if isinstance(op, AddBias) else op, numerics)

    def adjacent_rope(self, numerics: Any = "fused") -> Model:
        """INC-09: adjacent pairs are rotated in place of split halves."""
        return self._rewritten(
            lambda op: replace(op, neox=False) if isinstance(op, Rope) else op, numerics
        )

    def last_token_reporter(self, numerics: Any = "fused") -> Model:
        """INC-06: statistics of the last token in place of all."""
        file = open_model(self._path)
        return self._stack.enter_context(LastTokenReporter(file, numerics=numerics))

    def _overlay(self, name: str, factor: float) -> Overlay:
        file = open_model(self._path)
        return Overlay(file, {name: tensor_values(file, name) * np.float32(factor)})

    def _rewritten(self, change: Callable[[Operation], Operation | None], numerics: Any) -> Model:
        model = self.healthy(numerics)
        changed = [new for op in model.program.ops if (new := change(op)) is not None]
        model.program = Program(tuple(changed), model.program.output)
        return model

    def _open(self, file: Any, numerics: Any) -> Model:
        return self._stack.enter_context(Model(file, numerics=numerics))


@pytest.fixture
def defects(tiny_apr: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Defects]:
    """Plant defects on the APR side."""
    with ExitStack() as stack:
        yield Defects(tiny_apr, stack, monkeypatch)
