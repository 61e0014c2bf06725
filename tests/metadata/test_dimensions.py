"""Dimensions have the names and sizes that netCDF-4 and h5netcdf give them."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import h5netcdf
import h5py
import netCDF4
import numpy as np
import pytest

from chunkserve.datatypes import DataType
from chunkserve.hdf5.pool import Readers
from chunkserve.metadata.dimensions import HIDDEN, Scope, anonymous, dimension_names, open_scope
from chunkserve.model import Dataset
from chunkserve.service.store import Store, open_roots, start_readers
from chunkserve.settings import load
from tests.conftest import AT_REST

I4 = DataType("integer", 4, "<", signed=True)


def coordinates(path: Path) -> None:
    with netCDF4.Dataset(path, "w") as file:
        for name, size in (("time", None), ("lat", 3), ("bare", 2)):
            file.createDimension(name, size)
        file.createVariable("time", "f8", ("time",))[:] = range(4)
        file.createVariable("lat", "f8", ("lat",))[:] = range(3)
        file.createVariable("t", "f4", ("time", "lat", "bare"))[:] = 1
        file.createVariable("square", "f4", ("lat", "lat"))[:] = 1
        file.createVariable("scalar", "f4")[...] = 1


def lengthened(path: Path) -> None:
    """An unlimited dimension, whose variables are of different length in the file."""
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("time", None)
        file.createVariable("time", "f8", ("time",))[:] = range(3)
        file.createVariable("long", "f8", ("time",))[:] = range(7)
        file.createVariable("short", "f8", ("time",))[:] = range(2)


def nested(path: Path) -> None:
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("x", 3)
        file.createDimension("y", 4)
        group = file.createGroup("a")
        group.createDimension("x", 5)  # hides the one above
        group.createVariable("v", "i4", ("x", "y"))[:] = 1
        file["a"].createGroup("b").createVariable("w", "i4", ("y", "x"))[:] = 1


def two_dimensional_coordinate(path: Path) -> None:
    """A variable of two dimensions that is called as one of them, and one that is only called so."""
    with netCDF4.Dataset(path, "w") as file:
        for name, size in (("x", 3), ("y", 4), ("z", 5)):
            file.createDimension(name, size)
        file.createVariable("x", "i4", ("x", "y"))[:] = 1
        file.createVariable("z", "i4", ("y",))[:] = 1


def scales(path: Path) -> None:
    """Dimension scales by hand; one axis has none, one has two."""
    with h5py.File(path, "w") as file:
        for name, size in (("s3", 3), ("other3", 3), ("s4", 4)):
            file[name] = np.arange(size)
            file[name].make_scale()
        file["whole"] = np.zeros((3, 4))
        for axis, name in enumerate(("s3", "s4")):
            file["whole"].dims[axis].attach_scale(file[name])
        file["whole"].dims[0].attach_scale(file["other3"])


def phony(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["a"] = np.zeros((3, 4))
        file["b"] = np.zeros((4, 3, 4))
        file["g/c"] = np.zeros((3, 9))
        file["g/h/d"] = np.zeros((9, 9))
        file["scalar"] = 1


def mixed(path: Path) -> None:
    """Some datasets have scales, others are of the same size and have none."""
    with h5py.File(path, "w") as file:
        file["x"] = np.arange(3)
        file["x"].make_scale()
        file["with"] = np.zeros(3)
        file["with"].dims[0].attach_scale(file["x"])
        file["without"] = np.zeros((3, 3, 5))


WRITERS = [coordinates, lengthened, nested, two_dimensional_coordinate, scales, phony, mixed]
Node = Callable[..., dict]


@pytest.fixture(scope="module")
def readers() -> Iterator[Readers]:
    """Reader processes for all tests here."""
    made = start_readers(load({}))
    yield made
    made.close()


@pytest.fixture
def node(tmp_path: Path, readers: Readers) -> Iterator[Node]:
    """The document of a node of ``f.h5``."""
    settings = load(AT_REST)
    store = Store(settings, open_roots(settings, (str(tmp_path),)), readers)
    yield lambda *parts: json.loads(bytes(store.key(3, ("f.h5", *parts, "zarr.json"), wait=True).blob.read()))
    store.close()


def variables(group: h5netcdf.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], h5netcdf.Variable]]:
    for name, variable in group.variables.items():
        yield (*path, name), variable
    for name, member in group.groups.items():
        yield from variables(member, (*path, name))


@pytest.mark.parametrize("write", WRITERS, ids=lambda f: f.__name__)
def test_names_and_sizes_are_those_of_h5netcdf(tmp_path: Path, node: Node, write) -> None:
    path = tmp_path / "f.h5"
    write(path)
    with h5netcdf.File(path, phony_dims="access") as file:
        found = list(variables(file))
        assert found
        for parts, theirs in found:
            mine = node(*parts)
            assert (tuple(mine["dimension_names"]), tuple(mine["shape"])) == (theirs.dimensions, theirs.shape), parts


@pytest.mark.parametrize("write", WRITERS, ids=lambda f: f.__name__)
def test_what_is_listed_are_the_variables_of_h5netcdf_without_bookkeeping(tmp_path: Path, node: Node, write) -> None:
    path = tmp_path / "f.h5"
    write(path)
    members = node()["consolidated_metadata"]["metadata"]
    arrays = {name: member for name, member in members.items() if member["node_type"] == "array"}
    with h5netcdf.File(path, phony_dims="access") as file:
        theirs = {"/".join(parts): set(variable.attrs) for parts, variable in variables(file)}
    assert {name: set(array["attributes"]) - {"_FillValue"} for name, array in arrays.items()} == theirs
    hidden = {name.decode() for name in HIDDEN}
    with h5py.File(path) as file:
        present = {key for name in theirs for key in (file[name].attrs if name in file else ())}
    assert present & hidden or write is phony  # there was something to hide


def test_a_dimension_without_a_variable_is_not_listed_but_can_be_read(tmp_path: Path, node: Node) -> None:
    coordinates(tmp_path / "f.h5")
    assert "bare" not in node()["consolidated_metadata"]["metadata"]
    assert node("bare")["shape"] == [2]


def test_unlimited_dimensions_are_as_long_as_their_longest_variable(tmp_path: Path, node: Node) -> None:
    lengthened(tmp_path / "f.h5")
    assert [node(name)["shape"] for name in ("time", "long", "short")] == [[7], [7], [7]]


def plain(*shape: int) -> Dataset:
    return Dataset((), I4, shape, shape)


def test_each_size_has_as_many_phony_dimensions_as_one_dataset_needs() -> None:
    members = {"a": plain(3, 3), "b": plain(3, 4), "c": plain(3)}
    scope = open_scope(members, Scope(), {})
    assert scope.own == {"phony_dim_0": 3, "phony_dim_1": 3, "phony_dim_2": 4}
    below = open_scope({"d": plain(3)}, scope, {})
    assert below.own == {"phony_dim_3": 3}
    assert (below.size("phony_dim_0"), below.size("none")) == (3, None)
    assert dimension_names("a", members["a"], scope) == ("phony_dim_0", "phony_dim_1")


def test_names_without_a_group_depend_on_the_size_alone() -> None:
    assert anonymous((64, 64, 3)) == ("phony_64", "phony_64_1", "phony_3")
    assert dimension_names("x", plain(2, 2), Scope()) == ("phony_2", "phony_2_1")


def test_a_null_dataspace_has_one_empty_axis() -> None:
    assert len(dimension_names("x", Dataset((), I4, None), Scope())) == 1
