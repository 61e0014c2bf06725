"""A block made slab by slab is bit for bit the block made at once."""

from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from chunkserve.grid import Box, whole
from chunkserve.pyramid import cascade
from chunkserve.pyramid.cascade import Cascade, cut
from chunkserve.pyramid.partial import METHODS, Method, begin, finish, halve
from chunkserve.pyramid.span import span_of

SMALL = st.integers(-3, 3) | st.integers(120, 140) | st.integers(-(2**17), 2**17)


@st.composite
def blocks(draw):
    dtype = np.dtype(draw(st.sampled_from(["u1", "i2", "u2", "u4", "i4", "u8", "i8", "f4", "f8"])))
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=14))
    numbers = SMALL.map(abs) if dtype.kind == "u" else SMALL
    values = np.asarray(draw(hnp.arrays(np.int64, shape, elements=numbers))).astype(dtype)
    valid = draw(hnp.arrays(np.bool_, shape)) if draw(st.booleans()) else None
    halved = draw(st.tuples(*(st.booleans() for _ in shape)).filter(any))
    return values, valid, halved


@pytest.mark.parametrize("method", METHODS)
@given(block=blocks(), count=st.integers(1, 3), size=st.integers(1, 300), far=st.integers(0, 2))
def test_slabs_leave_no_trace(method: Method, block, count: int, size: int, far: int) -> None:
    values, valid, halved = block
    origin = tuple(far * 2**count for _ in values.shape)
    box = Box(origin, tuple(o + n for o, n in zip(origin, values.shape, strict=True)))
    mark = values.dtype.type(1)
    made = Cascade(box, halved, method, (values.dtype, mark), count)
    with mock.patch.object(cascade, "SLAB", size):
        for slab in reversed(list(made.slabs(box, values.itemsize))):
            at = slab.slices(origin)
            good = None if valid is None else valid[at]
            made.add(slab, values[at], good, span_of(values[at], good))
    partial = begin(values, valid, method, halved)
    for level in made.levels:
        partial = halve(partial)
        want = finish(partial, values.dtype, mark)
        assert (level.dtype, level.tobytes()) == (want.dtype, want.tobytes())
    last = finish(halve(made.partial), values.dtype, mark)
    assert last.tobytes() == finish(halve(partial), values.dtype, mark).tobytes()
    assert made.span == span_of(values, valid)


@given(
    shape=hnp.array_shapes(min_dims=1, max_dims=3, max_side=30),
    steps=st.lists(st.sampled_from([1, 2, 4]), min_size=3, max_size=3),
    size=st.integers(1, 4000),
)
def test_slabs_cover_a_box_once_in_whole_steps(shape: tuple[int, ...], steps: list[int], size: int) -> None:
    box = whole(shape)
    seen = np.zeros(shape, int)
    with mock.patch.object(cascade, "SLAB", size):
        for slab in cut(box, tuple(steps[: len(shape)]), 2):
            seen[slab.slices()] += 1
            for start, stop, step, n in zip(slab.start, slab.stop, steps, shape, strict=False):
                assert start % step == 0
                assert stop % step == 0 or stop == n
    assert (seen == 1).all()
