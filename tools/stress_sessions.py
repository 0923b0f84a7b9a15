"""Drive sessions from several threads at random, interrupts included, against a single thread.

    python tools/stress_sessions.py --minutes 10
    python tools/stress_sessions.py --hours 8 --seed 1000
    python tools/stress_sessions.py --seed 1234 --tries 1      # one seed again

A try is a child process: threads take sessions of two models (one call of compiled code, operation
by operation) from a common pool and advance, generate, stream, batch, fork, truncate, trace, save
and restore them; alarms interrupt the main thread, and their handlers sometimes use a session, too.
Everything that a call gave is then computed again by one thread on fresh sessions, and must be the
same to the bit; a call may be refused instead, by the engine's own errors. A seed decides what is
asked for, not how the threads meet. The exit code is 1 when anything else came out, a process that
died or hung included.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

import inference
import inference.decode.batch as batches
import inference.decode.session as sessions
from inference import Model
from inference.data import TINY_MODEL
from inference.decode.options import GenerationOptions
from inference.decode.past import Past
from inference.decode.session import Session
from inference.errors import EngineError, InputError, SessionBusyError

THREADS, POOL, LONGEST = 4, 3, 80
CHECKED = 250
"""Runs of a try that are computed again, at most, drawn at random."""


class Alarm(Exception):
    """What the alarms of the main thread raise."""


class RecordedPast(Past):
    """Notes what each run was given and gave, while the session belongs to it."""

    log: ClassVar[list[tuple[tuple[int, ...], bytes]]] = []

    def advance(self, ids: Any, **options: Any) -> NDArray[np.float32]:
        """Run and note the last row."""
        whole = (*self.ids, *map(int, ids))
        logits = super().advance(ids, **options)
        self.log.append((whole, logits[-1].tobytes()))
        return logits

    @staticmethod
    def advance_together(texts: Sequence[tuple[Past, Sequence[int]]]) -> NDArray[np.float32]:
        """Run and note every row."""
        whole = [(*past.ids, *map(int, ids)) for past, ids in texts]
        logits = Past.advance_together(texts)
        RecordedPast.log += [(w, row.tobytes()) for w, row in zip(whole, logits, strict=True)]
        return logits


class Watcher:
    """A capture that makes a call while it watches."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._call = call
        self.refused = False

    def ran(self, path: str) -> None:
        """Nothing to note."""

    def wants(self, stage: Any, layer: int | None) -> bool:
        """Watch everything of the first layer."""
        return not layer

    def observe(self, stage: Any, layer: int | None, value: Any) -> None:
        """Make the call; it must be refused, for the session is taken."""
        try:
            self._call()
        except SessionBusyError:
            self.refused = True


class Worker:
    """One thread's calls, drawn from a seed."""

    def __init__(self, seed: str, models: Sequence[Model], pool: list[Session], folder: Path):
        self.random = random.Random(seed)
        self.models, self.pool, self.folder = models, pool, folder
        self.file = folder / f"{seed}.session"
        self.counts: Counter[str] = Counter()
        self.calls = 0
        self.failures: list[str] = []
        self.texts: list[tuple[tuple[int, ...], tuple[int, ...], bool]] = []
        """Prompts, what was generated, and whether that is all."""
        self._stream: tuple[tuple[int, ...], Any, list[Any]] | None = None

    def ids(self, most: int = 5) -> list[int]:
        """Draw a few tokens; few different ones, so that texts share beginnings."""
        return [self.random.randrange(3, 7) for _ in range(self.random.randint(1, most))]

    def session(self) -> Session:
        """Draw a session; shorten a long one."""
        session = self.random.choice(self.pool)
        if session.length > LONGEST:
            session.truncate(self.random.randrange(4))
        return session

    def step(self, name: str | None = None) -> None:
        """Make one call; what is neither right nor refused is a failure."""
        self.calls += 1
        name = name or self.random.choice(kinds())
        try:
            getattr(self, name)()
        except SessionBusyError:
            self.counts["refused"] += 1
        except Alarm:
            self._stream = None
            raise
        except BaseException as error:
            self.failures.append(f"{name}: {error!r}")
        else:
            self.counts[name.removeprefix("do_")] += 1

    def do_advance(self) -> None:
        """Run a few tokens."""
        self.session().advance(self.ids(), every_row=self.random.random() < 0.3)

    def do_timed(self) -> None:
        """Run with a clock."""
        self.session().timed(self.ids(2))

    def do_together(self) -> None:
        """Run two sessions of one model as a batch."""
        pair = self.random.sample(self.pool, 2)
        if pair[0]._parts[0] is pair[1]._parts[0] and max(s.length for s in pair) < LONGEST:
            Session.advance_together([(s, self.ids()) for s in pair])

    def do_watch(self) -> None:
        """Run with somebody watching who calls back."""
        session = self.session()
        calls = (lambda: session.truncate(0), lambda: session.advance([3]), session.fork)
        watcher = Watcher(self.random.choice(calls))
        session.advance(self.ids(), capture=watcher)
        if not watcher.refused:
            self.failures.append("a callback had the session that runs")

    def do_truncate(self) -> None:
        """Forget; another thread may have been faster."""
        session = self.session()
        try:
            session.truncate(self.random.randint(0, max(0, session.length)))
        except InputError as error:
            if "cannot truncate" not in str(error):
                raise

    def do_fork(self) -> None:
        """Put a fork in the place of another session, run."""
        place = self.random.randrange(len(self.pool))
        twin = self.session().fork()
        twin.advance(self.ids())
        self.pool[place] = twin

    def do_restore(self) -> None:
        """Make one session's past another's."""
        self.random.choice(self.pool).restore(*self.session().snapshot())

    def do_save(self) -> None:
        """Write and read back."""
        model = self.random.choice(self.models)
        session = self.session()
        model.save_session(session, self.file)
        model.load_session(self.file).advance(self.ids())

    def do_generate(self) -> None:
        """Write a text."""
        prompt = tuple(self.ids(12))
        found = self.models[0].generate(
            prompt, max_tokens=6, session=self.session(), ignore_eos=True
        )
        self.texts.append((prompt, found.ids, True))

    def do_batch(self) -> None:
        """Write several texts at once."""
        chosen = [s for s in self.random.sample(self.pool, 3) if s.length <= LONGEST]
        chosen = [s for s in chosen if s._parts[0] is chosen[0]._parts[0]]
        prompts = [tuple(self.ids(12)) for _ in chosen]
        options = [GenerationOptions(max_tokens=4, ignore_eos=True) for _ in chosen]
        found = batches.generate_batch(chosen, self.models[0].tokenizer, prompts, options)
        self.texts += [(p, f.ids, True) for p, f in zip(prompts, found, strict=True)]

    def do_stream(self) -> None:
        """Take a token of a stream that is begun now and gone on with later."""
        if self._stream is None:
            prompt = tuple(self.ids(12))
            stream = self.models[0].stream(
                prompt, max_tokens=5, session=self.session(), ignore_eos=True
            )
            self._stream = prompt, stream, []
        prompt, stream, taken = self._stream
        try:
            taken.append(next(stream).id)
            self.texts.append((prompt, tuple(taken), False))
        except StopIteration:
            self.texts.append((prompt, tuple(taken), True))
            self._stream = None
        except SessionBusyError:
            if self.random.random() < 0.5:
                self._stream = None
            raise


def kinds() -> list[str]:
    """Return the names of the calls that there are."""
    return [name for name in vars(Worker) if name.startswith("do_")]


@dataclass(frozen=True)
class End:
    """When a try is over: at a time, and not before each thread has been through some calls."""

    time: float
    calls: int

    def reached(self, worker: Worker) -> bool:
        """Tell whether a thread may stop."""
        return time.monotonic() >= self.time and worker.calls >= self.calls


def work(worker: Worker, end: End) -> None:
    """Step until the end."""
    while not end.reached(worker):
        worker.step()


def work_with_alarms(worker: Worker, end: End) -> None:
    """Step in the main thread, where alarms interrupt."""
    armed = False

    def ring(*_: object) -> None:
        if not armed:
            return
        if worker.random.random() < 0.7:
            raise Alarm
        try:  # a handler that uses the engine instead
            session = worker.random.choice(worker.pool)
            worker.random.choice((session.fork, lambda: session.advance([3])))()
        except EngineError:
            worker.counts["refused in a handler"] += 1

    before = signal.signal(signal.SIGALRM, ring)
    while not end.reached(worker):
        try:
            armed = True
            signal.setitimer(signal.ITIMER_REAL, worker.random.uniform(1e-5, 1e-2))
            worker.step()
            armed = False
        except Alarm:
            worker.counts["interrupted"] += 1
        armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def check(model: Model, workers: Sequence[Worker], seed: int) -> tuple[int, list[str]]:
    """Compute again on one thread; return how much was compared, and what differs."""
    failures, draw = [], random.Random(seed)
    log = RecordedPast.log[:]
    for whole, bits in draw.sample(log, min(CHECKED, len(log))):
        if model.session().advance(whole)[-1].tobytes() != bits:
            failures.append(f"logits after {whole}")
    texts = [text for worker in workers for text in worker.texts]
    for prompt, ids, all_of_it in draw.sample(texts, min(CHECKED // 2, len(texts))):
        alone = model.generate(prompt, max_tokens=6, ignore_eos=True).ids
        if ids != alone[: len(ids)] or (all_of_it and len(ids) not in (4, 5, 6)):
            failures.append(f"{ids} for {alone} after {prompt}")
    return min(CHECKED, len(log)) + min(CHECKED // 2, len(texts)), failures


def one_try(seed: int, seconds: float, calls: int = 0) -> dict[str, Any]:
    """Drive one pool of sessions; return counts and failures."""
    for module in (sessions, batches):
        module.__dict__["Past"] = RecordedPast
    sys.setswitchinterval(1e-5)
    with inference.load(TINY_MODEL) as model, tempfile.TemporaryDirectory() as folder:
        models = (model, Model(model.file, lowered=False))
        pool = [one.session() for one in models for _ in range(POOL)]
        for session in pool:  # packs the weights
            session.advance([3])
        workers = [
            Worker(f"{seed}-{number}", models, pool, Path(folder)) for number in range(THREADS)
        ]
        # An alarm in the middle of an import can leave Python's import lock taken, for ever: what a
        # call imports, it imports now. A user's Ctrl-C ends the process, and nobody waits.
        first = Worker(f"{seed}-first", models, pool, Path(folder))
        for name in kinds():
            first.step(name)
        workers.append(first)
        end = End(time.monotonic() + seconds, calls)
        threads = [threading.Thread(target=work, args=(w, end)) for w in workers[1:THREADS]]
        for thread in threads:
            thread.start()
        work_with_alarms(workers[0], end)
        for thread in threads:
            thread.join()
        compared, failures = check(model, workers, seed)
        for session in pool:  # nobody has one any longer
            session.fork()
    counts = sum((worker.counts for worker in workers), Counter[str]())
    failures += [failure for worker in workers for failure in worker.failures]
    return {"seed": seed, "counts": counts, "compared": compared, "failures": failures[:20]}


def child(seed: int, seconds: float) -> dict[str, Any]:
    """Make a try in a process of its own, which may die or hang."""
    command = [sys.executable, __file__, "--child", str(seed), str(seconds), "0"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=240 + 10 * seconds)
    except subprocess.TimeoutExpired:
        return {"seed": seed, "counts": {}, "compared": 0, "failures": ["hung"]}
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        failures = [f"exit code {done.returncode}: {done.stderr[-2000:]}"]
        return {"seed": seed, "counts": {}, "compared": 0, "failures": failures}
    return found


def main() -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--hours", type=float, default=0.0)
    parser.add_argument("--minutes", type=float, default=0.0)
    parser.add_argument("--tries", type=int, help="this many tries instead of a time")
    parser.add_argument("--seed", type=int, default=0, help="of the first try; then upwards")
    parser.add_argument("--seconds", type=float, default=10.0, help="of a try")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        seed, seconds, calls = options.child
        print(json.dumps(one_try(int(seed), float(seconds), int(calls))))
        return 0
    until = time.monotonic() + 60 * (60 * options.hours + options.minutes)
    total, compared, failed, seed = Counter[str](), 0, 0, options.seed
    while (
        seed < options.seed + options.tries
        if options.tries is not None
        else time.monotonic() < until
    ):
        found = child(seed, options.seconds)
        total.update(found["counts"])
        compared += found["compared"]
        if found["failures"]:
            failed += 1
            print(f"seed {seed}:", *found["failures"], sep="\n  ", flush=True)
        seed += 1
    last = seed - 1
    print(f"seeds {options.seed} to {last}, {total.total()} calls, {compared} compared, ", end="")
    print(f"{failed} tries failed")
    print(", ".join(f"{name} {count}" for name, count in sorted(total.items())))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
