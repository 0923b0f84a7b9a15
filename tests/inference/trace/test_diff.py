from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from inference.errors import InputError
from inference.formats.aprt import write_aprt
from inference.model.stages import Stage
from inference.trace.bisection import bisect
from inference.trace.diff import agreement, cosine, diff_stages, diff_vectors

VECTORS = hnp.arrays(np.float32, st.integers(1, 30), elements=st.floats(-100, 100, width=32))


def f32(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def test_worked_by_hand() -> None:
    found = diff_vectors(f32(1, 2, 3, 4), f32(1, 2.5, 3, 4))
    assert (found.max_abs_diff, found.max_abs_diff_index, found.rms_diff) == (0.5, 1, 0.25)
    found = diff_vectors(f32(0, 0, 0, 0, 0), f32(0.1, 0.5, -0.3, 0.05, 0.2), limit=3)
    assert [top.index for top in found.top_diffs] == [1, 2, 4]
    assert found.cosine_sim == 0.0
    assert found.top_diffs[1].b == pytest.approx(-0.3)


@given(VECTORS, st.integers(-3, 40))
def test_a_vector_equals_itself(values: np.ndarray, limit: int) -> None:
    found = diff_vectors(values, values.copy(), limit=limit)
    assert (found.max_abs_diff, found.rms_diff) == (0.0, 0.0)
    assert len(found.top_diffs) == min(max(limit, 1), values.size)
    if np.any(values):
        assert found.cosine_sim == pytest.approx(1.0, abs=1e-12)
        assert agreement(values, values) == pytest.approx(1.0, abs=1e-12)


@given(VECTORS, st.floats(1.01, 10))
def test_scale_escapes_the_cosine_and_not_the_agreement(values: np.ndarray, scale: float) -> None:
    if not np.any(np.abs(values) > 1e-3):
        return
    scaled = values.astype(np.float64) * scale
    assert cosine(values, scaled) == pytest.approx(1.0, abs=1e-9)
    assert agreement(values, scaled) == pytest.approx(2 * scale / (1 + scale**2), rel=1e-9)


def test_what_is_not_finite() -> None:
    same = f32(np.nan, np.inf, -np.inf, 1)
    assert diff_vectors(same, same.copy()).max_abs_diff == 0.0
    found = diff_vectors(f32(np.nan, 1), f32(0, 1))
    assert (found.max_abs_diff, found.max_abs_diff_index) == (np.inf, 0)
    assert diff_vectors(f32(np.inf), f32(-np.inf)).max_abs_diff == np.inf
    assert cosine(same, same) == 0.0
    assert agreement(f32(np.inf), f32(1)) == 0.0
    assert agreement(f32(0), f32(0)) == 1.0


@pytest.mark.parametrize(("a", "b"), [(f32(), f32()), (f32(1), f32(1, 2))])
def test_nothing_to_compare_is_refused(a: np.ndarray, b: np.ndarray) -> None:
    with pytest.raises(InputError, match="cannot compare"):
        diff_vectors(a, b)


def test_stage_files(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.bin", "b.bin", "layer.bin", "size.bin")]
    write_aprt(paths[0], None, f32(1, 2, np.inf))
    write_aprt(paths[1], None, f32(1, 2.5, 1))
    write_aprt(paths[2], 0, f32(1, 2, 3))
    write_aprt(paths[3], None, f32(1, 2))
    document = json.loads(json.dumps(diff_stages(paths[0], paths[1]).to_json(), allow_nan=False))
    assert document["schema"] == "apr-stage-diff-v1"
    assert document["layer"] == "whole-model"
    assert document["dim_product"] == 3
    assert document["max_abs_diff"] is None
    assert document["max_abs_diff_index"] == 2
    assert [top["index"] for top in document["top_diffs"]] == [2, 1, 0]
    assert document.keys() == {
        "schema", "path_a", "path_b", "layer", "dim_product", "max_abs_diff",
        "max_abs_diff_index", "rms_diff", "cosine_sim", "top_diffs",
    }  # fmt: skip
    with pytest.raises(InputError, match=r"layer mismatch: whole-model in .* layer 0 in"):
        diff_stages(paths[0], paths[2])
    with pytest.raises(InputError, match=r"dim_product mismatch: 3 values in .* 2 in"):
        diff_stages(paths[0], paths[3])


def test_bisection() -> None:
    good, bad = f32(1, 2, 3), f32(3, -2, 1)
    keys = [(Stage.ATTN_NORM, 0), (Stage.QKV_MATMUL, 0), (Stage.ATTN_OUT, 0), (Stage.LM_HEAD, None)]
    oracle = dict.fromkeys(keys, good)
    assert bisect(oracle, oracle) is None
    found = bisect({**oracle, keys[2]: bad, keys[3]: bad}, oracle)
    assert found is not None
    assert (found.before, found.after) == (keys[1], keys[2])
    assert found.agreement_before >= 0.999 > found.agreement_after
    first = bisect({**oracle, keys[0]: f32(1, 2)}, oracle)
    assert first is not None
    assert (first.before, first.after, first.agreement_after) == (None, keys[0], 0.0)
    nan = bisect({keys[1]: f32(np.nan, 0, 0)}, oracle)
    assert nan is not None
    assert nan.after == keys[1]
