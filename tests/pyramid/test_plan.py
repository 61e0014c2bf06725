"""Levels shrink until they fit one chunk; blocks yield every chunk of every level exactly once."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunkserve.grid import grid_shape
from chunkserve.pyramid.plan import BLOCK_BYTES, Plan, plan


@st.composite
def plans(draw, most=20_000) -> Plan:
    shape = tuple(draw(st.lists(st.integers(1, most), min_size=2, max_size=4)))
    halved = draw(st.tuples(*(st.booleans() for _ in shape)))
    source = tuple(draw(st.integers(1, n)) for n in shape)
    return plan(shape, halved, source, draw(st.sampled_from([1, 2, 4, 8])))


@given(plans())
def test_levels_halve_until_one_chunk_holds_them(p: Plan) -> None:
    for level in range(1, p.count + 1):
        finer = p.extent(level - 1)
        assert p.extent(level) == tuple(-(-n // 2) if h else n for n, h in zip(finer, p.halved, strict=True))
    last = [n <= c for n, c, h in zip(p.extent(p.count), p.chunk, p.halved, strict=True) if h]
    assert all(last)
    if p.count > 0:
        assert not all(n <= c for n, c, h in zip(p.extent(p.count - 1), p.chunk, p.halved, strict=True) if h)


@given(plans(most=3000))
def test_a_block_is_made_of_few_bytes_unless_a_chunk_is_large(p: Plan) -> None:
    if p.count > 1 and p.first > 1:
        assert p.source_box(p.first, (0,) * len(p.shape)).size <= BLOCK_BYTES


SMALL = [
    plan((300, 700, 500), (True, True, True), (64, 64, 64), 2),
    plan((5, 2162, 2068), (False, True, True), (1, 2162, 2068), 4),
    plan((9, 1500, 1300), (False, True, True), (4, 100, 1300), 8),
    plan((700, 900, 300), (True, True, False), (16, 16, 300), 4),
    plan((20_000, 20_000), (True, True), (13, 20_000), 4),
    plan((1, 1, 1), (True, True, True), (1, 1, 1), 1),
    plan((4000, 7), (True, False), (4000, 7), 1),
]


@pytest.mark.parametrize("p", SMALL, ids=lambda p: str(p.shape))
def test_blocks_yield_every_chunk_once(p: Plan) -> None:
    for level in range(1, p.count + 1):
        at = p.block_level(level)
        seen: Counter[tuple[int, ...]] = Counter()
        for block in np.ndindex(*p.block_grid(at)):
            for position, box in p.chunks_in(level, at, block):
                seen[position] += 1
                assert p.block_of(level, position) == block
                assert box.shape == tuple(
                    min(c, n - q * c) for c, n, q in zip(p.chunk, p.extent(level), position, strict=True)
                )
        assert seen == Counter(np.ndindex(*p.grid(level)))


@pytest.mark.parametrize("p", SMALL, ids=lambda p: str(p.shape))
def test_blocks_cover_the_source_once_and_are_made_of_the_blocks_below(p: Plan) -> None:
    if not p.count:
        return
    boxes = [p.source_box(p.first, block) for block in np.ndindex(*p.block_grid(p.first))]
    assert sum(box.size for box in boxes) == math.prod(p.shape)
    for level in range(p.first + 1, p.count + 1):
        made: Counter[tuple[int, ...]] = Counter()
        for block in np.ndindex(*p.block_grid(level)):
            made.update(p.below(level, block))
        assert made == Counter(np.ndindex(*p.block_grid(level - 1)))
        assert p.block_grid(level) == grid_shape(p.extent(level), p.block)


def test_a_block_covers_whole_stored_chunks_where_these_are_larger() -> None:
    p = plan((100, 2162, 2068), (False, True, True), (1, 2162, 2068), 4)
    assert p.source_box(p.first, (7, 0, 0)).shape == (1, 2162, 2068)
    p = plan((100, 512, 512), (False, True, True), (10, 512, 512), 2)
    assert p.source_box(p.first, (3, 0, 0)).shape == (10, 512, 512)


@pytest.mark.parametrize(
    ("shape", "halved", "itemsize", "chunk"),
    [
        ((500, 500, 500), (True, True, True), 2, (64, 64, 64)),
        ((500, 500, 500), (True, True, True), 4, (64, 64, 64)),
        ((20, 4000, 4000), (False, True, True), 4, (1, 512, 512)),
        ((4000, 4000), (True, True), 8, (512, 512)),
        ((300, 300, 2048), (True, True, False), 4, (64, 64, 64)),
    ],
)
def test_chunks_are_squares_of_about_a_megabyte(shape, halved, itemsize, chunk) -> None:
    assert plan(shape, halved, (1,) * len(shape), itemsize).chunk == chunk
