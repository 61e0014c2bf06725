"""Files with levels of their own show these: bit for bit, where they are, without padding; else levels are computed."""

import json
import os
from pathlib import Path
from urllib.parse import quote

import h5py
import numpy as np
import pytest
import zarr

from chunkserve.service.pyramids import Wish
from tests.conftest import REALDATA, OpenStore, needs_realdata
from tests.faces.conftest import Site, StartSite
from tests.metadata.test_ome import check_words, validator

RNG = np.random.default_rng(0)
FACES = {3: "ome", 2: "ome2"}
IMARIS = "i.ims/DataSet/ResolutionLevel 0/TimePoint 0/Channel 1/Data"
CELLS = "b.h5/t00000/s00/0/cells"


def noise(*shape: int, dtype: str = "u2") -> np.ndarray:
    """Values of which no level is made of another."""
    return RNG.integers(0, 200, shape).astype(dtype)


def characters(group: h5py.Group, **attributes: object) -> None:
    """Attributes as Imaris writes them: arrays of single characters."""
    for name, value in attributes.items():
        group.attrs[name] = np.array([c.encode() for c in str(value)], "S1")


IMARIS_LEVELS = [(noise(50, 100, 90), (64, 128, 192), (32, 64, 64)), (noise(50, 50, 45), (64, 64, 64), (32, 64, 64))]


def write_imaris(path: Path, numbers: tuple[int, ...] = (0, 1)) -> None:
    """Two levels, padded with what was never measured."""
    with h5py.File(path, "w") as file:
        extents = {"ExtMin0": -10, "ExtMax0": 80, "ExtMin1": 0, "ExtMax1": 50.0, "ExtMin2": 5, "ExtMax2": 105}
        characters(file.create_group("DataSetInfo/Image"), **extents, Unit="um")
        for number, (data, padded, chunks) in zip(numbers, IMARIS_LEVELS, strict=True):
            for channel in range(2):
                group = file.create_group(f"DataSet/ResolutionLevel {number}/TimePoint 0/Channel {channel}")
                z, y, x = data.shape
                characters(group, ImageSizeX=x, ImageSizeY=y, ImageSizeZ=z)
                stored = np.full(padded, 60000, "u2")
                stored[:z, :y, :x] = data + channel
                group.create_dataset("Data", data=stored, chunks=chunks, compression="gzip")


BDV_LEVELS = [noise(40, 120, 300, dtype="i2"), noise(40, 40, 150, dtype="i2"), noise(20, 13, 75, dtype="i2")]
FACTORS = [(1, 1, 1), (2, 3, 1), (4, 9, 2)]


def write_bdv(path: Path, levels: list[np.ndarray], factors: list[tuple[int, int, int]]) -> None:
    with h5py.File(path, "w") as file:
        file["s00/resolutions"] = np.array(factors, "f8")
        for number, level in enumerate(levels):
            file.create_dataset(f"t00000/s00/{number}/cells", data=level, chunks=(16, 8, 64), compression="gzip")


OME_LEVELS = [noise(2, 300, 200), noise(2, 150, 100), noise(2, 75, 50)]


def write_ome(path: Path, names: tuple[str, ...]) -> None:
    axes = [{"name": "c", "type": "channel"}, *({"name": n, "type": "space", "unit": "nanometer"} for n in "yx")]
    steps = [[{"type": "scale", "scale": [1, 4 * 2**i, 8 * 2**i]}] for i in range(3)]
    datasets = [{"path": p, "coordinateTransformations": s} for p, s in zip(names, steps, strict=True)]
    with h5py.File(path, "w") as file:
        group = file.create_group("image")
        group.attrs["multiscales"] = json.dumps([{"name": "cells", "axes": axes, "datasets": datasets}])
        for name, level in zip(names, OME_LEVELS, strict=True):
            group.create_dataset(name, data=level, chunks=(1, 75, 50))


@pytest.fixture(scope="module")
def levels(tmp_path_factory: pytest.TempPathFactory, start_site: StartSite) -> Site:
    folder = tmp_path_factory.mktemp("own")
    write_imaris(folder / "i.ims")
    write_imaris(folder / "gap.ims", (0, 2))
    write_bdv(folder / "b.h5", BDV_LEVELS, FACTORS)
    write_bdv(folder / "few.h5", BDV_LEVELS[:2], FACTORS)
    write_bdv(folder / "wrong.h5", BDV_LEVELS, [(1, 1, 1), (3, 2, 1), (9, 4, 2)])
    write_bdv(folder / "dtype.h5", [BDV_LEVELS[0], BDV_LEVELS[1].astype("f4")], FACTORS[:2])
    write_bdv(folder / "one.h5", BDV_LEVELS[:1], FACTORS[:1])
    write_ome(folder / "o.h5", ("0", "1", "2"))
    write_ome(folder / "named.h5", ("full", "down/half", "down/quarter"))
    write_ome(folder / "partly.h5", ("0", "1", "2"))
    with h5py.File(folder / "partly.h5", "a") as file:
        del file["image/1"]
    return start_site(folder)


def url(path: str) -> str:
    return quote(path, safe="/;=")


def document(site: Site, path: str) -> dict:
    reply = site.ask(url(path))
    assert reply.status == 200, reply.body
    return json.loads(reply.body)


def multiscale(site: Site, path: str) -> dict:
    """The multiscale of an image, valid in both versions."""
    new = document(site, f"/ome/{path}/zarr.json")["attributes"]
    old = document(site, f"/ome2/{path}/.zattrs")
    validator("0.5").validate(new)
    validator("0.4").validate(old)
    (shared,) = new["ome"]["multiscales"]
    assert old["multiscales"] == [{"version": "0.4", **shared}]
    check_words(shared, len(shared["axes"]))
    return shared


def places(shared: dict) -> list[tuple[list[float], list[float]]]:
    both = [dataset["coordinateTransformations"] for dataset in shared["datasets"]]
    return [(scale["scale"], translation["translation"]) for scale, translation in both]


@pytest.mark.parametrize("zarr_format", [3, 2])
@pytest.mark.parametrize(
    ("path", "want"),
    [
        (IMARIS, [data + 1 for data, *_ in IMARIS_LEVELS]),
        (CELLS, BDV_LEVELS),
        ("o.h5/image", OME_LEVELS),
        ("named.h5/image", OME_LEVELS),
        ("named.h5/image/full", OME_LEVELS),
    ],
)
def test_every_level_is_the_files_own(levels: Site, path: str, want: list[np.ndarray], zarr_format: int) -> None:
    group = zarr.open_group(f"{levels.url}/{FACES[zarr_format]}/{path}", mode="r", zarr_format=zarr_format)
    for number, level in enumerate(want):
        assert group[str(number)].dtype == level.dtype
        np.testing.assert_array_equal(group[str(number)][...], level)
    assert str(len(want)) not in group


def test_imaris_extents_place_the_levels_and_padding_is_not_shown(levels: Site) -> None:
    shared = multiscale(levels, IMARIS)
    assert [(axis["name"], axis["unit"]) for axis in shared["axes"]] == [(n, "micrometer") for n in "zyx"]
    assert places(shared) == [([2.0, 0.5, 1.0], [6.0, 0.25, -9.5]), ([2.0, 1.0, 2.0], [6.0, 0.5, -9.0])]
    assert shared["name"] == "TimePoint 0 Channel 1"
    assert document(levels, f"/ome/{IMARIS}/0/zarr.json")["shape"] == [50, 100, 90]
    assert document(levels, f"/ome2/{IMARIS}/1/.zarray")["shape"] == [50, 50, 45]
    assert document(levels, f"/zarr/{IMARIS}/zarr.json")["shape"] == [64, 128, 192]
    window = document(levels, f"/ome/{IMARIS}/zarr.json")["attributes"]["omero"]["channels"][0]["window"]
    assert window["max"] == 200
    assert levels.ask(url(f"/ome/{IMARIS}/0/c/1/1/1")).status == 200
    assert levels.ask(url(f"/ome/{IMARIS}/0/c/1/1/2")).status == 410  # nothing but padding
    assert levels.ask(url(f"/zarr/{IMARIS}/c/1/1/2")).status == 200


@pytest.mark.parametrize("zarr_format", [3, 2])
def test_views_of_padded_data_show_no_padding_either(levels: Site, zarr_format: int) -> None:
    base = f"{levels.url}/{FACES[zarr_format]};axes=yx;method=max/{IMARIS}"
    group = zarr.open_group(base, mode="r", zarr_format=zarr_format)
    np.testing.assert_array_equal(group["0"][...], IMARIS_LEVELS[0][0] + 1)


def test_bdv_factors_place_the_levels(levels: Site) -> None:
    shared = multiscale(levels, CELLS)
    assert places(shared) == [
        ([1, 1, 1], [0, 0, 0]),
        ([1, 3, 2], [0, 1, 0.5]),
        ([2, 9, 4], [0.5, 4, 1.5]),
    ]
    assert (shared["type"], shared["name"]) == ("stored", "t00000 s00")


def test_multiscales_place_the_levels(levels: Site) -> None:
    for path in ("o.h5/image", "named.h5/image"):
        shared = multiscale(levels, path)
        assert shared["name"] == "cells"
        assert places(shared) == [([1, 4 * f, 8 * f], [0, 0, 0]) for f in (1, 2, 4)]
        assert [axis.get("unit") for axis in shared["axes"]] == [None, "nanometer", "nanometer"]


@pytest.mark.parametrize(
    ("mine", "plain"),
    [
        (f"{IMARIS}/1/c/0/0/0", "i.ims/DataSet/ResolutionLevel 1/TimePoint 0/Channel 1/Data/c/0/0/0"),
        (f"{CELLS}/2/c/0/0/0", "b.h5/t00000/s00/2/cells/c/0/0/0"),
        ("o.h5/image/1/c/0/0/0", "o.h5/image/1/c/0/0/0"),
        ("named.h5/image/2/c/0/0/0", "named.h5/image/down/quarter/c/0/0/0"),
    ],
)
def test_chunks_of_levels_are_those_of_the_zarr_face(levels: Site, mine: str, plain: str) -> None:
    ours, theirs = levels.ask(url(f"/ome/{mine}")), levels.ask(url(f"/zarr/{plain}"))
    assert (ours.status, theirs.status) == (200, 200)
    assert (ours.body, ours.headers["etag"]) == (theirs.body, theirs.headers["etag"])
    assert levels.ask(url(f"/ome/{mine}"), If_None_Match=ours.headers["etag"]).status == 304


def test_old_chunks_are_too(levels: Site) -> None:
    ours = levels.ask(url(f"/ome2/{CELLS}/2/0/0/0"))
    theirs = levels.ask(url("/zarr2/b.h5/t00000/s00/2/cells/0.0.0"))
    assert (ours.body, ours.headers["etag"]) == (theirs.body, theirs.headers["etag"])


@pytest.mark.parametrize(
    "path",
    [
        f"gap.{IMARIS[2:]}",
        f"few.{CELLS[2:]}",
        f"wrong.{CELLS[2:]}",
        f"dtype.{CELLS[2:]}",
        f"one.{CELLS[2:]}",
        "partly.h5/image",
        "b.h5/t00000/s00/1/cells",
    ],
)
def test_otherwise_levels_are_computed(levels: Site, path: str) -> None:
    assert multiscale(levels, path)["type"] == "mean"
    assert levels.ask(url(f"/ome;method=max/{path}/0/zarr.json")).status == 200


@pytest.mark.parametrize("path", [IMARIS, CELLS, "o.h5/image"])
@pytest.mark.parametrize("view", ["method=max", "axes=yx", "dtype=f4"])
def test_another_view_is_computed(levels: Site, path: str, view: str) -> None:
    shared = document(levels, f"/ome;{view}/{path}/zarr.json")["attributes"]["ome"]["multiscales"][0]
    assert shared["type"] == ("max" if view == "method=max" else "mean")
    assert document(levels, f"/ome;{view}/{path}/0/zarr.json")["shape"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/ome/b.h5/t00000/s00/0/cells/3/zarr.json", 404),
        ("/ome/b.h5/t00000/s00/0/cells/3/c/0/0/0", 410),
        ("/ome/b.h5/t00000/s00/0/cells/2/c/9/0/0", 410),
        ("/ome/b.h5/t00000/s00/0/cells/2/c/0/0", 410),
        ("/ome/o.h5/image/3/zarr.json", 404),
        ("/ome/o.h5/image/", 200),
        ("/ome2/o.h5/image/.zgroup", 200),
        ("/ome/o.h5/zarr.json", 404),
        ("/ome/b.h5/t00000/zarr.json", 404),
    ],
)
def test_every_path_has_its_answer(levels: Site, path: str, status: int) -> None:
    assert levels.ask(path).status == status


def test_levels_can_be_pinned(levels: Site) -> None:
    version = levels.ask(f"/ome/{CELLS}/zarr.json").headers["x-chunkserve-version"]
    reply = levels.ask(f"/ome;v={version}/{CELLS}/1/c/0/0/0")
    assert (reply.status, "immutable" in reply.headers["cache-control"]) == (200, True)
    assert levels.ask(f"/ome;v=nonsense/{CELLS}/1/c/0/0/0").status == 410


def test_a_new_version_of_a_file_has_new_levels(tmp_path: Path, open_store: OpenStore) -> None:
    write_bdv(tmp_path / "b.h5", BDV_LEVELS, FACTORS)
    store = open_store(tmp_path)
    path = tuple(CELLS.split("/"))
    before = store.images.find(path, Wish(), 3)
    assert store.images.find(path, Wish(), 3) is before
    assert store.images.find(path, Wish(), 2).own is not None
    write_bdv(tmp_path / "b.h5", BDV_LEVELS[:2], FACTORS[:2])
    os.utime(tmp_path / "b.h5", (1, 1))
    after = store.images.find(path, Wish(), 3)
    assert (before.count, after.count) == (2, 1)
    assert after.tag != before.tag


# ----------------------------------------------------------------------- real files

BDV = "t00000/s00/{}/cells"
REAL = [  # file, levels, and their datasets
    ("bdv-utils__Hela_full.h5", 3, BDV),
    ("bdv-utils__labels-ulong.h5", 2, BDV),
    ("bdv-utils__multi-resolution-mri-stack.h5", 3, BDV),
    ("pybdv__example.h5", 2, BDV),
    ("imaris-split-extlinks/volume.ims", 2, "DataSet/ResolutionLevel {}/TimePoint 2/Channel 0/Data"),
    ("imaris-split-extlinks/volume--C00--T00000.h5", 2, "ResolutionLevel {}/Data"),
]


@pytest.fixture(scope="module")
def real(start_site: StartSite) -> Site:
    return start_site(REALDATA / "microscopy")


@needs_realdata
@pytest.mark.parametrize("zarr_format", [3, 2])
@pytest.mark.parametrize(("name", "count", "dataset"), REAL)
def test_real_files_show_their_levels(real: Site, name: str, count: int, dataset: str, zarr_format: int) -> None:
    path = f"{name}/{dataset.format(0)}"
    shared = multiscale(real, path)
    assert (shared["type"], len(shared["datasets"])) == ("stored", count)
    group = zarr.open_group(f"{real.url}/{FACES[zarr_format]}/{path}", mode="r", zarr_format=zarr_format)
    with h5py.File(real.folder / name) as file:
        for level in range(count):
            np.testing.assert_array_equal(group[str(level)][...], file[dataset.format(level)][...])
