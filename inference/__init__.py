"""An LLM inference engine small enough to be judged: one forward pass, every step observable.

>>> import inference
>>> with inference.load("model.gguf") as model:
...     print(model.generate("What is 2+2?", max_tokens=16).text)
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inference.backends import BackendName
    from inference.backends.weights import Numerics
    from inference.engine.model import Model

__all__ = ["Model", "load"]


def load(path: str | Path, *, backend: BackendName = "auto", numerics: Numerics = "fused") -> Model:
    """Open a model file (GGUF, APR v2 or a Hugging Face directory) ready to run.

    ``numerics`` is ``fused`` (integer dot products on packed weights) or ``f32`` (weights expanded
    to float32).

    Raises:
        ModelFileError: the file is unreadable or lacks a tensor that the decoder needs.
        UnsupportedArchitectureError, UnsupportedTypeError: the engine cannot run it.
        DeviceUnavailableError: ``backend`` names hardware that is not usable.
        OutOfMemoryError: engine or model do not fit in memory.
    """
    from inference.memory import needing, room_for_blas

    room_for_blas("numpy", "to load the engine")
    with needing("to load the engine"):
        from inference.engine.model import Model

    return Model.open(path, backend=backend, numerics=numerics)


def __getattr__(name: str) -> Any:
    # Importing the package stays cheap (`apr --help`); the engine loads when it is first named.
    if name == "Model":
        from inference.engine.model import Model

        return Model
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
