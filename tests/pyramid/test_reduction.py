"""Reductions of blocks, merged, are what numpy makes of the whole array."""

import itertools
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from chunkserve.errors import BadRequest
from chunkserve.grid import chunk_box, covering, whole
from chunkserve.pyramid.reduction import Reduction, Task, reduce_block

INTEGERS = [np.dtype(name) for name in ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "?")]
FLOATS = [np.dtype(name) for name in ("f2", "f4", "f8")]
SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, max_side=7)


def reduced(array: np.ndarray, task: Task, chunk: tuple[int, ...], valid: np.ndarray | None = None) -> dict:
    """Block by block."""
    found = Reduction(task)
    for position in covering(whole(array.shape), chunk):
        box = chunk_box(position, chunk).clip(whole(array.shape))
        assert box is not None
        part = None if valid is None else valid[box.slices()]
        found.merge(reduce_block(task, array[box.slices()], part), box.start)
    return found.results()


@st.composite
def cases(draw: st.DrawFn, dtypes: list[np.dtype]) -> tuple[np.ndarray, tuple[int, ...], tuple[int, ...]]:
    shape = draw(SHAPES)
    array = draw(hnp.arrays(draw(st.sampled_from(dtypes)), shape))
    axes = tuple(sorted(draw(st.sets(st.integers(0, len(shape) - 1))))) if shape else ()
    chunk = tuple(draw(st.integers(1, n)) for n in shape)
    return array, axes, chunk


@given(cases(INTEGERS))
def test_integers_are_reduced_exactly(case: tuple[np.ndarray, tuple[int, ...], tuple[int, ...]]) -> None:
    array, axes, chunk = case
    task = Task(("sum", "min", "max", "count", "mean", "std"), array.dtype, array.shape, axes)
    exact = np.sum(array.astype(object), axis=axes)
    low, high = (0, 2**64) if array.dtype.kind == "u" else (-(2**63), 2**63)
    if any(not low <= int(total) < high for total in np.asarray(exact).reshape(-1)):
        with pytest.raises(BadRequest, match="64 bits"):
            reduced(array, task, chunk)
        return
    found = reduced(array, task, chunk)
    assert found["sum"].dtype == array.sum(axis=axes).dtype
    assert found["sum"].astype(object).tolist() == np.asarray(exact).tolist()
    for name in ("min", "max"):
        expected = getattr(np, name)(array, axis=axes)
        assert found[name].dtype == expected.dtype
        np.testing.assert_array_equal(found[name], expected)
    assert (found["count"] == array.size // max(1, found["count"].size)).all()
    wide = array.astype(np.longdouble)
    scale = float(np.abs(wide).max())
    np.testing.assert_allclose(found["mean"], wide.mean(axis=axes).astype(float), rtol=1e-12, atol=1e-12 * scale)
    np.testing.assert_allclose(found["std"], wide.std(axis=axes).astype(float), rtol=1e-7, atol=1e-9 * scale)


@given(cases(FLOATS))
def test_floats_are_reduced_as_by_numpy_nan_and_infinity_included(
    case: tuple[np.ndarray, tuple[int, ...], tuple[int, ...]],
) -> None:
    array, axes, chunk = case
    task = Task(("sum", "mean", "std", "min", "max"), array.dtype, array.shape, axes)
    found = reduced(array, task, chunk)
    wide = array.astype(np.float64)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        np.testing.assert_array_equal(found["min"], array.min(axis=axes))
        np.testing.assert_array_equal(found["max"], array.max(axis=axes))
        sizes = np.abs(wide).sum(axis=axes)
        finite = np.isfinite(sizes) & (sizes < 1e300)
        np.testing.assert_array_equal(np.isnan(found["min"]), np.isnan(wide.min(axis=axes)))
        for name in ("sum", "mean"):
            expected = np.asarray(getattr(np, name)(wide, axis=axes))
            close = np.asarray(np.abs(found[name] - expected) <= 1e-12 * sizes)
            assert close[finite].all()
            assert np.isnan(found[name][np.isnan(wide).any(axis=axes)]).all()
        largest = np.abs(wide).max(axis=axes)
        close = np.abs(found["std"] - wide.std(axis=axes)) <= 1e-9 * largest + 1e-300
        assert np.asarray(close)[finite & (largest < 1e150)].all()


def test_infinite_elements_give_what_numpy_gives() -> None:
    array = np.array([[1.0, np.inf, 2.0], [np.inf, np.inf, 3.0], [-np.inf, np.inf, np.nan]])
    task = Task(("sum", "mean", "std"), array.dtype, array.shape, (1,))
    for chunk in itertools.product((1, 2, 3), repeat=2):
        found = reduced(array, task, chunk)
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(found["sum"], array.sum(1))
            np.testing.assert_array_equal(found["mean"], array.mean(1))
            np.testing.assert_array_equal(found["std"], array.std(1))


@given(cases([np.dtype("u2"), np.dtype("f4"), np.dtype("i8")]), st.integers(0, 2**32))
def test_only_valid_elements_count(case: tuple[np.ndarray, tuple[int, ...], tuple[int, ...]], seed: int) -> None:
    array, axes, chunk = case
    array = array // 4 if array.dtype.kind in "iu" else np.nan_to_num(array, nan=1, posinf=2, neginf=3) % 1000
    valid = np.random.default_rng(seed).random(array.shape) < 0.6
    masked = np.ma.array(array.astype(np.longdouble), mask=~valid)
    task = Task(("count", "min", "max", "mean"), array.dtype, array.shape, axes)
    found = reduced(array, task, chunk, valid)
    count = valid.sum(axis=axes)
    np.testing.assert_array_equal(found["count"], count)
    for name in ("min", "max", "mean"):
        expected = np.ma.filled(np.ma.asarray(getattr(masked, name)(axis=axes)).astype(float), np.nan)
        np.testing.assert_allclose(found[name].astype(float), np.where(count > 0, expected, np.nan), rtol=1e-9)
    assert count.all() or found["min"].dtype.kind == "f"


@given(
    hnp.arrays(st.sampled_from([np.dtype(d) for d in ("u1", "i4", "f4", "f8")]), hnp.array_shapes(max_dims=2)),
    st.integers(1, 30),
    st.tuples(st.integers(-50, 50), st.integers(0, 100)),
)
def test_histograms_are_those_of_numpy(array: np.ndarray, bins: int, edges: tuple[int, int]) -> None:
    between = (edges[0], edges[0] + edges[1])
    task = Task(("histogram",), array.dtype, array.shape, tuple(range(array.ndim)), bins, between)
    counts, found = reduced(array, task, (1,) * array.ndim)["histogram"]
    expected, at = np.histogram(array, bins=bins, range=between)
    np.testing.assert_array_equal(counts, expected)
    np.testing.assert_array_equal(found, at)


def test_complex_numbers_have_sums_means_and_deviations() -> None:
    array = np.random.default_rng(3).random((5, 6, 2)).view(np.complex128)[..., 0]
    found = reduced(array, Task(("sum", "mean", "std"), array.dtype, array.shape, (0,)), (2, 4))
    for name in ("sum", "mean", "std"):
        np.testing.assert_allclose(found[name], getattr(np, name)(array, axis=0))


def test_the_sum_of_many_large_integers_loses_nothing() -> None:
    array = np.full((3, 1000), 2**62 // 1000, "i8")
    array[1] = -array[0]
    found = reduced(array, Task(("sum",), array.dtype, array.shape, (1,)), (1, 7))["sum"]
    assert found.tolist() == [sum(row) for row in array.tolist()]
    with pytest.raises(BadRequest, match="ask for mean"):
        reduced(array * 3, Task(("sum",), array.dtype, array.shape, (1,)), (1, 7))


def test_nothing_sums_to_zero_and_has_no_mean() -> None:
    found = Reduction(Task(("sum", "mean", "std", "count"), np.dtype("f4"), (0, 3), (0,))).results()
    assert found["sum"].tolist() == [0, 0, 0]
    assert found["count"].tolist() == [0, 0, 0]
    assert np.isnan(found["mean"]).all()
    assert np.isnan(found["std"]).all()
