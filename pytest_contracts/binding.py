"""Which code stands behind an equation, and which code really ran.

Import-light on purpose: engines import :func:`contract` without pytest, Hypothesis or NumPy.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from pytest_contracts.errors import ContractBindingError, Falsified, Unavailable
from pytest_contracts.suggesting import did_you_mean
from pytest_contracts.watching import Watch, innermost

if TYPE_CHECKING:
    from importlib.abc import Loader

    from pytest_contracts.where import Where

F = TypeVar("F", bound=Callable[..., Any])


class Implements(NamedTuple):
    """The claim that a decorated function makes: it implements this equation."""

    contract: str
    equation: str
    implementation: str


_registry: dict[Implements, Callable[..., Any]] = {}


def contract(contract_name: str, *, equation: str, implementation: str) -> Callable[[F], F]:
    """Register the decorated function as an implementation of a contract's equation.

    The function itself is returned; its ``__contract__`` lists what it implements.
    """

    def register(function: F) -> F:
        claim = Implements(contract_name, equation, implementation)
        held: tuple[Implements, ...] = getattr(function, "__contract__", ())
        function.__contract__ = (*held, claim)  # type: ignore[attr-defined]
        _registry[claim] = function
        return function

    return register


def registered(contract_name: str, equation: str) -> dict[str, Callable[..., Any]]:
    """Return the decorated implementations of an equation that have been imported so far."""
    return {
        claim.implementation: function
        for claim, function in _registry.items()
        if (claim.contract, claim.equation) == (contract_name, equation)
    }


def resolve(target: str, *, where: Where | None = None) -> Callable[..., Any]:
    """Import the function that ``module:function`` names.

    Raises:
        ContractBindingError: there is no such module or function, or importing it failed.
        Unavailable: the module says that this machine lacks what it needs.
    """
    found = attribute(target, "function", where=where)
    if not callable(found):
        raise ContractBindingError(
            f"{target} is a {type(found).__name__}, not a function", where=where
        )
    function: Callable[..., Any] = found
    return function


def attribute(target: str, what: str = "attribute", *, where: Where | None = None) -> Any:
    """Import what ``module:attribute`` names, as it is now.

    Raises:
        ContractBindingError: there is no such module or attribute, or importing it failed.
        Unavailable: the module says that this machine lacks what it needs.
    """
    module_name, colon, path = target.partition(":")
    if not (module_name and colon and path):
        raise ContractBindingError(
            f"{target!r} is not of the form module:{what}",
            where=where,
            hint="Write for example inference.kernels.softmax.cpu:softmax",
        )
    found: Any = _import(module_name, target, where)
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise ContractBindingError(
                f"{module_name} has no {what} {path!r}",
                where=where,
                hint=did_you_mean(part, dir(found)),
            ) from None
    return found


_siblings: dict[str, Path] = {}


def sibling(path: Path) -> str:
    """Return the module name under which ``resolve`` imports a file that is in no package.

    It tells two files of one name apart by what is in them, not by where they lie.
    """
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    name = f"contract_binding_{path.stem}_{digest}"
    _siblings[name] = path
    return name


def importable(package: str) -> bool:
    """Tell whether a top-level package or a sibling exists; nothing is imported."""
    return package in _siblings or importlib.util.find_spec(package) is not None


def load_file(name: str, path: Path, loader: Loader | None = None) -> ModuleType:
    """Import a file under a name, once; a file that fails to import leaves nothing behind."""
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _import(module_name: str, target: str, where: Where | None) -> object:
    try:
        if module_name in _siblings:
            return load_file(module_name, _siblings[module_name])
        return importlib.import_module(module_name)
    except (Unavailable, ContractBindingError):
        raise
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if missing and (module_name == missing or module_name.startswith(f"{missing}.")):
            message = f"there is no module {missing!r} (for {target})"
        else:
            message = f"importing {module_name} failed: {error}"
        raise ContractBindingError(message, where=where) from error
    except Exception as error:
        raise ContractBindingError(
            f"importing {module_name} failed: {type(error).__name__}: {error}", where=where
        ) from error


def qualified_name(function: Callable[..., Any]) -> str:
    """Return ``module:qualname`` of what would really run."""
    inner = unwrapped(function)
    name = getattr(inner, "__qualname__", type(inner).__qualname__)
    return f"{getattr(inner, '__module__', '?')}:{name}"


def code_of(function: Callable[..., Any]) -> CodeType | None:
    """Return the code object behind a function, None for what has none (a builtin)."""
    code = getattr(unwrapped(function), "__code__", None)
    return code if isinstance(code, CodeType) else None


def unwrapped(function: Any) -> Any:
    """Look through partials, bound methods, ``functools.wraps`` and Numba's dispatchers."""
    while True:
        if isinstance(function, functools.partial):
            function = function.func
        elif hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        elif hasattr(function, "py_func"):
            function = function.py_func
        elif hasattr(function, "__func__"):
            function = function.__func__
        else:
            method = vars(type(function)).get("__call__")
            return method if hasattr(method, "__code__") else function


class Witness:
    """Calls one implementation and sees to it that no other of the same equation does the work.

    ``calls`` counts the calls that were witnessed. Raises ContractBindingError at once where two
    names of an equation lead to the same code.
    """

    def __init__(
        self,
        equation: str,
        implementation: str,
        function: Callable[..., Any],
        others: Mapping[str, Callable[..., Any]],
        *,
        where: Where | None = None,
    ) -> None:
        self.equation = equation
        self.implementation = implementation
        self.function = function
        self.calls = 0
        codes: dict[CodeType, str] = {}
        own, inner = code_of(function), innermost(function)
        for name, other in others.items():
            code = code_of(other)
            if innermost(other) is inner or (code is not None and code is own):
                raise ContractBindingError(
                    f"{implementation!r} and {name!r} of {equation} are the same function "
                    f"{qualified_name(function)}: a comparison would compare it with itself",
                    where=where,
                )
            if code is not None:
                codes[code] = name
        self._watch = Watch(function, others, codes) if others else None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the implementation; Falsified if another one ran underneath."""
        self.calls += 1
        if self._watch is None:
            return self.function(*args, **kwargs)
        with self._watch.listening() as seen:
            result = self.function(*args, **kwargs)
        if seen:
            ran = seen[0]
            raise Falsified(
                f"{self.equation} as {self.implementation!r} fell back to {ran!r}",
                detail={
                    "named": f"{self.implementation} = {qualified_name(self.function)}",
                    "ran": f"{ran}, another implementation of {self.equation}",
                },
            )
        return result
