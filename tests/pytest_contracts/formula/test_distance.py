"""Distances: worked by hand, and NaN never within any tolerance."""

from __future__ import annotations

import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_contracts.formula import closeness, noise_of
from pytest_contracts.formula.distance import cosine, ulp_distance
from pytest_contracts.tolerance import ToleranceKind

floats = st.floats(width=32, allow_nan=False)


def ordinal(value: float) -> int:
    """The rank of a float32 among all float32 values, by its bits."""
    (bits,) = struct.unpack("<I", struct.pack("<f", value))
    return -(bits & 0x7FFFFFFF) if bits >> 31 else bits


@given(floats, floats)
def test_ulp_distance_counts_the_floats_between(a: float, b: float) -> None:
    assert ulp_distance(np.float64(a), np.float64(b)) == abs(ordinal(a) - ordinal(b))


def test_ulp_distance_across_zero_and_at_the_ends() -> None:
    tiny = float(np.finfo(np.float32).smallest_subnormal)
    assert ulp_distance(np.array(-tiny), np.array(tiny)) == 2
    assert ulp_distance(np.array(-0.0), np.array(0.0)) == 0
    largest = float(np.finfo(np.float32).max)
    assert ulp_distance(np.array(largest), np.array(math.inf)) == 1
    assert math.isnan(float(ulp_distance(np.array(math.nan), np.array(1.0))))


KINDS: list[ToleranceKind] = ["absolute", "relative", "ulp", "cosine"]


@pytest.mark.parametrize("kind", KINDS)
def test_nan_never_passes(kind: ToleranceKind) -> None:
    for left, right in [
        ([1.0, math.nan], [1.0, 2.0]),
        ([1.0, 2.0], [1.0, math.nan]),
        ([1.0, math.nan], [1.0, math.nan]),
    ]:
        found = closeness(np.array(left), np.array(right), tolerance=math.inf, kind=kind)
        assert not found.holds
    noisy = closeness(
        np.array([math.nan]), np.array([1.0]), tolerance=1e9, kind="noise", noise=np.array([1.0])
    )
    assert not noisy.holds


@pytest.mark.parametrize("kind", KINDS)
def test_equal_values_are_at_distance_zero(kind: ToleranceKind) -> None:
    same = np.array([0.0, 1.0, -2.0, math.inf])
    found = closeness(same, same, tolerance=0.0, kind=kind)
    assert (found.holds, found.compared, found.error) == (True, 4, 0.0)


def test_each_kind_measures_in_its_own_unit() -> None:
    left, right = np.array([1.0, 200.0]), np.array([1.5, 201.0])
    absolute = closeness(left, right, tolerance=1.0)
    assert (absolute.holds, absolute.error, absolute.index) == (True, 1.0, (1,))
    assert not closeness(left, right, tolerance=0.999).holds
    relative = closeness(left, right, tolerance=0.3, kind="relative")
    assert not relative.holds
    assert (relative.error, relative.index) == (pytest.approx(1 / 3), (0,))
    ulps = closeness(np.array([1.0]), np.array([1 + 2**-23]), tolerance=1, kind="ulp")
    assert (ulps.holds, ulps.error) == (True, 1.0)
    assert not closeness(np.array([1.0]), np.array([1 + 2**-22]), tolerance=1, kind="ulp").holds
    angle = closeness(np.array([1.0, 0]), np.array([1.0, 1]), tolerance=0.3, kind="cosine")
    assert (angle.holds, angle.error) == (True, pytest.approx(1 - math.sqrt(0.5)))
    assert angle.compared == 2


def test_ulp_has_an_absolute_floor_near_zero() -> None:
    zero, small = np.array([0.0]), np.array([1e-39])
    assert closeness(zero, small, tolerance=1, kind="ulp").holds
    assert not closeness(zero, np.array([1e-30]), tolerance=1, kind="ulp").holds
    assert closeness(zero, np.array([1e-30]), tolerance=1, kind="ulp", floor=1e-29).holds
    assert not closeness(zero, small, tolerance=1, kind="ulp", floor=0.0).holds


def test_infinities_differ_from_everything_else() -> None:
    for other in (1.0, -math.inf, float(np.finfo(np.float32).max)):
        for kind in KINDS[:3]:
            assert not closeness(
                np.array([math.inf]), np.array([other]), tolerance=1e30, kind=kind
            ).holds


def test_what_overflows_float32_is_infinite_there() -> None:
    assert closeness(np.array([math.inf]), np.array([1e39]), tolerance=0, kind="ulp").holds
    assert not closeness(np.array([math.inf]), np.array([1e39]), tolerance=1e30).holds


def test_shapes_must_agree_unless_one_is_a_scalar() -> None:
    found = closeness(np.zeros((3, 1)), np.zeros(3), tolerance=1)
    assert not found.holds
    assert found.reason == "shapes [3, 1] and [3] differ"
    assert closeness(np.zeros(3), np.array(0.5), tolerance=1).compared == 3
    nothing = closeness(np.zeros(0), np.zeros(0), tolerance=0)
    assert (nothing.holds, nothing.compared) == (True, 0)


def test_cosine_of_extreme_and_zero_vectors() -> None:
    assert cosine(np.array([1e300, 1e300]), np.array([1e-300, 1e-300])) == pytest.approx(1.0)
    assert math.isnan(cosine(np.zeros(2), np.ones(2)))
    assert not closeness(np.zeros(2), np.ones(2), tolerance=2.0, kind="cosine").holds


# -- noise ----------------------------------------------------------------------------------------


def test_noise_is_the_largest_error_of_the_row_and_at_least_the_rounding() -> None:
    exact = np.array([[1.0, 2.0], [4.0, 8.0]])
    plain = np.array([[1.0, 2.5], [4.0, 8.0]])
    half = np.finfo(np.float32).eps / 2
    assert np.array_equal(noise_of(plain, exact), [[0.5, 0.5], [4 * half, 8 * half]])
    assert noise_of(np.array(1.5), np.array(1.0)) == 0.5


def test_noise_without_a_correct_digit_is_ill_conditioned() -> None:
    exact = np.array([[1e-9, 1e-9], [1.0, 1.0]])
    plain = np.array([[1e-3, 1e-9], [1.0, 1.0]])
    noise = noise_of(plain, exact)
    assert np.isnan(noise[0]).all()
    assert not np.isnan(noise[1]).any()
    wrong = np.array([[5.0, 5.0], [1.0, 1.0]])
    found = closeness(wrong, exact, tolerance=4, kind="noise", noise=noise)
    assert (found.holds, found.compared, found.ill_conditioned) == (True, 2, 2)
    hopeless = closeness(wrong[0], exact[0], tolerance=4, kind="noise", noise=noise[0])
    assert (hopeless.compared, hopeless.ill_conditioned) == (0, 2)
    assert hopeless.reason
    assert np.isnan(noise_of(np.array([math.inf]), np.array([1.0]))).all()
    assert np.isnan(noise_of(np.array([math.nan]), np.array([1.0]))).all()


def test_a_zero_that_is_right_is_well_conditioned() -> None:
    noise = noise_of(np.zeros(2), np.zeros(2))
    assert not np.isnan(noise).any()
    assert closeness(np.zeros(2), np.zeros(2), tolerance=1, kind="noise", noise=noise).compared == 2
    assert not closeness(
        np.full(2, 1e-30), np.zeros(2), tolerance=4, kind="noise", noise=noise
    ).holds


def test_noise_passes_rounding_and_catches_a_wrong_reduction() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(50, 256)).astype(np.float32)
    exact = x.astype(np.float64).sum(axis=1)
    plain = np.zeros(50, np.float32)
    for column in range(256):
        plain += x[:, column]
    noise = noise_of(plain, exact)
    assert closeness(x.sum(axis=1), exact, tolerance=4, kind="noise", noise=noise).holds
    one_short = x[:, :-1].sum(axis=1)
    found = closeness(one_short, exact, tolerance=4, kind="noise", noise=noise)
    assert not found.holds
    assert found.error > 1000


def test_noise_needs_its_baseline() -> None:
    with pytest.raises(ValueError, match="baseline"):
        closeness(np.ones(1), np.ones(1), tolerance=1, kind="noise")
