"""HDF5-Blosc2 chunks: n-dimensional blocks as frames of their own, and no faith in what a frame says of itself."""

import itertools
import math
import struct

import blosc2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chunkserve.codecs.blosc2chunk import block_frame, block_shape, frame, in_c_order, inner_chunk, read_header
from chunkserve.codecs.frame import CannotReframe
from chunkserve.errors import Corrupt

CODECS = {
    "lz4": blosc2.Codec.LZ4,
    "zstd": blosc2.Codec.ZSTD,
    "zlib": blosc2.Codec.ZLIB,
    "blosclz": blosc2.Codec.BLOSCLZ,
}
FILTERS = {"none": blosc2.Filter.NOFILTER, "shuffle": blosc2.Filter.SHUFFLE, "bitshuffle": blosc2.Filter.BITSHUFFLE}
SHAPE, BLOCK = (64, 96), (16, 32)


def cframe(
    array: np.ndarray, block: tuple[int, ...], codec: str = "zstd", kind: str = "shuffle", **how: object
) -> bytes:
    """An array as HDF5-Blosc2 stores it: one chunk in a contiguous frame."""
    cparams = blosc2.CParams(codec=CODECS[codec], filters=[FILTERS[kind]], clevel=5, nthreads=1, **how)
    return blosc2.asarray(array, chunks=array.shape, blocks=block, cparams=cparams).to_cframe()


@pytest.mark.parametrize("dtype", ["u1", "<u2", "<f4", "<f8", "S12"])
@pytest.mark.parametrize("kind", FILTERS)
@pytest.mark.parametrize("codec", CODECS)
def test_every_block_is_a_frame_that_all_decoders_read(smooth, noise, unblosc, codec, kind, dtype) -> None:
    array = smooth(dtype, *SHAPE).copy()
    array[:16, :32] = noise(dtype, 16, 32)  # a block that does not compress
    body = memoryview(cframe(array, BLOCK, codec, kind))
    assert block_shape(body) == (SHAPE, BLOCK)
    frames = 0
    for i, (row, column) in enumerate(itertools.product(range(0, 64, 16), range(0, 96, 32))):
        want = np.ascontiguousarray(array[row : row + 16, column : column + 32]).tobytes()
        try:
            made = block_frame(body, array.nbytes, BLOCK, i)
        except CannotReframe:
            continue
        frames += 1
        assert unblosc(made.assemble(bytes(body))) == {want}
    assert frames
    with pytest.raises(CannotReframe, match="not in C order"):
        frame(body, array.nbytes)


@pytest.mark.parametrize("block", [(64, 96), (16, 96), (4, 96)], ids=str)
def test_blocks_in_c_order_are_one_frame(noise, unblosc, block) -> None:
    array = noise("<u2", *SHAPE) & 0x3FF  # compresses, and nowhere to a run
    body = memoryview(cframe(array, block))
    assert in_c_order(*block_shape(body))
    made = frame(body, array.nbytes)
    assert unblosc(made.assemble(bytes(body))) == {array.tobytes()}


@given(st.integers(1, 3).flatmap(lambda n: st.tuples(*[st.tuples(st.integers(1, 3), st.integers(1, 3))] * n)))
def test_c_order_is_what_laying_blocks_end_to_end_gives(pairs: tuple[tuple[int, int], ...]) -> None:
    block, chunk = tuple(b for b, _ in pairs), tuple(b * n for b, n in pairs)
    array = np.arange(math.prod(chunk)).reshape(chunk)
    corners = itertools.product(*(range(0, c, b) for c, b in zip(chunk, block, strict=True)))
    laid = [array[tuple(slice(a, a + b) for a, b in zip(corner, block, strict=True))].ravel() for corner in corners]
    if in_c_order(chunk, block):
        assert np.concatenate(laid).tolist() == array.ravel().tolist()
    elif np.concatenate(laid).tolist() == array.ravel().tolist():
        assert any(b == 1 for b in block)  # may be missed, which costs a decoding


@pytest.mark.parametrize("i", [-1, 12, 1000])
def test_a_block_beyond_the_chunk_is_corrupt(smooth, i) -> None:
    array = smooth("<u2", *SHAPE)
    with pytest.raises(Corrupt, match="no whole block"):
        block_frame(memoryview(cframe(array, BLOCK)), array.nbytes, BLOCK, i)


def test_a_chunk_with_other_blocks_than_its_neighbours_is_decoded(smooth) -> None:
    array = smooth("<u2", *SHAPE)
    with pytest.raises(CannotReframe, match="other blocks"):
        block_frame(memoryview(cframe(array, (32, 32))), array.nbytes, BLOCK, 0)


@pytest.mark.parametrize("array", [np.zeros(SHAPE, "<u2"), np.full(SHAPE, 7, "<u2")], ids=["zeros", "sevens"])
def test_runs_are_never_passed_on_as_streams(unblosc, array) -> None:
    body = memoryview(cframe(array, BLOCK))
    for i in range(12):
        try:
            made = block_frame(body, array.nbytes, BLOCK, i)
        except CannotReframe:
            continue
        assert unblosc(made.assemble(bytes(body))) == {array[:16, :32].tobytes()}


def test_a_frame_of_another_size_is_corrupt(smooth) -> None:
    array = smooth("<u2", *SHAPE)
    body = memoryview(cframe(array, BLOCK))
    for nbytes in (array.nbytes - 1, array.nbytes + 2, 0):
        with pytest.raises(Corrupt, match="expected"):
            inner_chunk(body, nbytes)
    for short in (b"", body[:0x56], b"\0" * 200):
        with pytest.raises(Corrupt, match="not a Blosc2 frame"):
            inner_chunk(memoryview(short), array.nbytes)


@pytest.mark.parametrize(
    ("at", "value"),
    [(3, b"\0"), (4, b"\0\0\0\0"), (8, b"\0\0\0\0"), (8, b"\xff\xff\xff\xff"), (12, b"\xff\xff\xff\x7f")],
)
def test_a_header_that_contradicts_the_chunk_is_corrupt(smooth, at, value) -> None:
    array = smooth("<u2", *SHAPE)
    chunk = bytearray(inner_chunk(memoryview(cframe(array, BLOCK)), array.nbytes))
    chunk[at : at + len(value)] = value
    with pytest.raises(Corrupt):
        read_header(memoryview(chunk), array.nbytes)


ARRAY = (np.arange(math.prod(SHAPE), dtype="<u2") // 7).reshape(SHAPE)
BODY = cframe(ARRAY, BLOCK)
LAYER = BODY.index(b"b2nd")
EDGES = st.sampled_from([*range(0x57 + 40), *range(LAYER, LAYER + 60)])


@given(st.lists(st.tuples(EDGES | st.integers(0, len(BODY) - 1), st.integers(0, 255)), min_size=1, max_size=3))
@example([(LAYER + 30, 0)])  # the chunk's shape is a number
@settings(max_examples=400, deadline=None)
def test_a_damaged_frame_is_refused_or_stays_within_its_chunk(edits: list[tuple[int, int]]) -> None:
    damaged = bytearray(BODY)
    for at, value in edits:
        damaged[at] = value
    for make in (lambda b: frame(b, ARRAY.nbytes), lambda b: block_frame(b, ARRAY.nbytes, BLOCK, 3)):
        try:
            made = make(memoryview(damaged))
        except (Corrupt, CannotReframe):
            continue
        assert 0 <= made.start <= made.stop <= len(damaged)
        assert len(made.assemble(bytes(damaged))) == made.size


@given(st.integers(0, len(BODY) - 1))
def test_a_truncated_frame_is_refused(length: int) -> None:
    body = memoryview(BODY[:length])
    try:
        made = block_frame(body, ARRAY.nbytes, BLOCK, 11)
    except (Corrupt, CannotReframe):
        return
    assert made.stop <= length  # only the trailer is missing


def test_blocks_of_no_extent_are_corrupt() -> None:
    place = BODY.index(struct.pack(">BiBi", 0xD2, BLOCK[0], 0xD2, BLOCK[1]), LAYER)
    damaged = bytearray(BODY)
    damaged[place + 1 : place + 5] = bytes(4)
    with pytest.raises(Corrupt, match="b2nd"):
        frame(memoryview(damaged), ARRAY.nbytes)
