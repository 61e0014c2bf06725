"""Chunks decode to what was written into them, or not at all: never to something else, never to something shorter."""

import bz2
import contextlib
import io
import zlib

import h5py
import hdf5plugin
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chunkserve.codecs.decode import decode, decodes, unblosc, unshuffle
from chunkserve.codecs.filters import BZIP2, DEFLATE, LIBHDF5, NAMES, ZSTD
from chunkserve.codecs.rehead import Pipeline
from chunkserve.errors import Corrupt, Unsupported
from chunkserve.model import Filter
from tests.conftest import pipeline_of

GZIP, SHUFFLE, FLETCHER32 = {"compression": "gzip"}, {"shuffle": True}, {"fletcher32": True}
DECODED_ONLY = {
    "bzip2": dict(hdf5plugin.BZip2()),
    "shuffle-bzip2-fletcher32": SHUFFLE | FLETCHER32 | dict(hdf5plugin.BZip2()),
    "shuffle-lz4-many-blocks": SHUFFLE | dict(hdf5plugin.LZ4(nbytes=1000)),
    "shuffle-lz4-fletcher32": SHUFFLE | FLETCHER32 | dict(hdf5plugin.LZ4(nbytes=1000)),
    "shuffle-bitshuffle": SHUFFLE | dict(hdf5plugin.Bitshuffle()),
    "shuffle-blosc": SHUFFLE | dict(hdf5plugin.Blosc(cname="lz4", shuffle=0)),
}
SAMPLES = {
    "none": {},
    "fletcher32": FLETCHER32,
    "shuffle": SHUFFLE,
    "shuffle-gzip": SHUFFLE | GZIP,
    "gzip-fletcher32": GZIP | FLETCHER32,
    "zstd": dict(hdf5plugin.Zstd()),
    "lz4": dict(hdf5plugin.LZ4()),
    "bitshuffle-lz4": dict(hdf5plugin.Bitshuffle(nelems=64, cname="lz4")),
    "bitshuffle-zstd": dict(hdf5plugin.Bitshuffle(nelems=64, cname="zstd")),
    "blosc": dict(hdf5plugin.Blosc(cname="zstd", shuffle=1)),
    "blosc2": dict(hdf5plugin.Blosc2(cname="zstd", filters=1)),
    **DECODED_ONLY,
}
sampled = pytest.mark.parametrize("filters", SAMPLES.values(), ids=SAMPLES)


@pytest.mark.parametrize("dtype", [np.dtype("u1"), np.dtype("<f8"), np.dtype("S12")], ids=str)
def test_every_pipeline_decodes_to_what_was_written(chunks) -> None:
    for chunk in chunks:
        assert decodes(chunk.pipeline.filters)
        assert decode(chunk.pipeline, chunk.stored, chunk.mask) == chunk.plain, chunk


@pytest.mark.parametrize("filters", DECODED_ONLY.values(), ids=DECODED_ONLY)
@pytest.mark.parametrize("dtype", [np.dtype("u1"), np.dtype(">i4")], ids=str)
def test_pipelines_without_an_equal_decode_too(chunks) -> None:
    for chunk in chunks:
        assert decode(chunk.pipeline, chunk.stored, chunk.mask) == chunk.plain, chunk


def test_snappy_is_left_to_libhdf5(make_chunk, smooth) -> None:
    chunk = make_chunk(smooth("<i4", 1000), **hdf5plugin.Blosc(cname="snappy"))
    with pytest.raises(Unsupported, match="not all readers understand"):
        decode(chunk.pipeline, chunk.stored, 0)


def test_elements_too_wide_for_blosc_are_unshuffled(make_chunk, smooth) -> None:
    chunk = make_chunk(smooth("S300", 40), **SHUFFLE, **GZIP)
    assert decode(chunk.pipeline, chunk.stored, 0) == chunk.plain


def piped(array: np.ndarray, *stages: tuple[int, tuple[int, ...]]) -> tuple[Pipeline, bytes]:
    """An array as a chunk behind any sequence of filters, and that chunk as stored."""
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk(array.shape)
    for number, values in stages:
        plist.set_filter(number, 0, values)
    with h5py.File(io.BytesIO(), "w") as file:
        space = h5py.h5s.create_simple(array.shape)
        dataset = h5py.Dataset(h5py.h5d.create(file.id, b"x", h5py.h5t.py_create(array.dtype), space, plist))
        dataset[...] = array
        return Pipeline(pipeline_of(dataset), array.nbytes, array.itemsize), dataset.id.read_direct_chunk(
            (0,) * array.ndim
        )[1]


@pytest.mark.parametrize("first", [(ZSTD, (3,)), (DEFLATE, (4,)), (BZIP2, (9,))], ids=str)
@pytest.mark.parametrize("then", [(DEFLATE, (4,)), (BZIP2, (9,))], ids=str)
def test_a_compressor_over_a_compressor_is_undone(smooth, first, then) -> None:
    array = smooth("<i4", 1000)
    pipeline, stored = piped(array, first, then)
    if first == then == (DEFLATE, (4,)):
        assert zlib.decompress(zlib.decompress(stored)) == array.tobytes()
    assert decode(pipeline, stored, 0) == array.tobytes()


@pytest.mark.parametrize("last", [ZSTD, 32004, 32008, 32001, 32026])
def test_a_compressor_whose_length_nobody_knows_is_unsupported(smooth, last) -> None:
    array = smooth("<i4", 1000)
    pipeline = Pipeline((Filter(DEFLATE, 0, (4,)), Filter(last, 0, ())), array.nbytes, 4)
    with pytest.raises(Unsupported, match="after another compressor"):
        decode(pipeline, b"\0" * 64, 0)


@sampled
@pytest.mark.parametrize("kind", ["smooth", "noise"])
def test_a_truncated_chunk_is_corrupt(make_chunk, smooth, noise, filters, kind) -> None:
    chunk = make_chunk((smooth if kind == "smooth" else noise)("<i4", 40, 50), **filters)
    size = len(chunk.stored)
    for length in {0, 1, 3, 7, 11, 12, 15, 16, 20, size // 4, size // 2}:
        with pytest.raises(Corrupt):
            decode(chunk.pipeline, chunk.stored[:length], chunk.mask)
    for length in {size - 20, size - 5, size - 4, size - 1}:
        try:
            got = decode(chunk.pipeline, chunk.stored[:length], chunk.mask)
        except Corrupt:
            continue
        assert got == chunk.plain  # what is missing was Blosc2's trailer
        assert "blosc2" in str(chunk.pipeline.filters)


@sampled
@pytest.mark.parametrize("other", [1, 1999, 2001, 50_000])
def test_a_chunk_of_another_length_is_corrupt(make_chunk, smooth, filters, other) -> None:
    chunk = make_chunk(smooth("<i4", 2000), **filters)
    wrong = make_chunk(smooth("<i4", other), **filters)
    with pytest.raises(Corrupt):
        decode(chunk.pipeline, wrong.stored, wrong.mask)


@sampled
@given(data=st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_chunk_is_corrupt_or_of_the_right_length(make_chunk, smooth, filters, data: st.DataObject) -> None:
    chunk = make_chunk(smooth("<i4", 300), **filters)
    stored = bytearray(chunk.stored)
    for _ in range(data.draw(st.integers(1, 3))):
        stored[data.draw(st.integers(0, len(stored) - 1))] = data.draw(st.integers(0, 255))
    try:
        got = decode(chunk.pipeline, bytes(stored), chunk.mask)
    except (Corrupt, Unsupported):
        return
    assert len(got) == len(chunk.plain)
    if "fletcher32" in filters:
        assert got == chunk.plain


@pytest.mark.parametrize("pack", [zlib.compress, bz2.compress], ids=["gzip", "bzip2"])
@pytest.mark.parametrize("behind", [(), (Filter(ZSTD, 0, ()),)], ids=["alone", "over another"])
def test_a_stream_that_inflates_without_end_is_cut_off(pack, behind) -> None:
    bomb = pack(bytes(5_000_000))
    number = DEFLATE if pack is zlib.compress else BZIP2
    pipeline = Pipeline((*behind, Filter(number, 0, ())), 1000, 4)
    with pytest.raises(Corrupt):
        decode(pipeline, bomb, 0)


@pytest.mark.parametrize("number", sorted(set(NAMES) | {99}))
def test_filters_are_known_or_left_to_libhdf5_or_refused(number) -> None:
    stage = Filter(number, 0, ())
    if decodes((stage,)):
        assert number not in LIBHDF5
        return
    with pytest.raises(Unsupported, match=f"filter {number} "):
        decode(Pipeline((stage,), 100, 1), bytes(100), 0)
    assert decode(Pipeline((stage,), 100, 1), bytes(100), 1) == bytes(100)  # skipped for this chunk


@given(st.binary(max_size=4000), st.integers(1, 400))
def test_bytes_are_unshuffled_by_definition(data: bytes, elem: int) -> None:
    whole = len(data) // elem * elem
    shuffled = np.frombuffer(data[:whole], "u1").reshape(-1, elem).T.tobytes() + data[whole:]
    assert unshuffle(shuffled, elem) == data


@given(st.binary(max_size=200), st.integers(0, 300))
def test_nonsense_is_no_blosc_frame(data: bytes, nbytes: int) -> None:
    with contextlib.suppress(Corrupt):
        assert len(unblosc(data, nbytes)) == nbytes


def test_a_chunk_of_nothing_is_nothing() -> None:
    assert decode(Pipeline((), 0, 4), b"", 0) == b""
    with pytest.raises(Corrupt, match="decodes to 4 bytes, expected 0"):
        decode(Pipeline((), 0, 4), b"1234", 0)
