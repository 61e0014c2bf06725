"""Pyramids, dask, zarr, xarray, fsspec and napari see what is in the file."""

import io
import pickle
from collections.abc import Iterator
from pathlib import Path

import dask
import dask.array
import fsspec
import h5py
import numpy as np
import pytest
import xarray
import zarr

from chunkserve_client import FileChanged, NotFound, NotSupported, connect
from chunkserve_client.filesystem import ChunkserveFileSystem
from chunkserve_client.napari_reader import get_reader
from chunkserve_client.xarray_backend import split_url
from clients.python.tests.conftest import Running, serving

pytestmark = [
    pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning"),
    pytest.mark.filterwarnings("ignore::zarr.errors.ZarrUserWarning"),
]


def write(folder: Path) -> None:
    rng = np.random.default_rng(3)
    with h5py.File(folder / "volume.h5", "w") as file:
        values = np.cumsum(rng.integers(-3, 4, (20, 600, 800)), axis=2).astype("<i2")
        file.create_dataset("entry/data", data=values, chunks=(1, 600, 800), compression="gzip", shuffle=True)
        file["entry/vector"] = np.arange(1000.0)
    times = np.arange("2020-01-01", "2020-01-13", dtype="M8[D]").astype("M8[ns]")
    found = xarray.Dataset(
        {
            "t": (("time", "y", "x"), rng.random((12, 30, 40)).astype("f4"), {"units": "K"}),
            "packed": (("y", "x"), rng.random((30, 40))),
            "name": (("x",), np.array([f"s{i}" for i in range(40)], object)),
        },
        {"time": times, "y": np.linspace(0, 1, 30), "x": np.linspace(5, 6, 40)},
        {"title": "tëst", "numbers": [1, 2, 3]},
    )
    encoding = {"packed": {"dtype": "i2", "scale_factor": 0.001, "_FillValue": -9}, "t": {"chunksizes": (1, 30, 40)}}
    found.to_netcdf(folder / "climate.nc", engine="h5netcdf", encoding=encoding)
    found.to_netcdf(folder / "climate.nc", "a", group="inner", engine="h5netcdf", encoding=encoding)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, Path]]:
    folder = tmp_path_factory.mktemp("ecosystem")
    write(folder)
    with serving(folder) as server:
        yield server, folder


def test_levels_are_the_servers(running: tuple[Running, Path]) -> None:
    server, folder = running
    dataset = server.connect()["volume.h5::/entry/data"]
    levels = dataset.levels
    assert [info.level for info in levels] == list(range(len(levels)))
    assert levels[0].shape == (20, 600, 800)
    assert levels[1].shape == (20, 300, 400)
    assert levels[1].factors == (1.0, 2.0, 2.0)
    level = dataset.level(1)
    with h5py.File(folder / "volume.h5") as file:
        values = file["entry/data"][...].astype("f8")
    want = np.rint(values.reshape(20, 300, 2, 400, 2).mean((2, 4))).astype("i2")
    np.testing.assert_array_equal(level[...], want)
    np.testing.assert_array_equal(level[3, ::5, 10:20], want[3, ::5, 10:20])
    assert level[3].dtype == dataset.dtype
    greatest = dataset.level(1, method="max")
    np.testing.assert_array_equal(greatest[:5], values[:5].reshape(5, 300, 2, 400, 2).max((2, 4)))
    np.testing.assert_array_equal(greatest[0, 5, 7:9], greatest[0][5, 7:9])
    assert dataset.level(0) is dataset
    with pytest.raises(NotFound, match="no level 9"):
        dataset.level(9)
    again = pickle.loads(pickle.dumps(level))
    np.testing.assert_array_equal(again[2], want[2])
    with pytest.raises(NotSupported, match="no pyramid"):
        server.connect()["volume.h5::/entry/vector"].levels  # noqa: B018


def test_a_thumbnail_is_a_picture(running: tuple[Running, Path]) -> None:
    from PIL import Image  # noqa: PLC0415

    dataset = running[0].connect()["volume.h5::/entry/data"]
    for size, want in ((512, (400, 300)), (256, (200, 150))):
        picture = dataset.thumbnail(size, index=3, cmap="magma")
        assert Image.open(io.BytesIO(picture.data)).size == want
    assert picture._repr_png_() == picture.data
    with pytest.raises(ValueError, match="up to 512"):
        dataset.thumbnail(5000)


def test_statistics(running: tuple[Running, Path]) -> None:
    dataset = running[0].connect()["volume.h5::/entry/data"]
    assert dataset.stats()["count"] > 0
    level = dataset.stats(level=1)
    assert level["values"]["max"] == dataset.level(1)[...].max()


def test_dask_arrays_are_whole_chunks_and_travel(running: tuple[Running, Path]) -> None:
    server, folder = running
    dataset = server.connect()["volume.h5::/entry/data"]
    array = dataset.to_dask()
    assert array.dtype == dataset.dtype
    assert all(len(set(c[:-1])) <= 1 for c in array.chunks)
    with h5py.File(folder / "volume.h5") as file:
        want = file["entry/data"][...]
    small = dataset.to_dask(chunks=(4, 300, 800))
    np.testing.assert_array_equal((small + 1)[3:5, ::50].compute(scheduler="threads"), (want + 1)[3:5, ::50])
    with dask.config.set({"multiprocessing.context": "spawn"}):
        assert small[:8].sum().compute(scheduler="processes", num_workers=2) == want[:8].sum()
    assert dataset.to_dask().name == array.name


def test_zarr_arrays_use_the_clients_connections(running: tuple[Running, Path]) -> None:
    server, folder = running
    dataset = server.connect()["volume.h5::/entry/data"]
    array = dataset.to_zarr()
    with h5py.File(folder / "volume.h5") as file:
        np.testing.assert_array_equal(array[2:4, :50], file["entry/data"][2:4, :50])
    level = dataset.level(1).to_zarr()
    np.testing.assert_array_equal(level[0], dataset.level(1)[0])
    store = pickle.loads(pickle.dumps(array.store))
    assert zarr.open_array(store, mode="r").shape == array.shape
    assert store == array.store
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1


@pytest.mark.parametrize("group", ["", "inner"])
def test_xarray_opens_what_h5netcdf_opens(running: tuple[Running, Path], group: str) -> None:
    server, folder = running
    want = xarray.open_dataset(folder / "climate.nc", engine="h5netcdf", group=group or None)
    host = server.url.removeprefix("http://").rstrip("/")
    for url in (f"chunkserve://{host}/climate.nc", f"{server.url}/climate.nc", f"{server.url}/zarr/climate.nc"):
        with xarray.open_dataset(url, engine="chunkserve", group=group) as got:
            xarray.testing.assert_identical(got.load(), want.load())
    file = server.connect()["climate.nc"]
    xarray.testing.assert_identical((file[group] if group else file).to_xarray().load(), want)
    xarray.testing.assert_identical(file["t"].to_xarray().load(), xarray.open_dataset(folder / "climate.nc")["t"])
    lazy = xarray.open_dataset(url, engine="chunkserve", chunks={})
    assert lazy["t"].chunks is not None
    assert lazy["t"].mean().compute() == want["t"].mean()
    raw = xarray.open_dataset(url, engine="chunkserve", group=group, mask_and_scale=False, drop_variables=["t"])
    assert raw["packed"].dtype == np.int16
    assert "t" not in raw
    want.close()


def test_urls_name_server_and_file() -> None:
    assert split_url("chunkserve://h:80/a/b%20c.nc::/g") == ("http://h:80", "a/b c.nc::/g")
    assert split_url("https://h/zarr/a.nc") == ("https://h", "a.nc")
    with pytest.raises(ValueError, match="is not like"):
        split_url("a.nc")


def test_fsspec_reads_files_by_ranges(running: tuple[Running, Path]) -> None:
    server, folder = running
    host = server.url.removeprefix("http://").rstrip("/")
    with fsspec.open(f"chunkserve://{host}/volume.h5") as remote, h5py.File(remote) as file:
        np.testing.assert_array_equal(file["entry/vector"][5:9], np.arange(5.0, 9.0))
    files = fsspec.filesystem("chunkserve", url=server.url)
    assert isinstance(files, ChunkserveFileSystem)
    assert sorted(files.ls("", detail=False)) == ["climate.nc", "volume.h5"]
    assert files.info("volume.h5")["size"] == (folder / "volume.h5").stat().st_size
    assert files.exists("climate.nc")
    assert not files.exists("nothing.nc")
    assert files.cat_file("climate.nc", 1, 4) == b"HDF"
    with pytest.raises(ValueError, match="read-only"):
        files.open("new.h5", "wb")


def test_fsspec_joins_no_two_versions(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.zeros(500_000)
    with serving(tmp_path) as server:
        files = ChunkserveFileSystem(url=server.url, skip_instance_cache=True)
        with files.open("a.h5", block_size=4096, cache_type="none") as remote:
            remote.read(100)
            with h5py.File(tmp_path / "b.h5", "w") as file:
                file["x"] = np.ones(500_001)
            (tmp_path / "b.h5").rename(tmp_path / "a.h5")
            with pytest.raises(FileChanged):
                remote.read(100)


def test_napari_gets_all_levels(running: tuple[Running, Path]) -> None:
    server, _ = running
    host = server.url.removeprefix("http://").rstrip("/")
    path = f"chunkserve://{host}/volume.h5::/entry/data"
    reader = get_reader(path)
    assert reader is not None
    ((levels, options, kind),) = reader(path)
    assert kind == "image"
    assert options["multiscale"]
    assert options["name"] == "data"
    assert [array.shape for array in levels][:2] == [(20, 600, 800), (20, 300, 400)]
    low, high = options["contrast_limits"]
    assert low < high
    assert get_reader("local.tif") is None


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_manifest_for_napari_is_valid() -> None:
    npe2 = pytest.importorskip("npe2")
    manifest = npe2.PluginManifest.from_distribution("chunkserve-client")
    manifest.validate_imports()
    (reader,) = manifest.contributions.readers
    assert reader.filename_patterns == ["chunkserve://*"]


def test_a_server_is_found_by_its_url_alone(running: tuple[Running, Path]) -> None:
    with connect(running[0].url) as server:
        server.ping()
        assert server["climate.nc"]["x"].shape == (40,)
