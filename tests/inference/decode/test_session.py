"""Sessions: input checks, the context's end, the cache."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference import Model
from inference.backends.cpu.cache import BlockedKVCache, KVCache
from inference.decode.past import PREFILL_TOKENS, token_ids
from inference.errors import ContextOverflowError, InputError


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([], "non-empty"),
        ([[1, 2]], "non-empty"),
        ([1.5], "integers"),
        (["a"], "integers"),
        ([0, 512], r"token id 512 at position 1 is not in the vocabulary 0\.\.511"),
        ([-1], "token id -1 at position 0"),
    ],
)
def test_bad_ids_are_refused(tiny: Model, ids: Any, message: str) -> None:
    for call in (tiny.forward, tiny.trace, tiny.session().advance):
        with pytest.raises(InputError, match=message):
            call(ids)


@given(st.lists(st.integers(-5, 40), min_size=1, max_size=20))
def test_ids_are_accepted_exactly_when_in_the_vocabulary(ids: list[int]) -> None:
    if all(0 <= token < 32 for token in ids):
        assert token_ids(ids, 32).tolist() == ids
    else:
        with pytest.raises(InputError):
            token_ids(ids, 32)


def test_the_context_holds_exactly_its_length(tiny: Model) -> None:
    length = tiny.config.context_length
    session = tiny.session()
    session.advance([1] * length)
    assert session.length == length
    with pytest.raises(ContextOverflowError, match=f"{length + 1} tokens .* {length}"):
        session.advance([1])
    assert session.length == length


def test_too_long_a_prompt_computes_nothing(tiny: Model) -> None:
    session = tiny.session()
    before = [d.calls for d in tiny.dispatch]
    with pytest.raises(ContextOverflowError):
        session.advance([1] * (tiny.config.context_length + 1))
    assert session.length == 0
    assert [d.calls for d in tiny.dispatch] == before


def test_long_prompts_go_in_batches(of_architecture: Model) -> None:
    model = of_architecture
    ids = (np.arange(PREFILL_TOKENS + 30) * 7 % 512).tolist()
    batched = model.session().advance(ids, every_row=True)
    assert batched.shape == (len(ids), 512)
    last = model.session().advance(ids)
    assert last.shape == (1, 512)
    np.testing.assert_allclose(last[0], batched[-1], rtol=0, atol=1e-4)
    whole = model.trace(ids)
    np.testing.assert_allclose(whole.logits, batched[-1], rtol=0, atol=1e-4)
    for layer in whole.forward.layer_activations:
        assert layer.output_stats.count == len(ids) * model.config.hidden


def test_sessions_of_one_model_do_not_mix(tiny: Model) -> None:
    prompts = [[i * 31 % 512 for i in range(1, n)] for n in (9, 14, 20, 33)]
    alone = [tiny.generate(p, max_tokens=12, ignore_eos=True).ids for p in prompts]
    together: dict[int, tuple[int, ...]] = {}

    def run(index: int) -> None:
        found = tiny.generate(prompts[index], max_tokens=12, ignore_eos=True)
        together[index] = found.ids

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(prompts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [together[i] for i in range(len(prompts))] == alone


@pytest.mark.parametrize("kind", [KVCache, BlockedKVCache])
def test_cache_grows_and_keeps_what_it_holds(kind: type[KVCache]) -> None:
    cache = kind(2, 1, 4, capacity=10, initial=2)
    rows = np.arange(40, dtype=np.float32).reshape(10, 4)
    for start, stop in ((0, 1), (1, 4), (4, 10)):
        cache.reserve(stop - start)
        for layer in range(2):
            cache.append(layer, rows[start:stop] + layer, -rows[start:stop])
        cache.commit(stop - start)
    for layer in range(2):
        keys, values = cache.view(layer, 0)
        np.testing.assert_array_equal(keys[:, 0], rows + layer)
        np.testing.assert_array_equal(values[:, 0], -rows)
    with pytest.raises(ContextOverflowError, match="11 tokens"):
        cache.reserve(1)


@given(
    pieces=st.lists(st.integers(1, 40), min_size=1, max_size=5),
    head_dim=st.sampled_from([16, 17, 64]),
)
def test_both_layouts_hold_the_same_past(pieces: list[int], head_dim: int) -> None:
    caches = [kind(2, 3, head_dim, capacity=300, initial=2) for kind in (KVCache, BlockedKVCache)]
    values = np.random.default_rng(0)
    for n in pieces:
        new = values.normal(size=(2, 2, n, 3 * head_dim)).astype(np.float32)
        for cache in caches:
            cache.reserve(n)
            for layer in range(2):
                cache.append(layer, *new[layer])
            cache.commit(n)
    rows, blocks = (cache.snapshot() for cache in caches)
    for mine, theirs in zip(blocks, rows, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    again = BlockedKVCache(2, 3, head_dim, capacity=300, initial=2)
    again.restore(*rows)
    for mine, theirs in zip(again.snapshot(), rows, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_truncation_forgets_the_end(tiny: Model) -> None:
    session = tiny.session()
    session.advance([5, 6, 7])
    session.advance([8, 9])
    session.cache.truncate(3)
    again = session.advance([10])
    fresh = tiny.session().advance([5, 6, 7, 10])
    np.testing.assert_allclose(again, fresh, rtol=0, atol=1e-5)
    for length in (-1, 5):
        with pytest.raises(ValueError, match="cannot truncate"):
            session.cache.truncate(length)


def test_a_fork_goes_its_own_way(tiny: Model) -> None:
    session = tiny.session()
    session.advance([5, 6, 7])
    twin = session.fork()
    assert twin.ids == session.ids == (5, 6, 7)
    mine, theirs = session.advance([8]), twin.advance([8])
    np.testing.assert_array_equal(mine, theirs)
    twin.advance([9, 10])
    assert (session.ids, twin.ids) == ((5, 6, 7, 8), (5, 6, 7, 8, 9, 10))
    # What the twin did is not seen here: bit for bit the run without it.
    np.testing.assert_array_equal(session.advance([11]), _after(tiny, [5, 6, 7], [8], [11]))


def _after(model: Model, *steps: list[int]) -> Any:
    session = model.session()
    return [session.advance(step) for step in steps][-1]


def test_truncation_of_a_session(tiny: Model) -> None:
    session = tiny.session()
    session.advance([5, 6, 7])
    session.truncate(2)
    assert (session.ids, session.length) == ((5, 6), 2)
    np.testing.assert_allclose(session.advance([8]), _after(tiny, [5, 6], [8]), rtol=0, atol=1e-5)
    assert session.ids == (5, 6, 8)
    for length in (-1, 4):
        with pytest.raises(InputError, match=f"session of 3 tokens to {length}"):
            session.truncate(length)


@pytest.mark.parametrize(
    ("seen", "wanted", "left"),
    [
        ([1, 2, 3], [1, 2, 3, 4], [4]),
        ([1, 2, 3], [1, 2, 3], [3]),
        ([1, 2, 3], [1, 2], [2]),
        ([1, 2, 3], [1, 9, 3], [9, 3]),
        ([1, 2, 3], [4], [4]),
    ],
)
def test_the_common_prefix_is_not_run_again(
    tiny: Model, seen: list[int], wanted: list[int], left: list[int]
) -> None:
    session = tiny.session()
    session.advance(seen)
    assert session.reuse(wanted) == left
    np.testing.assert_allclose(
        session.advance(left), tiny.session().advance(wanted), rtol=0, atol=1e-5
    )
    assert session.ids == tuple(wanted)


@given(
    seen=st.lists(st.integers(0, 511), min_size=1, max_size=20),
    kept=st.integers(0, 20),
    new=st.lists(st.integers(0, 511), min_size=1, max_size=20),
)
def test_a_warm_run_answers_as_a_cold_one(
    tiny: Model, seen: list[int], kept: int, new: list[int]
) -> None:
    session = tiny.session()
    session.advance(seen)
    prompt = seen[:kept] + new
    warm = session.advance(session.reuse(prompt))
    np.testing.assert_allclose(warm, tiny.session().advance(prompt), rtol=0, atol=1e-5)


def test_generation_takes_a_session_along(tiny: Model) -> None:
    prompt = [3, 1, 4, 1, 5, 9, 2, 6]
    session = tiny.session()
    first = tiny.generate(prompt, max_tokens=4, ignore_eos=True, session=session)
    assert session.ids == (*prompt, *first.ids[:-1])
    longer = [*prompt, *first.ids, 7, 7]
    before = [d.calls for d in tiny.dispatch]
    warm = tiny.generate(longer, max_tokens=4, ignore_eos=True, session=session)
    assert warm.ids == tiny.generate(longer, max_tokens=4, ignore_eos=True).ids
    assert [d.calls for d in tiny.dispatch] != before
    assert session.ids[: len(longer)] == tuple(longer)


def test_a_failed_run_leaves_no_ids_behind(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    session = tiny.session()
    session.advance([1, 2])

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(tiny._backend), "run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            session.advance([3])
    assert session.ids == (1, 2)
    session.advance([4])
    assert session.ids == (1, 2, 4)
