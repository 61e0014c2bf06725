"""zarr-python over HTTP reads what h5py reads, in both formats."""

from pathlib import Path

import aiohttp
import h5py
import hdf5plugin
import numpy as np
import pytest
import zarr
from zarr.storage import FsspecStore

from chunkserve.metadata.keys import Format
from tests.conformance.conftest import BIG, CHUNKS, FILTERS, GROUP, NESTED, Zoo, assert_same, names_in, ramp
from tests.conftest import Serve

pytestmark = [
    pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning"),
    pytest.mark.filterwarnings("ignore::zarr.errors.ZarrUserWarning"),
]

SPLIT = {"objects/nested"}
"""Records that Zarr has no dtype for: groups with one array per field."""

SIZES = ["tiny", "middle", "big"]


def opened(zoo: Zoo, zarr_format: Format, name: str = "", **how: object) -> zarr.Array | zarr.Group:
    return zarr.open(FsspecStore.from_url(zoo.url(zarr_format, name)), mode="r", zarr_format=zarr_format, **how)


def test_every_dataset_equals_h5py(zoo: Zoo, zarr_format: Format) -> None:
    root = opened(zoo, zarr_format)
    names = names_in(zoo.path)
    assert len(names) > 100
    for name in names:
        if name not in SPLIT:
            array = root[name]
            assert_same(array[()] if array.ndim == 0 else array[...], zoo.values(name), name)


@pytest.mark.parametrize("filters", FILTERS)
def test_every_filter_reads_in_parts(zoo: Zoo, zarr_format: Format, filters: str) -> None:
    for size in SIZES:
        array = opened(zoo, zarr_format, f"{size}/{filters}")
        want = zoo.values(f"{size}/{filters}")
        for part in (np.s_[5:29, 14:40], np.s_[17, ...], np.s_[..., -1:], np.s_[::7, ::3], np.s_[30:30]):
            assert_same(array[part], want[part], f"{size}/{filters}{part}")


def test_nested_records_are_groups_of_their_fields(zoo: Zoo, zarr_format: Format) -> None:
    group = opened(zoo, zarr_format, "objects/nested")
    want = zoo.values("objects/nested")
    assert set(group) == set(NESTED.names)
    assert_same(group["id"][...], want["id"])
    assert_same(group["matrix"][...], want["matrix"])
    assert_same(group["where"][...], want["where"])


def test_groups_list_their_members_with_and_without_consolidated_metadata(zoo: Zoo, zarr_format: Format) -> None:
    want = {name.split("/")[0] for name in names_in(zoo.path)}
    for consolidated in (None, False):
        root = zarr.open_group(
            FsspecStore.from_url(zoo.url(zarr_format)),
            mode="r",
            zarr_format=zarr_format,
            use_consolidated=consolidated,
        )
        assert set(root) == want
        assert set(root["masks"].array_keys()) == {"gzip_shuffle", "gzip_fletcher", "bitshuffle", "lzf"}


def test_every_group_has_consolidated_metadata(zoo: Zoo, zarr_format: Format) -> None:
    for name in ("", "layouts", "objects", "objects/nested"):
        group = zarr.open_consolidated(FsspecStore.from_url(zoo.url(zarr_format, name)), zarr_format=zarr_format)
        assert group.metadata.consolidated_metadata is not None
        assert dict(group.members())


def test_the_format_need_not_be_said(zoo: Zoo, zarr_format: Format) -> None:
    root = zarr.open(FsspecStore.from_url(zoo.url(zarr_format)), mode="r")
    assert isinstance(root, zarr.Group)
    assert root.metadata.zarr_format == zarr_format
    assert root.attrs["title"] == "zoo"


def test_attributes_that_are_no_numbers_are_words(zoo: Zoo, zarr_format: Format) -> None:
    assert opened(zoo, zarr_format).attrs["limits"] == ["NaN", "Infinity", "-Infinity", 1.5]


def test_fill_values_are_those_of_the_file(zoo: Zoo) -> None:
    for name, fill in (("sparse", 7), ("sparse_zero", 0), ("sparse_nan", np.nan), ("never_written", -1.5)):
        np.testing.assert_equal(opened(zoo, 3, f"layouts/{name}").fill_value, np.float32(fill))
        assert opened(zoo, 2, f"layouts/{name}").fill_value is None


def test_small_chunks_are_shards_in_format_3(zoo: Zoo) -> None:
    assert opened(zoo, 3, "middle/gzip").shards is not None
    assert opened(zoo, 3, "middle/gzip").chunks == (64, 100)
    assert opened(zoo, 3, "big/gzip").shards is None
    assert opened(zoo, 2, "middle/gzip").shards is None


def test_a_file_deleted_after_opening_is_an_error_not_fill_values(
    tmp_path: Path, serve: Serve, zarr_format: Format
) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=ramp(BIG), chunks=CHUNKS[BIG], compression="gzip")
    root = zarr.open(
        FsspecStore.from_url(f"{serve(tmp_path)}/{GROUP[zarr_format]}/a.h5"), mode="r", zarr_format=zarr_format
    )
    array = root["x"]
    assert_same(array[...], ramp(BIG))
    path.unlink()
    with pytest.raises(aiohttp.ClientResponseError) as failure:
        array[...]
    assert failure.value.status == 410


def test_blosc2_blocks_need_not_divide_the_chunk(tmp_path: Path, serve: Serve, zarr_format: Format) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=ramp(BIG), chunks=(200, 400), **hdf5plugin.Blosc2(cname="lz4"))
    url = f"{serve(tmp_path)}/{GROUP[zarr_format]}/a.h5/x"
    assert_same(zarr.open_array(FsspecStore.from_url(url), mode="r", zarr_format=zarr_format)[...], ramp(BIG))
