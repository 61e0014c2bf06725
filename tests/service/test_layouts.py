"""Every layout that HDF5 has comes back as h5py reads it."""

import ctypes
from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr

from chunkserve.errors import MissingSource
from chunkserve.hdf5.capi import _hid, _library

from .conftest import verdict

RAMP = np.arange(60 * 70, dtype="<i4").reshape(60, 70)


def test_contiguous_data_are_ranges_of_the_file(tmp_path: Path, same_as_h5py, library) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["x"] = RAMP
    array = same_as_h5py(path, "x", target_chunk=4096)
    assert array.nchunks > 1
    assert verdict(library(path), "x") == "byte ranges"


def test_the_last_range_of_contiguous_data_is_padded_with_zeros_not_with_what_follows(
    tmp_path: Path, open_store
) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.arange(1000, dtype="u1")
        file["secret"] = np.full(1000, 77, "u1")
    store = open_store(tmp_path, target_chunk=600)
    chunks = store.chunks(3, ("a.h5", "x"), wait=True)
    last = bytes(chunks.get((1,), wait=True).read())
    assert chunks.presentation.chunk == (500,) or last[400:] == bytes(len(last) - 400)
    assert 77 not in last[: 0 if chunks.presentation.chunk == (500,) else None][400:]


@pytest.mark.parametrize("value", [np.float32(2.5), np.int64(-1), np.bool_(True), np.complex64(1 + 2j)], ids=str)
def test_a_scalar_is_an_array_without_axes(tmp_path: Path, same_as_h5py, value) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["x"] = value
    assert same_as_h5py(path, "x").shape == ()


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 5, 2)], ids=str)
def test_an_axis_may_have_no_elements(tmp_path: Path, same_as_h5py, shape) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("fixed", shape, "f8")
        file.create_dataset("growing", shape, "f8", maxshape=(None,) * len(shape), chunks=(4,) * len(shape))
    assert same_as_h5py(path, "fixed").shape == shape
    assert same_as_h5py(path, "growing").shape == shape


def test_compact_data_come_from_the_object_header(tmp_path: Path, same_as_h5py, library) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple((5, 4))
        h5py.Dataset(h5py.h5d.create(file.id, b"x", h5py.h5t.IEEE_F64BE, space, plist))[...] = RAMP[:5, :4]
    same_as_h5py(path, "x")
    assert verdict(library(path), "x") == "as stored"


@pytest.mark.parametrize("userblock", [512, 4096])
def test_a_user_block_shifts_nothing(tmp_path: Path, same_as_h5py, userblock) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", userblock_size=userblock) as file:
        file["contiguous"] = RAMP
        file.create_dataset("chunked", data=RAMP, chunks=(30, 70), compression="gzip")
    for name in ("contiguous", "chunked"):
        same_as_h5py(path, name, merge_below=0, shard_below=0)


@pytest.mark.parametrize("libver", ["earliest", "v110", "latest"])
@pytest.mark.parametrize("maxshape", [None, (None, 70), (None, None), (200, 200)], ids=str)
def test_every_kind_of_chunk_index_is_read(tmp_path: Path, same_as_h5py, libver, maxshape) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", libver=libver) as file:
        file.create_dataset("x", data=RAMP, chunks=(7, 11), maxshape=maxshape, compression="gzip")
        file.create_dataset("one", data=RAMP, chunks=(60, 70), maxshape=maxshape)
    for name in ("x", "one"):
        same_as_h5py(path, name, merge_below=0, shard_below=0)


def test_partial_edge_chunks_may_be_stored_without_their_filters(tmp_path: Path, same_as_h5py) -> None:
    path = tmp_path / "a.h5"
    _write_plain_edges(path)
    same_as_h5py(path, "x", merge_below=0, shard_below=0)
    same_as_h5py(path, "x")  # merged


def _write_plain_edges(path: Path) -> None:
    """H5Pset_chunk_opts is not wrapped by h5py."""
    with h5py.File(path, "w", libver="latest") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((25, 40))
        plist.set_shuffle()
        plist.set_deflate(4)
        assert _library().H5Pset_chunk_opts(_hid(plist), ctypes.c_uint(2)) >= 0
        space = h5py.h5s.create_simple(RAMP.shape)
        dataset = h5py.Dataset(h5py.h5d.create(file.id, b"x", h5py.h5t.STD_I32LE, space, plist))
        dataset[...] = RAMP
        assert {dataset.id.get_chunk_info(i).filter_mask for i in range(4)} == {0}
        sizes = {dataset.id.get_chunk_info(i).size for i in range(dataset.id.get_num_chunks())}
        assert 25 * 40 * 4 in sizes, "no chunk was stored plain: the test tests nothing"


def test_external_raw_storage_inside_the_roots_is_read_from_its_files(
    tmp_path: Path, same_as_h5py, library, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where libhdf5 looks for relative names
    (tmp_path / "one.raw").write_bytes(b"skip" + RAMP.tobytes()[:10000])
    (tmp_path / "two.raw").write_bytes(RAMP.tobytes()[10000:])
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        segments = [("one.raw", 4, 10000), ("two.raw", 0, h5py.h5f.UNLIMITED)]
        file.create_dataset("x", RAMP.shape, RAMP.dtype, external=segments)
    same_as_h5py(path, "x", target_chunk=3000)
    assert verdict(library(path), "x") == "byte ranges"


def test_an_external_file_outside_the_roots_is_missing(tmp_path: Path, open_store) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "in").mkdir()
    (tmp_path / "out" / "x.raw").write_bytes(bytes(4000))
    with h5py.File(tmp_path / "in" / "a.h5", "w") as file:
        file.create_dataset("x", (1000,), "i4", external=[(str(tmp_path / "out" / "x.raw"), 0, 4000)])
    store = open_store(tmp_path / "in")
    with pytest.raises(MissingSource, match=r"x\.raw"):
        store.key(3, ("a.h5", "x", "c", "0"), wait=True).blob.read()
    assert b'"shape":[1000]' in bytes(store.key(3, ("a.h5", "x", "zarr.json"), wait=True).blob.read())


def test_a_null_dataspace_is_an_array_without_elements(tmp_path: Path, library) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = h5py.Empty("f4")
    assert zarr.open_array(library(tmp_path / "a.h5"), path="x", mode="r").shape == (0,)
