"""Coordinates give positions only where they are regular."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunkserve.metadata.spacing import Spacing, spacing


def test_regular_coordinates_are_a_spacing() -> None:
    assert spacing(np.array([2.0, 2.5, 3.0]), 3) == Spacing(0.5, 2.0)
    assert spacing(np.array([-3, -1, 1], "i2"), 3) == Spacing(2.0, -3.0)
    assert spacing(np.array([10, 250], "u1"), 2) == Spacing(240.0, 10.0)


def test_edges_of_bins_give_the_centre_of_the_first() -> None:
    assert spacing(np.array([0.0, 2.0, 4.0]), 2) == Spacing(2.0, 1.0)
    assert spacing(np.array([0.0, 2.0]), 1) == Spacing(2.0, 1.0)


def test_descending_coordinates_keep_their_spacing_and_lose_their_origin() -> None:
    assert spacing(np.array([90.0, 89.0, 88.0]), 3) == Spacing(1.0, 0.0)


@pytest.mark.parametrize(
    ("values", "size"),
    [
        ([1.0], 1),  # one point has no step
        ([1.0, 2.0, 4.0], 3),
        ([1.0, 1.0, 1.0], 3),
        ([1.0, np.nan, 3.0], 3),
        ([1.0, 2.0, np.inf], 3),
        ([-1.7e308, 1.7e308], 2),
        ([0.0, 1e-200], 2),
        ([1e300, 1e300 + 1e290], 2),
        ([1.0, 2.0], 3),  # of another length than the axis
        ([1.0, 2.0, 3.0, 4.0], 2),
        ([0.0, 1.0, 2.0 + 3e-4], 3),
        ([[0.0, 1.0]], 1),
        ([], 0),
    ],
)
def test_irregular_coordinates_are_none(values: list, size: int) -> None:
    assert spacing(np.array(values), size) is None


def test_values_that_are_no_real_numbers_are_none() -> None:
    for values in (np.array(["a", "b"]), np.array([0j, 1j]), np.array([0, 1], "M8[s]"), np.array([True, False])):
        assert spacing(values, 2) is None


def test_small_irregularities_and_the_rounding_of_float32_are_forgiven() -> None:
    assert spacing(np.array([0.0, 1.00005, 2.0]), 3) == Spacing(1.0, 0.0)
    found = spacing(np.linspace(170.0, 180.0, 1001).astype("f4"), 1001)
    assert found is not None
    assert found.scale == pytest.approx(0.01, rel=1e-4)


def test_float32_that_lost_its_steps_is_not_regular() -> None:
    assert spacing((1e8 + np.arange(100.0)).astype("f4"), 100) is None


@given(
    st.integers(2, 300),
    st.floats(-1e6, 1e6),
    st.floats(1e-3, 1e6),
    st.sampled_from(["f8", ">f8"]),
)
def test_every_regular_axis_is_found(size: int, first: float, step: float, dtype: str) -> None:
    found = spacing((first + step * np.arange(size)).astype(dtype), size)
    assert found is not None
    assert found.scale == pytest.approx(step, rel=1e-4)
    assert found.translation == pytest.approx(first)
