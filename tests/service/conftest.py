"""Read files back through zarr-python over the library store, in both formats."""

from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr

import chunkserve
from chunkserve.library import HdfStore
from chunkserve.metadata.keys import Format

Check = Callable[..., zarr.Array]


@pytest.fixture(params=[3, 2], ids=["v3", "v2"])
def zarr_format(request: pytest.FixtureRequest) -> Format:
    """Both Zarr formats."""
    return request.param


@pytest.fixture
def library(zarr_format: Format) -> Iterator[Callable[..., HdfStore]]:
    """Open a file with ``chunkserve.open_store``."""
    opened: list[HdfStore] = []

    def make(path: Path, **settings: object) -> HdfStore:
        opened.append(chunkserve.open_store(path, zarr_format=zarr_format, **({"settle": 0.0} | settings)))
        return opened[-1]

    yield make
    for store in opened:
        store.close()


@pytest.fixture
def same_as_h5py(library: Callable[..., HdfStore], zarr_format: Format) -> Check:
    """Assert that a dataset read through zarr equals what h5py reads; gives the zarr array."""

    def check(path: Path, name: str, **settings: object) -> zarr.Array:
        store = library(path, **settings)
        array = zarr.open_array(store, path=name, mode="r", zarr_format=zarr_format)
        with h5py.File(path) as file:
            want = (
                file[name].asstr()[()]
                if h5py.check_string_dtype(file[name].dtype) and file[name].dtype == object
                else file[name][()]
            )
        got = array[()] if array.ndim == 0 else array[...]
        np.testing.assert_array_equal(np.asarray(got).astype(np.asarray(want).dtype), want)
        return array

    return check


def verdict(store: HdfStore, name: str) -> str:
    """How the library store serves a dataset."""
    return store.door.chunks(store.zarr_format, store._parts(name), wait=True).presentation.plan.value
