"""Models run whole with checked memory, and what is planted there is found and named.

In a child process, for the mode is chosen when the kernels are imported. One does everything: its
start takes longer than what it runs.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

import inference
from inference.kernels.cpu import checked
from inference.model.architectures import ARCHITECTURES
from inference.quant.types import GGMLType
from inference.surgery.converting import convert_model
from tests.within import Once

TINY = Path(__file__).parents[3] / "golden" / "tiny"
LONG = [i * 7 % 97 for i in range(270)]

GUARD = """
import ctypes, json, mmap, os, sys
from pathlib import Path
from inference.kernels.cpu import checked
folder = Path(sys.argv[1])
memory = checked.guarded(100, "a hundred bytes")
begin = memory.__array_interface__["data"][0]
page = begin // mmap.PAGESIZE * mmap.PAGESIZE
statuses = {}
if os.name == "posix":
    for where, place in (
        ("inside", begin), ("after", page + mmap.PAGESIZE), ("before", page - 1),
    ):
        child = os.fork()
        if child == 0:
            ctypes.memset(place, 1, 1)
            os._exit(0)
        statuses[where] = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
(folder / "touched.json").write_text(json.dumps(statuses))
"""

RUN = """
import json, sys
from pathlib import Path
import numpy as np
import inference
from inference.decode.session import Session
from inference.kernels.cpu import checked
assert checked.ON
folder = Path(sys.argv[1])
def everything(model):
    assert model.capabilities.path == "lowered", model.capabilities
    session, found = model.session(), []
    found.append(session.advance(LONG[:40]))                       # prefill
    found += [session.advance([token]) for token in (3, 5, 8)]     # decode
    twin = session.fork()
    session.truncate(20)
    found.append(session.advance(LONG[:9], every_row=True))
    found.append(Session.advance_together([(session, [1]), (twin, [2, 3, 4])]))
    found.append(model.session().advance(LONG))                    # the cache grows
    trace = model.trace(LONG)                                      # so do the buffers
    found.append(trace.logits[None])
    model.save_session(twin, folder / "session")
    found.append(model.load_session(folder / "session").advance([9]))
    texts = model.generate_batch([LONG[:5], LONG[:11]], max_tokens=4, ignore_eos=True)
    assert [len(text.ids) for text in texts] == [4, 4]
    one_by_one = inference.Model(model.file, lowered=False).session()
    assert one_by_one.advance(LONG[:40]).tobytes() == found[0].tobytes()
    return found
"""

WHOLE = """
results = {}
for path in sorted(folder.glob("*.gguf")):
    with inference.load(path) as model:
        for i, logits in enumerate(everything(model)):
            assert np.isfinite(logits).all(), (path, i)
            results[f"{path.stem}-{i}"] = logits
np.savez(folder / "logits.npz", **results)
"""

FAULTS = """
from inference.backends.cpu.lowered import compiled as room, table as t
from inference.errors import MemoryFaultError
from inference.kernels.gqa.blocked import blocked_mix
from inference.kernels.qmatmul import cpu, multiply, pack
from inference.quant.types import GGMLType

model = inference.load(folder / "llama.gguf")
model.session().advance([1, 2])
program = model._backend._plans[id(model.program)].compiled
table = program.tables[0]
first = next(b for b, l in table.labels.items() if table.rows[b, t.OP] == t.LINEAR)
print_name = table.labels[first]
places, check_run = room._places, room.check_run
found = {}

def attempt(name):
    session = model.session()
    try:
        session.advance([1, 2, 3])
        logits = [session.advance([4]), session.advance([5])]
        found[name] = "NaN" if np.isnan(logits).any() else "nothing"
    except (MemoryFaultError, IndexError) as error:
        found[name] = f"{type(error).__name__}: {error}"

def plant(name, column, change):
    def planted(step, every_row):
        rows, wanted = places(step, every_row)
        if len(rows) == 1:
            rows[:, column] = change(rows[:, column], step.spans[0].cache)
        return rows, wanted
    room._places = planted
    attempt(name)
    room._places = places

for looked in ("before", "during"):
    room.check_run = check_run if looked == "before" else lambda *_: None
    attempt(f"{looked}: nothing planted")
    for name, column, more in (
        ("a length one too large", t.GROUPS, 1),
        ("a wrong stride of a matrix", t.WIDTH, 1 << 22),
        ("a wrong address", t.Q, 1 << 46),  # no memory lies so far
        ("blocks that do not fit", t.BLOCKS, 1 if looked == "before" else 1 << 12),
    ):
        table.rows[first, column] += more
        attempt(f"{looked}: {name}")
        table.rows[first, column] -= more
    plant(f"{looked}: a wrong stride of a cache", t.LAYER_KEYS, lambda v, cache: 2 * v)
    plant(f"{looked}: a wrong stride of values", t.LAYER_VALUES, lambda v, cache: 2 * v)
    plant(f"{looked}: a cache row past the end", t.POSITION, lambda v, cache: v + cache.rows)
    plant(f"{looked}: a cache row that nobody wrote", t.POSITION, lambda v, cache: v + 1)
    attempt(f"{looked}: nothing left")
room.check_run = check_run

def call(name, work):
    try:
        work()
        found[name] = "nothing"
    except (MemoryFaultError, IndexError) as error:
        found[name] = f"{type(error).__name__}: {error}"

weight = pack(np.zeros(34 * 2 * 32, np.uint8), GGMLType.Q8_0, 32, 64)
q, scales = cpu.quantize_activations(np.ones((2, 64), np.float32))
call("product: nothing planted", lambda: multiply(weight, q, scales))
real = weight.kernel
def more(*arguments): return real(*arguments[:8], arguments[8] + 1, *arguments[9:])
object.__setattr__(weight, "kernel", more)
call("product: a token too many", lambda: multiply(weight, q, scales))
def later(*arguments): return real(*arguments[:10], arguments[10] + 1)
object.__setattr__(weight, "kernel", later)
call("product: a group too many", lambda: multiply(weight, q, scales))
w, v = np.ones((2, 3, 8), np.float32), np.ones((1, 10, 16), np.float32)
call("mix: nothing planted", lambda: blocked_mix(w, v, 2, 16))
call("mix: values that end too early", lambda: blocked_mix(w, v, 3, 16))
call("sums: an index too large", lambda: cpu.sum_groups(q, np.zeros((2, 5), np.int32)))
from inference.kernels.qmatmul import packing
raw = np.zeros(34 * 2 * 32, np.uint8)
call("packing: nothing planted", lambda: packing.interleave(raw, GGMLType.Q8_0, 32, 64))
call("packing: a row too few", lambda: packing.interleave(raw[34:], GGMLType.Q8_0, 32, 64))
(folder / "faults.json").write_text(json.dumps([print_name, found]))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for architecture in ARCHITECTURES:
        target = folder / f"{architecture}.gguf"
        convert_model(TINY / architecture, target, format="gguf", quantize=GGMLType.Q8_0)
    return folder


class There(NamedTuple):
    """What a process with checked memory did; what is None it did not come to."""

    code: int
    errors: str
    touched: dict[str, int] | None
    """How forks of it ended that touched memory in and around what is guarded."""
    logits: dict[str, NDArray[np.float32]] | None
    faults: tuple[str, dict[str, str]] | None
    """What the matrix is called that was tampered with, and what was found, by fault."""


@pytest.fixture(scope="module")
def there(folder: Path, once: Once) -> There:
    def run() -> There:
        code = f"LONG = {LONG}\n{GUARD}{RUN}{FAULTS}{WHOLE}"
        environment = {**os.environ, "APR_DEBUG_MEMORY": "1"}
        done = subprocess.run(
            [sys.executable, "-P", "-c", code, str(folder)],
            capture_output=True, text=True, timeout=900, env=environment,
        )  # fmt: skip
        touched, faults = (
            json.loads(path.read_text()) if path.exists() else None
            for path in (folder / "touched.json", folder / "faults.json")
        )
        logits = None
        if (folder / "logits.npz").exists():
            with np.load(folder / "logits.npz") as held:
                logits = dict(held)
        return There(done.returncode, done.stderr, touched, logits, faults)

    return once("everything with checked memory", run)


@pytest.mark.skipif(checked.ON, reason="this is the other side of the comparison")
def test_every_architecture_runs_whole(folder: Path, there: There) -> None:
    """The same results as otherwise, but for the order of additions that are vectorized there."""
    held = there.logits
    assert held is not None, there.errors
    assert there.code == 0, there.errors
    assert {name.rsplit("-", 1)[0] for name in held} == set(ARCHITECTURES)
    for architecture in ARCHITECTURES:
        with inference.load(folder / f"{architecture}.gguf") as model:
            scope: dict[str, Any] = {"LONG": LONG, "folder": folder}
            here = RUN.replace("assert checked.ON", "").replace("Path(sys.argv[1])", "folder")
            exec(here.replace("folder = folder", ""), scope)
            for i, logits in enumerate(scope["everything"](model)):
                np.testing.assert_allclose(held[f"{architecture}-{i}"], logits, rtol=0, atol=1e-2)


CACHE = "a compiled run, .*Remember.* bytes past the end of the {} of a cache"
EXPECTED = {
    "before: nothing planted": "nothing",
    "before: a length one too large": "MATRIX: the weight takes .* bytes, but there are",
    "before: a wrong stride of a matrix": "MATRIX: its result takes",
    "before: a wrong address": "MATRIX: its operand takes",
    "before: blocks that do not fit": "MATRIX: 5 blocks for units of 2",
    "before: a wrong stride of a cache": "the places of a text: strides",
    "before: a wrong stride of values": "the places of a text: strides",
    "before: a cache row past the end": "the places of a text: positions",
    "before: a cache row that nobody wrote": "the places of a text: positions",
    "before: nothing left": "nothing",
    "during: nothing planted": "nothing",
    "during: a length one too large": "a compiled run, MATRIX: .* past the end of a packed weight",
    "during: a wrong address": "a compiled run, MATRIX: .* bytes at",
    "during: blocks that do not fit": "a compiled run, .* past the end of",
    "during: a wrong stride of a cache": CACHE.format("keys"),
    "during: a wrong stride of values": CACHE.format("values"),
    "during: a cache row past the end": CACHE.format("(keys|values)"),
    "during: a cache row that nobody wrote": "NaN",
    "during: nothing left": "nothing",
    "product: nothing planted": "nothing",
    "product: a token too many": "a product with 32×64 in Q8_0: .* past the end of",
    "product: a group too many": "a product with 32×64 in Q8_0: .* past the end of",
    "mix: nothing planted": "nothing",
    "mix: values that end too early": "blocked_mix: .* past the end of the values",
    "sums: an index too large": "IndexError",
    "packing: nothing planted": "nothing",
    "packing: a row too few": "packing 32×64 in Q8_0: .* past the end of the bytes of a weight",
}


@pytest.mark.parametrize("fault", EXPECTED)
def test_a_planted_fault_is_named(fault: str, there: There) -> None:
    assert there.faults is not None, there.errors
    matrix, found = there.faults
    pattern = EXPECTED[fault].replace("MATRIX", re.escape(matrix))
    assert re.search(pattern, found[fault]), found[fault]


@pytest.mark.skipif(os.name != "posix", reason="needs mprotect")
@pytest.mark.parametrize("where", ["inside", "after", "before"])
def test_pages_around_memory_may_not_be_touched(where: str, there: There) -> None:
    assert there.touched is not None, there.errors
    assert (there.touched[where] == 0) == (where == "inside")


@pytest.mark.parametrize("value", ["", "0", None])
def test_it_is_off_unless_asked_for(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of the module, imported in such an environment."""
    monkeypatch.delenv("APR_DEBUG_MEMORY", raising=False)
    if value is not None:
        monkeypatch.setenv("APR_DEBUG_MEMORY", value)
    spec = importlib.util.spec_from_file_location("checked_copy", checked.__file__)
    assert spec is not None
    assert spec.loader is not None
    copy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(copy)
    assert (copy.ON, copy.known) == (False, None)
