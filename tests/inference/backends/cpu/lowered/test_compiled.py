"""A program in one call of compiled code gives what the same program gives operation by operation.

To the bit, watched or not, at every stage: both use the same kernels, in the same order.
"""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import inference
from inference import Model, threads
from inference.backends.cpu.operations import Operations
from inference.backends.protocol import Capabilities, Step
from inference.data import TINY_MODEL
from inference.decode.session import Session
from inference.formats import ModelFile, open_model
from inference.formats.base import TensorInfo
from inference.kernels.qmatmul import LAUNCHES
from inference.model.architectures import ARCHITECTURES
from inference.model.ops import (
    Add,
    AddBias,
    Attend,
    Embed,
    LastRow,
    Linear,
    Observe,
    Operation,
    Program,
    RmsNorm,
    Scale,
)
from inference.model.stages import Stage
from inference.quant import quantize
from inference.quant.types import GGMLType
from tests.within import Once

GOLDEN = Path(__file__).parents[4] / "golden"
RNG = np.random.default_rng(5)


class Quantized:
    """A model file whose matrices are quantized to one type, all but one if so named."""

    def __init__(self, file: ModelFile, dtype: GGMLType, but: str = "") -> None:
        from inference.formats.overlay import tensor_values

        self.path, self.format, self.metadata = file.path, file.format, file.metadata
        self._file, self._bytes = file, {}
        self.tensors: Mapping[str, TensorInfo] = dict(file.tensors)
        for name, info in file.tensors.items():
            if len(info.shape) == 2 and name != but:
                packed = quantize(tensor_values(file, name), dtype).reshape(-1)
                self._bytes[name] = packed
                self.tensors[name] = replace(info, dtype=dtype, nbytes=packed.size)

    def raw(self, name: str) -> NDArray[np.uint8]:
        return self._bytes[name] if name in self._bytes else self._file.raw(name)

    def close(self) -> None:
        self._file.close()


@pytest.fixture(scope="module")
def packed() -> Iterator[Callable[[str, GGMLType], Model]]:
    with ExitStack() as stack:

        @cache
        def load(architecture: str, dtype: GGMLType = GGMLType.Q8_0) -> Model:
            file = open_model(GOLDEN / "tiny" / architecture)
            return stack.enter_context(Model(Quantized(file, dtype)))

        yield load


def logits(model: Model, batches: list[list[int]], every_row: bool) -> list[NDArray[np.float32]]:
    session = model.session()
    return [session.advance(ids, every_row=every_row) for ids in batches]


def one_by_one(model: Model) -> Model:
    """The same model, run operation by operation."""
    twin = Model(model.file, program=model.program, lowered=False)
    assert twin.capabilities.path == "operations"
    return twin


class Watcher:
    """Keeps every stage of a run, and the way it went."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.values: list[tuple[Stage, int | None, NDArray[np.float32]]] = []

    def ran(self, path: str) -> None:
        self.paths.append(path)

    def wants(self, stage: Stage, layer: int | None) -> bool:
        return True

    def observe(self, stage: Stage, layer: int | None, value: NDArray[np.float32]) -> None:
        self.values.append((stage, layer, value.copy()))


def watched(model: Model, batches: list[list[int]], every_row: bool) -> Watcher:
    session, watcher = model.session(), Watcher()
    for ids in batches:
        session.advance(ids, every_row=every_row, capture=watcher)
    return watcher


def both(model: Model, batches: list[list[int]], every_row: bool = False) -> int:
    """Assert that both ways give the same bits; return how many logits were compared."""
    assert model.capabilities.path == "lowered"
    other = one_by_one(model)
    before = calls(model)
    mine = logits(model, batches, every_row)
    used = {name: after - before[name] for name, after in calls(model).items()}
    assert set(used.values()) <= {0, len(batches)}
    assert any(used.values())
    theirs = logits(other, batches, every_row)
    assert calls(other) == used, "the twin runs the same products"
    for ours, value in zip(mine, theirs, strict=True):
        np.testing.assert_array_equal(ours, value)
    return sum(values.size for values in mine)


def same_stages(model: Model, batches: list[list[int]], every_row: bool = False) -> int:
    """Assert that all stages are the same both ways; return how many numbers were compared."""
    ours = watched(model, batches, every_row)
    theirs = watched(one_by_one(model), batches, every_row)
    assert (set(ours.paths), set(theirs.paths)) == ({"lowered"}, {"operations"})
    for (stage, layer, mine), (other, of, value) in zip(ours.values, theirs.values, strict=True):
        assert (stage, layer) == (other, of)
        np.testing.assert_array_equal(mine, value, err_msg=f"{stage} of layer {layer}")
    return sum(value.size for *_, value in ours.values)


def calls(model: Model) -> dict[str, int]:
    return {entry.tensor: entry.calls for entry in model.dispatch}


def tokens(count: int) -> list[int]:
    return [int(i) for i in RNG.integers(0, 512, count)]


BATCHES = {
    "one by one": [[5], [6], [7]],
    "a prompt": [tokens(21), [3], [9]],
    "few": [[1, 2, 3], [4, 5]],
    "past the buffers": [tokens(256), tokens(9), [1]],
}


@pytest.mark.parametrize("every_row", [False, True])
@pytest.mark.parametrize("batches", BATCHES.values(), ids=BATCHES)
@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_every_architecture_to_the_bit(
    packed: Any, architecture: str, batches: list[list[int]], every_row: bool
) -> None:
    model = packed(architecture)
    count = sum(map(len, batches)) if every_row else len(batches)
    assert both(model, batches, every_row) == count * model.config.vocab


STAGED = {"one by one": [[5], [6], [7]], "a prompt": [tokens(21), [3], [9]]}


@pytest.mark.parametrize("every_row", [False, True])
@pytest.mark.parametrize("batches", STAGED.values(), ids=STAGED)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_stage_to_the_bit(
    packed: Any, architecture: str, batches: list[list[int]], every_row: bool
) -> None:
    model = packed(architecture)
    wide = model.config.hidden * sum(map(len, batches))
    assert same_stages(model, batches, every_row) > 18 * model.config.layers * wide


@pytest.mark.parametrize("wanted", [Stage.FFN_UP, Stage.ATTN_SCORES, Stage.POST_ATTN_RESIDUAL])
def test_a_stage_alone_is_what_it_is_among_all(packed: Any, wanted: Stage) -> None:
    """What else is watched changes nothing, and what is not wanted is not shown."""

    class Few(Watcher):
        def wants(self, stage: Stage, layer: int | None) -> bool:
            return stage is wanted and layer == 1

    model = packed("gemma3")
    ids, few = tokens(12), Few()
    model.session().advance(ids, capture=few)
    everything = watched(model, [ids], False).values
    expected = [value for stage, layer, value in everything if (stage, layer) == (wanted, 1)]
    assert [(stage, layer) for stage, layer, _ in few.values] == [(wanted, 1)]
    np.testing.assert_array_equal(few.values[0][2], expected[0])


TYPES = ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q6_K")


@pytest.mark.parametrize("name", TYPES)
def test_every_type_to_the_bit(packed: Any, name: str) -> None:
    both(packed("qwen3", GGMLType[name]), [tokens(11), [4]])


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_the_number_of_threads_changes_nothing(
    packed: Any, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seven threads on any number of processors: whoever is missing at a meeting is waited for."""
    model = packed("gemma3")
    expected = logits(model, [[7] * 19, [4]], False)
    monkeypatch.setattr(threads, "available", lambda: count)
    found = logits(model, [[7] * 19, [4]], False)
    assert threads._crew is not None
    assert threads._crew.count == count
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_longer_batch_than_there_was_room_for(packed: Any) -> None:
    model = packed("llama")
    ids = np.array(tokens(300))
    small, large = model.session(), model.session()
    small.advance(ids[:150])
    expected = small.advance(ids[150:])
    found = model._backend.run(model.program, Step([(ids, large.cache)]))
    np.testing.assert_array_equal(found, expected)


def test_texts_of_one_batch_are_as_if_alone(packed: Any) -> None:
    """Each with its own past; the wanted rows are the last of each."""
    model = packed("gemma3")
    pasts, news = [tokens(3), tokens(20), []], [tokens(4), [9], tokens(13)]
    alone, together = [], []
    for past, new in zip(pasts, news, strict=True):
        for results, take in ((alone, True), (together, False)):
            session = model.session()
            if past:
                session.advance(past)
            results.append(session.advance(new)[0] if take else session.cache)
    texts = [(np.array(new), cache) for new, cache in zip(news, together, strict=True)]
    found = model._backend.run(model.program, Step(texts))
    np.testing.assert_array_equal(found, np.array(alone))


def changed(program: Program, change: Callable[[list[Any], int], None], op: type) -> Program:
    """Return the program with a change made at every operation of a kind, the last first."""
    ops = list(program.ops)
    for at in reversed([i for i, known in enumerate(ops) if isinstance(known, op)]):
        change(ops, at)
    return Program(tuple(ops), program.output)


def _sum_behind_a_scale(ops: list[Any], at: int) -> None:
    ops.insert(at, Scale(ops[at].y, 0.5))


def _read_gate_again(ops: list[Any], at: int) -> None:
    if "ffn_down" in ops[at].weight.name:
        ops.insert(at, Add("f", "g"))


def _read_norm_again(ops: list[Any], at: int) -> None:
    ops.insert(at, Add("x", "n"))


def _sum_before_the_product(ops: list[Any], at: int) -> None:
    if ops[at].x == "n" and ops[at].out == "q":
        ops.insert(at + 1, Scale("n", 0.25))


def _no_norm(ops: list[Any], at: int) -> None:
    if ops[at].out == "n":
        ops[at] = Scale("x", 0.5)
        for later in range(at, len(ops)):
            if isinstance(ops[later], Linear) and ops[later].x == "n":
                ops[later] = replace(ops[later], x="x")
            elif isinstance(ops[later], Observe) and ops[later].buffers == ("n",):
                ops[later] = replace(ops[later], buffers=("x",))


def _nothing(ops: list[Any], at: int) -> None:
    del ops[at]


def _norm_logits(ops: list[Any], at: int) -> None:
    ops.append(Scale("logits", 0.125))


CHANGES = {
    "a sum behind a scale": (_sum_behind_a_scale, Add),
    "the gate read again": (_read_gate_again, Linear),
    "the norm read again": (_read_norm_again, Attend),
    "the operand changed between products": (_sum_before_the_product, Linear),
    "products without norms": (_no_norm, RmsNorm),
    "every row to the end": (_nothing, LastRow),
    "no bias": (_nothing, AddBias),
    "logits scaled": (_norm_logits, LastRow),
}


@pytest.mark.parametrize("batches", [[[3], [4]], [tokens(9), [4]]], ids=["one", "many"])
@pytest.mark.parametrize(("change", "op"), CHANGES.values(), ids=CHANGES)
def test_other_programs_to_the_bit(
    packed: Any, change: Any, op: type, batches: list[list[int]]
) -> None:
    """What may be merged is decided by what the program reads and writes, not by its usual form."""
    healthy = packed("qwen2")
    program = changed(healthy.program, change, op)
    assert program != healthy.program
    model = Model(Quantized(open_model(GOLDEN / "tiny" / "qwen2"), GGMLType.Q8_0), program=program)
    with model:
        both(model, batches)
        assert same_stages(model, batches) > 0


def test_an_observed_run_gives_the_same_logits(packed: Any) -> None:
    model = packed("gemma3")
    ids = tokens(30)
    alone = model.session().advance(ids)
    trace = model.trace(ids)
    np.testing.assert_array_equal(trace.logits, alone[-1])


def test_kernels_that_ran_are_counted() -> None:
    with inference.load(TINY_MODEL) as model:
        before = LAUNCHES.copy()
        model.session().advance([1, 2, 3])
        ran = LAUNCHES - before
        used = [entry for entry in model.dispatch if entry.calls]
        assert ran.total() == len(used) == len(model.dispatch) - (not model.config.tied_embeddings)
        assert {launch.kernel for launch in ran} == {entry.kernel for entry in used}
        assert {launch.dtype for launch in ran} == {entry.dtype for entry in used}


def test_every_entry_is_timed(packed: Any) -> None:
    model = packed("qwen2")
    for ids in ([5], [5, 6, 7]):
        times = model.session().timed(ids)
        assert all(entry.seconds >= 0 for entry in times)
        assert sum(entry.seconds for entry in times) > 0
        timed = Counter(op for entry in times for op in entry.ops)
        mentioned = Counter(
            op for op in model.program.ops if not isinstance(op, Embed | LastRow | Observe)
        )
        assert timed == mentioned
        assert len(times) < mentioned.total(), "what is joined is timed as one"


def test_sessions_on_several_threads(packed: Any) -> None:
    model = packed("qwen2")
    prompts = [tokens(n) for n in (3, 17, 1, 30)]

    def talk(prompt: list[int]) -> NDArray[np.float32]:
        session = model.session()
        session.advance(prompt)
        return np.array([session.advance([i])[0] for i in range(20)])

    alone = [talk(prompt) for prompt in prompts]
    together: dict[int, NDArray[np.float32]] = {}

    def work(number: int) -> None:
        together[number] = talk(prompts[number])

    workers = [threading.Thread(target=work, args=(i,)) for i in range(len(prompts))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for number, expected in enumerate(alone):
        np.testing.assert_array_equal(together[number], expected)


@pytest.mark.parametrize("thread", [0, 1])
def test_an_interrupt_leaves_things_in_order(
    packed: Any, thread: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before one thread's share: the others must not wait for it, and the next run is whole."""
    from inference.backends.cpu.lowered import compiled

    monkeypatch.setattr(threads, "available", lambda: 3)
    model: Model = packed("llama")
    expected = logits(model, [[1, 2], [3]], False)
    session: Session = model.session()
    session.advance([1, 2])
    run = compiled.execute

    def interrupted(number: int, *rest: Any) -> Any:
        if number == thread:
            raise KeyboardInterrupt
        return run(number, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(compiled, "execute", interrupted)
        with pytest.raises(KeyboardInterrupt):
            session.advance([3])
    assert session.ids == (1, 2)
    np.testing.assert_array_equal(session.advance([3]), expected[1])


@pytest.mark.parametrize("where", ["Lowering.table", "rope_table"])
def test_an_interrupt_while_memory_grows_leaves_the_old_as_it_was(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tables that are longer than their memory would be read past its end."""
    with inference.load(TINY_MODEL) as model:
        session, ids = model.session(), list(range(300))
        expected = session.advance([1, 2, 3])
        place = f"inference.backends.cpu.lowered.compiled.{where}"
        calls = 0

        def interrupted(*_: object) -> None:
            nonlocal calls
            calls += 1
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(place, interrupted)
            watched = model.session()
            with pytest.raises(KeyboardInterrupt):
                watched.advance([*ids, *ids], capture=Watcher())
        assert calls == 1
        compiled = model._backend._plans[id(model.program)].compiled
        assert compiled._angles.positions == len(compiled._angles.tables[0][0])
        assert len(compiled.tables[1].rows)
        assert model.session().advance([1, 2, 3]).tobytes() == expected.tobytes()
        whole = model.session().advance([*ids, *ids], capture=Watcher())
        assert whole.tobytes() == one_by_one(model).session().advance(
            [*ids, *ids], capture=Watcher()
        ).tobytes()  # fmt: skip


CHILD = """
import os, sys
import inference
from inference import threads
from inference.data import TINY_MODEL
threads.available = lambda: 3
model = inference.load(TINY_MODEL)
session = model.session()
first = session.advance([1, 2, 3]).tobytes()
"""


def run_child(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-P", "-c", CHILD + code]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, **environment},
    ) as process:  # fmt: skip
        try:
            out, errors = process.communicate(timeout=300)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # with what it has forked
            out, errors = process.communicate()
    return subprocess.CompletedProcess(words, process.returncode, out, errors)


FORKED = """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads, which is the point
with threads.turn:
    child = os.fork()
if child == 0:
    same = model.session().advance([1, 2, 3]).tobytes() == first
    os._exit(0 if same and threads._crew.count == 3 else 1)
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
assert model.session().advance([1, 2, 3]).tobytes() == first
print("forked", code, flush=True)
"""

INTERRUPTED = """
import random, signal
class Alarm(Exception): pass
armed = False
def ring(*_):
    if armed:  # Python may call this some time after the timer has been stopped
        raise Alarm
signal.signal(signal.SIGALRM, ring)
rung = i = 0
while rung < 50:  # however fast a run is, some alarms come before its end
    i += 1
    session = model.session()
    try:
        armed = True
        signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-5, 3e-3))
        session.advance([1, 2, 3])
        armed = False
    except Alarm:
        rung += 1
    armed = False
    signal.setitimer(signal.ITIMER_REAL, 0)
    if i % 10 == 0:
        assert model.session().advance([1, 2, 3]).tobytes() == first
print("interrupted", rung, flush=True)
"""


@pytest.fixture(scope="module")
def there(once: Once) -> tuple[int, list[str], str]:
    """How a process ended, and what it wrote, that was forked and interrupted where that can be."""

    def run() -> tuple[int, list[str], str]:
        code = FORKED if hasattr(os, "fork") else ""
        done = run_child(code + (INTERRUPTED if hasattr(signal, "setitimer") else ""))
        return done.returncode, done.stdout.splitlines(), done.stderr

    return once("a process of its own", run)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_has_threads_of_its_own(there: tuple[int, list[str], str]) -> None:
    """Even if another thread held the crew at that moment."""
    _, lines, errors = there
    assert "forked 0" in lines, errors


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timers")
def test_a_real_interrupt_at_any_moment(there: tuple[int, list[str], str]) -> None:
    """Some fifty alarms during runs: each ends in its exception, and the results stay right."""
    _, lines, errors = there
    assert "interrupted 50" in lines, errors


def test_the_interpreter_ends_with_threads_asleep(there: tuple[int, list[str], str]) -> None:
    code, _, errors = there
    assert code == 0, errors
    assert all("compiling" in line for line in errors.splitlines())


def test_another_processor_to_the_bit() -> None:
    """Compiled for less than this processor has, both ways still agree.

    Of what a table names by address, only that is compiled which the program needs.
    What each of the others computes is for the kernels' tests to tell: ``qmatmul/test_targets``,
    for the same processor, so that each compiles what the other does not.
    """
    on_x86 = platform.machine().lower() in ("x86_64", "amd64")
    done = run_child(
        """
from inference.kernels.qmatmul.target import TARGET
many = [session.advance(list(range(20))), session.advance([7])]
from inference.backends.cpu.lowered import parts, table, taps
(plan,) = model._backend._plans.values()
named = {int(op) for rows in plan.compiled.tables for op in rows.rows[:, table.OP]}
compiled = {op for op, function in parts._parts.items() if function.signatures}
assert compiled == named & parts._parts.keys() < parts._parts.keys()
assert not taps._tap_part.signatures
session = inference.Model(model.file, lowered=False).session()
same = [session.advance(ids) for ids in ([1, 2, 3], list(range(20)), [7])]
assert same[0].tobytes() == first
assert all(a.tobytes() == b.tobytes() for a, b in zip(many, same[1:], strict=True))
print(TARGET.dot)
""",
        NUMBA_CPU_NAME="x86-64" if on_x86 else "generic", NUMBA_CPU_FEATURES="",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "generic"


def test_who_waits_for_a_compilation_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from inference.backends.cpu.lowered import compiled, executor

    told, tell = threading.Event(), executor.tell

    def heard(message: str) -> None:
        tell(message)
        told.set()

    monkeypatch.setattr(executor, "_COMPILING_S", -1.0)  # as if it took longer than that
    monkeypatch.setattr(executor, "tell", heard)
    monkeypatch.setattr(compiled, "prepare", lambda: told.wait(60) or pytest.fail("never told"))
    with inference.load(TINY_MODEL) as model:
        model.session().advance([1])
    assert capsys.readouterr().err.startswith("inference: compiling for this processor")


@dataclass(frozen=True)
class Negate(Operation):
    x: str


def test_a_program_that_cannot_be_lowered_says_why_and_runs(
    packed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def negate(operations: Operations, op: Negate, run: Any) -> None:
        run.buffers[op.x] = -run.buffers[op.x]

    monkeypatch.setattr(Operations, "handlers", {**Operations.handlers, Negate: negate})
    model = packed("qwen2")
    program = Program((*model.program.ops, Negate("logits")), "logits")
    slow = Model(model.file, program=program)
    negated = slow.session().advance([1, 2])
    np.testing.assert_array_equal(negated, -model.session().advance([1, 2]))
    assert slow.capabilities == Capabilities("operations", "no row for Negate")
    assert {(entry.path, entry.reason) for entry in slow.dispatch} == {
        ("operations", "no row for Negate")
    }
    assert {(entry.path, entry.reason) for entry in model.dispatch} == {("lowered", "")}


def test_an_embedding_of_another_type_keeps_nothing_from_the_fast_way() -> None:
    """It is looked up, never multiplied."""
    file = open_model(GOLDEN / "tiny" / "llama")
    assert "output.weight" in file.tensors
    with Model(Quantized(file, GGMLType.Q8_0, but="token_embd.weight")) as model:
        assert file.tensors["token_embd.weight"].dtype is not GGMLType.Q8_0
        assert model.capabilities == Capabilities("lowered")


def test_a_float_matrix_is_a_named_reason() -> None:
    file = open_model(GOLDEN / "tiny" / "qwen2")
    with Model(Quantized(file, GGMLType.Q8_0, but="blk.1.ffn_up.weight")) as model:
        name = file.tensors["blk.1.ffn_up.weight"].dtype.name
        expected = f"blk.1.ffn_up.weight: no integer kernel for {name}"
        assert model.capabilities == Capabilities("operations", expected)
    with Model(open_model(GOLDEN / "tiny" / "qwen2")) as model:
        assert " and " in model.capabilities.reason
    with Model(open_model(TINY_MODEL), numerics="f32") as model:
        expected = "numerics f32: matrices are multiplied in float32"
        assert model.capabilities == Capabilities("operations", expected)


def test_stages_inside_attention_are_those_of_the_cache(packed: Any) -> None:
    from inference.trace.plan import TracePlan

    model = packed("gemma3")
    ids = tokens(20)
    plan = TracePlan((Stage.ATTN_SCORES, Stage.ATTN_SOFTMAX), range(2))
    seen = model.trace(ids, plan).values[Stage.ATTN_SOFTMAX, 0]
    window = model.config.window_of(0).tokens
    assert seen.shape == (model.config.heads, 20, 20)
    np.testing.assert_allclose(seen.sum(axis=2), 1, atol=1e-6)
    visible = np.tril(np.ones((20, 20), bool)) & ~np.tril(np.ones((20, 20), bool), -window)
    assert ((seen > 0) == visible).all()
