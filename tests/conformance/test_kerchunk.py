"""``/refs/{file}.json`` is a kerchunk document that fsspec, zarr and xarray open."""

import json
import urllib.request
from pathlib import Path

import fsspec
import h5py
import numpy as np
import pytest
import xarray as xr
import zarr
from zarr.storage import FsspecStore

from tests.conformance.conftest import BIG, CHUNKS, Zoo, assert_same, names_in, ramp
from tests.conftest import Serve

pytestmark = [
    pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning"),
    pytest.mark.filterwarnings("ignore::zarr.errors.ZarrUserWarning"),
]


def document(zoo: Zoo) -> dict[str, object]:
    with urllib.request.urlopen(f"{zoo.server}/refs/{zoo.path.name}.json") as reply:
        return json.load(reply)


def store(zoo: Zoo) -> FsspecStore:
    files = fsspec.filesystem(
        "reference",
        fo=f"{zoo.server}/refs/{zoo.path.name}.json",
        remote_protocol="http",
        remote_options={"asynchronous": True},
        asynchronous=True,
    )
    return FsspecStore(files, path="", read_only=True)


def test_every_dataset_equals_h5py(zoo: Zoo) -> None:
    root = zarr.open_group(store(zoo), mode="r", zarr_format=2, use_consolidated=False)
    names = [name for name in names_in(zoo.path) if name != "objects/nested"]
    assert len(names) > 100
    for name in names:
        array = root[name]
        assert_same(array[()] if array.ndim == 0 else array[...], zoo.values(name), name)


def test_chunks_are_ranges_of_the_file_where_numcodecs_can_decode_them(zoo: Zoo) -> None:
    refs = document(zoo)["refs"]
    file = f"{zoo.server}/files/{zoo.path.name}"
    for name in ("gzip", "plain", "shuffle", "gzip_shuffle_fletcher", "zstd", "blosc_lz4"):
        with h5py.File(zoo.path) as h5:
            info = h5[f"middle/{name}"].id.get_chunk_info(0)
        assert refs[f"middle/{name}/0.0"] == [file, info.byte_offset, info.size]
    for name in ("lzf", "bitshuffle_lz4", "blosc_snappy", "bzip2"):
        assert refs[f"middle/{name}/0.0"] == [f"{zoo.server}/zarr2/{zoo.path.name}/middle/{name}/0.0"]


def test_ranges_hold_the_very_bytes_of_the_file(zoo: Zoo) -> None:
    refs = document(zoo)["refs"]
    url, offset, size = refs["layouts/contiguous/0.0"]
    request = urllib.request.Request(url, headers={"Range": f"bytes={offset}-{offset + size - 1}"})
    with urllib.request.urlopen(request) as reply:
        assert reply.read() == zoo.path.read_bytes()[offset : offset + size]


def test_the_document_is_version_1(zoo: Zoo) -> None:
    found = document(zoo)
    assert found["version"] == 1
    assert json.loads(found["refs"][".zgroup"]) == {"zarr_format": 2}
    assert json.loads(found["refs"][".zattrs"])["title"] == "zoo"


def test_the_kerchunk_engine_of_xarray_opens_it(tmp_path: Path, serve: Serve) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=ramp(BIG), chunks=CHUNKS[BIG], compression="gzip", shuffle=True)
        file.create_dataset("y", data=ramp(BIG), chunks=CHUNKS[BIG], compression="lzf")
        file["line"] = ramp((300,), "f8")
    options = {"remote_protocol": "http", "remote_options": {"asynchronous": True}}
    url = f"{serve(tmp_path)}/refs/a.h5.json"
    with xr.open_dataset(url, engine="kerchunk", storage_options=options) as found:
        np.testing.assert_array_equal(found.x.to_numpy(), ramp(BIG))
        np.testing.assert_array_equal(found.y.to_numpy(), ramp(BIG))
        np.testing.assert_array_equal(found.line.to_numpy(), ramp((300,), "f8"))
