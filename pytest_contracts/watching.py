"""Hears of calls of given functions while another one runs, on whichever thread.

What is heard of: Python functions, on the thread of the call, on threads that it starts and in what
it submits to an executor; builtin functions; NumPy's ufuncs, by the names that modules have for
them; Numba's compiled functions, whoever calls them from Python; and a compiled function that has
one of those in its own code, where no call can be heard. Not heard of are threads and processes
that ran before and take work by other means, and a ufunc that is kept elsewhere than in a module.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import BuiltinFunctionType, CodeType, FrameType, FunctionType, ModuleType
from typing import Any

Hear = Callable[[str], None]
_LIBRARIES = frozenset({"numpy", "scipy", "numba", "llvmlite"})
_MOST_FUNCTIONS = 2000


def innermost(function: Any) -> Any:
    """Look through partials, bound methods, and ``functools.wraps``, down to what is called."""
    while True:
        if isinstance(function, functools.partial):
            function = function.func
        elif hasattr(function, "__wrapped__") and not is_compiled(function):
            function = function.__wrapped__
        elif hasattr(function, "__func__"):
            function = function.__func__
        else:
            return function


def is_compiled(function: Any) -> bool:
    """Tell whether a function is one of Numba's; its ``py_func`` is what was compiled."""
    # A Python class that imitates one is heard of by its own code.
    return hasattr(function, "py_func") and "__call__" not in vars(type(function))


class Watch:
    """Listens for calls of ``others`` while ``function`` runs; ``codes`` are those with code."""

    def __init__(
        self,
        function: Callable[..., Any],
        others: Mapping[str, Callable[..., Any]],
        codes: Mapping[CodeType, str],
    ) -> None:
        self._codes = codes
        self._builtins: dict[int, str] = {}
        self._compiled: list[tuple[Any, type, type]] = []
        self._names: list[tuple[dict[str, Any], str, Any, _Heard]] = []
        self._caches: list[Callable[[], None]] = []
        self._listeners: list[list[str]] = []
        compiled: dict[int, tuple[Any, str]] = {}
        for name, other in others.items():
            inner = innermost(other)
            self._caches += _caches(other)
            if isinstance(inner, BuiltinFunctionType):
                self._builtins[id(inner)] = name
            elif type(inner).__name__ in ("ufunc", "DUFunc"):
                heard = _Heard(inner, name, self._hear)
                self._names += ((names, key, inner, heard) for names, key in _names_of(inner))
            elif is_compiled(inner):
                compiled[id(inner)] = (inner, name)
        if compiled:
            calling = _callers(innermost(function), {key: n for key, (_, n) in compiled.items()})
            for called, name in (*compiled.values(), *calling):
                kind = type(called)
                self._compiled.append((called, kind, _telling(kind, name, self._hear)))

    def _hear(self, name: str) -> None:
        for seen in self._listeners:
            if name not in seen:
                seen.append(name)

    def _note(self, frame: FrameType, event: str, argument: object) -> None:
        if event == "call":
            name = self._codes.get(frame.f_code)
        elif event == "c_call" and self._builtins:
            name = self._builtins.get(id(argument))
        else:
            return
        if name is not None:
            self._hear(name)
        elif not self._listeners:  # a thread that has outlived the call
            sys.setprofile(None)

    @contextmanager
    def listening(self) -> Iterator[list[str]]:
        """Yield a list that receives the name of every function that is called."""
        seen: list[str] = []
        for clear in self._caches:  # a kept result would be returned without a call
            clear()
        self._listeners.append(seen)
        try:
            for function, _, telling in self._compiled:
                function.__class__ = telling
            for names, key, _, heard in self._names:
                names[key] = heard
            with _threads(self._note), _compiling_unheard(), _profiled(self._note):
                yield seen
        finally:
            for names, key, ufunc, _ in self._names:
                names[key] = ufunc
            for function, kind, _ in self._compiled:
                function.__class__ = kind
            self._listeners = [other for other in self._listeners if other is not seen]


@contextmanager
def _profiled(note: Any) -> Iterator[None]:
    """Let this thread tell of its calls."""
    previous: Any = sys.getprofile()
    sys.setprofile(note)
    try:
        yield
    finally:
        if previous is None or callable(previous):
            sys.setprofile(previous)
        else:  # a C profiler, such as cProfile's, resumes only through its own method
            sys.setprofile(None)
            previous.enable()


@contextmanager
def _compiling_unheard() -> Iterator[None]:
    """Let Numba compile without being listened to: it calls nothing, and takes a third as long."""
    events = sys.modules.get("numba.core.event")
    if events is None:
        yield
        return
    with events.install_listener("numba:compile", _pausing(events)):
        yield


@functools.cache
def _pausing(events: ModuleType) -> Any:
    """Return what hears of compilations, one within another too, on the thread that compiles."""

    class Pausing(events.Listener):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            self._of_thread = threading.local()

        @property
        def _paused(self) -> list[Any]:
            paused: list[Any] = vars(self._of_thread).setdefault("paused", [])
            return paused

        def on_start(self, event: object) -> None:
            profile = sys.getprofile()
            ours = isinstance(getattr(profile, "__self__", None), Watch)
            self._paused.append(profile if ours else None)
            if ours:
                sys.setprofile(None)

        def on_end(self, event: object) -> None:
            profile = self._paused.pop() if self._paused else None
            if profile is not None:
                sys.setprofile(profile)

    return Pausing()


@contextmanager
def _threads(note: Any) -> Iterator[None]:
    """Let the threads that start tell of their calls, and those of executors, whenever started."""
    previous = threading.getprofile()
    threading.setprofile(note)
    module = sys.modules.get("concurrent.futures.thread")
    executor = None if module is None else module.ThreadPoolExecutor
    try:
        if executor is None:
            yield
            return
        submit = executor.submit

        def heard(self: Any, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
            return submit(self, _under, note, function, *args, **kwargs)

        executor.submit = heard
        try:
            yield
        finally:
            executor.submit = submit
    finally:
        threading.setprofile(previous)


def _under(note: Any, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    with _profiled(note):
        return function(*args, **kwargs)


def _telling(kind: type, name: str, hear: Hear) -> type:
    """Return a class like one of Numba's that differs in nothing but that its calls are heard.

    A call of a compiled function enters no Python code. Its class is exchanged for this one.
    """

    def called(self: Any, *args: Any, **kwargs: Any) -> Any:
        hear(name)
        return kind.__call__(self, *args, **kwargs)

    return type(kind.__name__, (kind,), {"__call__": called})


class _Heard:
    """A ufunc that tells when it is called; in all else it is the ufunc, to Numba's eyes too."""

    def __init__(self, ufunc: Any, name: str, hear: Hear) -> None:
        self._ufunc = ufunc
        self._name = name
        self._hear = hear

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        # That a library needs it for its own work is no fallback.
        if sys._getframe(1).f_globals.get("__name__", "").partition(".")[0] not in _LIBRARIES:
            self._hear(self._name)
        return self._ufunc(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ufunc, name)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self._ufunc)

    @property
    def _numba_type_(self) -> Any:
        from numba.core.registry import cpu_target

        return cpu_target.typing_context.resolve_value_type(self._ufunc)


def _names_of(ufunc: Any) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield the modules' names for a ufunc, those inside of NumPy and SciPy left out."""
    for module_name, module in list(sys.modules.items()):
        package, dot, _ = module_name.partition(".")
        if package in _LIBRARIES and dot and module_name != "scipy.special":
            continue
        names = getattr(module, "__dict__", {})
        yield from ((names, key) for key, value in list(names.items()) if value is ufunc)


def _caches(function: Any) -> Iterator[Callable[[], None]]:
    """Yield what empties the caches around a function."""
    while function is not None:
        clear = getattr(function, "cache_clear", None)
        if callable(clear):
            yield clear
        function = getattr(function, "func", None) or getattr(function, "__wrapped__", None)


def _callers(function: Any, compiled: Mapping[int, str]) -> Iterator[tuple[Any, str]]:
    """Yield the compiled functions within reach that have one of ``compiled`` in their code."""
    for reached in _reachable(function):
        if not is_compiled(reached) or id(reached) in compiled:
            continue
        for inner in _reachable(reached):
            if id(inner) in compiled:
                yield reached, compiled[id(inner)]
                break


def _reachable(function: Any) -> list[Any]:
    """Return the Python and compiled functions that a function names, and that those name."""
    found: dict[int, Any] = {}
    waiting = [function]
    while waiting and len(found) < _MOST_FUNCTIONS:
        value = innermost(waiting.pop())
        if id(value) in found or not (isinstance(value, FunctionType) or is_compiled(value)):
            continue
        if (value.__module__ or "").partition(".")[0] in _FOREIGN:
            continue
        found[id(value)] = value
        waiting += _named(value.py_func if is_compiled(value) else value)
    return list(found.values())


_FOREIGN = _LIBRARIES | sys.stdlib_module_names


def _named(function: Any) -> Iterator[Any]:
    """Yield the values that a function's code names: globals, attributes of modules, cells."""
    names = set(_names_in(function.__code__))
    known = function.__globals__
    for name in names & known.keys():
        value = known[name]
        if isinstance(value, ModuleType):
            held = vars(value)
            yield from (held[attribute] for attribute in names & held.keys())
        else:
            yield value
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # it is not filled yet
            continue


def _names_in(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)
