"""The verdict on a dataset follows from its filters, its shape and its type, and from nothing else."""

import io
import math
from collections.abc import Callable

import h5py
import hdf5plugin
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunkserve.datatypes import DataType
from chunkserve.hdf5.describe import describe_dataset
from chunkserve.hdf5.types import describe_type
from chunkserve.metadata.present import Plan, Presentation, Thresholds, present
from chunkserve.metadata.served import serve
from chunkserve.model import Dataset, Filter

U2, F4 = DataType("integer", 2, "<"), DataType("float", 4, "<")
LIMITS = Thresholds()
GZIP, SHUFFLE, FLETCHER32 = {"compression": "gzip"}, {"shuffle": True}, {"fletcher32": True}


def verdict(dataset: Dataset, zarr_format: int = 3, limits: Thresholds = LIMITS) -> Presentation:
    served = serve(dataset.type)
    return present(dataset, served, dataset.shape + served.dims, zarr_format, limits)


@pytest.fixture
def chunked() -> Callable[..., Dataset]:
    """The header of an empty dataset."""

    def make(chunks=(256, 512), dtype="<u2", shape=(1024, 512), **filters: object) -> Dataset:
        with h5py.File(io.BytesIO(), "w") as file:
            return describe_dataset(file.create_dataset("x", shape, dtype, chunks=chunks, **filters).id, 1000)

    return make


@pytest.mark.parametrize(
    ("filters", "expected", "encoding", "blosc"),
    [
        ({}, "as stored", "raw", None),
        (FLETCHER32, "as stored (checksum verified)", "raw", None),
        (GZIP, "re-headed (gzip)", "blosc", ("zlib", "noshuffle")),
        (SHUFFLE | GZIP, "re-headed (shuffle+gzip)", "blosc", ("zlib", "shuffle")),
        (SHUFFLE | GZIP | FLETCHER32, "re-headed (shuffle+gzip+fletcher32)", "blosc", ("zlib", "shuffle")),
        (SHUFFLE, "re-headed (shuffle)", "blosc", ("lz4", "shuffle")),
        (SHUFFLE | dict(hdf5plugin.Zstd()), "re-headed (shuffle+zstd)", "blosc", ("zstd", "shuffle")),
        (dict(hdf5plugin.LZ4()), "re-headed (lz4)", "blosc", ("lz4", "noshuffle")),
        (dict(hdf5plugin.Bitshuffle(cname="lz4")), "re-headed (bitshuffle-lz4)", "blosc", ("lz4", "bitshuffle")),
        (dict(hdf5plugin.Bitshuffle(cname="zstd")), "re-headed (bitshuffle-zstd)", "blosc", ("zstd", "bitshuffle")),
        (dict(hdf5plugin.Blosc(cname="zlib", shuffle=2)), "as stored (blosc)", "blosc", ("zlib", "bitshuffle")),
        (dict(hdf5plugin.Blosc2(cname="lz4", filters=1)), "re-headed (blosc2)", "blosc", ("lz4", "shuffle")),
        ({"compression": "lzf"}, "decoded (lzf has no equal", "blosc", ("zstd", "shuffle")),
        ({"compression": "szip"}, "decoded (szip has no equal", "blosc", ("zstd", "shuffle")),
        ({"scaleoffset": 0}, "decoded (scaleoffset has no equal", "blosc", ("zstd", "shuffle")),
        (dict(hdf5plugin.BZip2()), "decoded (bzip2 has no equal", "blosc", ("zstd", "shuffle")),
        (dict(hdf5plugin.Zfp(rate=8)) | {"dtype": "<f4"}, "decoded (zfp has no equal", "blosc", ("zstd", "shuffle")),
        (
            SHUFFLE | dict(hdf5plugin.LZ4(nbytes=4096)),
            "decoded (shuffle over the whole chunk, but LZ4 in several blocks",
            "blosc",
            ("zstd", "shuffle"),
        ),
    ],
    ids=lambda v: v if isinstance(v, str) else None,
)
@pytest.mark.parametrize("zarr_format", [3, 2])
def test_large_chunks_are_passed_on_if_their_filters_have_an_equal(
    chunked, filters, expected, encoding, blosc, zarr_format
) -> None:
    found = verdict(chunked(**filters), zarr_format)
    assert found.verdict.startswith(expected)
    assert (found.encoding, found.inner, found.built) == (encoding, None, False)
    assert (found.chunk, found.grid) == ((256, 512), (4, 1))
    if blosc:
        assert (found.blosc.cname, found.blosc.shuffle) == blosc
        assert found.blosc.typesize in (2, 4)


@pytest.mark.parametrize("chunks", [(4, 8), (128, 128), (256, 512)], ids=["tiny", "small", "large"])
def test_a_filter_nobody_has_is_refused_whatever_the_size(chunked, chunks) -> None:
    dataset = chunked(chunks)
    unknown = Dataset(**vars(dataset) | {"filters": (Filter(32003, 0, (), "vendor"), *dataset.filters)})
    assert verdict(unknown).verdict == "not served (filter 32003 (vendor) is not available)"


@pytest.mark.parametrize(
    ("filters", "zarr_format", "plan", "why", "built"),
    [
        ({}, 3, Plan.SHARDED, "as stored chunks of 32768 bytes", False),
        (SHUFFLE | GZIP, 3, Plan.SHARDED, "re-headed chunks of 32768 bytes", False),
        (dict(hdf5plugin.Bitshuffle()), 3, Plan.SHARDED, "re-headed chunks of 32768 bytes", False),
        (dict(hdf5plugin.Blosc2()), 3, Plan.SHARDED, "re-headed chunks of 32768 bytes", True),
        ({"compression": "lzf"}, 3, Plan.DECODED, "lzf has no equal", False),
        ({}, 2, Plan.DECODED, "chunks of 32768 bytes are merged, format 2 has no shards", False),
        (GZIP, 2, Plan.DECODED, "chunks of 32768 bytes are merged, format 2 has no shards", False),
    ],
)
def test_small_chunks_are_shards_where_there_are_shards(chunked, filters, zarr_format, plan, why, built) -> None:
    found = verdict(chunked((128, 128), **filters), zarr_format)
    assert found.plan is plan
    assert found.why.startswith(why)
    if plan is Plan.SHARDED:
        assert (found.inner, found.chunk, found.inner_count, found.built) == ((128, 128), (1024, 512), 32, built)
    elif zarr_format == 2:
        assert (found.chunk, found.encoding) == ((1024, 512), "blosc")


@pytest.mark.parametrize("filters", [{}, GZIP, {"compression": "lzf"}], ids=str)
@pytest.mark.parametrize("zarr_format", [3, 2])
def test_tiny_chunks_are_merged(chunked, filters, zarr_format) -> None:
    found = verdict(chunked((16, 16), **filters), zarr_format)
    assert found.plan is Plan.DECODED
    assert "chunks of 512 bytes are merged" in found.why
    assert (found.chunk, found.inner) == ((1024, 512), None)
    assert ("lzf" in found.why) is ("lzf" in filters.values())


def test_a_single_chunk_is_never_too_small(chunked) -> None:
    for chunks in ((16, 16), (128, 128)):
        assert verdict(chunked(chunks, shape=chunks, **GZIP)).plan is Plan.REHEADED


def test_records_are_not_sharded(chunked) -> None:
    found = verdict(chunked((64, 64), np.dtype([("a", "<u4"), ("b", "<f4")])))
    assert (found.plan, found.inner) == (Plan.DECODED, None)
    assert found.why.endswith("records are not sharded")


@pytest.mark.parametrize(
    ("filters", "plan"), [(GZIP, Plan.REFUSED), ({"compression": "lzf"}, Plan.REFUSED), ({}, Plan.STORED)], ids=str
)
def test_chunks_over_the_limit_are_refused_unless_nobody_needs_them_whole(chunked, filters, plan) -> None:
    found = verdict(chunked(**filters), limits=Thresholds(max_chunk=2**18 - 1))
    assert found.plan is plan
    assert ("setting max_chunk" in found.why) is (plan is Plan.REFUSED)
    assert verdict(chunked(**filters), limits=Thresholds(max_chunk=2**18)).plan is not Plan.REFUSED


@pytest.mark.parametrize(
    ("dtype", "plan", "why"),
    [
        (np.longdouble, Plan.DECODED, "long double is read as float64"),
        ([("a", ">i4"), ("b", "<f4")], Plan.DECODED, "fields are packed and made little-endian"),
        (h5py.string_dtype(), Plan.DECODED, "variable-length strings"),
        ([("a", "<i4"), ("b", "<f4")], Plan.STORED, ""),
        (">c16", Plan.STORED, ""),
        ("S300", Plan.STORED, ""),
    ],
    ids=str,
)
def test_types_that_need_converting_are_decoded(chunked, dtype, plan, why) -> None:
    found = verdict(chunked((512, 512), dtype))
    assert (found.plan, found.why) == (plan, why)
    if dtype == h5py.string_dtype():
        assert found.encoding == "text"


def test_array_types_are_trailing_axes_of_every_chunk(chunked) -> None:
    found = verdict(chunked((256, 512), np.dtype(("<f4", (3, 2)))))
    assert (found.shape, found.chunk) == ((1024, 512, 3, 2), (256, 512, 3, 2))


@pytest.mark.parametrize(
    ("layout", "t", "plan", "chunk"),
    [
        ("contiguous", U2, Plan.RANGES, (512, 1024)),
        ("external", U2, Plan.RANGES, (512, 1024)),
        ("compact", U2, Plan.STORED, (512, 1024)),
        ("contiguous", DataType("float", 16, "<", standard=False), Plan.DECODED, (128, 1024)),
    ],
)
def test_data_in_one_piece_are_cut_into_runs(layout, t, plan, chunk) -> None:
    found = verdict(Dataset((), t, (4096, 1024), (4096, 1024), layout))
    assert found.plan is plan
    assert math.prod(found.chunk) * (8 if t.size == 16 else t.size) == LIMITS.target_chunk
    assert found.encoding == ("raw" if plan is not Plan.DECODED else "blosc")
    assert found.chunk == chunk


@pytest.mark.parametrize(
    ("blocks", "plan", "chunk"),
    [
        ((128, 128), Plan.BLOCKS, (128, 128)),
        ((256, 512), Plan.REHEADED, (256, 512)),  # one block: in C order
        ((64, 512), Plan.REHEADED, (256, 512)),  # whole rows: in C order
        ((100, 128), Plan.DECODED, (256, 512)),  # does not divide the chunk
        ((64, 64), Plan.DECODED, (256, 512)),  # 8 KiB
    ],
)
def test_blosc2_blocks_are_chunks_where_they_can_be(chunked, blocks, plan, chunk) -> None:
    header = chunked(**hdf5plugin.Blosc2())
    found = verdict(Dataset(**vars(header) | {"blocks": blocks}))
    assert (found.plan, found.chunk) == (plan, chunk)


@pytest.mark.parametrize("blocks", [(4096,), (1, 256, 512)], ids=str)
def test_blosc2_blocks_of_another_rank_are_decoded(chunked, blocks) -> None:
    header = chunked(**hdf5plugin.Blosc2())
    assert verdict(Dataset(**vars(header) | {"blocks": blocks})).plan is Plan.DECODED


@given(st.data())
def test_every_presentation_is_a_grid_that_zarr_accepts(data: st.DataObject) -> None:
    rank = data.draw(st.integers(1, 3))
    shape = data.draw(st.tuples(*[st.integers(0, 5000)] * rank))
    chunks = data.draw(st.tuples(*[st.integers(1, 300)] * rank))
    filters = data.draw(st.sampled_from([(), (Filter(1, 1, (4,)),), (Filter(32000, 1, ()),), (Filter(3, 0, ()),)]))
    zarr_format = data.draw(st.sampled_from([2, 3]))
    t = data.draw(st.sampled_from([F4, U2, describe_type(h5py.h5t.py_create(np.dtype([("a", "<f4")])))]))
    found = verdict(Dataset((), t, shape, shape, "chunked", chunks, filters), zarr_format)
    assert all(c >= 1 for c in found.chunk)
    assert all(n % c == 0 for n, c in zip(found.chunk, chunks, strict=True))  # chunks are never split
    nbytes = math.prod(found.chunk) * t.size
    assert nbytes <= max(LIMITS.target_chunk, math.prod(chunks) * t.size)
    assert (found.inner is not None) is (found.plan is Plan.SHARDED)
    if found.inner is not None:
        assert (zarr_format, found.inner) == (3, chunks)
        assert found.inner_count == math.prod(found.chunk) // math.prod(chunks)
    if found.plan is Plan.DECODED:
        assert found.encoding == "blosc"


@pytest.mark.parametrize("chunks", [(16, 16), (128, 128), (1, 64)], ids=str)
@pytest.mark.parametrize("maxshape", [(None, 512), (512, None), (None, None), (4096, 4096)], ids=str)
@pytest.mark.parametrize("zarr_format", [3, 2])
def test_how_chunks_are_joined_does_not_change_as_a_dataset_grows(chunked, chunks, maxshape, zarr_format) -> None:
    grown = [
        verdict(chunked(chunks, shape=shape, maxshape=maxshape, **GZIP), zarr_format)
        for shape in ((0, 0), chunks, (300, 300), (512, 512))
    ]
    assert len({(found.chunk, found.inner, found.plan) for found in grown}) == 1
