"""Chunks are decoded exactly, or not at all."""

import struct
import zlib

import google_crc32c
import numcodecs.blosc
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunkserve_client import Damaged, NotSupported
from chunkserve_client.codecs import Codec, Sharding, codec_of, decode, shard_index, unblosc

VALUES = np.cumsum(np.random.default_rng(1).integers(-3, 4, 20_000)).astype("<i4")


def zlib_frame(values: np.ndarray, typesize: int) -> bytes:
    """What the server makes of HDF5's shuffle and gzip."""
    data = values.view(np.uint8).reshape(-1, typesize).T.tobytes() if typesize > 1 else values.tobytes()
    stream = zlib.compress(data)
    flags = 3 << 5 | 0x10 | (typesize > 1)
    head = struct.pack("<BBBBiii", 2, 1, flags, typesize, len(data), len(data), len(stream) + 24)
    return head + struct.pack("<ii", 20, len(stream)) + stream


@pytest.mark.parametrize("typesize", [1, 2, 4, 8])
def test_zlib_frames_of_one_stream(typesize: int) -> None:
    out = np.empty_like(VALUES)
    unblosc(zlib_frame(VALUES, typesize), out.view(np.uint8))
    np.testing.assert_array_equal(out, VALUES)


@pytest.mark.parametrize("name", ["lz4", "lz4hc", "blosclz", "zlib", "zstd"])
@pytest.mark.parametrize("shuffle", [0, 1, 2])
@pytest.mark.parametrize("block", [0, 4096])
def test_every_blosc_frame(name: str, shuffle: int, block: int) -> None:
    frame = numcodecs.blosc.compress(VALUES, name.encode(), 5, shuffle, block)
    out = np.empty_like(VALUES)
    decode(Codec(blosc=True), frame, out)
    np.testing.assert_array_equal(out, VALUES)


@given(st.integers(0, 200), st.integers(0, 255))
def test_a_damaged_frame_is_refused_or_decodes_to_as_many_bytes(at: int, byte: int) -> None:
    frame = bytearray(zlib_frame(VALUES[:500], 4))
    at %= len(frame)
    changed = frame[at] != byte
    frame[at] = byte
    out = np.empty(500, "<i4")
    try:
        unblosc(bytes(frame), out.view(np.uint8))
    except Damaged:
        assert changed


def test_frames_and_chunks_of_other_lengths_are_refused() -> None:
    frame = zlib_frame(VALUES, 4)
    for bad in (frame[:-1], frame + b"x", frame[:10], b""):
        with pytest.raises(Damaged):
            unblosc(bad, np.empty(VALUES.nbytes, np.uint8))
    with pytest.raises(Damaged):
        unblosc(frame, np.empty(VALUES.nbytes - 4, np.uint8))
    with pytest.raises(Damaged, match="expected"):
        decode(Codec(), b"abc", np.empty(1, "<i4"))


def test_plain_chunks() -> None:
    out = np.empty_like(VALUES)
    decode(Codec(), VALUES.tobytes(), out)
    np.testing.assert_array_equal(out, VALUES)


def test_indices_of_shards_are_verified() -> None:
    entries = np.array([[0, 10], [2**64 - 1, 2**64 - 1], [10, 5]], "<u8").tobytes()
    data = entries + google_crc32c.value(entries).to_bytes(4, "little")
    assert shard_index(data, 3).tolist() == [[0, 10], [-1, -1], [10, 5]]
    for bad in (data[:-1], b"\1" + data[1:]):
        with pytest.raises(Damaged):
            shard_index(bad, 3)


def test_codecs_are_known_by_their_documents() -> None:
    blosc = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "blosc", "configuration": {}}]
    assert codec_of({"codecs": blosc}) == Codec(blosc=True)
    assert codec_of({"codecs": blosc[:1]}) == Codec()
    shard = {"name": "sharding_indexed", "configuration": {"chunk_shape": [2, 2], "codecs": blosc}}
    assert codec_of({"codecs": [shard]}) == Codec(sharding=Sharding((2, 2), blosc=True))
    for bad in ([{"name": "vlen-utf8"}], [blosc[0], {"name": "zstd"}]):
        with pytest.raises(NotSupported):
            codec_of({"codecs": bad})
