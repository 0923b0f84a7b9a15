"""Code under test that ends the process, changes what all claims share, or speaks to its judge."""

from __future__ import annotations

import json
import os
import signal
import sys
import textwrap
from typing import NamedTuple

import pytest

from tests.soundness.conftest import Case, Judge, Judged
from tests.within import Once, run_here

CONTRACT = """
metadata: {{version: 1.0.0, kind: kernel, description: d}}
equations:
  identity:
    formula: identity(x) = x
    variables:
      n: 1..8
      x: {{dtype: float64, shape: [n], range: [-100, 100]}}
    implementations: {{cpu: "kernels:identity"}}
  double:
    formula: double(k) = 2·k
    variables: {{k: 0..1000}}
    implementations: {{cpu: "kernels:double"}}
proof_obligations:
{claims}
"""
FORMULA = "  - {id: A, type: invariant, property: P, formal: identity(x) = x}"
RUN = "  - {id: A, type: safety, property: P, equation: identity, run: f}"
TWICE = "  - {id: A, type: determinism, property: P, equation: double}"
HEAD = "import os, sys, random, signal, functools, decimal, locale, warnings\nimport numpy as np\n"
DOUBLE = "def double(k):\n    return 2 * k\n"


class Way(NamedTuple):
    """A line in the kernel (or a module), what is right in its place, and what is said of it."""

    wrong: str
    right: str
    says: str
    claims: str = FORMULA
    verdict: str = "FALSIFIED"


def kernel(line: str) -> str:
    body = textwrap.indent(line, "    ")
    return f"{HEAD}{DOUBLE}def identity(x):\n{body}\n    return x.copy()\n"


def inside(wrong: str, right: str, says: str) -> Way:
    return Way(kernel(wrong), kernel(right), says)


MEMORY = """
import functools, itertools
def identity(x): return x.copy()
COUNT = itertools.count()
"""
WAYS = {
    "sys.exit": inside("sys.exit(0)", "pass", "ends the process: SystemExit(0)"),
    "quit": inside("quit()", "pass", "ends the process: SystemExit(None)"),
    "os._exit": inside("os._exit(0)", "os.getpid()", "ends the process: os._exit(0)"),
    "os._exit, swallowed": inside(
        "try:\n    os._exit(0)\nexcept BaseException:\n    pass",
        "pass",
        "ends the process: os._exit",
    ),
    "os._exit in a thread": inside(
        "import threading\nt = threading.Thread(target=os._exit, args=(0,))\nt.start()\nt.join()",
        "import threading\nt = threading.Thread(target=len, args=([],))\nt.start()\nt.join()",
        "ends the process: os._exit(0)",
    ),
    "KeyboardInterrupt": inside("raise KeyboardInterrupt", "pass", "interrupts the run"),
    "an interrupt of itself": inside(
        "os.kill(os.getpid(), signal.SIGINT)", "os.kill(os.getpid(), 0)", "interrupts the run"
    ),
    "SIGKILL": inside(
        "os.kill(os.getpid(), signal.SIGKILL)",
        "os.kill(os.getpid(), signal.SIGCHLD)",
        "ends the process: os.kill of itself with SIGKILL",
    ),
    "SIGTERM": inside(
        "signal.raise_signal(signal.SIGTERM)",
        "kept = signal.signal(signal.SIGTERM, lambda *_: None)\n"
        "signal.raise_signal(signal.SIGTERM)\nsignal.signal(signal.SIGTERM, kept)",
        "ends the process: signal.raise_signal with SIGTERM",
    ),
    "pytest.exit": inside(
        "import pytest\npytest.exit('done', returncode=0)", "pass", "ends the run"
    ),
    "NumPy's error state": inside(
        "np.seterr(all='raise')",
        "with np.errstate(all='raise'):\n    x + 1",
        "changes NumPy's error state",
    ),
    "NumPy's print options": inside(
        "np.set_printoptions(precision=2)",
        "with np.printoptions(precision=2):\n    str(x)",
        "changes NumPy's print options: precision was 8, is 2",
    ),
    "a seed": inside(
        "np.random.seed(0)", "np.random.default_rng(0).normal()", "changes the random state"
    ),
    "draws": inside("random.random()", "random.Random(0).random()", "changes the random state"),
    "the environment": inside(
        "os.environ['LEFT_BEHIND'] = '1'",
        "os.environ.get('LEFT_BEHIND')",
        "changes the environment: LEFT_BEHIND is new",
    ),
    "the current directory": inside(
        "os.chdir('/')",
        "here = os.getcwd()\nos.chdir('/')\nos.chdir(here)",
        "changes the current directory: it was",
    ),
    "the context of decimal": inside(
        "decimal.getcontext().prec = 3",
        "with decimal.localcontext() as context:\n    context.prec = 3",
        "changes the context of decimal: prec was 28, is 3",
    ),
    "the recursion limit": inside(
        "sys.setrecursionlimit(50_000)", "sys.getrecursionlimit()", "changes the recursion limit"
    ),
    "sys.path": inside(
        "sys.path.insert(0, '/nowhere')",
        "sys.path.insert(0, '/nowhere')\nsys.path.pop(0)",
        "changes sys.path: /nowhere is new",
    ),
    "sys.modules": inside(
        "sys.modules['colorsys'] = random",
        "sys.modules['of_no_use_at_all'] = random",
        "changes sys.modules: colorsys",
    ),
    "assume": inside(
        "import hypothesis\nhypothesis.assume(x.sum() > 0)", "pass", "takes every input"
    ),
    "assume, by a procedure": Way(
        kernel("import hypothesis\nhypothesis.assume(x.sum() > 0)"),
        kernel("pass"),
        "takes every input",
        RUN,
    ),
    "target": inside(
        "import hypothesis\nhypothesis.target(float(x.sum()))", "pass", "knows nothing of its test"
    ),
    "a remembered result": Way(
        MEMORY + "@functools.cache\ndef double(k):\n    return 2 * k + next(COUNT) * 1e-9\n",
        MEMORY + "@functools.cache\ndef double(k):\n    return 2 * k\n",
        "bit-identical",
        TWICE,
    ),
    "a remembered result of a helper": Way(
        MEMORY + "@functools.lru_cache\ndef table(k):\n    return 2 * k + next(COUNT) * 1e-9\n"
        "def double(k):\n    return table(k)\n",
        MEMORY + "@functools.lru_cache\ndef table(k):\n    return [2 * k]\n"
        "@functools.cache\ndef model():\n    assert next(COUNT) == 0\n    return 0\n"
        "def double(k):\n    return table(k)[0] + model()\n",
        "bit-identical",
        TWICE,
    ),
}
PROCEDURE = (
    "import kernels\nfrom hypothesis import assume\n"
    "def f(x):\n    assume(len(x) > 1)\n    assert (kernels.identity(x) == x).all()\n"
)


def judged(pytester: pytest.Pytester, module: str, claims: str, procedure: str = "", *more: str):
    """Run a small project; return the result, and the items of its ledger."""
    folder = pytester.mkdir("contracts")
    (folder / "way-v1.yaml").write_text(CONTRACT.format(claims=claims), encoding="utf-8")
    (folder / "way_v1.py").write_text(procedure, encoding="utf-8")
    pytester.makepyfile(kernels=module)
    pytester.syspathinsert()
    words = ("-p", "no:cacheprovider", "--contracts=contracts", "--contracts-examples=20", *more)
    result = run_here(pytester, *words)
    ledger = json.loads((pytester.path / ".contracts" / "ledger.json").read_text("utf-8"))
    return result, ledger["items"]


def state() -> tuple[object, ...]:
    """Return what a way could leave changed."""
    left = "/nowhere" in sys.path, "LEFT_BEHIND" in os.environ
    return os.getcwd(), os._exit, os.kill, *left


@pytest.mark.parametrize("name", WAYS)
def test_way(name: str, pytester: pytest.Pytester) -> None:
    import colorsys  # noqa: F401 - it is there to be replaced

    way, before = WAYS[name], state()
    result, (item,) = judged(pytester, way.wrong, way.claims, PROCEDURE)
    assert item["verdict"] == way.verdict, result.stdout.str()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert way.says in item["message"]
    assert state() == before
    assert state()[-2:] == (False, False)


@pytest.fixture
def twins(once: Once, judge: Judge) -> dict[str, Judged]:
    """What is right in the place of each way, all in one run, which they leave as they found it."""

    def run() -> dict[str, Judged]:
        before = state()
        cases = {
            name: Case(CONTRACT.format(claims=way.claims), way.right, PROCEDURE)
            for name, way in WAYS.items()
        }
        found = judge.together(cases, examples=20)
        assert state() == before
        return found

    return once("twins", run)


@pytest.mark.parametrize("name", WAYS)
def test_its_twin_is_verified(name: str, twins: dict[str, Judged]) -> None:
    case = twins[name]
    assert (case.verdicts, case.outcomes) == ({"HELD"}, {"passed"}), case.output


def test_an_interrupt_by_code_is_its_own_where_those_from_outside_are_ignored(
    pytester: pytest.Pytester,
) -> None:
    """As where a shell starts the run in the background."""
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        result, (item,) = judged(pytester, kernel("raise KeyboardInterrupt"), FORMULA)
    finally:
        signal.signal(signal.SIGINT, handler)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert item["verdict"] == "FALSIFIED"
    assert "interrupts the run" in item["message"]


PROCEDURES = {
    "seeds": "def f(x):\n    np.random.seed(1)\n    random.seed(1)\n    assert len(x)\n",
    "seeds once": "def f():\n    np.random.seed(1)\n    assert np.random.rand() < 1\n",
    "monkeypatch": "def f(monkeypatch):\n    monkeypatch.setenv('LEFT_BEHIND', '')\n"
    "    monkeypatch.chdir('/')\n    monkeypatch.syspath_prepend('/')\n"
    "    assert os.getcwd() == '/'\n",
    "interrupt": "import pytest\ndef f():\n    with pytest.raises(KeyboardInterrupt):\n"
    "        os.kill(os.getpid(), signal.SIGINT)\n    assert True\n",
    "exits": "import pytest\ndef f():\n    with pytest.raises(SystemExit):\n"
    "        sys.exit(2)\n    assert True\n",
    "a child ends": "def f():\n    child = os.fork()\n    if not child:\n        os._exit(7)\n"
    "    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7\n",
    "filters": "def f():\n    warnings.simplefilter('ignore')\n    assert warnings.filters\n",
}


@pytest.mark.parametrize("name", PROCEDURES)
def test_what_a_procedure_may_do(name: str, pytester: pytest.Pytester) -> None:
    here = os.getcwd()
    result, (item,) = judged(pytester, kernel("pass"), RUN, HEAD + PROCEDURES[name])
    assert item["verdict"] == "HELD", result.stdout.str()
    assert os.getcwd() == here
    assert "LEFT_BEHIND" not in os.environ


def test_a_procedure_that_leaves_a_variable_is_named(pytester: pytest.Pytester) -> None:
    source = HEAD + "def f():\n    os.environ['LEFT_BEHIND'] = '1'\n    assert os.environ\n"
    _, (item,) = judged(pytester, kernel("pass"), RUN, source)
    assert item["message"] == "f changes the environment: LEFT_BEHIND is new"


def test_what_an_import_sets_is_its_own(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(setting="import os\nos.environ['SET_BY_IMPORT'] = '1'\n")
    _, (item,) = judged(pytester, kernel("import setting"), FORMULA)
    assert item["verdict"] == "HELD"
    assert os.environ.pop("SET_BY_IMPORT") == "1"


def test_the_next_claim_is_judged_in_the_process_as_it_was(pytester: pytest.Pytester) -> None:
    claims = f"{RUN}\n{RUN.replace('A,', 'B,').replace('run: f', 'run: g')}"
    source = HEAD + (
        "def f():\n    np.seterr(all='raise')\n    os.chdir('/')\n"
        "    decimal.getcontext().prec = 2\n    assert os.getcwd() == '/'\n"
        "def g():\n    assert np.geterr()['over'] == 'warn' and os.getcwd() != '/'\n"
        "    assert decimal.getcontext().prec == 28\n"
    )
    _, items = judged(pytester, kernel("pass"), claims, source)
    assert {item["claim"]: item["verdict"] for item in items} == {"A": "FALSIFIED", "B": "HELD"}


def test_a_counterexample_stays_with_what_was_changed_beside_it(pytester: pytest.Pytester) -> None:
    module = kernel("os.environ['LEFT_BEHIND'] = '1'").replace("x.copy()", "x + 1")
    result, (item,) = judged(pytester, module, FORMULA)
    assert item["message"] == "identity(x) = x"
    result.stdout.fnmatch_lines(["*besides:*identity as 'cpu' changes the environment*"])
