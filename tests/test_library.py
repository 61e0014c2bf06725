"""``chunkserve.open_store``: an HDF5 file as a read-only Zarr store, without a server."""

import asyncio
import contextlib
import gc
import multiprocessing
import os
import pickle
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dask.array as da
import h5py
import numpy as np
import pytest
import xarray as xr
import zarr
from zarr.abc.store import ByteRequest, OffsetByteRequest, RangeByteRequest, SuffixByteRequest
from zarr.core.buffer import Buffer, cpu, default_buffer_prototype
from zarr.core.sync import sync
from zarr.testing.store import StoreTests

import chunkserve
from chunkserve.errors import ChunkserveError, Unreadable
from chunkserve.library import HdfStore
from chunkserve.metadata.keys import Format

REFUSAL = "store was opened in read-only mode and does not support writing"

NOT_APPLICABLE = {
    "test_set": "the store does not write",
    "test_set_not_open": "the store does not write",
    "test_set_many": "the store does not write",
    "test_set_if_not_exists": "the store does not write",
    "test_clear": "the store does not delete",
    "test_delete_dir": "the store does not delete",
    "test_get_many": "keys are chunks of arrays: see test_many_keys_are_read_at_once",
    "test_get_sync_byte_range_parity": "writes through the store: see test_both_ways_to_get_agree",
    "test_getsize_prefix": "writes through the store: see test_the_size_of_an_array_is_that_of_its_keys",
    "test_list": "writes through the store: see test_listings_name_documents_and_chunks",
    "test_list_prefix": "writes through the store: see test_listings_name_documents_and_chunks",
    "test_list_empty_path": "writes through the store: see test_listings_name_documents_and_chunks",
    "test_list_dir": "writes through the store: see test_a_directory_lists_documents_members_and_chunks",
    "test_get_bytes": "documents are the store's own: see test_documents_are_json",
    "test_get_bytes_sync": "documents are the store's own: see test_documents_are_json",
    "test_get_json": "documents are the store's own: see test_documents_are_json",
    "test_get_json_sync": "documents are the store's own: see test_documents_are_json",
}
"""Tests of zarr's suite that a store of this kind cannot run, and why."""

DATA = b"\x01\x02\x03\x04"
KEYS = ["foo/c/0", "foo/bar/c/0"]
RANGES = [None, RangeByteRequest(1, 4), OffsetByteRequest(1), SuffixByteRequest(1)]


def keys_of(store: HdfStore, prefix: str = "") -> list[str]:
    async def collect() -> list[str]:
        return [key async for key in store.list_prefix(prefix)]

    return sorted(asyncio.run(collect()))


def names_in(store: HdfStore, prefix: str = "") -> list[str]:
    async def collect() -> list[str]:
        return [name async for name in store.list_dir(prefix)]

    return sorted(asyncio.run(collect()))


class TestHdfStore(StoreTests[HdfStore, cpu.Buffer]):
    """zarr's own tests of stores. A contiguous dataset of bytes ``foo`` is the key ``foo/c/0`` with these bytes."""

    store_cls = HdfStore
    buffer_cls = cpu.Buffer

    @pytest.fixture(autouse=True)
    def _applicable(self, request: pytest.FixtureRequest) -> None:
        name = request.node.originalname
        if name in NOT_APPLICABLE:
            pytest.skip(NOT_APPLICABLE[name])

    @pytest.fixture
    def store_kwargs(self, tmp_path: Path) -> dict[str, Any]:
        path = tmp_path / "a.h5"
        with h5py.File(path, "w") as file:
            file.attrs["title"] = "empty"
        return {"path": str(path), "settings": {"settle": 0.0}}

    @pytest.fixture
    async def store(self, open_kwargs: dict[str, Any]) -> HdfStore:
        return await HdfStore.open(**open_kwargs)

    async def set(self, store: HdfStore, key: str, value: Buffer) -> None:
        name, found, tail = key.rpartition("/c/")
        assert (found, tail) == ("/c/", "0"), f"{key} is no key of a one-chunk array"
        with h5py.File(store.path, "a") as file:
            file.create_dataset(name, data=np.frombuffer(value.to_bytes(), "u1"))

    async def get(self, store: HdfStore, key: str) -> Buffer:
        with h5py.File(store.path) as file:
            return self.buffer_cls.from_bytes(file[key.removesuffix("/c/0")][...].tobytes())

    def test_store_repr(self, store: HdfStore) -> None:
        assert repr(store) == f"HdfStore({store.path!r}, zarr_format=3)"
        assert str(store) == f"hdf5://{store.path}"

    def test_store_supports_writes(self, store: HdfStore) -> None:
        assert not store.supports_writes
        assert not store.supports_deletes

    def test_store_supports_listing(self, store: HdfStore) -> None:
        assert store.supports_listing

    def test_store_read_only(self, store: HdfStore) -> None:
        assert store.read_only
        with pytest.raises(AttributeError):
            store.read_only = False  # type: ignore[misc]

    async def test_store_open_read_only(self, open_kwargs: dict[str, Any]) -> None:
        store = await HdfStore.open(**open_kwargs)
        assert store._is_open
        assert store.read_only

    async def test_read_only_store_raises(self, open_kwargs: dict[str, Any]) -> None:
        store = await HdfStore.open(**open_kwargs)
        with pytest.raises(ValueError, match=REFUSAL):
            await store.set("foo", self.buffer_cls.from_bytes(b"bar"))
        with pytest.raises(ValueError, match=REFUSAL):
            await store.delete("foo")

    async def test_with_read_only_store(self, open_kwargs: dict[str, Any]) -> None:
        store = await HdfStore.open(**open_kwargs)
        with pytest.raises(NotImplementedError, match="with_read_only is not implemented"):
            store.with_read_only(read_only=False)

    async def test_serializable_store(self, store: HdfStore) -> None:
        await self.set(store, KEYS[0], self.buffer_cls.from_bytes(DATA))
        copy = pickle.loads(pickle.dumps(store))
        assert copy == store
        assert copy.read_only
        found = await copy.get(KEYS[0], prototype=default_buffer_prototype())
        assert found.to_bytes() == DATA

    @pytest.mark.parametrize("key", KEYS)
    @pytest.mark.parametrize(("data", "byte_range"), [(DATA, part) for part in RANGES])
    async def test_get(self, store: HdfStore, key: str, data: bytes, byte_range: ByteRequest | None) -> None:
        await super().test_get(store, key, data, byte_range)

    async def test_get_not_open(self, store_not_open: HdfStore) -> None:
        assert not store_not_open._is_open
        await self.set(store_not_open, KEYS[0], self.buffer_cls.from_bytes(DATA))
        found = await store_not_open.get(KEYS[0], prototype=default_buffer_prototype())
        assert found is not None
        assert found.to_bytes() == DATA

    async def test_get_raises(self, store: HdfStore) -> None:
        await self.set(store, KEYS[0], self.buffer_cls.from_bytes(DATA))
        with pytest.raises((ValueError, TypeError), match=r"Unexpected byte_range, got.*"):
            await store.get(KEYS[0], prototype=default_buffer_prototype(), byte_range=(0, 2))  # type: ignore[arg-type]

    @pytest.mark.parametrize("key", KEYS)
    @pytest.mark.parametrize("data", [DATA])
    async def test_getsize(self, store: HdfStore, key: str, data: bytes) -> None:
        await super().test_getsize(store, key, data)

    @pytest.mark.parametrize(
        "key_ranges",
        [
            [],
            [("foo/c/0", RangeByteRequest(0, 2))],
            [("foo/c/0", RangeByteRequest(0, 2)), ("bar/c/0", None)],
            [("a/c/0", RangeByteRequest(0, 2)), ("b/c/0", SuffixByteRequest(2)), ("c/c/0", OffsetByteRequest(2))],
        ],
    )
    async def test_get_partial_values(self, store: HdfStore, key_ranges: list[tuple[str, ByteRequest | None]]) -> None:
        await super().test_get_partial_values(store, key_ranges)

    async def test_exists(self, store: HdfStore) -> None:
        assert not await store.exists("foo")
        assert not await store.exists("foo/c/0")
        await self.set(store, "foo/c/0", self.buffer_cls.from_bytes(DATA))
        for key in ("zarr.json", "foo/zarr.json", "foo/c/0"):
            assert await store.exists(key)
        for key in ("foo", "foo/c", "foo/c/1", "foo/c/00", "foo/.zarray", "fo/zarr.json"):
            assert not await store.exists(key)

    async def test_is_empty(self, store: HdfStore) -> None:
        await self.set(store, "foo/c/0", self.buffer_cls.from_bytes(DATA))
        assert not await store.is_empty("")
        assert not await store.is_empty("foo")
        assert not await store.is_empty("foo/")
        assert await store.is_empty("fo")
        assert await store.is_empty("spam/")

    def test_get_sync(self, store: HdfStore) -> None:
        sync(self.set(store, KEYS[0], self.buffer_cls.from_bytes(DATA)))
        found = store.get_sync(KEYS[0])
        assert found is not None
        assert found.to_bytes() == DATA

    async def test_many_keys_are_read_at_once(self, store: HdfStore) -> None:
        want = {f"n{i}/c/0": f"{i}".encode() for i in range(10)}
        for key, value in want.items():
            await self.set(store, key, self.buffer_cls.from_bytes(value))
        requests = [(key, default_buffer_prototype(), None) for key in want]
        found = {key: value.to_bytes() async for key, value in store._get_many(requests) if value is not None}
        assert found == want

    @pytest.mark.parametrize("byte_range", [*RANGES, RangeByteRequest(10, 20), SuffixByteRequest(9)], ids=str)
    async def test_both_ways_to_get_agree(self, store: HdfStore, byte_range: ByteRequest | None) -> None:
        await self.set(store, KEYS[0], self.buffer_cls.from_bytes(DATA))
        one = store.get_sync(KEYS[0], byte_range=byte_range)
        other = await store.get(KEYS[0], prototype=default_buffer_prototype(), byte_range=byte_range)
        assert one is not None
        assert other is not None
        assert one.to_bytes() == other.to_bytes()


# --------------------------------------------------------------- what is in it

SHAPE, CHUNKS = (300, 700), (200, 400)
IMAGE = (np.arange(300 * 700, dtype="i8").reshape(SHAPE) % 60_000).astype("<u4")


def write(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.attrs["title"] = "a run"
        file.create_dataset("image", data=IMAGE, chunks=CHUNKS, compression="gzip", shuffle=True)
        sparse = file.create_dataset("sparse", (3, 300, 300), "f4", chunks=(1, 300, 300), fillvalue=2, compression=1)
        sparse[1] = 5
        file["entry/line"] = np.arange(10.0)
        file["entry/liner"] = np.arange(3)
        file["entry/scalar"] = 1.5


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A small file."""
    write(tmp_path / "run.h5")
    return tmp_path / "run.h5"


@pytest.fixture(params=[3, 2], ids=["v3", "v2"])
def zarr_format(request: pytest.FixtureRequest) -> Format:
    """Both Zarr formats."""
    return request.param


@pytest.fixture
def store(path: Path, zarr_format: Format) -> Iterator[HdfStore]:
    """The file as a store."""
    with chunkserve.open_store(path, zarr_format=zarr_format, settle=0.0) as opened:
        yield opened


EVERY_KEY = {
    3: {
        "zarr.json", "image/zarr.json", "sparse/zarr.json", "entry/zarr.json", "entry/line/zarr.json",
        "entry/liner/zarr.json", "entry/scalar/zarr.json", "image/c/0/0", "image/c/0/1", "image/c/1/0",
        "image/c/1/1", "sparse/c/1/0/0", "entry/line/c/0", "entry/liner/c/0", "entry/scalar/c",
    },
    2: {
        ".zgroup", ".zattrs", ".zmetadata", "entry/.zgroup", "entry/.zattrs", "entry/.zmetadata",
        *(f"{name}/{key}" for name in ("image", "sparse", "entry/line", "entry/liner", "entry/scalar")
          for key in (".zarray", ".zattrs")),
        "image/0.0", "image/0.1", "image/1.0", "image/1.1",
        "sparse/0.0.0", "sparse/1.0.0", "sparse/2.0.0",  # format 2 has no fill value to leave the others to
        "entry/line/0", "entry/liner/0", "entry/scalar/0",
    },
}  # fmt: skip


def test_listings_name_documents_and_chunks(store: HdfStore, zarr_format: Format) -> None:
    keys = keys_of(store)
    assert len(keys) == len(set(keys))
    assert set(keys) == EVERY_KEY[zarr_format]
    for prefix in ("entry", "entry/", "entry/line", "entry/line/", "image/", "nothing"):
        assert keys_of(store, prefix) == [key for key in keys if key.startswith(prefix)]
    for key in keys:
        assert store.get_sync(key) is not None


def test_a_directory_lists_documents_members_and_chunks(store: HdfStore, zarr_format: Format) -> None:
    documents = {name for name in EVERY_KEY[zarr_format] if "/" not in name}
    assert set(names_in(store)) == documents | {"image", "sparse", "entry"}
    assert names_in(store, "entry/") == names_in(store, "entry")
    assert set(names_in(store, "entry")) == documents | {"line", "liner", "scalar"}
    chunks = {"zarr.json", "c"} if zarr_format == 3 else {".zarray", ".zattrs", "0.0", "0.1", "1.0", "1.1"}
    assert set(names_in(store, "image")) == chunks
    assert names_in(store, "nothing") == []


def test_a_directory_of_chunks_lists_them(path: Path) -> None:
    with chunkserve.open_store(path, settle=0.0) as store:
        assert names_in(store, "image/c") == ["0", "1"]
        assert names_in(store, "image/c/1") == ["0", "1"]


def test_the_size_of_an_array_is_that_of_its_keys(store: HdfStore) -> None:
    for name in ("image/", "entry/line/", ""):
        want = sum(len(store.get_sync(key).to_bytes()) for key in keys_of(store, name))
        assert asyncio.run(store.getsize_prefix(name)) == want > 0


def test_documents_are_json(store: HdfStore, zarr_format: Format) -> None:
    buffer = store.get_sync("zarr.json" if zarr_format == 3 else ".zattrs")
    assert buffer is not None
    assert b'"title":"a run"' in buffer.to_bytes()
    assert store.get_sync(".zattrs" if zarr_format == 3 else "zarr.json") is None


# ------------------------------------------------------------------- clients


def test_zarr_reads_what_h5py_reads(store: HdfStore, zarr_format: Format) -> None:
    root = zarr.open_group(store, mode="r", zarr_format=zarr_format)
    np.testing.assert_array_equal(root["image"][17:230, ::9], IMAGE[17:230, ::9])
    assert (root["sparse"][0] == 2).all()
    assert (root["sparse"][1] == 5).all()
    assert root["entry/scalar"][()] == 1.5
    assert root.attrs["title"] == "a run"
    assert dict(root.members(max_depth=None)).keys() == {
        "image", "sparse", "entry", "entry/line", "entry/liner", "entry/scalar",
    }  # fmt: skip


def test_members_are_the_same_without_consolidated_metadata(store: HdfStore, zarr_format: Format) -> None:
    root = zarr.open_group(store, mode="r", zarr_format=zarr_format, use_consolidated=False)
    assert set(root) == {"image", "sparse", "entry"}
    assert set(root["entry"]) == {"line", "liner", "scalar"}


def test_an_array_cannot_be_written(store: HdfStore, path: Path, zarr_format: Format) -> None:
    before = path.read_bytes()
    with pytest.raises(ValueError, match="read-only"):
        zarr.open_array(store, path="image", mode="r+", zarr_format=zarr_format)[0, 0] = 1
    assert path.read_bytes() == before


def test_xarray_opens_it(store: HdfStore, path: Path) -> None:
    with (
        xr.open_dataset(path, engine="h5netcdf", phony_dims="access", group="entry") as want,
        xr.open_zarr(store, group="entry", chunks=None) as got,
    ):
        xr.testing.assert_identical(got, want)


def test_dask_computes_it_in_threads_and_in_processes(store: HdfStore, zarr_format: Format) -> None:
    array = da.from_zarr(zarr.open_array(store, path="image", mode="r", zarr_format=zarr_format))
    np.testing.assert_array_equal(array.compute(scheduler="threads", num_workers=4), IMAGE)
    assert array.sum().compute(scheduler="processes", num_workers=2) == IMAGE.sum()


# ---------------------------------------------------------- processes, threads


def total(store: HdfStore) -> int:
    """In another process."""
    array = zarr.open_array(store, path="image", mode="r", zarr_format=store.zarr_format)
    return int(np.asarray(array[...]).sum())


def test_a_pickled_store_reads_in_a_spawned_process(store: HdfStore) -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(total, (store,)) == IMAGE.sum()


def test_a_store_in_use_reads_in_another_process_and_goes_on_in_this_one(store: HdfStore) -> None:
    assert total(store) == IMAGE.sum()
    with multiprocessing.get_context("forkserver").Pool(2) as pool:
        assert pool.map(total, [store] * 4) == [IMAGE.sum()] * 4
    assert total(store) == IMAGE.sum()


def test_threads_share_a_store(store: HdfStore) -> None:
    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(total, [store] * 32)) == {int(IMAGE.sum())}


def test_event_loops_in_several_threads_share_a_store(store: HdfStore, zarr_format: Format) -> None:
    key = "image/c/0/0" if zarr_format == 3 else "image/0.0"
    found: list[bytes] = []

    def read() -> None:
        buffer = asyncio.run(store.get(key, default_buffer_prototype()))
        found.append(buffer.to_bytes())

    threads = [threading.Thread(target=read) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert len(set(found)) == 1


def test_stores_over_the_same_file_are_equal(path: Path, tmp_path: Path) -> None:
    one = chunkserve.open_store(path)
    assert one == chunkserve.open_store(str(path))
    assert hash(one) == hash(chunkserve.open_store(str(path)))
    assert one != chunkserve.open_store(path, zarr_format=2)
    assert one != chunkserve.open_store(path, merge_below=0)
    write(tmp_path / "other.h5")
    assert one != chunkserve.open_store(tmp_path / "other.h5")
    assert one != "something else"


def test_a_closed_store_may_be_used_again(store: HdfStore) -> None:
    assert total(store) == IMAGE.sum()
    store.close()
    assert not store._is_open
    assert total(store) == IMAGE.sum()


def held() -> set[str]:
    """What this process has open."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.add(os.readlink(f"/proc/self/fd/{name}"))
    return found


def test_the_file_of_a_closed_store_is_closed_by_the_next_garbage_collection(store: HdfStore, path: Path) -> None:
    assert total(store) == IMAGE.sum()
    assert str(path) in held()
    store.close()
    gc.collect()
    assert str(path) not in held()


def test_stores_opened_and_closed_leave_no_descriptors_behind(path: Path) -> None:
    for _ in range(3):
        store = chunkserve.open_store(path, settle=0.0)
        assert store.get_sync("image/zarr.json") is not None
        store.close()
    del store
    gc.collect()
    assert not {name for name in held() if name.startswith(str(path.parent))}


def test_a_closed_store_lets_go_of_the_file_at_once(store: HdfStore, path: Path) -> None:
    assert total(store) == IMAGE.sum()
    gc.disable()
    try:
        store.close()
        assert str(path) not in held()
    finally:
        gc.enable()


def test_closing_a_store_leaves_others_alone(path: Path) -> None:
    one, other = chunkserve.open_store(path, settle=0.0), chunkserve.open_store(path, settle=0.0)
    assert total(one) == total(other)
    one.close()
    assert total(other) == IMAGE.sum()
    other.close()


# -------------------------------------------------------------------- errors


def test_a_file_that_is_not_there_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing\.h5: no such file"):
        chunkserve.open_store(tmp_path / "nothing.h5")
    with pytest.raises(FileNotFoundError):
        chunkserve.open_store(tmp_path)


def test_a_file_that_is_not_hdf5_is_an_error_not_an_empty_store(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_text("not HDF5 at all\n" * 100)
    store = chunkserve.open_store(tmp_path / "a.h5", settle=0.0)
    with pytest.raises(Unreadable):
        zarr.open_group(store, mode="r")


def test_what_changes_is_read_anew(path: Path, store: HdfStore) -> None:
    assert total(store) == IMAGE.sum()
    with h5py.File(path, "a") as file:
        file["image"][...] = 1
    assert total(store) == IMAGE.size


def test_a_file_deleted_after_opening_is_an_error_not_fill_values(path: Path, store: HdfStore, zarr_format) -> None:
    array = zarr.open_array(store, path="image", mode="r", zarr_format=zarr_format)
    np.testing.assert_array_equal(array[...], IMAGE)
    path.unlink()
    with pytest.raises((ChunkserveError, FileNotFoundError)):
        array[...]


def test_a_dataset_deleted_after_opening_is_an_error_not_fill_values(path: Path, store: HdfStore, zarr_format) -> None:
    array = zarr.open_array(store, path="image", mode="r", zarr_format=zarr_format)
    with h5py.File(path, "a") as file:
        del file["image"]
    with pytest.raises((ChunkserveError, FileNotFoundError)):
        array[...]


def test_a_damaged_chunk_is_an_error_and_its_neighbours_are_not(path: Path, store: HdfStore, zarr_format) -> None:
    with h5py.File(path) as file:
        info = file["image"].id.get_chunk_info(3)
    with path.open("r+b") as raw:
        raw.seek(info.byte_offset)
        raw.write(bytes(info.size))
    array = zarr.open_array(store, path="image", mode="r", zarr_format=zarr_format)
    np.testing.assert_array_equal(array[:200, :400], IMAGE[:200, :400])
    with pytest.raises(Exception, match=r"decompress|blosc|Blosc|[Cc]orrupt|chunk"):
        array[250:, 450:]


def test_links_may_lead_anywhere_unless_link_roots_say_otherwise(path: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    with h5py.File(tmp_path / "elsewhere" / "master.h5", "w") as file:
        file["out"] = h5py.ExternalLink(str(path), "/image")
    with chunkserve.open_store(tmp_path / "elsewhere" / "master.h5", settle=0.0) as store:
        np.testing.assert_array_equal(zarr.open_array(store, path="out", mode="r")[...], IMAGE)
    with chunkserve.open_store(tmp_path / "elsewhere" / "master.h5", settle=0.0, link_roots=()) as store:
        assert "out" not in names_in(store)
        assert store.get_sync("out/zarr.json") is None
