"""Nothing is left out for an input: only what says so before one is looked at may skip a claim.

An implementation says by Unavailable that this machine lacks something, and is believed where it
says so of every input; ``pytest.skip`` in what takes inputs is never believed. The verdict is the
same whichever input comes first, so that each way of skipping is judged under several seeds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

import pytest
from hypothesis import core, settings

from tests.within import run_here

KERNELS = """
import unittest

import pytest
from pytest_contracts.errors import Unavailable


def right(x):
    return x + 0


def skips_small_else_wrong(x):
    if len(x) < 6:
        pytest.skip("small")
    return x + 1


def skips_large(x):
    if len(x) > 4:
        pytest.skip("large")
    return x * 1


def skips_large_as_unittest(x):
    if len(x) > 4:
        raise unittest.SkipTest("large")
    return x * 1.0


def skips_all(x):
    pytest.skip("all")


def away_for_small_else_wrong(x):
    if len(x) < 6:
        raise Unavailable("no room", "buy some")
    return x - 1


def away_for_large(x):
    if len(x) > 4:
        raise Unavailable("no room", "buy some")
    return x / 1


def away_for_two(x):
    if len(x) > 8:
        raise Unavailable("no room", "buy some")
    return x - 0


def away(x):
    raise Unavailable("no GPU", "rent one")
"""
PROCEDURES = """
import kernels
import numpy as np
import pytest
from pytest_contracts.errors import Unavailable


def drawn(implementation, x):
    assert (implementation(x) == x).all()


def once(implementation):
    for n in range(1, 9):
        assert (implementation(np.ones(n)) == 1).all()


def its_own_skip_for_large(implementation, x):
    if len(x) > 4:
        pytest.skip("large")
    assert (implementation(x) == x).all()


def at_once():
    pytest.skip("not today")


def at_once_for_want():
    raise Unavailable("no GPU", "rent one")


def after_an_assertion():
    assert kernels.right(np.ones(3)).all()
    pytest.skip("enough")


def for_want_after_an_assertion():
    assert kernels.right(np.ones(3)).all()
    raise Unavailable("no GPU", "rent one")


def in_a_kernel():
    kernels.skips_all(np.ones(3))
    assert kernels.right(np.ones(3)).all()


def of_a_strategy(drawn):
    assert drawn >= 0


def its_own_skip_for_all(implementation, x):
    pytest.skip(f"not today, {x}")
"""
CLAIMS = {
    "formula": "type: invariant, formal: identity(x) = x",
    "template": "type: determinism",
    "drawn": "type: invariant, run: drawn",
    "once": "type: invariant, run: once",
    "twice": "type: invariant, formal: 'identity(x) = x and len(identity(concat(x, x, x, x, x,"
    " x, x, x, x))) = 9·n'",
    "its_own_skip_for_large": "type: invariant, run: its_own_skip_for_large",
    "its_own_skip_for_all": "type: invariant, run: its_own_skip_for_all",
}
VACUOUS = dict.fromkeys(CLAIMS, "VACUOUS")
AWAY = dict.fromkeys(CLAIMS, "UNAVAILABLE")
WRONG = {**VACUOUS, "formula": "FALSIFIED", "drawn": "FALSIFIED", "twice": "FALSIFIED"}
ITS_OWN = {"its_own_skip_for_large": "VACUOUS", "its_own_skip_for_all": "VACUOUS"}
HELD = {**dict.fromkeys(CLAIMS, "HELD"), **ITS_OWN}
VERDICTS = {
    "right": HELD,
    "skips_small_else_wrong": WRONG,
    "skips_large": VACUOUS,
    "skips_large_as_unittest": VACUOUS,
    "skips_all": VACUOUS,
    # What is missing for the one input with which a procedure begins, it may lack.
    "away_for_small_else_wrong": {**WRONG, "once": "UNAVAILABLE", **ITS_OWN},
    "away_for_large": VACUOUS,
    "away_for_two": {**HELD, "twice": "VACUOUS"},
    "away": {**AWAY, **ITS_OWN},
}


STRATEGIES = """
import hypothesis.strategies as st
import pytest
from pytest_contracts.errors import Unavailable


def drawing(missing, skips=False):
    @st.composite
    def strategy(draw):
        k = draw(st.integers(0, 40))
        if k > missing:
            if skips:
                pytest.skip("large")
            raise Unavailable("no room", "buy some")
        return k

    return strategy()


def pytest_contracts_strategies(config):
    return {"drawing": drawing}
"""
ONCE = {
    "at_once": "UNAVAILABLE",
    "at_once_for_want": "UNAVAILABLE",
    "after_an_assertion": "VACUOUS",
    "for_want_after_an_assertion": "VACUOUS",
    "in_a_kernel": "VACUOUS",
}
DRAWING = {
    "missing: -1": "UNAVAILABLE",
    "missing: 20": "VACUOUS",
    "missing: 40": "HELD",
    "missing: 20, skips: true": "VACUOUS",
    "missing: -1, skips: true": "VACUOUS",
}


CONTRACT = """
metadata: {{version: 1.0.0, kind: kernel, description: d}}
equations:
  identity:
    formula: identity(x) = x
    variables:
      n: 1..8
      x: {{dtype: float64, shape: [n], range: [-100, 100]}}
    implementations: {{{kernels}}}
proof_obligations:
{claims}
"""


Verdicts = dict[str | None, dict[str, str]]
"""By kernel and claim."""


def judged(
    pytester: pytest.Pytester,
    kernels: Iterable[str],
    claims: Mapping[str, str],
    procedures: str = PROCEDURES,
) -> Verdicts:
    """Return the verdicts on kernels by claims; whoever is not verified by all makes a run red."""
    named = ", ".join(f'{kernel}: "kernels:{kernel}"' for kernel in kernels)
    listed = "\n".join(
        f"  - {{id: {name}, property: P, equation: identity, {claim}}}"
        for name, claim in claims.items()
    )
    folder = pytester.mkdir("contracts")
    text = CONTRACT.format(kernels=named, claims=listed)
    (folder / "absent-v1.yaml").write_text(text, encoding="utf-8")
    (folder / "absent_v1.py").write_text(procedures, encoding="utf-8")
    pytester.makepyfile(kernels=KERNELS)
    pytester.syspathinsert()
    result = run_here(
        pytester, "-p", "no:cacheprovider", "-p", "no:unraisableexception",
        "--tb=no", "--contracts=contracts", "--contracts-examples=20",
    )  # fmt: skip
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    ledger = json.loads((pytester.path / ".contracts" / "ledger.json").read_text("utf-8"))
    verdicts: Verdicts = {}
    for item in ledger["items"]:
        verdicts.setdefault(item["implementation"], {})[item["claim"]] = item["verdict"]
    return verdicts


@pytest.fixture
def _seeded(request: pytest.FixtureRequest) -> Iterator[None]:
    """Draw what a seed says, or the same as always."""
    outer, seed = settings.get_current_profile_name(), core.global_force_seed
    settings.register_profile(
        "inner", database=None, deadline=None, derandomize=request.param is None
    )
    settings.load_profile("inner")
    core.global_force_seed = request.param
    yield
    core.global_force_seed = seed
    settings.load_profile(outer)


@pytest.mark.parametrize("_seeded", [None], indirect=True)
@pytest.mark.usefixtures("_seeded")
def test_only_what_is_missing_for_every_input_is_missing(pytester: pytest.Pytester) -> None:
    assert judged(pytester, VERDICTS, CLAIMS) == VERDICTS


@pytest.mark.parametrize("_seeded", range(5), indirect=True)
@pytest.mark.usefixtures("_seeded")
def test_a_skip_has_one_verdict_whatever_is_drawn_first(pytester: pytest.Pytester) -> None:
    kernels = ("right", "skips_small_else_wrong", "skips_large", "away_for_large", "away")
    claims = {name: CLAIMS[name] for name in ("formula", "its_own_skip_for_large")}
    expected = {kernel: {name: VERDICTS[kernel][name] for name in claims} for kernel in kernels}
    assert judged(pytester, kernels, claims) == expected


def test_what_runs_once_may_skip_before_it_has_begun(pytester: pytest.Pytester) -> None:
    claims = {name: f"type: invariant, run: {name}" for name in ONCE}
    assert judged(pytester, ["right", "skips_all"], claims) == {None: ONCE}


def test_what_cannot_be_drawn_is_missing_where_nothing_can(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(STRATEGIES)
    claims = {
        f"D{number}": "type: invariant, run: of_a_strategy, "
        f"variables: {{drawn: {{strategy: drawing, {keys}}}}}"
        for number, keys in enumerate(DRAWING)
    }
    (found,) = judged(pytester, ["right"], claims).values()
    assert dict(zip(DRAWING, found.values(), strict=True)) == DRAWING


def test_a_module_that_skips_leaves_out_the_claims_that_run_it(pytester: pytest.Pytester) -> None:
    claims = {name: CLAIMS[name] for name in ("formula", "drawn")}
    procedures = f"import pytest\npytest.importorskip('of_no_use_at_all')\n{PROCEDURES}"
    assert judged(pytester, ["skips_small_else_wrong"], claims, procedures) == {
        "skips_small_else_wrong": {"formula": "FALSIFIED"},
        None: {"drawn": "UNAVAILABLE"},
    }


LATE = """
import asyncio

import kernels
import numpy as np
import pytest
from pytest_contracts.errors import Unavailable


def for_want_where_wrong(implementation, x):
    result = implementation(x)
    if (result != x).any():
        raise Unavailable("no oracle", "write one")
    assert len(result) == len(x)


def skipped_where_wrong(implementation):
    result = implementation(np.ones(3))
    if (result != 1).any():
        pytest.skip("other numbers")
    assert len(result) == 3


def grouped(implementation, x):
    try:
        assert (implementation(x) == x).all()
    except AssertionError:
        raise BaseExceptionGroup("several", [pytest.skip.Exception("x")])


def marked(implementation, request):
    request.applymarker(pytest.mark.xfail)
    assert (implementation(np.ones(3)) == 1).all()
"""
ANSWERS = """
calls = 0

def wrong(x):
    return x + 1


def away_at_first(x):
    global calls
    calls += 1
    if calls == 1:
        raise Unavailable("not yet", "call again")
    return -abs(x) - 1


async def skipping():
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(0))
        pytest.skip("in a task")


def skips_in_a_group(x):
    raise BaseExceptionGroup("several", [pytest.skip.Exception("x")])


def skips_in_a_task(x):
    asyncio.run(skipping())
    return x + 1
"""


@pytest.fixture
def _late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "KERNELS", f"import asyncio\n{KERNELS}{ANSWERS}")


@pytest.mark.usefixtures("_late")
def test_nothing_is_missing_once_the_implementation_has_answered(pytester) -> None:
    claims = {
        "guarded": "type: invariant, formal: 'Σ identity(x) ≥ 0 ⟹ Σ identity(x) = Σ x'",
        "drawn": "type: invariant, run: for_want_where_wrong",
        "once": "type: invariant, run: skipped_where_wrong",
        "fixed": "type: invariant, formal: identity(2) = 2",
    }
    found = judged(pytester, ["right", "wrong", "away_at_first", "skips_all"], claims, LATE)
    assert set(found["right"].values()) == {"HELD"}
    assert found["wrong"]["drawn"] == found["wrong"]["once"] == "VACUOUS"
    assert found["away_at_first"]["guarded"] == "VACUOUS"
    assert found["skips_all"]["fixed"] == "VACUOUS"


@pytest.mark.usefixtures("_late")
@pytest.mark.parametrize(
    ("kernel", "claim"),
    [
        ("skips_in_a_group", "formal: identity(x) = x"),
        ("skips_in_a_task", "formal: identity(x) = x"),
        ("wrong", "run: grouped"),
        ("wrong", "run: marked"),
    ],
)
def test_what_is_falsified_fails_whatever_pytest_takes_it_for(pytester, kernel, claim) -> None:
    """It takes a group of skips for one, and looks for marks once more after the call."""
    verdicts = judged(pytester, [kernel], {"A": f"type: invariant, {claim}"}, LATE)
    assert verdicts == {kernel: {"A": "FALSIFIED"}}
