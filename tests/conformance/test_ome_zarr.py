"""ome-zarr, the reference reader, follows our documents to every level over HTTP, and finds what numpy makes of it."""

from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest
from ome_zarr.io import parse_url
from ome_zarr.reader import Reader

from chunkserve.metadata.keys import Format
from tests.conftest import Serve

FACE: dict[Format, str] = {3: "ome", 2: "ome2"}
VERSION: dict[Format, str] = {3: "0.5", 2: "0.4"}


def images() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    return {
        "volume": rng.poisson(40, (150, 141, 130)).astype("u2"),
        "image": rng.normal(size=(1100, 1501)).astype("f4"),
        "stack": rng.integers(0, 999, (5, 600, 700)).astype("u4"),
        "movie": rng.integers(0, 255, (2, 3, 90, 150, 160)).astype("u1"),
    }


HALVED = {
    "volume": (True, True, True), "image": (True, True), "stack": (False, True, True),
    "movie": (False, False, True, True, True),
}  # fmt: skip
"""The axes that are halved."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with images of two to five axes."""
    folder = tmp_path_factory.mktemp("ome-zarr")
    found = images()
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("volume", data=found["volume"], chunks=(64, 64, 64), compression="gzip", shuffle=True)
        file.create_dataset("image", data=found["image"], chunks=(500, 500), compression="gzip")
        file.create_dataset("stack", data=found["stack"], chunks=(1, 600, 700), **hdf5plugin.Bitshuffle())
        file.create_dataset("movie", data=found["movie"], chunks=(1, 1, 90, 75, 80), compression="lzf")
        for axis, letter in enumerate("tczyx"):
            file[letter] = np.arange(found["movie"].shape[axis])
            file[letter].make_scale(letter)
            file["movie"].dims[axis].attach_scale(file[letter])
    return folder


def opened(url: str) -> Any:
    location = parse_url(url)
    assert location is not None
    (node,) = Reader(location)()
    return location, node


def mean(values: np.ndarray, halved: tuple[bool, ...], level: int) -> np.ndarray:
    """Of each cell, in float64; cells at the far edges have the voxels that there are."""
    total, count = values.astype("f8"), np.ones(values.shape)
    for axis in np.flatnonzero(halved):
        starts = np.arange(0, values.shape[axis], 2**level)
        total, count = np.add.reduceat(total, starts, axis), np.add.reduceat(count, starts, axis)
    return total / count


@pytest.mark.parametrize("name", HALVED)
def test_every_level_is_what_numpy_makes_of_the_source(
    folder: Path, serve: Serve, zarr_format: Format, name: str
) -> None:
    location, node = opened(f"{serve(folder)}/{FACE[zarr_format]}/a.h5/{name}")
    source = images()[name]
    assert location.version == VERSION[zarr_format]
    assert node.metadata["name"] == name
    assert len(node.data) >= 2
    np.testing.assert_array_equal(node.data[0].compute(), source)
    for level, array in enumerate(node.data[1:], 1):
        want, got = mean(source, HALVED[name], level), array.compute()
        assert got.dtype == source.dtype
        if source.dtype.kind == "f":
            np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-9)
        else:
            np.testing.assert_array_equal(got, np.rint(want))


def test_it_finds_the_axes_scales_and_the_contrast(folder: Path, serve: Serve, zarr_format: Format) -> None:
    _, node = opened(f"{serve(folder)}/{FACE[zarr_format]}/a.h5/movie")
    assert [(axis["name"], axis["type"]) for axis in node.metadata["axes"]] == [
        ("t", "time"), ("c", "channel"), ("z", "space"), ("y", "space"), ("x", "space"),
    ]  # fmt: skip
    for level, transformations in enumerate(node.metadata["coordinateTransformations"]):
        (scale,) = (t["scale"] for t in transformations if t["type"] == "scale")
        assert scale == [1, 1, 2**level, 2**level, 2**level]
    low, high = np.array(node.metadata["contrast_limits"]).T
    assert (low < high).all()
