"""xarray sees of the store what it sees of the file: variables, dimensions, coordinates, attributes, groups."""

from collections.abc import Iterator
from pathlib import Path

import h5netcdf
import h5py
import netCDF4
import numpy as np
import pytest
import xarray as xr

from chunkserve.metadata.keys import Format
from tests.conformance.conftest import GROUP, ramp
from tests.conftest import Server

pytestmark = pytest.mark.filterwarnings("ignore::zarr.errors.ZarrUserWarning")


def write_netcdf(path: Path) -> None:
    """What netCDF-C makes of coordinates, packing, fill values, unlimited and nested dimensions."""
    with netCDF4.Dataset(path, "w", format="NETCDF4") as file:
        file.title, file.Conventions = "a year", "CF-1.11"
        file.createDimension("time", None)
        file.createDimension("lat", 30)
        file.createDimension("lon", 40)
        file.createDimension("bounds", 2)  # without a variable
        time = file.createVariable("time", "f8", ("time",))
        time.units, time.calendar, time.bounds = "days since 2024-01-01", "standard", "time_bounds"
        time[:] = np.arange(12) * 30.0
        file.createVariable("lat", "f4", ("lat",))[:] = np.linspace(-89, 89, 30)
        file.createVariable("lon", "f4", ("lon",))[:] = np.arange(40)
        file.createVariable("time_bounds", "f8", ("time", "bounds"))[:] = ramp((12, 2), "f8")
        t2m = file.createVariable(
            "t2m", "f4", ("time", "lat", "lon"), zlib=True, fill_value=1e20, chunksizes=(1, 30, 40)
        )
        t2m.units, t2m.coordinates, t2m.valid_range = "K", "height", np.array([100, 400], "f4")
        t2m[:] = np.where(ramp((12, 30, 40)) % 7, ramp((12, 30, 40), "f4"), 1e20)
        file.createVariable("height", "f8", ())[...] = 2.0
        rain = file.createVariable("rain", "i2", ("time", "lat", "lon"), zlib=True, fill_value=-32768)
        rain.set_auto_maskandscale(False)
        rain.scale_factor, rain.add_offset = np.float64(0.01), np.float64(0.0)
        rain[:] = ramp((12, 30, 40), "i2")
        file.createVariable("count", "i8", ("lat", "lon"))[:] = ramp((30, 40), "i8")
        file.createVariable("short", "f4", ("time",))[:5] = np.arange(5)  # shorter than its dimension
        group = file.createGroup("model/run1")
        group.createDimension("level", 3)
        group.createVariable("level", "f8", ("level",))[:] = [1, 2, 3]
        group.createVariable("both", "i4", ("time", "level"))[:] = ramp((12, 3))
        group.note = "nested"


def write_shadow(path: Path) -> None:
    """A group with a dimension that hides its parent's."""
    with netCDF4.Dataset(path, "w", format="NETCDF4") as file:
        file.createDimension("time", 12)
        file.createDimension("lat", 30)
        file.createVariable("lat", "f4", ("lat",))[:] = np.linspace(-89, 89, 30)
        group = file.createGroup("inner")
        group.createDimension("lat", 3)
        group.createVariable("lat", "f8", ("lat",))[:] = [1, 2, 3]
        group.createVariable("both", "i4", ("time", "lat"))[:] = ramp((12, 3))


def write_nexus(path: Path) -> None:
    """An application definition's usual furniture, without dimension scales."""
    with h5py.File(path, "w") as file:
        file.attrs["default"] = "entry"
        entry = file.create_group("entry")
        entry.attrs["NX_class"] = "NXentry"
        data = entry.create_group("data")
        for key, value in {"NX_class": "NXdata", "signal": "counts", "axes": ["angle", ".", "."]}.items():
            data.attrs[key] = value
        counts = data.create_dataset(
            "counts", data=ramp((7, 60, 50), "u2"), chunks=(1, 60, 50), compression="gzip", shuffle=True
        )
        counts.attrs["units"], counts.attrs["long_name"], counts.attrs["size"] = "counts", "Zähler", 5
        counts.attrs["bytes"] = np.bytes_(b"of fixed length")
        counts.attrs["vector"], counts.attrs["one"] = np.array([0.0, 0.0, 1.0]), np.array([3.5])
        data["angle"] = np.linspace(0, 180, 7)
        data["square"] = ramp((9, 9))
        data["enabled"] = np.array([True, False, True])
        log = entry.create_group("log")
        log.create_dataset("value", data=np.arange(200.0), chunks=(1,), maxshape=(None,))
        log["time"] = np.arange(200) * 0.5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """netCDF and NeXus files."""
    made = tmp_path_factory.mktemp("xarray")
    write_netcdf(made / "climate.nc")
    write_shadow(made / "shadow.nc")
    write_nexus(made / "run.nxs")
    return made


@pytest.fixture(scope="module")
def server(folder: Path, _own_cache: None) -> Iterator[str]:
    """Serves them."""
    started = Server((str(folder),), {"settle": 0, "workers": 1})
    yield started.url
    started.stop()


CASES = [
    ("climate.nc", None),
    ("climate.nc", "model/run1"),
    ("shadow.nc", "inner"),
    ("run.nxs", "entry/data"),
    ("run.nxs", "entry/log"),
]


def from_file(path: Path, group: str | None, **how: object) -> xr.Dataset:
    return xr.open_dataset(path, engine="h5netcdf", group=group, phony_dims="access", **how)


@pytest.mark.parametrize("mask_and_scale", [True, False], ids=["decoded", "raw"])
@pytest.mark.parametrize(("name", "group"), CASES)
def test_a_group_is_identical_to_the_file(
    folder: Path, server: str, zarr_format: Format, name: str, group: str | None, mask_and_scale: bool
) -> None:
    url = f"{server}/{GROUP[zarr_format]}/{name}"
    with (
        from_file(folder / name, group, mask_and_scale=mask_and_scale) as want,
        xr.open_zarr(url, group=group, chunks=None, mask_and_scale=mask_and_scale) as got,
    ):
        assert want.variables
        if mask_and_scale:
            xr.testing.assert_identical(got, want)
        else:  # where Zarr keeps the mask is the format's own affair
            for variable in [*want.variables.values(), *got.variables.values()]:
                variable.attrs.pop("_FillValue", None)
            xr.testing.assert_identical(got, want)


@pytest.mark.parametrize(("name", "group"), CASES)
def test_a_group_by_its_own_url_is_identical_too(
    folder: Path, server: str, zarr_format: Format, name: str, group: str | None
) -> None:
    url = f"{server}/{GROUP[zarr_format]}/{name}{'/' + group if group else ''}"
    with from_file(folder / name, group) as want, xr.open_zarr(url, chunks=None, consolidated=True) as got:
        xr.testing.assert_identical(got, want)


@pytest.mark.parametrize("name", ["climate.nc", "run.nxs"])
def test_all_groups_open_as_a_tree(folder: Path, server: str, zarr_format: Format, name: str) -> None:
    with h5netcdf.File(folder / name, phony_dims="access") as file:
        paths = {"/", *walk(file)}
    with xr.open_datatree(f"{server}/{GROUP[zarr_format]}/{name}", engine="zarr", chunks=None) as tree:
        assert set(tree.groups) == paths
        for path in paths:
            with from_file(folder / name, path) as want:
                xr.testing.assert_identical(tree[path].to_dataset(inherit=False), want)


def walk(group: h5netcdf.Group) -> Iterator[str]:
    for member in group.groups.values():
        yield member.name
        yield from walk(member)


def test_dimensions_have_the_same_names_without_decoding(folder: Path, server: str, zarr_format: Format) -> None:
    url = f"{server}/{GROUP[zarr_format]}/run.nxs"
    with from_file(folder / "run.nxs", "entry/data") as want, xr.open_zarr(url, group="entry/data") as got:
        assert {name: variable.dims for name, variable in got.variables.items()} == {
            name: variable.dims for name, variable in want.variables.items()
        }
        assert got["counts"].attrs["long_name"] == "Zähler"
        assert got["counts"].attrs["one"] == 3.5


def test_a_selection_by_coordinates_reads_the_right_elements(folder: Path, server: str, zarr_format: Format) -> None:
    url = f"{server}/{GROUP[zarr_format]}/climate.nc"
    with from_file(folder / "climate.nc", None) as want, xr.open_zarr(url) as got:
        where = {"time": "2024-03-01", "lat": slice(-20, 20), "lon": [3, 30]}
        xr.testing.assert_identical(got.t2m.sel(where).compute(), want.t2m.sel(where).compute())
        assert bool(got.t2m.isnull().any())


def test_lazy_reductions_agree(folder: Path, server: str, zarr_format: Format) -> None:
    url = f"{server}/{GROUP[zarr_format]}/climate.nc"
    with from_file(folder / "climate.nc", None) as want, xr.open_zarr(url, chunks={}) as got:
        assert got.t2m.chunks is not None
        xr.testing.assert_allclose(got.t2m.mean("time").compute(), want.t2m.mean("time"))
