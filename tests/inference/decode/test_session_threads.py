"""A session belongs to one call at a time: from threads, callbacks, streams, signals and forks."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import inference
from inference import Model, threads
from inference.data import TINY_MODEL
from inference.decode.generate import Continuation
from inference.decode.options import GenerationOptions
from inference.decode.ownership import Call
from inference.decode.session import Session
from inference.engine.conversation import Conversation
from inference.errors import EngineError, SessionBusyError
from inference.model.stages import Stage
from tests.within import Once

PROMPT = list(range(1, 120))


class Watcher:
    """A capture that calls ``work`` when it is first shown something."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._work: Callable[[], object] | None = work
        self.found: object = None

    def ran(self, path: str) -> None: ...

    def wants(self, stage: Stage, layer: int | None) -> bool:
        return stage is Stage.EMBEDDING

    def observe(self, stage: Stage, layer: int | None, value: NDArray[np.float32]) -> None:
        work, self._work = self._work, None
        if work is not None:
            try:
                self.found = work()
            except EngineError as error:
                self.found = error


CALLS: dict[str, Callable[[Model, Session], object]] = {
    "advance": lambda model, s: s.advance([1]),
    "advance_together": lambda model, s: Session.advance_together(
        [(model.session(), [1]), (s, [2])]
    ),
    "timed": lambda model, s: s.timed([1]),
    "truncate": lambda model, s: s.truncate(0),
    "reuse": lambda model, s: s.reuse([1, 2]),
    "fork": lambda model, s: s.fork(),
    "snapshot": lambda model, s: s.snapshot(),
    "restore": lambda model, s: s.restore(*model.session().snapshot()),
    "save": lambda model, s: model.save_session(s, os.devnull + "/none"),
    "generate": lambda model, s: model.generate([1, 2], max_tokens=1, session=s),
    "stream": lambda model, s: next(model.stream([1, 2], max_tokens=1, session=s)),
    "trace": lambda model, s: s.advance([1], capture=Watcher(lambda: None)),
}


@pytest.fixture(scope="module")
def tiny_with_words() -> Any:
    with inference.load(TINY_MODEL) as model:
        yield model


@pytest.mark.parametrize("name", CALLS)
def test_a_call_is_refused_while_another_has_the_session(tiny: Model, name: str) -> None:
    session = tiny.session()
    session.advance([5, 6, 7])
    before = session.advance([8])
    session.truncate(3)
    call = Call("something")
    session.claim(call)
    with pytest.raises(SessionBusyError, match=r"in use: something has not ended; .*fork"):
        CALLS[name](tiny, session)
    assert (session.length, session.ids) == (3, (5, 6, 7))  # may be read all the while
    call.over = True
    assert session.advance([8]).tobytes() == before.tobytes()


@pytest.mark.parametrize("name", CALLS)
def test_a_callback_cannot_use_the_session_that_runs(tiny: Model, name: str) -> None:
    session = tiny.session()
    watcher = Watcher(lambda: CALLS[name](tiny, session))
    session.advance([5, 6, 7], capture=watcher)
    assert isinstance(watcher.found, SessionBusyError)
    expected = tiny.forward([5, 6, 7, 8])[-1:]
    np.testing.assert_allclose(session.advance([8]), expected, rtol=0, atol=1e-4)


def test_a_callback_cannot_begin_another_run(tiny_with_words: Model) -> None:
    """It would wait for itself for ever; forking what runs is refused, reading is not."""
    model = tiny_with_words
    assert model.capabilities.path == "lowered"
    alone = model.session().advance([5, 6, 7], capture=Watcher(lambda: None))
    watcher = Watcher(lambda: model.session().advance([1]))
    watched = model.session().advance([5, 6, 7], capture=watcher)
    assert isinstance(watcher.found, EngineError)
    assert "inside another" in str(watcher.found)
    assert watched.tobytes() == alone.tobytes()
    assert model.session().advance([5, 6, 7]).shape == alone.shape  # nobody has the turn


def test_the_session_is_free_after_an_error(tiny: Model) -> None:
    session = tiny.session()
    for bad in ([], [-1], [1] * (tiny.config.context_length + 1)):
        with pytest.raises(EngineError):
            session.advance(bad)
    with pytest.raises(EngineError):
        tiny.generate([-1], max_tokens=1, session=session)
    with pytest.raises(EngineError):
        session.truncate(1)
    assert session.advance([1]).shape == (1, tiny.config.vocab)


def test_the_first_of_two_streams_says_that_it_is_stale(tiny_with_words: Model) -> None:
    model = tiny_with_words
    options = {"max_tokens": 8, "ignore_eos": True}
    alone = [model.generate(p, **options).ids for p in ([1, 2, 3], [4, 5])]
    session = model.session()
    first = model.stream([1, 2, 3], session=session, **options)
    taken = [next(first).id for _ in range(3)]
    second = model.stream([4, 5], session=session, **options)
    begun = next(second).id
    for _ in range(2):  # again and again: it is not an ordinary end
        with pytest.raises(SessionBusyError, match=r"changed the session .* fork"):
            next(first)
    assert tuple(taken) == alone[0][:3]
    assert (begun, *(piece.id for piece in second)) == alone[1]


def test_a_stream_leaves_the_session_free_between_tokens(tiny_with_words: Model) -> None:
    """Reading, forking and what changes nothing do not disturb it."""
    model = tiny_with_words
    options = {"max_tokens": 8, "ignore_eos": True}
    alone = model.generate([1, 2, 3], **options).ids
    session = model.session()
    stream = model.stream([1, 2, 3], session=session, **options)
    found = []
    for piece in stream:
        found.append(piece.id)
        twin = session.fork()
        twin.truncate(1)
        twin.advance([9, 9])
        session.truncate(session.length)
        assert session.ids[:3] == (1, 2, 3)
    assert tuple(found) == alone


def test_a_stream_that_is_left_alone_blocks_nothing(tiny_with_words: Model) -> None:
    model = tiny_with_words
    session = model.session()
    left = model.stream([1, 2, 3], max_tokens=8, session=session)
    next(left)
    alone = model.generate([4, 5], max_tokens=4, ignore_eos=True).ids
    found = model.generate([4, 5], max_tokens=4, ignore_eos=True, session=session).ids
    assert found == alone
    assert isinstance(left, Continuation)


def test_two_turns_at_once_in_a_conversation(tiny_with_words: Model) -> None:
    conversation = Conversation(tiny_with_words)
    options = GenerationOptions(max_tokens=3, ignore_eos=True)
    first = conversation.say("one", options)
    next(first)
    answer = "".join(conversation.say("two", options))
    with pytest.raises(SessionBusyError):
        list(first)
    turns = [("user", "two"), ("assistant", answer)]
    assert [(m["role"], m["content"]) for m in conversation.messages] == turns
    late = conversation.say("three", options)
    next(late)
    conversation.begin()
    late.close()  # what was taken belongs to a conversation that is gone
    assert conversation.messages == []


THREADS = """
import sys, threading, inference
from inference.data import TINY_MODEL
interval = sys.getswitchinterval()
sys.setswitchinterval(1e-5)
with inference.load(TINY_MODEL) as model:
    prompt = list(range(1, 120))
    alone = model.generate(prompt, max_tokens=12, ignore_eos=True).ids
    served = 0
    for _ in range(3):
        session, found = model.session(), []
        def work():
            try:
                found.append(
                    model.generate(prompt, max_tokens=12, session=session, ignore_eos=True).ids
                )
            except inference.errors.SessionBusyError:
                found.append(None)
        threads = [threading.Thread(target=work) for _ in range(4)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        assert len(found) == 4 and set(found) <= {alone, None} and alone in found, found
        served += found.count(None)
    assert served, "nobody was refused: the threads did not meet"
sys.setswitchinterval(interval)
print("threads", flush=True)
"""

INTERRUPTS = """
import random, signal, inference
from inference.data import TINY_MODEL
class Alarm(Exception): pass
armed = False
def ring(*_):
    if armed:
        raise Alarm
signal.signal(signal.SIGALRM, ring)
random.seed(1)
with inference.load(TINY_MODEL) as model:
    session = model.session()
    session.advance([1])
    rung = 0
    for i in range(150):
        try:
            armed = True
            signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-5, 2e-3))
            if i % 3 == 0:
                session.truncate(1)
            elif i % 3 == 1:
                session.fork().advance([2])
            for _ in range(3):
                session.advance([i % 500, 3])
            armed = False
        except Alarm:
            rung += 1
        armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        if session.length > 100 or i % 40 == 0:
            twin = session.fork()
            cold = model.session()
            for token in twin.ids:
                cold.advance([token])
            error = abs(twin.advance([7]) - cold.advance([7])).max()
            assert error < 1e-3, error
            session.truncate(1)
    assert rung > 20, rung
print("interrupts", flush=True)
"""


@pytest.fixture(scope="module")
def there(once: Once) -> tuple[int, list[str], str]:
    """How a process of its own ended in which both went well, what it wrote, and its errors."""

    def run() -> tuple[int, list[str], str]:
        code = THREADS + (INTERRUPTS if hasattr(signal, "setitimer") else "")
        done = subprocess.run(
            [sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=300
        )
        return done.returncode, done.stdout.split(), done.stderr

    return once("a process of its own", run)


def test_threads_on_one_session_are_right_or_refused(there: tuple[int, list[str], str]) -> None:
    """In a process of its own: it used to end in a corrupted heap."""
    code, came_to, errors = there
    assert "threads" in came_to, errors
    assert (code, errors) == (0, "")


def test_one_stream_from_several_threads(tiny_with_words: Model) -> None:
    """Each token is taken once, by whoever comes when the session is free."""
    model = tiny_with_words
    alone = model.generate(PROMPT, max_tokens=16, ignore_eos=True).ids
    stream = model.stream(PROMPT, max_tokens=16, ignore_eos=True)
    taken: list[int | None] = []
    failed: list[BaseException] = []

    def work() -> None:
        while True:
            try:
                taken.append(next(stream).id)
            except SessionBusyError:
                continue
            except StopIteration:
                return
            except BaseException as error:
                failed.append(error)
                return

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not failed
    assert sorted(i for i in taken if i is not None) == sorted(alone)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timers")
def test_an_interrupt_leaves_the_session_free_and_true(there: tuple[int, list[str], str]) -> None:
    """At any moment: what it says it has seen is what it goes on with."""
    code, came_to, errors = there
    assert "interrupts" in came_to, errors
    assert (code, errors) == (0, "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_process_is_not_kept_out_by_a_thread_that_it_has_not(tiny: Model) -> None:
    session = tiny.session()
    session.advance([1, 2])
    session.claim(Call("of a thread that does not survive"))
    child = os.fork()
    if child == 0:
        os._exit(0 if session.fork().ids == (1, 2) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with pytest.raises(SessionBusyError):
        session.fork()


def test_the_error_travels() -> None:
    error = SessionBusyError("in use")
    assert str(pickle.loads(pickle.dumps(error))) == "in use"


@pytest.mark.parametrize("where", ["metrics", "packing", "planning", "copying"])
def test_a_signal_handler_may_use_the_engine_wherever_it_interrupts(
    where: str, tiny_with_words: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a lock is held: what it would wait for is the call that it came into."""
    path = {
        "metrics": "inference.backends.metrics.Histogram.add",
        "packing": "inference.backends.cpu.linear.pack",
        "planning": "inference.backends.cpu.backend.CpuBackend._obstacle",
        "copying": "inference.backends.weights.Weight.take",
    }[where]
    called: list[str] = []
    module, _, name = path.rpartition(".")
    owner: Any = inference
    for part in module.split(".")[1:]:
        owner = getattr(owner, part)
    original = getattr(owner, name)
    numerics: Any = "f32" if where == "copying" else "fused"
    model = Model(tiny_with_words.file, numerics=numerics)

    def interrupted(*arguments: Any, **named: Any) -> Any:
        if len(called) < 1:
            called.append(name)
            with pytest.raises(EngineError) if inside() else nullcontext():
                model.session().advance([1, 2])
        return original(*arguments, **named)

    def inside() -> bool:
        return threads.holder == threading.get_ident()

    monkeypatch.setattr(path, interrupted)
    worker = threading.Thread(target=model.session().advance, args=([3, 4],), daemon=True)
    worker.start()
    worker.join(300)  # compiling may be part of it
    assert not worker.is_alive(), "it waits for itself"
    assert called
    monkeypatch.undo()
    assert model.session().advance([3, 4]).shape == (1, model.config.vocab)
