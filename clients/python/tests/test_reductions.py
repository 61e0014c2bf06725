"""Reductions run on the server and give what numpy gives."""

from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np
import pytest

from chunkserve_client import Dataset, File, NotSupported, TooMuch
from clients.python.tests.conftest import serving


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[File, dict[str, np.ndarray]]]:
    folder = tmp_path_factory.mktemp("reductions")
    rng = np.random.default_rng(2)
    arrays = {
        "u2": rng.integers(0, 60000, (40, 300, 200)).astype("<u2"),
        "f4": rng.random((40, 300, 200)).astype(">f4"),
        "nan": np.where(rng.random((50, 60)) < 0.1, np.nan, rng.random((50, 60))),
        "wide": rng.integers(0, 100, (700, 900)).astype("<u2"),
        "bool": rng.random((30, 20)) < 0.5,
    }
    with h5py.File(folder / "a.h5", "w") as file:
        for name, values in arrays.items():
            file.create_dataset(name, data=values, chunks=True, compression="gzip")
        file["big"] = np.zeros((3, 4), "S5")
    with serving(folder) as running:
        yield running.connect()["a.h5"], arrays


@pytest.mark.parametrize("name", ["u2", "f4", "nan", "bool"])
@pytest.mark.parametrize("operation", ["sum", "mean", "min", "max", "std"])
def test_reductions_are_numpys(pair: tuple[File, dict[str, np.ndarray]], name: str, operation: str) -> None:
    dataset, values = pair[0][name], pair[1][name]
    if name == "bool" and operation == "std":
        values = values.astype("f8")
    for axis in (None, 0, -1, (0, 1)):
        got = getattr(dataset, operation)(axis)
        want = getattr(values.astype("f8") if operation in ("mean", "std") else values, operation)(axis)
        assert np.shape(got) == np.shape(want)
        np.testing.assert_allclose(np.asarray(got, "f8"), np.asarray(want, "f8"), rtol=1e-5)


def test_sums_of_integers_are_exact(pair: tuple[File, dict[str, np.ndarray]]) -> None:
    dataset, values = pair[0]["u2"], pair[1]["u2"]
    got = dataset.sum(axis=(0, 2))
    assert got.dtype == np.uint64
    np.testing.assert_array_equal(got, values.sum(axis=(0, 2)))


def test_regions_are_reduced_as_their_elements_would_be(pair: tuple[File, dict[str, np.ndarray]]) -> None:
    dataset, values = pair[0]["u2"], pair[1]["u2"]
    for region in (np.s_[3:20], np.s_[5], np.s_[..., 7], np.s_[::3, 10:50:2], np.s_[:, [1, 7, 9]], np.s_[2, 3]):
        for axis in (None, 0, -1):
            np.testing.assert_array_equal(dataset.sum(axis, region=region), values[region].sum(axis))
            np.testing.assert_array_equal(dataset.max(axis, region=region), values[region].max(axis))
    mask = np.zeros(values.shape, bool)
    with pytest.raises(NotSupported, match="region"):
        dataset.sum(region=mask)


def test_numpys_functions_dispatch(pair: tuple[File, dict[str, np.ndarray]], monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, values = pair[0]["u2"], pair[1]["u2"]
    read: list[Any] = []
    monkeypatch.setattr(Dataset, "__array__", lambda self, *_, **__: read.append(self) or values)
    assert np.mean(dataset) == pytest.approx(values.mean())
    np.testing.assert_array_equal(np.sum(dataset, axis=1), values.sum(axis=1))
    np.testing.assert_array_equal(np.max(dataset, axis=(0, 1), keepdims=True), values.max(axis=(0, 1), keepdims=True))
    assert np.std(dataset) == pytest.approx(values.std())
    counts, edges = np.histogram(dataset, bins=50, range=(0, 1000))
    want = np.histogram(values, bins=50, range=(0, 1000))
    np.testing.assert_array_equal(counts, want[0])
    np.testing.assert_allclose(edges, want[1])
    assert not read
    np.testing.assert_array_equal(np.median(dataset, axis=0), np.median(values, axis=0))
    assert read


def test_levels_are_reduced(pair: tuple[File, dict[str, np.ndarray]]) -> None:
    level = pair[0]["wide"].level(1)
    assert np.mean(level) == pytest.approx(level[...].mean())


def test_several_at_once_take_one_request(pair: tuple[File, dict[str, np.ndarray]]) -> None:
    dataset = pair[0]["f4"]
    before = dataset.place.transport.requests
    found = dataset.reduce(["min", "max", "count"])
    assert dataset.place.transport.requests == before + 1
    assert found["count"] == dataset.size
    assert found["min"] == pair[1]["f4"].min()


def test_bad_axes_are_refused_here(pair: tuple[File, dict[str, np.ndarray]]) -> None:
    with pytest.raises(np.exceptions.AxisError):
        pair[0]["u2"].sum(axis=3)
    with pytest.raises(Exception):  # noqa: B017, PT011
        pair[0]["big"].sum()


def test_what_the_server_will_not_read_says_what_to_do(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("limit")
    with h5py.File(folder / "a.h5", "w") as file:
        file["x"] = np.zeros((1000, 1000))
    with serving(folder, max_reduce_bytes="1MiB") as running, pytest.raises(TooMuch, match="level"):
        running.connect()["a.h5"]["x"].sum()
