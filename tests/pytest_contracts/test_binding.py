"""The decorator, the resolution of names, and the witness."""

from __future__ import annotations

import functools
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_contracts import binding
from pytest_contracts.binding import Witness, code_of, contract, qualified_name, registered, resolve
from pytest_contracts.errors import ContractBindingError, Falsified, Unavailable
from pytest_contracts.where import Where

HERE = Where(Path("some.yaml"), 7)


@pytest.fixture(autouse=True)
def _empty_registry(monkeypatch):
    monkeypatch.setattr(binding, "_registry", {})


def slow(x):
    return [v + 1 for v in x]


def fast(x):
    return [1 + v for v in x]


def pretender(x):
    return slow(x)


def test_decorator_returns_the_function_itself_and_registers_it():
    def f(x):
        return x

    assert contract("c-v1", equation="e", implementation="cpu")(f) is f
    assert contract("d-v1", equation="e", implementation="cpu")(f) is f
    assert [b.contract for b in f.__contract__] == ["c-v1", "d-v1"]
    assert registered("c-v1", "e") == {"cpu": f}
    assert registered("c-v1", "other") == {}


@pytest.mark.parametrize("module", ["pytest_contracts.binding", "pytest_contracts.plugin"])
def test_import_stays_light(module):
    heavy = ["hypothesis", "numpy", "numba", "z3", "crosshair", "yaml", "jsonschema", "gguf"]
    if module.endswith("binding"):
        heavy.append("pytest")
    code = f"import sys, {module}; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_resolve_finds_functions_and_methods():
    assert resolve("math:sqrt")(9) == 3
    assert resolve("pathlib:Path.cwd") == Path.cwd


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("math", "not of the form module:function"),
        ("math:", "not of the form module:function"),
        ("maths:sqrt", "there is no module 'maths'"),
        ("math.deep:sqrt", "there is no module 'math.deep'|importing math.deep failed"),
        ("math:sqr", "math has no function 'sqr'"),
        ("math:pi", "math:pi is a float, not a function"),
    ],
)
def test_resolve_names_what_is_wrong_and_where(target, message):
    with pytest.raises(ContractBindingError, match=message) as caught:
        resolve(target, where=HERE)
    assert str(caught.value).startswith("some.yaml:7:1: ")


def test_resolve_suggests_the_near_name():
    with pytest.raises(ContractBindingError) as caught:
        resolve("math:sqr")
    assert caught.value.hint == "Did you mean 'sqrt'?"


def test_resolve_passes_unavailable_through(tmp_path, monkeypatch):
    (tmp_path / "needs_gpu.py").write_text(
        "from pytest_contracts.errors import Unavailable\nraise Unavailable('gpu', 'buy')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(Unavailable):
        resolve("needs_gpu:f")


def test_code_is_found_behind_wrappers():
    @functools.wraps(slow)
    def wrapped(*args):
        return slow(*args)

    class Callable:
        def __call__(self, x):
            return x

    class Dispatcher:
        py_func = staticmethod(slow)

        def __call__(self, x):
            return x

    assert code_of(wrapped) is slow.__code__
    assert code_of(functools.partial(slow)) is slow.__code__
    assert code_of(Dispatcher()) is slow.__code__
    assert code_of(Callable()) is Callable.__call__.__code__
    assert code_of(Path("a").exists) is Path.exists.__code__
    assert code_of(len) is None
    assert qualified_name(functools.partial(slow)).endswith(":slow")


def test_witness_lets_an_honest_implementation_through():
    witness = Witness("inc", "fast", fast, {"slow": slow})
    assert witness([1, 2]) == [2, 3]
    assert witness.calls == 1


def test_witness_catches_a_silent_fallback():
    witness = Witness("inc", "cuda", pretender, {"slow": slow, "fast": fast})
    with pytest.raises(Falsified, match="inc as 'cuda' fell back to 'slow'"):
        witness([1, 2])


def test_witness_refuses_one_function_under_two_names():
    with pytest.raises(ContractBindingError, match="'cuda' and 'cpu' of inc are the same function"):
        Witness("inc", "cuda", slow, {"cpu": slow}, where=HERE)


def test_witness_leaves_other_profilers_in_place():
    events = []

    def profiler(frame, event, argument):
        events.append(event)

    sys.setprofile(profiler)
    try:
        Witness("inc", "fast", fast, {"slow": slow})([1])
        assert sys.getprofile() is profiler
    finally:
        sys.setprofile(None)
    assert events


def test_witness_leaves_a_c_profiler_running():
    import cProfile

    profile = cProfile.Profile()
    profile.enable()
    try:
        Witness("inc", "fast", fast, {"slow": slow})([1])
        slow([1])
    finally:
        profile.disable()
    assert any("slow" in str(entry.code) for entry in profile.getstats())


def test_witness_does_not_swallow_errors():
    def broken(x):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Witness("inc", "broken", broken, {"slow": slow})([1])
    assert sys.getprofile() is None
