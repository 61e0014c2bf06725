"""Chunk arithmetic against what numpy and counting say."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunkserve.grid import (
    MOST_JOINED,
    Box,
    chunk_box,
    covering,
    grid_shape,
    grow,
    number,
    position_of,
    row_chunk,
    whole,
)

Pair = tuple[tuple[int, ...], tuple[int, ...]]


@st.composite
def gridded(draw: st.DrawFn, smallest: int = 1) -> Pair:
    """A shape and a chunk shape of the same rank."""
    rank = draw(st.integers(0, 3))
    shape = draw(st.tuples(*[st.integers(smallest, 12)] * rank))
    return shape, draw(st.tuples(*[st.integers(1, 14)] * rank))


@given(gridded(smallest=0))
def test_chunks_tile_an_array_exactly_once(case: Pair) -> None:
    shape, chunk = case
    seen = np.zeros(shape, int)
    positions = list(itertools.product(*map(range, grid_shape(shape, chunk))))
    for position in positions:
        box = chunk_box(position, chunk).clip(whole(shape))
        assert box is not None
        seen[box.slices()] += 1
    assert (seen == 1).all()


@given(gridded())
def test_numbers_count_positions_in_c_order(case: Pair) -> None:
    grid = grid_shape(*case)
    for i, position in enumerate(itertools.product(*map(range, grid))):
        assert number(position, grid) == i
        assert position_of(i, grid) == position


@given(gridded(), st.data())
def test_covering_names_the_chunks_that_overlap_and_no_others(case: Pair, data: st.DataObject) -> None:
    shape, chunk = case
    start = tuple(data.draw(st.integers(0, n - 1)) for n in shape)
    box = Box(start, tuple(data.draw(st.integers(a + 1, n)) for a, n in zip(start, shape, strict=True)))
    everything = itertools.product(*map(range, grid_shape(shape, chunk)))
    assert list(covering(box, chunk)) == [p for p in everything if chunk_box(p, chunk).clip(box) is not None]


@given(gridded(), st.data())
def test_a_clipped_box_is_what_both_have_in_common(case: Pair, data: st.DataObject) -> None:
    shape, _ = case
    boxes = []
    for _ in range(2):
        start = tuple(data.draw(st.integers(0, n)) for n in shape)
        boxes.append(Box(start, tuple(data.draw(st.integers(a, n)) for a, n in zip(start, shape, strict=True))))
    masks = [np.zeros(shape, int) for _ in boxes]
    for mask, box in zip(masks, boxes, strict=True):
        mask[box.slices()] = 1
        assert mask.sum() == box.size
    common = boxes[0].clip(boxes[1])
    both = masks[0] & masks[1]
    if common is None:
        assert not both.any()
    else:
        assert both[common.slices()].all()
        assert both.sum() == common.size
        assert common.slices(common.start) == tuple(slice(0, n) for n in common.shape)


@given(st.lists(st.integers(0, 300), max_size=4), st.integers(1, 16), st.integers(1, 20_000))
def test_a_row_chunk_is_one_run_within_the_target(shape: list[int], itemsize: int, target: int) -> None:
    full = [max(1, n) for n in shape]
    chunk = row_chunk(tuple(shape), itemsize, target)
    assert all(1 <= c <= n for c, n in zip(chunk, full, strict=True))
    thick = [axis for axis, c in enumerate(chunk) if c > 1]
    if thick:  # contiguous: all axes behind the first thick one are whole
        assert list(chunk[thick[0] + 1 :]) == full[thick[0] + 1 :]
    size = math.prod(chunk) * itemsize
    assert size <= target or set(chunk) <= {1}
    assert list(chunk) == full or 2 * size >= target


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((100, 1000), (100, 1000)),
        ((1000, 1000), (125, 1000)),  # 131 rows fit; 125 divide evenly
        ((1009, 1000), (131, 1000)),  # a prime number of rows
        ((7, 2, 1_000_000), (1, 1, 125_000)),
        ((), ()),
        ((0, 5), (1, 5)),
    ],
)
def test_rows_are_cut_evenly_where_a_divisor_is_near(shape, expected) -> None:
    assert row_chunk(shape, 8, 2**20) == expected


@given(gridded(), st.integers(1, 16), st.integers(1, 10**6))
def test_grown_chunks_are_multiples_within_target_and_array(case: Pair, itemsize: int, target: int) -> None:
    shape, chunk = case
    grown = grow(shape, chunk, itemsize, target)
    times = [g // c for g, c in zip(grown, chunk, strict=True)]
    assert all(g % c == 0 for g, c in zip(grown, chunk, strict=True))
    assert math.prod(times) <= MOST_JOINED
    assert grown == chunk or math.prod(grown) * itemsize <= target
    assert all(t <= max(1, n) for t, n in zip(times, grid_shape(shape, chunk), strict=True))
    if math.prod(times) < math.prod(grid_shape(shape, chunk)) and 2 * math.prod(times) <= MOST_JOINED:
        assert 2 * math.prod(grown) * itemsize > target  # it could not have grown further


@pytest.mark.parametrize(
    ("shape", "chunk", "itemsize", "expected"),
    [
        ((10**6,), (1,), 8, (8192,)),  # as many as may be joined
        ((10**6,), (16,), 8, (131072,)),
        ((512, 512), (8, 8), 8, (256, 512)),  # last axis first, proportions kept
        ((100, 16, 16), (1, 16, 16), 2, (100, 16, 16)),  # frames join when nothing else is left
        ((5000, 64, 64), (1, 16, 16), 2, (128, 64, 64)),
    ],
)
def test_small_chunks_grow_axis_by_axis(shape, chunk, itemsize, expected) -> None:
    assert grow(shape, chunk, itemsize, 2**20) == expected
