"""Tiny chunks are merged, small ones presented as shards; Blosc2 blocks become chunks."""

import json
from pathlib import Path

import blosc2
import h5py
import hdf5plugin
import numpy as np
import pytest
import zarr

from chunkserve.errors import Corrupt
from chunkserve.service.store import AbsentChunk

from .conftest import verdict

RNG = np.random.default_rng(11)
SMOOTH = (np.arange(200 * 300) // 7).astype("<u4").reshape(200, 300)

PIPELINES = {
    "plain": {},
    "fletcher32": {"fletcher32": True},
    "shuffle": {"shuffle": True},
    "gzip": {"compression": "gzip"},
    "all": {"compression": "gzip", "shuffle": True, "fletcher32": True},
    "lzf": {"compression": "lzf"},
    "zstd": dict(hdf5plugin.Zstd()),
    "lz4": dict(hdf5plugin.LZ4()),
    "lz4 blocks": dict(hdf5plugin.LZ4(nbytes=4096), shuffle=True),
    "bitshuffle": dict(hdf5plugin.Bitshuffle(cname="lz4")),
    "bitshuffle alone": dict(hdf5plugin.Bitshuffle(cname="none")),
    "blosc": dict(hdf5plugin.Blosc()),
    "blosc2": dict(hdf5plugin.Blosc2()),
    "snappy": dict(hdf5plugin.Blosc(cname="snappy")),
    "scaleoffset": {"scaleoffset": 0},
}


@pytest.mark.parametrize("pipeline", PIPELINES)
@pytest.mark.parametrize("chunks", [(1, 5), (7, 300), (100, 100), (100, 99)], ids=str)
def test_every_pipeline_reads_the_same_through_merging_and_shards(
    tmp_path: Path, same_as_h5py, pipeline, chunks
) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("x", data=SMOOTH, chunks=chunks, **PIPELINES[pipeline])
        dataset[0:20] = RNG.integers(0, 2**31, (20, 300))  # what compressors give up on
    same_as_h5py(path, "x")


def test_a_log_in_chunks_of_one_element_is_read_by_the_megabyte(tmp_path: Path, same_as_h5py) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=np.arange(3000.0), chunks=(1,), maxshape=(None,))
    assert same_as_h5py(path, "x").nchunks == 1


def shard_of(open_store, path: Path, **settings) -> tuple[bytes, dict, object]:
    store = open_store(path.parent, **settings)
    document = json.loads(bytes(store.key(3, (path.name, "x", "zarr.json"), wait=True).blob.read()))
    blob = store.key(3, (path.name, "x", "c", "0", "0"), wait=True).blob
    return bytes(blob.read()), document, blob


@pytest.mark.parametrize(
    "filters",
    [{}, {"compression": "gzip", "shuffle": True, "fletcher32": True}, dict(hdf5plugin.Bitshuffle())],
    ids=["plain", "gzip", "bitshuffle"],
)
def test_any_range_of_a_shard_equals_that_part_of_the_whole(tmp_path: Path, open_store, filters) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("x", (800, 300), "u4", chunks=(20, 300), **filters)
        dataset[:200] = SMOOTH
        dataset[400:] = RNG.integers(0, 2**32, (400, 300), dtype="u4")
    whole, document, _ = shard_of(open_store, path)
    assert document["codecs"][0]["name"] == "sharding_indexed"
    for start, stop in [
        (0, 1),
        (0, len(whole)),
        (len(whole) - 20, len(whole)),
        *RNG.integers(0, len(whole), (60, 2)).tolist(),
    ]:
        if start < stop:
            _, _, fresh = shard_of(open_store, path)  # nothing checked yet
            assert bytes(fresh.read(start, stop)) == whole[start:stop]
            assert bytes(fresh.read(start, stop)) == whole[start:stop]


def test_an_empty_shard_is_absent_and_a_partly_filled_one_says_which_chunks_are_missing(
    tmp_path: Path, open_store
) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("x", (4000, 300), "u4", chunks=(20, 300), compression="gzip")
        dataset[20:40] = 5
    store = open_store(tmp_path)
    chunks = store.chunks(3, ("a.h5", "x"), wait=True)
    count = chunks.presentation.inner_count
    body = bytes(chunks.get((0, 0), wait=True).read())
    index = np.frombuffer(body[-16 * count - 4 : -4], "<u8").reshape(count, 2)
    stored = [i for i in range(count) if index[i, 0] != 2**64 - 1]
    assert len(stored) == 1
    assert index[stored[0], 1] == len(body) - 16 * count - 4
    with pytest.raises(AbsentChunk):
        store.key(3, ("a.h5", "x", "c", "1", "0"), wait=True)


def test_a_damaged_inner_chunk_fails_its_range_and_no_other(tmp_path: Path, open_store) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset(
            "x", data=RNG.integers(0, 9, (400, 300)).astype("u4"), chunks=(20, 300), compression="gzip", fletcher32=True
        )
        bad = dataset.id.get_chunk_info(3).byte_offset
    with open(path, "r+b") as raw:
        raw.seek(bad + 100)
        raw.write(b"\xaa\xbb\xcc")
    store = open_store(tmp_path)
    blob = store.key(3, ("a.h5", "x", "c", "0", "0"), wait=True).blob
    count = store.chunks(3, ("a.h5", "x"), wait=True).presentation.inner_count
    index = np.frombuffer(bytes(blob.read(blob.size - 16 * count - 4, blob.size - 4)), "<u8").reshape(count, 2)
    for i in range(count):
        start, length = map(int, index[i])
        if i == 3:
            with pytest.raises(Corrupt, match=r"chunk \(3, 0\).*Fletcher-32"):
                blob.read(start, start + length)
        else:
            assert len(blob.read(start, start + length)) == length


@pytest.mark.parametrize("cname", ["lz4", "zstd", "blosclz", "zlib"])
@pytest.mark.parametrize("filters", [0, 1, 2])
def test_blocks_of_n_dimensional_blosc2_chunks_are_chunks(
    tmp_path: Path, same_as_h5py, library, cname, filters
) -> None:
    path = tmp_path / "a.h5"
    data = (np.add.outer(np.arange(512), np.arange(768)) // 3).astype("<u4")
    data[:256, :256] = RNG.integers(0, 2**32, (256, 256), dtype="u4")
    shuffle = [blosc2.Filter.NOFILTER, blosc2.Filter.SHUFFLE, blosc2.Filter.BITSHUFFLE][filters]
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset(
            "x", (512, 768), "u4", chunks=(256, 384), **hdf5plugin.Blosc2(cname=cname, filters=filters)
        )
        for row in range(2):
            for column in range(2):
                part = np.ascontiguousarray(data[row * 256 :, column * 384 :][:256, :384])
                array = blosc2.asarray(
                    part,
                    chunks=(256, 384),
                    blocks=(128, 128),
                    cparams={"codec": getattr(blosc2.Codec, cname.upper()), "filters": [shuffle], "typesize": 4},
                )
                dataset.id.write_direct_chunk((row * 256, column * 384), array.to_cframe())
        np.testing.assert_array_equal(dataset[...], data)
    array = same_as_h5py(path, "x")
    assert array.chunks == (128, 128)
    assert verdict(library(path), "x") == "re-headed, inner blocks as chunks"


def test_records_are_merged_rather_than_sharded(tmp_path: Path, library) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        table = np.zeros(100_000, [("a", "<i4"), ("b", "<f8")])
        file.create_dataset("x", data=table, chunks=(4000,), compression="gzip")
    store = library(tmp_path / "a.h5")
    assert verdict(store, "x") == "decoded"
    assert zarr.open_array(store, path="x", mode="r")[5]["b"] == 0
