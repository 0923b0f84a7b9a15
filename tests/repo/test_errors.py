"""Every exception of both packages travels between processes as it is."""

from __future__ import annotations

import copy
import importlib
import inspect
import multiprocessing
import pickle
import pkgutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import inference
import pytest_contracts
from inference import errors
from pytest_contracts.errors import Falsified, Unavailable
from pytest_contracts.where import Where

PACKAGES = (inference, pytest_contracts)
OPTIONAL = ("cupy", "torch", "transformers", "llama_cpp")


def modules() -> Iterator[Any]:
    for package in PACKAGES:
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if found.name.endswith("__main__"):
                continue
            try:
                yield importlib.import_module(found.name)
            except ImportError as error:
                if error.name is None or error.name.partition(".")[0] not in OPTIONAL:
                    raise


def exceptions() -> list[type[BaseException]]:
    found = {
        value
        for module in modules()
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, BaseException)
        and value.__module__.partition(".")[0] in {package.__name__ for package in PACKAGES}
    }
    return sorted(found, key=lambda kind: (kind.__module__, kind.__qualname__))


EXCEPTIONS = exceptions()


def value_for(annotation: str) -> Any:
    """A value that an argument takes, told by how it is annotated."""
    for word, value in (
        ("Where", Where(Path("a.yaml"), 3)),
        ("dict", {"reason": "why"}),
        ("tuple", (1, 2)),
        ("float", 0.5),
        ("int", 7),
        ("Path", Path("m.gguf")),
    ):
        if word in annotation:
            return value
    return "some text"


def made(kind: type[BaseException]) -> BaseException:
    if "__init__" not in {name for base in kind.__mro__ for name in vars(base)} or not (
        inspect.isfunction(kind.__init__)
    ):
        return kind("some text", 7)
    positional, named = [], {}
    for parameter in list(inspect.signature(kind).parameters.values()):
        value = value_for(str(parameter.annotation))
        if parameter.kind is parameter.KEYWORD_ONLY:
            named[parameter.name] = value
        else:
            positional.append(value)
    return kind(*positional, **named)


WAYS: dict[str, Callable[[Any], Any]] = {
    **{f"pickle {n}": lambda e, n=n: pickle.loads(pickle.dumps(e, n)) for n in range(6)},
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


def test_the_classes_are_found() -> None:
    assert {errors.ModelFileError, Falsified, Unavailable} <= set(EXCEPTIONS)
    assert len(EXCEPTIONS) >= 30


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", EXCEPTIONS, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_an_exception_travels(kind: type[BaseException], way: str) -> None:
    error = made(kind)
    error.add_note("a note")
    error.extra = [1, "two"]  # type: ignore[attr-defined]
    other = WAYS[way](error)
    assert type(other) is kind
    assert (str(other), other.args, vars(other)) == (str(error), error.args, vars(error))


def test_the_values_of_a_comparison_travel() -> None:
    import numpy as np

    error = Falsified("a = b", left=np.arange(3), right=np.float32(2), index=(1,), tolerance=0.5)
    other = pickle.loads(pickle.dumps(error))
    assert str(other) == str(error)
    assert (other.left == error.left).all()


def test_a_class_with_arguments_of_its_own_may_derive() -> None:
    other = pickle.loads(pickle.dumps(Derived(3, "rows")))
    assert (other.count, str(other)) == (3, "m.gguf: 3 rows")


class Derived(errors.ModelFileError):
    def __init__(self, count: int, what: str) -> None:
        super().__init__("m.gguf", f"{count} {what}")
        self.count = count


def test_a_pool_of_processes_hears_what_is_wrong(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        answer = pool.apply_async(inference.load, [tmp_path / "missing.gguf"])
        with pytest.raises(errors.ModelFileError, match=r"missing\.gguf: no such file"):
            answer.get(timeout=60)
