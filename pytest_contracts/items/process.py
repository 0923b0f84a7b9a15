"""What code under test does to the process that judges it: ends it, or leaves it changed.

What all claims share is compared once, when a claim's check ends, with what it was when the check
began. What differs is put back, so that the next claim is judged in the process as it was, and is
the claim's counterexample: else verdicts would rest on who ran before.
"""

from __future__ import annotations

import ctypes
import decimal
import locale
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

from pytest_contracts.errors import Falsified

State = dict[Any, Any]


class Rule(Enum):
    """What a thing that all claims share may be where a check ends."""

    SAME = auto()
    MORE_BY_IMPORTS = auto()
    """New keys may be the work of a module that was first imported meanwhile; they stay then."""
    MORE = auto()
    """New keys are nobody's fault, and stay."""
    RESTORED = auto()
    """It is put back, and nobody is blamed: procedures seed generators, and rightly so."""


@dataclass(frozen=True)
class Shared:
    """A thing that all claims share; ``put`` restores what ``get`` returned."""

    name: str
    get: Callable[[], State]
    put: Callable[[State], object]
    rule: Rule = Rule.SAME
    written: Callable[[Any], str] = str
    """What stands in the source of a module that makes a key when it is imported."""

    def changed(self, kept: State) -> str | None:
        """Put it back where it has changed, and return in words what has."""
        found = self.get()
        if found == kept:
            return None
        self.put(kept)
        words = "; ".join(_changes(kept, found)) if self.rule is not Rule.RESTORED else ""
        return f"changes {self.name}{words and f': {words}'}"


def _error_state() -> State:
    return {**np.geterr(), "call": np.geterrcall()}


def _put_error_state(kept: State) -> None:
    np.seterr(**{key: value for key, value in kept.items() if key != "call"})
    np.seterrcall(kept["call"])


_DECIMAL = ("prec", "rounding", "Emin", "Emax", "capitals", "clamp")


def _decimal() -> State:
    context = decimal.getcontext()
    kept = {name: getattr(context, name) for name in _DECIMAL}
    return {**kept, "traps": {trap for trap, on in context.traps.items() if on}}


def _put_decimal(kept: State) -> None:
    context = decimal.getcontext()
    for name in _DECIMAL:
        setattr(context, name, kept[name])
    for trap in context.traps:
        context.traps[trap] = trap in kept["traps"]


def _environment() -> State:
    """Return the environment as ``os.environ`` keeps it: decoded, it takes as long as the rest."""
    return dict(os.environ._data)  # type: ignore[attr-defined]


def _put_environment(kept: State) -> None:
    for name in _environment().keys() - kept.keys():
        del os.environ[os.fsdecode(name)]
    os.environ.update({os.fsdecode(name): os.fsdecode(value) for name, value in kept.items()})


def _directory() -> State:
    try:
        return {"it": os.getcwd()}
    except FileNotFoundError:
        return {"it": None}


def _put_directory(kept: State) -> None:
    if kept["it"] is not None:
        os.chdir(kept["it"])


_MT19937_BYTES = 625 * 4
"""NumPy's ``mt19937_state``: 624 words and the position, of 32 bits each."""


def _numpy_memory() -> int | None:
    """Return where NumPy's global generator keeps its state, None for one of another kind.

    ``get_state`` takes a hundred times as long as reading it there.
    """
    generator = np.random.get_bit_generator()  # type: ignore[attr-defined]  # of 1.24
    return generator.ctypes.state_address if type(generator) is np.random.MT19937 else None


def _random_state() -> State:
    """Return the states of the global generators of ``random`` and of NumPy."""
    address = _numpy_memory()
    numpy = None if address is None else ctypes.string_at(address, _MT19937_BYTES)
    return {"random": random.getstate(), "numpy.random": numpy}


def _put_random_state(kept: State) -> None:
    random.setstate(kept["random"])
    address, state = _numpy_memory(), kept["numpy.random"]
    if address is not None and state is not None:
        ctypes.memmove(address, state, _MT19937_BYTES)


def _put_path(kept: State) -> None:
    sys.path[:] = kept


_ERRORS = Shared("NumPy's error state", _error_state, _put_error_state)
_RANDOM = Shared(
    "the random state of random or numpy.random", _random_state, _put_random_state, Rule.RESTORED
)
_RECURSION = Shared(
    "the recursion limit",
    lambda: {"it": sys.getrecursionlimit()},
    lambda kept: sys.setrecursionlimit(kept["it"]),
)
_BY_CALL = (_ERRORS, _RANDOM, _RECURSION)
"""What is watched around calls of an implementation too: other code puts it back after them."""
SHARED = (
    *_BY_CALL,
    Shared(
        "NumPy's print options",
        lambda: dict(np.get_printoptions()),
        lambda kept: np.set_printoptions(**kept),
    ),
    Shared(
        "the environment",
        _environment,
        _put_environment,
        Rule.MORE_BY_IMPORTS,
        written=os.fsdecode,
    ),
    Shared("the current directory", _directory, _put_directory),
    Shared("the context of decimal", _decimal, _put_decimal),
    Shared(
        "the locale",
        lambda: {"it": locale.setlocale(locale.LC_ALL)},
        lambda kept: locale.setlocale(locale.LC_ALL, kept["it"]),
    ),
    Shared(
        "sys.path",
        lambda: dict.fromkeys(sys.path),
        _put_path,
        Rule.MORE_BY_IMPORTS,
        written=lambda entry: "sys.path",
    ),
    Shared("sys.modules", lambda: dict(sys.modules), sys.modules.update, Rule.MORE),
)
"""A row is all there is to a thing that code must leave as it was."""


@contextmanager
def leaves_the_call(actor: str) -> Iterator[None]:
    """Watch one call of an implementation for what other code would hide.

    The generators are moved on by a draw meanwhile: Hypothesis seeds them with 0 for each input, so
    that who does the same, or draws, would never be seen to.

    Raises:
        Falsified: the call has changed what all claims share.
    """
    kept = _random_state()
    random.random()
    np.random.random()  # noqa: NPY002
    before = [(shared, shared.get()) for shared in _BY_CALL]
    try:
        yield
        changes = [shared.changed(state) for shared, state in before]
    finally:
        _put_random_state(kept)
    for change in filter(None, changes):
        raise Falsified(f"{actor} {change}")


@dataclass
class _Watch:
    """What was seen of the process while a check ran, as sentences without a subject."""

    changes: list[str] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    interrupted: bool = False
    """A signal from outside asked the run to stop."""


class EndsProcess(BaseException):
    """Code would have ended the process; its own ``except Exception`` does not catch this."""


@contextmanager
def leaves_the_process(actor: str, *, blamed: bool = True) -> Iterator[None]:
    """Watch the process while a check runs that is ``actor``'s work.

    What all claims share is put back; nobody is ``blamed`` for changes that somebody else undoes.

    Raises:
        Falsified: the check ended the process, or would have, or left it changed. A counterexample
            of the check's own stays, with that beside it.
    """
    __tracebackhide__ = True
    watch = _Watch()
    try:
        with _watched(watch):
            yield
    except BaseException as error:
        if watch.interrupted and isinstance(error, KeyboardInterrupt):
            raise
        ended = watch.ends[:1] or _ended(error)
        if ended:
            raise Falsified(f"{actor} {ended[0]}") from error
        if blamed and watch.changes:
            _add(error, [f"{actor} {change}" for change in watch.changes])
        raise
    found = watch.ends + (watch.changes if blamed else [])
    if found:
        falsified = Falsified(f"{actor} {found[0]}")
        _add(falsified, [f"{actor} {change}" for change in found[1:]])
        raise falsified


def _ended(error: BaseException) -> list[str]:
    """Return how an exception would end the process, or the run as if all were well."""
    if isinstance(error, SystemExit):
        return [f"ends the process: SystemExit({error.code!r})"]
    if isinstance(error, pytest.exit.Exception) and error.returncode == 0:
        return ["ends the run with the status of success: pytest.exit(returncode=0)"]
    return []


def _add(error: BaseException, sentences: list[str]) -> None:
    for number, sentence in enumerate(sentences):
        if isinstance(error, Falsified):
            error.detail[f"besides{number + 1 if number else ''}"] = sentence
        else:
            error.add_note(f"Besides, {sentence}.")


@contextmanager
def _watched(watch: _Watch) -> Iterator[None]:
    """Note what would end the process, and put back, on the way out, what all claims share.

    Calls that would end it raise ``EndsProcess``; they are noted, for a check may not hear of what
    its threads meet. So is an interrupt that no signal brought.
    """
    # What filters a check sets, pytest forgets; without its plugin nobody else would.
    unfiltered = warnings.catch_warnings()
    with put_back(SHARED, watch.changes), unfiltered, _kept_alive(watch), _interrupts(watch):
        yield


@contextmanager
def put_back(things: Iterable[Shared], changes: list[str]) -> Iterator[None]:
    """Put things back, on the way out, as they were; ``changes`` gets in words what had changed."""
    before = [(shared, shared.get()) for shared in things]
    modules = set(sys.modules)
    try:
        yield
    finally:
        for shared, kept in before:
            changes += _restored(shared, kept, modules)


def _restored(shared: Shared, kept: State, modules: Container[str]) -> Iterator[str]:
    """Put a thing back where it has changed, and yield in words what has."""
    found = shared.get()
    if found == kept:
        return
    new = [key for key in found if key not in kept]
    if shared.rule is Rule.MORE:
        new = []
    elif shared.rule is Rule.MORE_BY_IMPORTS:
        new = [key for key in new if not _by_import(shared.written(key), modules)]
    words = [*(_changes(kept, found)), *(f"{_name(key)} is new" for key in new)]
    if not words:
        return
    shared.put(kept)
    if shared.rule is not Rule.RESTORED:
        more = f" and {len(words) - 3} more" if len(words) > 3 else ""
        yield f"changes {shared.name}: {', '.join(words[:3])}{more}"


def _by_import(text: str, known: Container[str]) -> bool:
    """Tell whether a text stands in the source of a module that was not known before."""
    for name in set(sys.modules):
        path = getattr(sys.modules[name], "__file__", None) or ""
        own = name.partition(".")[0] in sys.stdlib_module_names
        if name not in known and not own and path.endswith(".py"):
            with suppress(OSError):
                if text in Path(path).read_text("utf-8", "replace"):
                    return True
    return False


def _changes(kept: State, found: State) -> Iterator[str]:
    for key, value in kept.items():
        if key not in found:
            yield f"{_name(key)} is gone"
        elif found[key] != value:
            yield f"{_name(key)} was {_brief(value)}, is {_brief(found[key])}"


def _name(key: object) -> str:
    return os.fsdecode(key) if isinstance(key, bytes) else str(key)


def _brief(value: object) -> str:
    text = repr(os.fsdecode(value) if isinstance(value, bytes) else value)
    return text if len(text) <= 60 else f"{text[:57]}..."


@contextmanager
def _kept_alive(watch: _Watch) -> Iterator[None]:
    """Let calls that end this process raise, in this thread and those that begin meanwhile.

    Children that are forked meanwhile end as they like, and so do the timers of plugins.
    """
    process, here = os.getpid(), threading.get_ident()
    known = {thread.ident for thread in threading.enumerate()} - {here}

    def refused(text: str) -> None:
        if os.getpid() == process and threading.get_ident() not in known:
            watch.ends.append(f"ends the process: {text}")
            raise EndsProcess(text)

    def at_signal(text: str, number: int) -> None:
        handler = signal.getsignal(number) if number else None
        always = number in (signal.SIGKILL, signal.SIGSTOP)
        if always or (handler is signal.SIG_DFL and number not in _HARMLESS):
            refused(f"{text} with {signal.Signals(number).name}")
        elif getattr(handler, "__name__", "") == _NOTED and threading.get_ident() == here:
            raise KeyboardInterrupt  # as the signal would, but by this code

    def leaving(function: Callable[..., Any], text: str) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            refused(f"{text}({', '.join(map(repr, arguments))})")
            return function(*arguments)

        return call

    def killing(function: Callable[..., Any], text: str, own: Callable[[], int]) -> Any:
        def call(target: int, number: int) -> Any:
            if target == own() and os.getpid() == process:
                at_signal(f"{text} of itself", number)
            return function(target, number)

        return call

    def raising(number: int) -> None:
        if os.getpid() == process:
            at_signal("signal.raise_signal", number)
        raise_signal(number)

    raise_signal = signal.raise_signal
    with ExitStack() as stack:
        for module, name, other in (
            (os, "_exit", leaving(os._exit, "os._exit")),
            (os, "abort", leaving(os.abort, "os.abort")),
            (os, "kill", killing(os.kill, "os.kill", os.getpid)),
            (os, "killpg", killing(os.killpg, "os.killpg", os.getpgrp)),
            (signal, "raise_signal", raising),
        ):
            stack.callback(setattr, module, name, getattr(module, name))
            setattr(module, name, other)
        yield


_HARMLESS = {signal.SIGCHLD, signal.SIGURG, signal.SIGCONT, signal.SIGWINCH}
_NOTED = "interrupted_from_outside"


@contextmanager
def _interrupts(watch: _Watch) -> Iterator[None]:
    """Tell an interrupt from outside, which ends the run, from one that code raises itself."""
    before = signal.getsignal(signal.SIGINT)
    # Where a shell starts a run in the background, it is ignored: no signal interrupts it at all.
    usual = before in (signal.default_int_handler, signal.SIG_IGN)
    if not usual or threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupted_from_outside(number: int, frame: FrameType | None) -> None:
        watch.interrupted = True
        signal.default_int_handler(number, frame)

    if before is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, interrupted_from_outside)
    try:
        yield
    except KeyboardInterrupt:
        if not watch.interrupted:
            watch.ends.append("interrupts the run: KeyboardInterrupt")
        raise
    finally:
        signal.signal(signal.SIGINT, before)
