"""What is heard of while a function runs, and that nothing is left behind."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numba import njit
from numba.extending import overload

from pytest_contracts.watching import Watch


@njit
def compiled(x):
    return 2 * x


@njit
def outer(x):
    return compiled(x) + 1


def by_name(x):
    return np.exp(x)


def honest(x):
    return x + x


def heard(function, **others):
    codes = {o.__code__: name for name, o in others.items() if hasattr(o, "__code__")}
    with Watch(function, others, codes).listening() as seen:
        function(1.0)
    return seen


def test_nothing_is_heard_of_a_function_of_its_own():
    assert heard(honest, other=compiled, third=np.exp, fourth=by_name) == []


def test_compiled_functions_and_those_around_them_are_heard():
    assert heard(compiled, other=compiled) == ["other"]
    assert heard(outer, other=compiled) == ["other"]
    assert heard(lambda x: outer(x), other=compiled) == ["other"]
    assert heard(by_name, other=np.exp) == ["other"]


def test_a_compiled_function_is_compiled_while_a_ufunc_is_listened_for():
    @njit
    def within(x):
        return np.exp(x)

    # Its code is compiled as it stands, and the ufunc itself is not called.
    assert heard(lambda x: within(x), other=np.exp) == []


def test_nothing_listens_while_numba_compiles():
    listening = []

    def helper(x):
        return x

    @overload(helper)
    def compiled_helper(x):
        listening.append(sys.getprofile())
        return lambda x: x

    @njit
    def within(x):
        return helper(x)

    # Before and after, everything is heard of.
    assert heard(lambda x: by_name(honest(within(x))), other=honest, third=np.exp) == [
        "other",
        "third",
    ]
    assert listening
    assert set(listening) == {None}


def test_everything_is_as_before_when_the_call_has_ended():
    kind, ufunc, submit = type(compiled), np.exp, ThreadPoolExecutor.submit
    assert heard(lambda x: compiled(np.exp(x)), a=compiled, b=np.exp) == ["b", "a"]
    assert (type(compiled), np.exp, ThreadPoolExecutor.submit) == (kind, ufunc, submit)
    assert sys.getprofile() is None
    assert threading.getprofile() is None


def test_listeners_may_be_inside_of_each_other():
    watch = Watch(honest, {"other": compiled}, {})
    with watch.listening() as first:
        with watch.listening() as second:
            compiled(1.0)
        compiled(1.0)
    assert first == second == ["other"]
    assert "__call__" not in vars(type(compiled))
