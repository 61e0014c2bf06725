"""The OME-Zarr face, read by zarr-python and tensorstore, with everything a reader may ask wrongly."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest
import tensorstore
import zarr

from tests.conftest import Server
from tests.faces.conftest import Site, StartSite, ask

RNG = np.random.default_rng(0)
VOLUME = RNG.poisson(40, (150, 140, 130)).astype("u2")
IMAGE = RNG.normal(size=(2000, 1500)).astype("f4")
FACES = {3: "ome", 2: "ome2"}


@pytest.fixture(scope="module")
def levels(tmp_path_factory: pytest.TempPathFactory, start_site: StartSite) -> Site:
    """A server over a file with a volume, an image with coordinates, a stack, and what has no pyramid."""
    folder = tmp_path_factory.mktemp("levels")
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("volume", data=VOLUME, chunks=(64, 64, 64), compression="gzip", shuffle=True)
        group = file.create_group("data")
        group.attrs.update({"NX_class": "NXdata", "signal": "image", "axes": ["y_um", "x_um"]})
        group.create_dataset("image", data=IMAGE, chunks=(500, 500), compression="gzip")
        group["y_um"], group["x_um"] = np.arange(2000) * 0.5 + 10, np.arange(1500) * 0.25
        group["y_um"].attrs["units"] = group["x_um"].attrs["units"] = "um"
        stack = RNG.integers(0, 9, (3, 600, 700)).astype("u4")
        file.create_dataset("stack", data=stack, chunks=(1, 600, 700), **hdf5plugin.Bitshuffle())
        file["line"] = np.arange(5.0)
        file["7"] = np.zeros((4, 5))  # a name like a level's
    return start_site(folder)


def document(site: Site, path: str) -> dict:
    reply = site.ask(path)
    assert reply.status == 200, reply.body
    return json.loads(reply.body)


@pytest.mark.parametrize("zarr_format", [3, 2])
def test_every_level_is_read_and_is_the_mean(levels: Site, zarr_format: int) -> None:
    group = zarr.open_group(f"{levels.url}/{FACES[zarr_format]}/a.h5/volume", mode="r", zarr_format=zarr_format)
    np.testing.assert_array_equal(group["0"][...], VOLUME)
    coarse = VOLUME[:148, :140, :128].reshape(37, 4, 35, 4, 32, 4).mean((1, 3, 5))
    np.testing.assert_array_equal(group["2"][:37, :35, :32], np.rint(coarse))
    edge = VOLUME[148:].reshape(2, 35, 4, 130)[..., :128].reshape(2, 35, 4, 32, 4).mean((0, 2, 4))
    np.testing.assert_array_equal(group["2"][37, :, :32], np.rint(edge))  # two planes, not four
    assert "3" not in group


@pytest.mark.parametrize("zarr_format", [3, 2])
def test_tensorstore_reads_the_same(levels: Site, zarr_format: int) -> None:
    driver = {3: "zarr3", 2: "zarr"}[zarr_format]
    base = f"{levels.url}/{FACES[zarr_format]}/a.h5/volume"
    for level in "012":
        array = tensorstore.open({"driver": driver, "kvstore": f"{base}/{level}/"}).result().read().result()
        want = zarr.open_array(f"{base}/{level}", mode="r", zarr_format=zarr_format)[...]
        np.testing.assert_array_equal(array, want)


def test_the_document_says_where_voxels_are(levels: Site) -> None:
    ome = document(levels, "/ome/a.h5/data/image/zarr.json")["attributes"]["ome"]
    (multiscale,) = ome["multiscales"]
    assert [(axis["name"], axis.get("unit")) for axis in multiscale["axes"]] == [
        ("y", "micrometer"),
        ("x", "micrometer"),
    ]
    second = {t["type"]: t[t["type"]] for t in multiscale["datasets"][1]["coordinateTransformations"]}
    assert second == {"scale": [1.0, 0.5], "translation": [10.25, 0.125]}
    window = ome["omero"]["channels"][0]["window"]
    assert window["min"] <= window["start"] < 0 < window["end"] <= window["max"]
    old = document(levels, "/ome2/a.h5/data/image/.zattrs")
    assert old["multiscales"][0]["datasets"] == multiscale["datasets"]
    assert old["omero"] == ome["omero"]


def test_all_levels_have_the_axes_names_and_one_dtype(levels: Site) -> None:
    group = document(levels, "/ome/a.h5/stack/zarr.json")
    members = group["consolidated_metadata"]["metadata"]
    names = [axis["name"] for axis in group["attributes"]["ome"]["multiscales"][0]["axes"]]
    assert {member["data_type"] for member in members.values()} == {"uint32"}
    assert all(member["dimension_names"] == names for member in members.values())
    assert [member["shape"] for member in members.values()] == [[3, 600, 700], [3, 300, 350]]
    for level, member in members.items():
        assert document(levels, f"/ome/a.h5/stack/{level}/zarr.json") == member


def test_level_0_is_passed_through(levels: Site) -> None:
    mine, plain = levels.ask("/ome/a.h5/volume/0/c/1/1/1"), levels.ask("/zarr/a.h5/volume/c/1/1/1")
    assert (mine.body, mine.headers["etag"]) == (plain.body, plain.headers["etag"])


def test_a_view_says_how_levels_are_made(levels: Site) -> None:
    greatest = zarr.open_group(f"{levels.url}/ome;method=max/a.h5/volume", mode="r")
    want = VOLUME.reshape(75, 2, 70, 2, 65, 2).max((1, 3, 5))
    np.testing.assert_array_equal(greatest["1"][...], want)
    rows = zarr.open_group(f"{levels.url}/ome;axes=y/a.h5/data/image", mode="r")
    assert all(rows[level].shape[1] == 1500 for level in rows)
    doubled = zarr.open_group(f"{levels.url}/ome;dtype=f8/a.h5/data/image", mode="r")
    assert doubled["0"].dtype == doubled["1"].dtype == np.float64
    np.testing.assert_array_equal(doubled["0"][...], IMAGE)


def test_a_preview_is_near_and_kept_by_nobody(levels: Site) -> None:
    reply = levels.ask("/ome;preview/a.h5/volume/2/c/0/0/0")
    assert reply.status == 200
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["x-chunkserve-approximate"] == "1"
    values = zarr.open_group(f"{levels.url}/ome;preview/a.h5/volume", mode="r")["2"][...]
    assert abs(values.mean() - 40) < 1


def test_answers_are_tagged_and_pinned(levels: Site) -> None:
    path = "/a.h5/volume/1/c/0/0/0"
    first = levels.ask("/ome" + path)
    assert levels.ask("/ome" + path, If_None_Match=first.headers["etag"]).status == 304
    assert levels.ask("/ome;method=max" + path).headers["etag"] != first.headers["etag"]
    version = levels.ask("/ome/a.h5/volume/zarr.json").headers["x-chunkserve-version"]
    pinned = levels.ask(f"/ome;v={version}" + path)
    assert pinned.body == first.body
    assert "immutable" in pinned.headers["cache-control"]
    assert levels.ask("/ome;v=nonsense" + path).status == 410
    part = levels.ask("/ome" + path, Range="bytes=4-19")
    assert (part.status, part.body) == (206, first.body[4:20])


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/ome/a.h5/volume/3/zarr.json", 404),
        ("/ome/a.h5/volume/3/c/0/0/0", 410),
        ("/ome/a.h5/volume/1/c/9/0/0", 410),
        ("/ome/a.h5/volume/1/c/0/0", 410),
        ("/ome/a.h5/nothing/1/c/0/0/0", 410),
        ("/ome/nothing.h5/volume/1/c/0/0/0", 410),
        ("/ome/a.h5/nothing/zarr.json", 404),
        ("/ome/a.h5/line/zarr.json", 501),
        ("/ome/a.h5/line/1/c/0", 501),
        ("/ome/a.h5/data/zarr.json", 404),
        ("/ome/a.h5/volume/.zattrs", 404),
        ("/ome2/a.h5/volume/zarr.json", 404),
        ("/ome2/a.h5/volume/1/0.0.0", 410),
        ("/ome2/a.h5/volume/1/0/0/9", 410),
        ("/ome;method=median/a.h5/volume/zarr.json", 400),
        ("/ome;axes=w/a.h5/volume/zarr.json", 400),
        ("/ome;colour=1/a.h5/volume/zarr.json", 400),
        ("/ome/a.h5/volume/zarr.json?method=max", 400),
        ("/ome/a.h5/7/zarr.json", 200),
        ("/ome2/a.h5/7/0/0/0", 200),
        ("/ome2/a.h5/7/.zattrs", 200),
    ],
)
def test_every_path_has_its_answer(levels: Site, path: str, status: int) -> None:
    assert levels.ask(path).status == status


@pytest.fixture
def small_bounds(tmp_path: Path) -> Iterator[str]:
    """A server that may read little for one request."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=np.full((9000, 9000), 5, "u1"), chunks=(1000, 1000), compression="gzip")
    servers = [Server((str(tmp_path),), {"settle": 0, "workers": 2, "max_source_bytes": 2**20, "wait": 60})]
    yield servers[0].url
    servers[0].stop()


def test_a_request_waits_for_a_level_made_in_the_background(small_bounds: str) -> None:
    with ThreadPoolExecutor(20) as pool:
        replies = list(pool.map(lambda _: ask(f"{small_bounds}/ome/a.h5/x/5/c/0/0"), range(20)))
    assert {reply.status for reply in replies} == {200}
    assert len({reply.body for reply in replies}) == 1
    assert (zarr.open_array(f"{small_bounds}/ome/a.h5/x/5", mode="r")[...] == 5).all()


def test_a_level_that_takes_too_long_is_503_and_never_fill(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=np.full((9000, 9000), 5, "u1"), chunks=(1000, 1000), compression="gzip")
    server = Server((str(tmp_path),), {"settle": 0, "workers": 1, "max_source_bytes": 2**20, "wait": 0.01})
    try:
        reply = ask(f"{server.url}/ome/a.h5/x/5/c/0/0")
        assert reply.status == 503
        assert reply.headers["cache-control"] == "no-store"
        assert int(reply.headers["retry-after"]) > 0
    finally:
        server.stop()
