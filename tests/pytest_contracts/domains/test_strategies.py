"""What a domain draws, what it refuses, and what its counterexamples shrink to."""

from __future__ import annotations

import math
from pathlib import Path
from random import Random

import gguf
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis.errors import NoSuchExample

from pytest_contracts.contract.model import Variable
from pytest_contracts.domains.strategies import inputs_strategy, parse_domain
from pytest_contracts.errors import ContractBindingError, ContractSyntaxError, FormulaError
from pytest_contracts.where import Where

NAMED = {"word": lambda length=3: st.text("ab", min_size=length, max_size=length)}


SIZES = {"model": lambda known: {"tiny": 512, "large": 99_999}[known.get("model", "tiny")]}


def strategy(given=None, **specs):
    domains = [
        parse_domain(Variable(name, spec, Where(Path("a.yaml"), line)), NAMED, SIZES)
        for line, (name, spec) in enumerate(specs.items(), 1)
    ]
    return inputs_strategy(domains, given)


def every(inputs, check, examples=60):
    """Run a check that asserts or answers on drawn inputs; a failing one is not shrunk."""

    @settings(
        max_examples=examples,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow],
        derandomize=True,
    )
    @given(inputs)
    def run(drawn):
        assert check(**drawn) in (None, True)

    run()


# Hypothesis files what it finds under the source of the condition, which is the same for all.
ALONE = settings(max_examples=400, database=None)
SHRINKING = settings(ALONE, phases=[Phase.generate, Phase.shrink])
"""As claims are run: without Hypothesis's explanations, which no claim shows."""


def some(inputs, condition):
    """Return the simplest input on which a condition holds."""
    return find(inputs, lambda drawn: condition(**drawn), settings=SHRINKING)


def reach(inputs, condition):
    """See that there are inputs on which a condition holds, without a search for the simplest."""
    first = settings(ALONE, phases=[Phase.generate])
    find(inputs, lambda drawn: condition(**drawn), settings=first)


@pytest.mark.parametrize(
    ("spec", "kind", "low", "high"),
    [
        ("1..128", int, 1, 128),
        ("-3 .. 3", int, -3, 3),
        ("−3..3", int, -3, 3),
        ("0.5..2", float, 0.5, 2),
        ("1e-3..1.0", float, 1e-3, 1),
        ({"dtype": "float32", "range": [0.1, 0.3]}, float, 0.1, 0.3),
        ({"dtype": "int8", "range": [-5, 5]}, int, -5, 5),
        ({"dtype": "uint8"}, int, 0, 255),
        ({"dtype": "float16"}, float, -65504, 65504),
    ],
)
def test_scalars_stay_inside_and_reach_both_ends(spec, kind, low, high):
    inputs = strategy(v=spec)

    def check(v):
        assert type(v) is kind
        assert low <= v <= high

    every(inputs, check, examples=100)
    near = (high - low) / 10
    reach(inputs, lambda v: v > high - near)
    reach(inputs, lambda v: v < low + near)


def test_float32_scalars_are_exact_in_float32():
    def check(v):
        assert float(np.float32(v)) == v

    every(strategy(v={"dtype": "float32", "range": [0.1, 0.3]}), check)


@pytest.mark.parametrize("spec", [{"32": None, "64": None}, [32, 64], "{32, 64}"])
def test_enumerations(spec):
    every(strategy(v=spec), lambda v: v in (32, 64))
    assert some(strategy(v=spec), lambda v: v == 64) == {"v": 64}


def test_enumeration_keeps_words_and_numbers_apart():
    values = {some(strategy(v="{1e-6, auto}"), lambda v, w=w: v == w)["v"] for w in (1e-6, "auto")}
    assert values == {1e-6, "auto"}


def test_constants_and_booleans():
    assert some(strategy(v=7), lambda v: True) == {"v": 7}
    assert some(strategy(v="bool"), lambda v: v) == {"v": True}


def test_exclude_keeps_values_out():
    inputs = strategy(
        v={"dtype": "int8", "range": [-1, 1], "exclude": [0]},
        w={"dtype": "float32", "shape": [9], "range": [-2, 2], "nonzero": True},
        i={"dtype": "int16", "shape": [9], "range": [-1, 1], "exclude": [-1, 0]},
    )

    def check(v, w, i):
        assert v
        assert np.all(w != 0)
        assert np.all(i == 1)

    every(inputs, check)


def test_sizes_are_drawn_before_arrays_whatever_the_order():
    inputs = strategy(
        x={"dtype": "float32", "shape": ["m", "2 * n + 1"], "range": [-1, 1]},
        m="1..n",
        n="1..6",
    )

    def check(x, m, n):
        assert x.shape == (m, 2 * n + 1)
        assert m <= n
        assert x.dtype == np.float32

    every(inputs, check)


def test_bounds_may_depend_on_other_variables():
    inputs = strategy(
        x={"dtype": "float32", "shape": [4], "range": ["c", "c"]},
        c={"dtype": "float32", "range": [-9, 9]},
    )
    every(inputs, lambda x, c: np.testing.assert_array_equal(x, np.float32(c)))


def test_given_values_count_as_drawn_and_are_not_returned():
    drawn = some(strategy({"layers": 4}, i="0..layers - 1"), lambda i: i == 3)
    assert drawn == {"i": 3}


def test_arrays_stay_inside_with_all_distributions():
    seen = set()

    def check(x):
        assert np.all((x >= -3) & (x <= 5))
        seen.add(len(np.unique(x)) == 1)

    every(strategy(x={"dtype": "float32", "shape": [50], "range": [-3, 5]}), check, 100)
    assert seen == {True, False}


def test_integer_arrays_of_every_width():
    for dtype in ("int8", "uint8", "int32", "int64", "uint64", "bool"):
        every(
            strategy(x={"dtype": dtype, "shape": [5]}),
            lambda x, dtype=dtype: x.dtype == dtype,
            examples=20,
        )


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_whole_range_of_a_float_is_finite_and_wide(dtype):
    inputs = strategy(x={"dtype": dtype, "shape": [20]})
    every(inputs, lambda x: np.all(np.isfinite(x)))
    top = float(np.finfo(dtype).max)
    reach(inputs, lambda x: np.max(x) == top)
    reach(inputs, lambda x: np.all(x != 0) and np.min(np.abs(x)) < 1e-3 * np.max(np.abs(x)))


def test_specials_are_mixed_in_and_only_when_asked():
    plain = strategy(x={"dtype": "float32", "shape": [6], "range": [-1, 1]})
    with pytest.raises(NoSuchExample):
        reach(plain, lambda x: not np.all(np.isfinite(x)))
    special = {
        "dtype": "float32",
        "shape": [6],
        "range": [-1, 1],
        "specials": ["inf", "nan", "max"],
    }
    for predicate in (np.isnan, np.isposinf, np.isneginf):
        reach(strategy(x=special), lambda x, p=predicate: p(x).any())
    reach(strategy(x=special), lambda x: (x == np.finfo(np.float32).max).any())
    tiny = {"dtype": "float32", "shape": [3], "specials": ["subnormal", "zero"]}
    reach(strategy(x=tiny), lambda x: ((x != 0) & (np.abs(x) < 1e-44)).any())


@pytest.mark.parametrize(
    "spec",
    [
        {"dtype": "int8", "shape": ["n"], "unique": True},
        {"dtype": "int64", "shape": ["n"], "unique": True},
        {"dtype": "float32", "shape": ["n"], "range": [-1, 1], "unique": True},
    ],
)
def test_unique_elements(spec):
    every(strategy(x=spec, n="0..40"), lambda x, n: len(set(x.tolist())) == n)


def test_empty_arrays_are_drawn():
    assert some(strategy(x={"dtype": "float32", "shape": [0, 3]}), lambda x: True)["x"].shape == (
        0,
        3,
    )


@pytest.mark.parametrize("name", ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K"])
def test_valid_blocks_dequantize_to_finite_numbers(name):
    kind = gguf.GGMLQuantizationType[name]

    def check(raw):
        assert raw.dtype == np.uint8
        assert raw.shape == (3, gguf.GGML_QUANT_SIZES[kind][1])
        with np.errstate(over="ignore"):
            assert np.all(np.isfinite(gguf.quants.dequantize(raw, kind)))

    every(strategy(raw={"block": name, "count": 3, "valid": True}), check, examples=40)


def test_any_bytes_may_be_asked_for():
    inputs = strategy(raw={"block": "Q8_0", "count": 2, "valid": False})
    reach(inputs, lambda raw: not np.all(np.isfinite(raw[:, :2].copy().view(np.float16))))


def test_tokens_text_and_named_strategies():
    inputs = strategy(
        {"vocab": 50},
        ids={"tokens": "vocab", "length": "1..8"},
        prompt={"text": True, "length": "2..4"},
        name="word",
        long={"strategy": "word", "length": 9},
    )

    def check(ids, prompt, name, long):
        assert 1 <= len(ids) <= 8
        assert all(0 <= i < 50 for i in ids)
        assert 2 <= len(prompt) <= 4
        assert len(name) == 3
        assert len(long) == 9

    every(inputs, check)


def test_counterexamples_are_small_and_readable():
    inputs = strategy(n="1..128", x={"dtype": "float32", "shape": ["n"], "range": [-1000, 1000]})
    found = some(inputs, lambda n, x: np.any(x > 100))
    assert found["n"] == 1
    assert found["x"][0] == np.round(found["x"][0])
    rising = some(inputs, lambda n, x: n >= 3 and np.any(np.diff(x) != 0))
    assert rising["n"] == 3
    assert np.all(rising["x"] == np.round(rising["x"]))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("5..2", "the range 5..2 is empty"),
        ({}, "no key of it says what it is"),
        ("{}", "the enumeration is empty"),
        (True, "neither a range"),
        ({"dtype": "float33"}, "unknown dtype 'float33'"),
        ({"dtype": "float32", "range": [2, 1]}, "is empty"),
        ({"dtype": "float32", "range": [1]}, r"range must be \[low, high\]"),
        ({"dtype": "int8", "range": [0.2, 0.8]}, "no int8 lies in the range"),
        ({"dtype": "int8", "specials": ["nan"]}, "'nan' is not a special value of int8"),
        ({"dtype": "float32", "shap": [3]}, "unknown key 'shap'"),
        ({"block": "Q9_X"}, "unknown block type 'Q9_X'"),
        ({"dtype": "float32", "range": [0, True]}, "a size or bound cannot be True"),
        ({"dtype": "f4,i8"}, "unknown dtype 'f4,i8'"),
        ({"dtype": "float32", "shape": {"a": 1}}, "shape must be a size or a list"),
        ({"dtype": "float32", "shape": [1] * 9}, "at most 8 sizes"),
        ({"dtype": "float32", "exclude": 3}, "exclude must be a list"),
        ({"dtype": "float32", "specials": "inf"}, "specials must be a list"),
        ({"dtype": "float16", "range": [1e300, 1e301]}, "no float16 lies in the range"),
        ({"tokens": 0}, "the vocabulary is empty"),
        ({"tokens": 9, "length": "3..2"}, "the length 3..2 is empty"),
        ({"tokens": 9, "length": 10**9}, "a length of 1000000000 is more than"),
        ({"text": "Lu"}, "text is true or left out"),
        ({"text": True, "alphabet": ""}, "alphabet cannot be ''"),
        ({"text": True, "alphabet": ["ab"]}, "alphabet cannot be"),
        ({"text": True, "categories": ["Cs"]}, "categories cannot be"),
        ({"text": True, "categories": ["L"], "alphabet": "a"}, "exclude each other"),
    ],
)
def test_nonsense_is_refused_with_its_place(spec, message):
    with pytest.raises(ContractSyntaxError, match=message) as caught:
        strategy(v=spec)
    assert str(caught.value).startswith("a.yaml:1:1: ")


def test_unknown_strategy_is_refused_with_a_suggestion():
    with pytest.raises(ContractBindingError, match="no strategy is called 'wrd'") as caught:
        strategy(v="wrd")
    assert caught.value.hint == "Did you mean 'word'?"
    with pytest.raises(ContractBindingError, match="strategy 'word'"):
        strategy(v={"strategy": "word", "size": 3})


@pytest.mark.parametrize(
    ("specs", "message"),
    [
        ({"x": {"dtype": "float32", "shape": ["n"]}}, "'x' needs n, but 'n' has no domain"),
        ({"a": "0..b", "b": "0..a"}, "depend on each other"),
    ],
)
def test_missing_and_circular_sizes_are_refused(specs, message):
    with pytest.raises(ContractSyntaxError, match=message):
        strategy(**specs)


@pytest.mark.parametrize(
    ("shape", "message"),
    [(["n - 5"], "n - 5 = -4 is not a size"), ([10**5, 10**5], "too large to draw")],
)
def test_impossible_shapes_are_refused_when_drawn(shape, message):
    inputs = strategy(n="1..1", x={"dtype": "float32", "shape": shape})
    with pytest.raises(ContractSyntaxError, match=message) as caught:
        reach(inputs, lambda n, x: True)
    assert caught.value.where is not None


def test_too_many_distinct_values_are_refused():
    inputs = strategy(x={"dtype": "int8", "shape": [9], "range": [0, 3], "unique": True})
    with pytest.raises(ContractSyntaxError, match="9 distinct values do not fit"):
        reach(inputs, lambda x: True)


def test_exclude_may_not_leave_nothing():
    inputs = strategy(x={"dtype": "int8", "shape": [3], "range": [0, 0], "nonzero": True})
    with pytest.raises(ContractSyntaxError, match="exclude leaves no value"):
        reach(inputs, lambda x: True)


def test_large_arrays_cost_few_choices():
    count = 0

    def check(x):
        nonlocal count
        count += 1
        assert math.prod(x.shape) == 200_000

    every(strategy(x={"dtype": "float32", "shape": [200, 1000]}), check, examples=20)
    assert count == 20


def test_inputs_may_not_fill_the_memory_together():
    arrays = {f"x{k}": {"dtype": "int8", "shape": [1 << 22]} for k in range(9)}
    with pytest.raises(ContractSyntaxError, match="more than 33554432 elements") as caught:
        reach(strategy(**arrays), lambda **drawn: True)
    assert str(caught.value).startswith("a.yaml:9:1: ")


@pytest.mark.parametrize(("model", "size"), [(None, 512), ("tiny", 512), ("large", 99_999)])
def test_tokens_of_a_vocabulary_that_the_project_names(model, size):
    given = {} if model is None else {"model": model}
    inputs = strategy(given, ids={"tokens": "model", "length": "1..64"})
    seen = set()

    def check(ids):
        assert 1 <= len(ids) <= 64
        assert all(type(token) is int and 0 <= token < size for token in ids)
        seen.update(ids)

    every(inputs, check, examples=100)
    assert max(seen) > size // 2
    assert some(inputs, lambda ids: True) == {"ids": [0]}
    assert some(inputs, lambda ids: max(ids) > 99) == {"ids": [100]}


def test_the_name_of_a_vocabulary_wins_over_a_variable_of_that_name():
    inputs = strategy({"model": "tiny"}, ids={"tokens": "model", "length": 3})
    every(inputs, lambda ids: len(ids) == 3)


@pytest.mark.parametrize(
    ("spec", "allowed", "smallest"),
    [
        ({"text": True, "alphabet": "TCGA", "length": "2..9"}, "ACGT", "AA"),
        ({"alphabet": ["x", "\n"], "text": True, "length": 3}, "x\n", "xxx"),
        ({"text": True, "categories": "Lu", "length": "1..4"}, str.isupper, "A"),
        ({"text": True, "categories": ["Nd"], "length": 2}, str.isdigit, "00"),
    ],
)
def test_texts_of_an_alphabet_or_of_categories(spec, allowed, smallest):
    inputs = strategy(t=spec)

    def check(t):
        assert all(c in allowed if isinstance(allowed, str) else allowed(c) for c in t)
        t.encode()

    every(inputs, check)
    assert some(inputs, lambda t: True) == {"t": smallest}


def test_any_text_is_encodable_and_shrinks_to_the_offending_character():
    inputs = strategy(t={"text": True, "length": "0..40"})
    every(inputs, lambda t: t.encode().decode() == t)
    assert some(inputs, lambda t: any(c > "\x7f" for c in t)) == {"t": "\x80"}


@pytest.mark.parametrize(
    ("specs", "condition", "smallest"),
    [
        ({"n": "0..9", "x": {"dtype": "int8", "shape": ["n"]}}, lambda n, x: n > 2, {"n": 3}),
        ({"n": "1..9", "m": "n..20"}, lambda n, m: m > 7, {"n": 1, "m": 8}),
        ({"raw": {"block": "Q8_0", "count": 2}}, lambda raw: raw[1, 5] > 3, {}),
        (
            {"x": {"dtype": "float32", "shape": [4], "range": [-1, 1], "specials": ["nan"]}},
            lambda x: np.isnan(x).any(),
            {},
        ),
        ({"x": {"dtype": "int8", "shape": [3], "unique": True}}, lambda x: True, {}),
        ({"x": {"dtype": "int8", "shape": [3], "nonzero": True}}, lambda x: True, {}),
    ],
)
def test_every_kind_shrinks_to_the_smallest(specs, condition, smallest):
    found = some(strategy(**specs), condition)
    assert {name: found[name] for name in smallest} == smallest
    for value in found.values():
        if isinstance(value, np.ndarray):
            # A constant with at most the few elements that matter.
            assert len(np.unique(value[~np.isnan(value)] if value.dtype.kind == "f" else value)) < 4
            finite = value[np.isfinite(value)] if value.dtype.kind == "f" else value
            assert np.abs(finite.astype(np.float64)).max(initial=0) <= 128


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "float32"])
def test_an_array_shrinks_to_a_constant_wherever_the_search_begins(dtype):
    inputs = strategy(x={"dtype": dtype, "shape": [34]})
    constant = 0
    for seed in range(10):
        found = find(inputs, lambda d: d["x"][5] > 3, settings=SHRINKING, random=Random(seed))
        constant += bool((found["x"] == 4).all())
    assert constant >= 9  # of 10; half of them stopped at another array once


@pytest.mark.parametrize("text", ["1" * 5000 + "..2", " " * 60_000 + "x", "." * 60_000, "1..1e400"])
def test_huge_texts_are_refused_at_once(text):
    with pytest.raises((ContractSyntaxError, ContractBindingError, FormulaError)):
        strategy(v=text)
