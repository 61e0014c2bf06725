"""Frames made of stored chunks are what every Blosc decodes, whatever the pipeline, dtype, geometry and content."""

import struct
from collections.abc import Iterable

import h5py
import hdf5plugin
import numcodecs
import numpy as np
import pytest

from chunkserve.codecs.decode import decode
from chunkserve.codecs.filters import BLOSC2
from chunkserve.codecs.frame import HEADER, CannotReframe, Flag, Format
from chunkserve.codecs.rehead import Pipeline, blind_frame, frame, growth, single_stream, supports
from chunkserve.errors import Corrupt
from chunkserve.model import Filter

TWO = [np.dtype("u1"), np.dtype("<f8")]
GZIP, SHUFFLE, FLETCHER32 = {"compression": "gzip"}, {"shuffle": True}, {"fletcher32": True}


def reframed(chunks: Iterable) -> list:
    """Chunks with their frames; only Blosc2 may have chunks without one."""
    made = []
    for chunk in chunks:
        try:
            made.append((chunk, frame(chunk.pipeline, chunk.stored, chunk.mask)))
        except CannotReframe:
            assert chunk.pipeline.filters[0].id == BLOSC2
    assert made
    return made


def test_independent_decoders_read_every_frame(chunks, unblosc) -> None:
    for chunk, made in reframed(chunks):
        data = made.assemble(chunk.stored)
        assert unblosc(data) == {chunk.plain}, chunk
        *_, nbytes, _, cbytes = HEADER.unpack_from(data)
        assert (nbytes, cbytes) == (len(chunk.plain), len(data))


@pytest.mark.parametrize("dtype", TWO, ids=str)
def test_the_size_of_a_frame_is_known_before_its_content(chunks) -> None:
    for chunk, made in reframed(chunks):
        more = growth(chunk.pipeline, chunk.mask)
        assert len(made.assemble(chunk.stored)) == made.size
        assert more is None or len(chunk.stored) + more == made.size, chunk


@pytest.mark.parametrize("dtype", TWO, ids=str)
def test_what_needs_no_content_agrees_with_what_has_seen_it(chunks) -> None:
    for chunk, made in reframed(chunks):
        expected = made.assemble(chunk.stored)
        blind = blind_frame(chunk.pipeline, len(chunk.stored), chunk.mask)
        assert blind is None or blind.assemble(chunk.stored) == expected, chunk
        quick = single_stream(chunk.pipeline)
        if quick is not None and not chunk.mask:
            head = quick.head(len(chunk.stored))
            body = chunk.stored[: len(chunk.stored) - quick.trailer]
            assert head is None or head + body == expected, chunk


@pytest.mark.parametrize("names", ["gzip", "zstd", "shuffle-gzip", "shuffle-zstd", "shuffle-gzip-fletcher32"])
def test_single_streams_are_framed_without_looking(make_chunk, smooth, names) -> None:
    parts = {"gzip": GZIP, "zstd": dict(hdf5plugin.Zstd()), "shuffle": SHUFFLE, "fletcher32": FLETCHER32}
    filters = {k: v for name in names.split("-") for k, v in parts[name].items()}
    chunk = make_chunk(smooth("<i4", 500), **filters)
    blind, quick = blind_frame(chunk.pipeline, len(chunk.stored), 0), single_stream(chunk.pipeline)
    assert blind is not None
    assert quick is not None
    assert quick.head(len(chunk.stored)) == blind.head
    assert len(blind.head) == 24


@pytest.mark.parametrize(
    ("stages", "mask"),
    [
        (stages, mask)
        for stages in (
            ({"shuffle": True}, {"compression": "gzip"}, {"fletcher32": True}),
            ({"shuffle": True}, dict(hdf5plugin.Zstd())),
            ({"shuffle": True}, dict(hdf5plugin.LZ4())),
            (dict(hdf5plugin.Bitshuffle(cname="lz4")), {"fletcher32": True}),
            (dict(hdf5plugin.Blosc(cname="zstd")),),
            (dict(hdf5plugin.Blosc2(cname="zstd")),),
        )
        for mask in range(2 ** len(stages))
    ],
    ids=str,
)
def test_a_chunk_that_skipped_filters_is_framed_for_what_it_is(
    make_chunk, noise, tmp_path, unblosc, stages, mask
) -> None:
    array = noise("<i4", 40, 30).copy()
    array[5:35] = 9
    applied = {k: v for i, stage in enumerate(stages) if not mask >> i & 1 for k, v in stage.items()}
    everything = {k: v for stage in stages for k, v in stage.items()}
    stored = make_chunk(array, **applied).stored
    with h5py.File(tmp_path / "f.h5", "w") as file:
        dataset = file.create_dataset("x", array.shape, array.dtype, chunks=array.shape, **everything)
        dataset.id.write_direct_chunk((0, 0), stored, filter_mask=mask)
    with h5py.File(tmp_path / "f.h5") as file:
        dataset = file["x"]
        assert np.array_equal(dataset[...], array)  # so the chunk is what libhdf5 takes it for
        assert dataset.id.read_direct_chunk((0, 0)) == (mask, stored)
    pipeline = make_chunk(array, **everything).pipeline
    made = frame(pipeline, stored, mask)
    assert unblosc(made.assemble(stored)) == {array.tobytes()}
    assert decode(pipeline, stored, mask) == array.tobytes()
    blind = blind_frame(pipeline, len(stored), mask)
    assert blind is None or blind.assemble(stored) == made.assemble(stored)
    assert growth(pipeline, mask) in (None, made.size - len(stored))


def almost_incompressible(size: int, itemsize: int = 1) -> Iterable[np.ndarray]:
    """Noise that ends in a run, the longer the better it compresses."""
    for run in range(80):
        data = np.random.default_rng(0).integers(0, 256, size, dtype="u1")
        data[size - run :] = 7
        yield data.view(f"u{itemsize}")


@pytest.mark.parametrize("size", [128, 256])
@pytest.mark.parametrize("compressor", [GZIP, GZIP | SHUFFLE, GZIP | FLETCHER32, dict(hdf5plugin.Zstd())], ids=str)
def test_a_stream_as_long_as_its_chunk_is_not_taken_for_plain_bytes(make_chunk, unblosc, compressor, size) -> None:
    trailer = 4 if "fletcher32" in compressor else 0
    trapped = [
        c
        for c in (make_chunk(a, **compressor) for a in almost_incompressible(size))
        if len(c.stored) - trailer == size and not c.mask
    ]
    assert trapped, "no content makes a stream of just that length"
    for chunk in trapped:
        stream = chunk.stored[:size]
        quick = single_stream(chunk.pipeline)
        naive = HEADER.pack(2, 1, 0x10 | Format.ZLIB << 5, 1, size, size, size + 24) + struct.pack("<ii", 20, size)
        assert bytes(numcodecs.Blosc().decode(naive + stream)) == stream != chunk.plain  # the trap is a real one
        made = frame(chunk.pipeline, chunk.stored, 0)
        assert unblosc(made.assemble(chunk.stored)) == {chunk.plain}
        assert made.size == len(chunk.stored) + growth(chunk.pipeline, 0)
        assert decode(chunk.pipeline, chunk.stored, 0) == chunk.plain
        assert blind_frame(chunk.pipeline, len(chunk.stored), 0) is None
        assert quick is not None
        assert quick.head(len(chunk.stored)) is None


def lengths_of(chunk, at: int = 12) -> list[int]:
    found = []
    while at < len(chunk.stored):
        found += struct.unpack_from(">I", chunk.stored, at)
        at += 4 + found[-1]
    return found


@pytest.mark.parametrize("cname", ["lz4", "zstd"])
@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_a_bitshuffled_block_as_long_as_its_stream_is_stored_plain(make_chunk, unblosc, cname, blocks) -> None:
    filters = hdf5plugin.Bitshuffle(nelems=128, cname=cname)
    chunks = [make_chunk(np.tile(a, blocks), **filters) for a in almost_incompressible(128)]
    trapped = [c for c in chunks if lengths_of(c) == [128] * blocks]
    assert trapped
    for chunk in trapped:
        made = frame(chunk.pipeline, chunk.stored, 0)
        assert len(made.patches) == blocks
        assert unblosc(made.assemble(chunk.stored)) == {chunk.plain}
        assert decode(chunk.pipeline, chunk.stored, 0) == chunk.plain


def test_lz4_blocks_that_hdf5_stores_plain_are_passed_on_as_they_are(make_chunk, noise, unblosc) -> None:
    chunk = make_chunk(noise("u1", 1000), **hdf5plugin.LZ4(nbytes=300))
    assert lengths_of(chunk) == [300, 300, 300, 100]
    assert unblosc(frame(chunk.pipeline, chunk.stored, 0).assemble(chunk.stored)) == {chunk.plain}


@pytest.mark.parametrize(
    ("filters", "dtype", "why"),
    [
        ({"compression": "lzf"}, "<i4", "lzf has no equal"),
        ({"compression": "szip"}, "<i4", "szip has no equal"),
        ({"scaleoffset": 0}, "<i4", "scaleoffset has no equal"),
        (SHUFFLE | dict(hdf5plugin.LZ4(nbytes=256)), "<i4", "LZ4 in several blocks"),
        (dict(hdf5plugin.Blosc(cname="snappy")), "<i4", "Snappy"),
        (SHUFFLE | GZIP, "S300", "elements of 300 bytes are shuffled"),
        (SHUFFLE | dict(hdf5plugin.Bitshuffle()), "<i4", "shuffle before bitshuffle"),
        (SHUFFLE | dict(hdf5plugin.Blosc()), "<i4", "shuffle before blosc"),
        (dict(hdf5plugin.BZip2()), "<i4", "bzip2 has no equal"),
    ],
    ids=lambda v: v if isinstance(v, str) else None,
)
def test_pipelines_without_an_equal_are_told_apart(make_chunk, smooth, filters, dtype, why) -> None:
    chunk = make_chunk(smooth(dtype, 40, 25), **filters)
    assert why in supports(chunk.pipeline)
    assert single_stream(chunk.pipeline) is None
    with pytest.raises(CannotReframe):
        frame(chunk.pipeline, chunk.stored, chunk.mask)


@pytest.mark.parametrize("dtype", TWO, ids=str)
def test_supported_pipelines_are_those_whose_chunks_get_frames(chunks) -> None:
    for chunk in chunks:
        assert supports(chunk.pipeline) == ""


def test_two_compressors_have_no_equal() -> None:
    twice = Pipeline((Filter(1, 0, (4,)), Filter(32015, 0, (3,))), 100, 1)
    assert supports(twice) == "gzip+zstd has no equal among the codecs all readers share"
    assert growth(twice, 0) is None
    assert growth(twice, 1) == 24  # one of them skipped


@pytest.mark.parametrize(
    ("length", "nbytes"),
    [(3, 100), (0, 100)],
)
def test_a_chunk_shorter_than_its_checksum_is_corrupt(length, nbytes) -> None:
    pipeline = Pipeline((Filter(3, 0, ()),), nbytes, 1)
    with pytest.raises(Corrupt, match="shorter than its checksum"):
        blind_frame(pipeline, length, 0)
    with pytest.raises(Corrupt, match="shorter than its checksum"):
        frame(pipeline, bytes(length), 0)


@pytest.mark.parametrize("filters", [{}, SHUFFLE, FLETCHER32], ids=str)
def test_plain_chunks_of_the_wrong_length_are_corrupt(make_chunk, smooth, filters) -> None:
    chunk = make_chunk(smooth("<i4", 100), **filters)
    for wrong in (chunk.stored[:-1], chunk.stored + b"\0", b"\0" * 4):
        with pytest.raises(Corrupt):
            frame(chunk.pipeline, wrong, 0)


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        (0, 3, CannotReframe),  # Blosc 2 format
        (3, 0, Corrupt),  # typesize
        (4, 401, Corrupt),  # decoded bytes
        (8, 0, Corrupt),  # block size
        (8, 0x7FFFFFFF, Corrupt),
        (12, 0x7FFFFFFF, Corrupt),  # frame size
        (12, 30, CannotReframe),  # sound, but with bytes behind it
    ],
)
def test_blosc_headers_that_contradict_the_chunk_are_refused(make_chunk, smooth, field, value, error) -> None:
    chunk = make_chunk(smooth("<i4", 100), **hdf5plugin.Blosc(cname="lz4"))
    damaged = bytearray(chunk.stored)
    assert not damaged[2] & Flag.STORED
    struct.pack_into("<B" if field < 4 else "<I", damaged, field, value)
    with pytest.raises(error):
        frame(chunk.pipeline, damaged, 0)


def test_blosc_chunks_of_snappy_are_decoded_instead(make_chunk, smooth) -> None:
    chunk = make_chunk(smooth("<i4", 1000), **hdf5plugin.Blosc(cname="snappy"))
    with pytest.raises(CannotReframe, match="not all readers"):
        frame(chunk.pipeline, chunk.stored, 0)


@pytest.mark.parametrize("filters", [GZIP, dict(hdf5plugin.Zstd())], ids=str)
@pytest.mark.parametrize("at", [0, 1])
def test_streams_of_another_kind_are_corrupt(make_chunk, smooth, filters, at) -> None:
    chunk = make_chunk(smooth("<i4", 1000), **filters)
    damaged = bytearray(chunk.stored)
    damaged[at] ^= 0x55
    with pytest.raises(Corrupt):
        frame(chunk.pipeline, damaged, 0)
