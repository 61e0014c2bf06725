"""A voxel of a level is the method over all its source voxels, rounded once, whatever the way it was computed."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from chunkserve.pyramid.partial import METHODS, Method, Partial, begin, finish, halve, join

INTEGERS = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8"]
FLOATS = ["f2", "f4", "f8"]


def cells(values: np.ndarray, halved, level):
    """Every voxel's source voxels."""
    steps = [2**level if h else 1 for h in halved]
    shape = [-(-n // s) for n, s in zip(values.shape, steps, strict=True)]
    for at in np.ndindex(*shape):
        yield at, tuple(slice(a * s, (a + 1) * s) for a, s in zip(at, steps, strict=True))


def round_half_even(numerator: int, denominator: int) -> int:
    return round(Fraction(numerator, denominator))


def expected(values: np.ndarray, valid: np.ndarray, method: Method, halved, level: int, invalid) -> np.ndarray:
    """The definition, voxel by voxel, from the source (for mode: from the level below)."""
    if method == "mode" and level > 1:
        below = expected(values, valid, method, halved, level - 1, invalid)
        there = np.array([valid[box].any() for _, box in cells(values, halved, level - 1)]).reshape(below.shape)
        return expected(below, there, method, halved, 1, invalid)
    steps = [2**level if h else 1 for h in halved]
    out = np.empty([-(-n // s) for n, s in zip(values.shape, steps, strict=True)], values.dtype)
    for at, box in cells(values, halved, level):
        part, ok = values[box], valid[box]
        some = part[ok]
        if method == "stride":
            out[at] = part.flat[0] if ok.flat[0] else invalid
        elif not some.size:
            out[at] = invalid
        elif method == "mean" and values.dtype.kind in "iub":
            out[at] = round_half_even(sum(int(v) for v in some), some.size)
        elif method == "mean":
            out[at] = some.astype(np.float64).mean()
        elif method == "mode":
            found, votes = np.unique(some, return_counts=True)
            out[at] = found[votes.argmax()]
        else:
            out[at] = some.max() if method == "max" else some.min()
    return out


def computed(values, valid, method, halved, level, invalid):
    partial = begin(values, valid, method, halved)
    for _ in range(level):
        partial = halve(partial)
    return finish(partial, values.dtype, invalid)


@st.composite
def arrays(draw, dtypes=tuple(INTEGERS + FLOATS + ["?"])):
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=9))
    if dtype.kind == "f":
        bound = 1000.0
        elements = st.floats(-bound, bound, width=8 * dtype.itemsize, allow_subnormal=False)
    else:
        elements = None
    values = draw(hnp.arrays(dtype, shape, elements=elements))
    halved = draw(st.tuples(*(st.booleans() for _ in shape)).filter(any))
    valid = draw(hnp.arrays(np.bool_, shape)) if draw(st.booleans()) else None
    return values, valid, halved


@pytest.mark.parametrize("method", METHODS)
@given(case=arrays(), level=st.integers(1, 4))
def test_a_voxel_is_the_method_over_its_source(method: Method, case, level) -> None:
    values, valid, halved = case
    invalid = np.nan if values.dtype.kind == "f" else values.dtype.type(1)
    got = computed(values, valid, method, halved, level, invalid)
    want = expected(values, np.ones(values.shape, bool) if valid is None else valid, method, halved, level, invalid)
    assert got.dtype == values.dtype
    if values.dtype.kind == "f" and method == "mean":
        tight = np.finfo(values.dtype).eps * 4
        np.testing.assert_allclose(
            got.astype("f8"), want.astype("f8"), rtol=tight, atol=1e-9 if values.dtype != "f2" else 1e-3
        )
    else:
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("method", METHODS)
@given(case=arrays(), cut=st.integers(0, 2))
def test_the_way_of_computing_leaves_no_trace(method: Method, case, cut) -> None:
    """Blocks computed alone and joined, even of different masks, are bit for bit what one pass gives."""
    values, valid, halved = case
    step = 4
    starts = [range(0, n, step) for n in values.shape]
    parts: dict[tuple[int, ...], Partial] = {}
    for start in itertools.product(*starts):
        box = tuple(slice(a, a + step) for a in start)
        part = begin(values[box], None if valid is None else valid[box], method, halved)
        for _ in range(cut):
            part = halve(part)
        parts[tuple(a // 2**cut if h else a for a, h in zip(start, halved, strict=True))] = part
    shape = tuple(-(-n // 2**cut) if h else n for n, h in zip(values.shape, halved, strict=True))
    joined = halve(join(parts, shape, values.shape))
    invalid = values.dtype.type(0)
    whole = computed(values, valid, method, halved, cut + 1, invalid)
    assert finish(joined, values.dtype, invalid).tobytes() == whole.tobytes()


@pytest.mark.parametrize("rate", [0.1, 0.5, 5.5])
def test_counts_do_not_drift(rate: float) -> None:
    """A recursive integer mean makes 0 of 0.1 and 6 of 5.5."""
    counts = np.random.default_rng(0).poisson(rate, (64, 64, 64)).astype("u2")
    halved = (True, True, True)
    for level in (1, 2, 3, 4):
        got = computed(counts, None, "mean", halved, level, 0)
        exact = counts.reshape(64 >> level, 1 << level, 64 >> level, 1 << level, 64 >> level, 1 << level).mean(
            (1, 3, 5)
        )
        np.testing.assert_array_equal(got, np.rint(exact))


@pytest.mark.parametrize("dtype", INTEGERS)
def test_the_largest_sums_fit(dtype: str) -> None:
    info = np.iinfo(dtype)
    for value in (info.min, info.max):
        values = np.full((16, 16, 16), value, dtype)
        for level in (1, 2, 3, 4):
            assert (computed(values, None, "mean", (True,) * 3, level, 0) == value).all()


def test_a_sentinel_is_not_averaged_in() -> None:
    """Four dead pixels of 2^32 - 1 among frames of zeros would else be a mean of a billion."""
    frame = np.zeros((4, 4), "u4")
    frame[0, 0] = frame[2:, 2:] = 2**32 - 1
    valid = frame != 2**32 - 1
    got = computed(frame, valid, "mean", (True, True), 1, np.uint32(2**32 - 1))
    assert got.tolist() == [[0, 0], [0, 2**32 - 1]]
