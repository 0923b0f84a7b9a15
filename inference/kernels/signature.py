"""A kernel as its room states it: parameters, documentation and checks, once for all devices.

    @signature("softmax-kernel-v1")
    def softmax(run: Run, x: Float32) -> Float32:
        \"""Normalize the exponentials along the last axis. …\"""
        return run(float32_array("softmax", "x", x, min_ndim=1))

``run`` is the implementation that was called, which may assume what was checked. One stands in the
room's module of its device, and is found there by its name:

    @room.softmax.implementation("cpu")
    def softmax(x): …
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from functools import cached_property, update_wrapper, wraps
from typing import Concatenate, Generic, ParamSpec, TypeVar

from inference.kernels.arguments import Float32
from pytest_contracts.binding import contract

P = ParamSpec("P")
R = TypeVar("R")
Run = Callable[..., Float32]
"""An implementation, as the checks of its kernel see it."""


class Signature(Generic[P, R]):
    """The public function of a kernel; called, it runs the CPU's implementation."""

    __name__: str
    __signature__: inspect.Signature

    def __init__(
        self,
        checks: Callable[Concatenate[Callable[..., R], P], R],
        contract_name: str | None,
        cpu: str,
    ) -> None:
        update_wrapper(self, checks)
        del self.__wrapped__  # the property below says what would run
        self._checks, self._contract, self._cpu = checks, contract_name, cpu
        stated = inspect.signature(checks)
        self.__signature__ = stated.replace(parameters=list(stated.parameters.values())[1:])

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the CPU's implementation."""
        return self.__wrapped__(*args, **kwargs)

    @cached_property
    def __wrapped__(self) -> Callable[P, R]:
        """The CPU's implementation, imported when it is first asked for."""
        module = importlib.import_module(f"{self.__module__}.{self._cpu}")
        found: Callable[P, R] = getattr(module, self.__name__)
        return found

    def implementation(self, name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Have the checks run before the decorated function; in the contract it is ``name``."""

        def register(run: Callable[P, R]) -> Callable[P, R]:
            checks = self._checks

            @wraps(run)
            def checked(*args: P.args, **kwargs: P.kwargs) -> R:
                return checks(run, *args, **kwargs)

            checked.__doc__, checked.__signature__ = self.__doc__, self.__signature__  # type: ignore[attr-defined]
            if self._contract is None:
                return checked
            return contract(self._contract, equation=self.__name__, implementation=name)(checked)

        return register


def signature(
    contract_name: str | None = None, *, cpu: str = "cpu"
) -> Callable[[Callable[Concatenate[Callable[..., R], P], R]], Signature[P, R]]:
    """State a kernel: the decorated function checks its arguments, and then calls ``run``.

    Args:
        contract_name: the contract that has an equation of the kernel's name.
        cpu: the room's module with the CPU's implementation.
    """

    def state(checks: Callable[Concatenate[Callable[..., R], P], R]) -> Signature[P, R]:
        return Signature(checks, contract_name, cpu)

    return state
