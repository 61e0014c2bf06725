"""Bitshuffle chunks: blocks, their shorter last ones, and the elements left over."""

import struct

import hdf5plugin
import numpy as np
import pytest

from chunkserve.codecs.bitshuffle import bitshuffle_frame, bitshuffle_growth, default_block, untranspose
from chunkserve.codecs.decode import decode, decode_part
from chunkserve.codecs.frame import CannotReframe
from chunkserve.codecs.rehead import Pipeline, frame
from chunkserve.errors import Corrupt, Unsupported
from chunkserve.model import Filter

CNAMES = ("none", "lz4", "zstd")


@pytest.mark.parametrize("elem", [1, 2, 3, 8, 13])
@pytest.mark.parametrize("count", [8, 24, 128])
def test_untransposing_gathers_the_bits_of_each_element(noise, elem, count) -> None:
    data = noise("u1", count * elem).tobytes()
    bits = np.array([[data[i * elem + j // 8] >> j % 8 & 1 for i in range(count)] for j in range(8 * elem)])
    rows = [sum(int(bit) << k for k, bit in enumerate(row[at : at + 8])) for row in bits for at in range(0, count, 8)]
    assert untranspose(bytes(rows), elem) == data


@pytest.mark.parametrize("dtype", ["u1", "<u2", "<f8", "S12", "S100"])
def test_the_default_block_is_bitshuffles_own(make_chunk, smooth, dtype) -> None:
    chunk = make_chunk(smooth(dtype, 9000), **hdf5plugin.Bitshuffle(cname="lz4"))
    assert struct.unpack_from(">I", chunk.stored, 8) == (default_block(np.dtype(dtype).itemsize),)


@pytest.mark.parametrize("cname", CNAMES)
@pytest.mark.parametrize("nelems", [0, 8, 32])
@pytest.mark.parametrize("dtype", ["u1", "<i4", "S13"])
def test_every_number_of_elements_left_over_survives(make_chunk, noise, unblosc, cname, nelems, dtype) -> None:
    for count in (*range(1, 42), 64, 71):
        array = noise(dtype, count).copy()
        array[: count // 2] = array[0]
        chunk = make_chunk(array, **hdf5plugin.Bitshuffle(nelems=nelems, cname=cname))
        made = frame(chunk.pipeline, chunk.stored, 0)
        data = made.assemble(chunk.stored)
        assert unblosc(data) == {chunk.plain}, count
        assert decode(chunk.pipeline, chunk.stored, 0) == chunk.plain
        stage, nbytes, itemsize = chunk.pipeline.filters[0], chunk.pipeline.nbytes, chunk.pipeline.itemsize
        assert bitshuffle_growth(stage, nbytes, itemsize) == (None if count % 8 else len(data) - len(chunk.stored))


@pytest.mark.parametrize("cname", CNAMES)
def test_client_values_left_out_mean_the_defaults(make_chunk, smooth, unblosc, cname) -> None:
    chunk = make_chunk(smooth("<i4", 5000), **hdf5plugin.Bitshuffle(cname=cname))
    values = chunk.pipeline.filters[0].values
    short = Filter(32008, 0, (*values[:2], 0, 0, *values[4:]) if cname != "none" else ())
    made = bitshuffle_frame(short, 20000, 4, memoryview(chunk.stored))
    assert unblosc(made.assemble(chunk.stored)) == {chunk.plain}


@pytest.mark.parametrize(
    ("values", "itemsize", "error", "message"),
    [
        ((0, 2, 300, 0, 2), 300, CannotReframe, "elements of 300 bytes"),
        ((0, 2, 4, 0, 7), 4, CannotReframe, "compressor 7"),
        ((0, 2, 7, 0, 2), 4, CannotReframe, "no whole number"),
    ],
)
def test_what_blosc_cannot_spell_is_left_to_the_decoder(values, itemsize, error, message) -> None:
    body = struct.pack(">QI", 1200, 9600) + bytes(40)
    with pytest.raises(error, match=message):
        bitshuffle_frame(Filter(32008, 0, values), 1200, itemsize, memoryview(body))
    assert bitshuffle_growth(Filter(32008, 0, values), 1200, itemsize) is None


@pytest.mark.parametrize("cname", CNAMES)
def test_elements_too_long_for_blosc_are_said_to_be_unsupported(make_chunk, smooth, cname) -> None:
    chunk = make_chunk(smooth("S300", 40), **hdf5plugin.Bitshuffle(cname=cname))
    with pytest.raises(Unsupported, match="elements of 300 bytes"):
        decode(chunk.pipeline, chunk.stored, 0)


@pytest.mark.parametrize(
    ("at", "word"),
    [(0, 1), (4, 0), (4, 4001), (8, 0), (8, 20), (8, 2**32 - 32), (12, 0), (12, 2**32 - 1), (12, 5)],
)
def test_headers_that_contradict_the_chunk_are_corrupt(make_chunk, smooth, at, word) -> None:
    chunk = make_chunk(smooth("<i4", 1000), **hdf5plugin.Bitshuffle(nelems=64, cname="lz4"))
    damaged = bytearray(chunk.stored)
    struct.pack_into(">I", damaged, at, word)
    for attempt in (frame, decode):
        with pytest.raises(Corrupt):
            attempt(chunk.pipeline, damaged, 0)


@pytest.mark.parametrize("cname", CNAMES)
@pytest.mark.parametrize("count", [5, 128, 203])
def test_no_truncated_chunk_is_taken_for_a_whole_one(make_chunk, noise, cname, count) -> None:
    chunk = make_chunk(noise("<i2", count), **hdf5plugin.Bitshuffle(nelems=32, cname=cname))
    for length in range(len(chunk.stored)):
        for attempt in (frame, decode):
            with pytest.raises(Corrupt):
                attempt(chunk.pipeline, chunk.stored[:length], 0)


def test_a_block_size_in_the_chunk_wins_over_the_client_values(make_chunk, smooth, unblosc) -> None:
    chunk = make_chunk(smooth("<i4", 1000), **hdf5plugin.Bitshuffle(nelems=64, cname="lz4"))
    (stage,) = chunk.pipeline.filters
    other = Pipeline((Filter(32008, 0, (*stage.values[:3], 128, *stage.values[4:])),), 4000, 4)
    assert unblosc(frame(other, chunk.stored, 0).assemble(chunk.stored)) == {chunk.plain}


@pytest.mark.parametrize("cname", CNAMES)
@pytest.mark.parametrize("count", [4096, 4099, 5000])
def test_some_blocks_are_decoded_alone(make_chunk, smooth, cname, count) -> None:
    chunk = make_chunk(smooth("<u2", count), **hdf5plugin.Bitshuffle(nelems=256, cname=cname))
    for start, stop in ((0, 1), (511, 513), (1000, 3000), (7680, 8192), (0, 8192), (2 * count - 1, 2 * count)):
        found = decode_part(chunk.pipeline, chunk.stored, 0, range(start, stop))
        if cname == "none" or (stop - 1) // 512 >= 2 * count // 512:
            assert found is None, "a last, shorter block needs the whole"
            continue
        assert found is not None
        first, data = found
        assert first == start // 512 * 512
        assert len(data) == -(-stop // 512) * 512 - first
        assert data == chunk.plain[first : first + len(data)]


def test_a_part_of_a_chunk_that_does_not_add_up_is_not_decoded(make_chunk, smooth) -> None:
    chunk = make_chunk(smooth("<u2", 4096), **hdf5plugin.Bitshuffle(nelems=256, cname="lz4"))
    for damaged in (chunk.stored[:-1], chunk.stored + b"\0", chunk.stored[:5], b"\0" * 8 + chunk.stored[8:]):
        with pytest.raises(Corrupt):
            decode_part(chunk.pipeline, damaged, 0, range(10, 20))


def test_nothing_but_bitshuffle_has_parts(make_chunk, smooth) -> None:
    for filters in ({"compression": "gzip", "shuffle": True}, dict(hdf5plugin.Zstd())):
        chunk = make_chunk(smooth("<u2", 4096), **filters)
        assert decode_part(chunk.pipeline, chunk.stored, 0, range(10, 20)) is None
