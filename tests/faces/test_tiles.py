"""Tiles are the data: decoded and compared, pixel by pixel, with what the window and the colormap make of it."""

import io
import json
import os
from pathlib import Path
from xml.etree import ElementTree as ET

import h5py
import numpy as np
import pytest
from PIL import Image

from chunkserve.render.palette import palette
from tests.conftest import Server
from tests.faces.conftest import Site, StartSite, ask

HEIGHT, WIDTH = 1100, 900
RAMP = np.add.outer(np.arange(HEIGHT), np.arange(WIDTH)).astype("u2")
CUBE = np.random.default_rng(1).integers(0, 255, (5, 600, 700)).astype("u1")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory, start_site: StartSite) -> Site:
    """A server over a ramp, a cube, and an image with holes."""
    folder = tmp_path_factory.mktemp("pictures")
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("ramp", data=RAMP, chunks=(256, 256), compression="gzip")
        file.create_dataset("cube", data=CUBE, chunks=(1, 600, 700), compression="gzip")
        holes = np.linspace(0, 1, 300 * 300, dtype="f4").reshape(300, 300)
        holes[50:60] = np.nan
        file["holes"] = holes
        dots = file.create_dataset("dots", (600, 600), "u1", chunks=(200, 200))
        dots[:, 2::4] = 128  # what is picked from every other pixel of level 1 has none
        file["line"] = np.arange(5.0)
    return start_site(folder)


def picture(site: Site, path: str) -> np.ndarray:
    reply = site.ask(path)
    assert reply.status == 200, reply.body
    return np.asarray(Image.open(io.BytesIO(reply.body)).convert("RGBA"))


def array(site: Site, path: str) -> np.ndarray:
    reply = site.ask(path)
    assert reply.status == 200, reply.body
    return np.load(io.BytesIO(reply.body))


def test_raw_tiles_are_the_values(pictures: Site) -> None:
    whole = np.zeros((HEIGHT, WIDTH), "u2")
    for row in range(5):
        for column in range(4):
            tile = array(pictures, f"/tiles/a.h5/ramp/0/{row}/{column}.npy")
            whole[row * 256 : row * 256 + tile.shape[0], column * 256 : column * 256 + tile.shape[1]] = tile
    np.testing.assert_array_equal(whole, RAMP)


def test_raw_tiles_of_levels_are_means(pictures: Site) -> None:
    info = json.loads(pictures.ask("/tiles/a.h5/ramp/info.json").body)
    last = info["levels"][-1]
    step = last["factor"]
    want = np.add.reduceat(np.add.reduceat(RAMP.astype("f8"), range(0, HEIGHT, step), 0), range(0, WIDTH, step), 1)
    sizes = np.add.reduceat(np.add.reduceat(np.ones(RAMP.shape), range(0, HEIGHT, step), 0), range(0, WIDTH, step), 1)
    tile = array(pictures, f"/tiles/a.h5/ramp/{last['level']}/0/0.npy?tile=512")
    np.testing.assert_array_equal(tile, np.rint(want / sizes)[:512, :512])


@pytest.mark.parametrize("form", ["png", "webp", "jpg"])
def test_pictures_show_the_values_in_the_window(pictures: Site, form: str) -> None:
    shown = picture(pictures, f"/tiles/a.h5/ramp/0/0/0.{form}?vmin=0&vmax=510&cmap=viridis")
    index = np.minimum(RAMP[:256, :256].astype(int) * 256 // 510, 255)
    want = palette("viridis", invert=False)[index].astype(int)
    difference = np.abs(shown[..., :3].astype(int) - want)
    if form == "png":
        assert difference.max() == 0
    else:
        assert difference.mean() < 4


def test_no_tile_has_a_window_of_its_own(pictures: Site) -> None:
    """With the dataset's window the ramp gets brighter across tiles; autoscaled tiles would all look alike."""
    info = json.loads(pictures.ask("/tiles/a.h5/ramp/info.json").body)
    low, high = info["window"]["start"], info["window"]["end"]
    for row, column in ((0, 0), (2, 2), (3, 3)):
        shown = picture(pictures, f"/tiles/a.h5/ramp/0/{row}/{column}.png")
        part = RAMP[row * 256 : (row + 1) * 256, column * 256 : (column + 1) * 256]
        want = np.clip((part - low) / (high - low) * 256, 0, 255).astype(int)
        assert np.abs(shown[..., 0].astype(int) - palette("gray", invert=False)[want, 0].astype(int)).max() <= 1


def test_other_axes_are_cut_where_the_index_says(pictures: Site) -> None:
    for index in (0, 3):
        np.testing.assert_array_equal(
            array(pictures, f"/tiles/a.h5/cube/0/1/1.npy?index={index}"), CUBE[index, 256:512, 256:512]
        )
    turned = array(pictures, "/tiles/a.h5/cube/0/0/0.npy?axes=2,0&index=7")
    np.testing.assert_array_equal(turned, CUBE[:, 7, :256].T)


def test_what_has_no_value_has_the_bad_colour(pictures: Site) -> None:
    shown = picture(pictures, "/tiles/a.h5/holes/0/0/0.png?bad=red")
    assert (shown[50:60] == (255, 0, 0, 255)).all()
    assert not (shown[:50] == (255, 0, 0, 255)).all(axis=-1).any()
    assert (picture(pictures, "/tiles/a.h5/holes/0/0/0.png")[50:60, :, 3] == 0).all()


def test_a_fill_value_of_floats_has_the_bad_colour_at_all_levels(tmp_path: Path) -> None:
    values = np.linspace(0, 1, 1200 * 1200, dtype="f4").reshape(1200, 1200)
    values[:400] = -999
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = values
        file["x"].attrs["_FillValue"] = np.float32(-999)
    server = Server((str(tmp_path),), {"settle": 0, "workers": 1})
    try:
        for level in (0, 1, 2):
            reply = ask(f"{server.url}/tiles/a.h5/x/{level}/0/0.png?bad=red&vmin=0&vmax=1")
            shown = np.asarray(Image.open(io.BytesIO(reply.body)).convert("RGBA"))
            rows = min(256, 400 >> level)
            assert (shown[:rows] == (255, 0, 0, 255)).all()
            assert not (shown[rows:] == (255, 0, 0, 255)).all(axis=-1).any()
        found = json.loads(ask(f"{server.url}/stats/a.h5/x?level=1").body)
        assert (found["empty"], found["values"]["min"] >= 0) == (200 * 600, True)
    finally:
        server.stop()


@pytest.mark.parametrize("form", ["tiles/a.h5/x/0/0/0.png?", "dzi/a.h5/x_files/9/0_0.png?"])
def test_a_url_that_was_answered_notices_another_file(tmp_path: Path, form: str) -> None:
    def write(value: int) -> None:
        with h5py.File(tmp_path / "new.h5", "w") as file:
            file["x"] = np.full((300, 300), value, "u1")
        os.utime(tmp_path / "new.h5", (value, value))
        os.replace(tmp_path / "new.h5", tmp_path / "a.h5")

    write(40)
    server = Server((str(tmp_path),), {"settle": 0, "workers": 1})
    try:
        version = json.loads(ask(f"{server.url}/tiles/a.h5/x/info.json").body)["version"]
        plain = f"{server.url}/{form}vmin=0&vmax=255&bad=red"
        pinned = f"{plain}&v={version}"
        first = [ask(plain) for _ in range(3)]
        assert len({(reply.status, reply.body, reply.headers["etag"]) for reply in first}) == 1
        for _ in range(3):
            kept = ask(pinned)
            assert (kept.status, kept.body) == (200, first[0].body)
            assert "immutable" in kept.headers["cache-control"]
        write(200)
        assert ask(plain).body != first[0].body
        assert [ask(pinned).status for _ in range(2)] == [410, 410]
    finally:
        server.stop()


def test_zoom_counts_the_other_way(pictures: Site) -> None:
    top = json.loads(pictures.ask("/tiles/a.h5/ramp/info.json").body)["levels"][-1]["level"]
    np.testing.assert_array_equal(
        array(pictures, f"/tiles/a.h5/ramp/xyz/{top}/2/1.npy"), array(pictures, "/tiles/a.h5/ramp/0/1/2.npy")
    )


def test_tiles_by_zoom_are_whole_squares(pictures: Site) -> None:
    """Maps stretch what is not; by row and column the tiles at the edges are as large as what is left."""
    words = "vmin=0&vmax=2000&bad=red"
    cut = picture(pictures, f"/tiles/a.h5/ramp/0/4/3.png?{words}")
    assert cut.shape[:2] == (HEIGHT - 1024, WIDTH - 768)
    whole = picture(pictures, f"/tiles/a.h5/ramp/xyz/2/3/4.png?{words}")
    assert whole.shape[:2] == (256, 256)
    np.testing.assert_array_equal(whole[: cut.shape[0], : cut.shape[1]], cut)
    assert (whole[cut.shape[0] :, :, 3] == 0).all()
    assert (whole[:, cut.shape[1] :, 3] == 0).all()
    assert picture(pictures, "/tiles/a.h5/ramp/xyz/2/1/2.png?tile=512").shape[:2] == (512, 512)
    assert array(pictures, "/tiles/a.h5/ramp/xyz/2/3/4.npy").shape == cut.shape[:2]


@pytest.mark.parametrize(("method", "shown"), [("mean", 32), ("max", 128), ("min", 0)])
def test_deep_zoom_levels_below_the_coarsest_are_made_by_the_method(pictures: Site, method: str, shown: int) -> None:
    levels = json.loads(pictures.ask("/tiles/a.h5/dots/info.json").body)["levels"]
    assert len(levels) == 2
    words = f"vmin=0;vmax=256;method={method}"
    found = picture(pictures, f"/dzi;{words}/a.h5/dots_files/8/0_0.png")  # 600 = 2 ** 10: two levels above this one
    assert found.shape[:2] == (150, 150)
    assert (found[..., 0] == shown).all()


def test_deep_zoom_covers_the_image(pictures: Site) -> None:
    reply = pictures.ask("/dzi;vmin=0;vmax=2000/a.h5/ramp.dzi")
    root = ET.fromstring(reply.body)
    size = root[0].attrib
    assert (size["Height"], size["Width"]) == (str(HEIGHT), str(WIDTH))
    top = (max(HEIGHT, WIDTH) - 1).bit_length()
    tile = int(root.attrib["TileSize"])
    full = picture(pictures, f"/dzi;vmin=0;vmax=2000/a.h5/ramp_files/{top}/2_1.png")
    plain = picture(pictures, "/tiles;vmin=0;vmax=2000/a.h5/ramp/0/1/2.png")
    assert tile == 256
    np.testing.assert_array_equal(full, plain)
    dot = picture(pictures, "/dzi;vmin=0;vmax=2000/a.h5/ramp_files/0/0_0.png")
    assert dot.shape[:2] == (1, 1)
    for level in range(top + 1):
        shown = picture(pictures, f"/dzi/a.h5/ramp_files/{level}/0_0.png")
        assert shown.shape[:2] == (min(256, -(-HEIGHT >> (top - level))), min(256, -(-WIDTH >> (top - level))))


def test_tiles_are_tagged(pictures: Site) -> None:
    path = "/tiles/a.h5/ramp/1/0/0.png"
    first = pictures.ask(path)
    assert pictures.ask(path, If_None_Match=first.headers["etag"]).status == 304
    tags = {
        pictures.ask(path + query).headers["etag"]
        for query in ("", "?cmap=viridis", "?vmin=3", "?scale=log", "?invert=1")
    }
    assert len(tags) == 5
    assert first.headers["content-type"] == "image/png"


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/tiles/a.h5/ramp/0/9/0.png", 404, ""),
        ("/tiles/a.h5/ramp/9/0/0.png", 404, ""),
        ("/tiles/a.h5/ramp/xyz/9/0/0.png", 404, ""),
        ("/tiles/a.h5/nothing/0/0/0.png", 404, ""),
        ("/tiles/a.h5/ramp/0/0/0.gif", 404, ""),
        ("/tiles/a.h5/line/0/0/0.png", 501, "1 dimension"),
        ("/tiles/a.h5/ramp/0/0/0.png?cmap=virids", 400, "viridis"),
        ("/tiles/a.h5/ramp/0/0/0.png?vmin=5&vmax=2", 400, "vmin must be below vmax"),
        ("/tiles/a.h5/ramp/0/0/0.png?vmin=nan", 400, "finite"),
        ("/tiles/a.h5/ramp/0/0/0.png?tile=100", 400, "256, 512"),
        ("/tiles/a.h5/ramp/0/0/0.png?colour=1", 400, "unknown parameter colour"),
        ("/tiles/a.h5/cube/0/0/0.png?index=5", 400, "beyond axis 0"),
        ("/tiles/a.h5/cube/0/0/0.png?axes=1,1", 400, "two of"),
        ("/dzi/a.h5/ramp_files/99/0_0.png", 404, ""),
    ],
)
def test_what_is_wrong_is_said(pictures: Site, path: str, status: int, says: str) -> None:
    reply = pictures.ask(path)
    assert reply.status == status
    assert says in json.loads(reply.body)["detail"]


def test_a_tile_that_takes_too_long_is_shown_from_a_sample_at_once(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=np.full((9000, 9000), 5, "u1"), chunks=(1000, 1000), compression="gzip")
    server = Server((str(tmp_path),), {"settle": 0, "workers": 1, "max_source_bytes": 2**20})
    try:
        reply = ask(f"{server.url}/tiles/a.h5/x/5/0/0.npy")
        assert reply.status == 200
        assert reply.headers["x-chunkserve-approximate"] == "1"
        assert reply.headers["cache-control"] == "no-store"
        assert (np.load(io.BytesIO(reply.body)) == 5).all()
    finally:
        server.stop()


def test_statistics_are_those_of_the_level(pictures: Site) -> None:
    found = json.loads(pictures.ask("/stats/a.h5/ramp?level=0").body)
    assert found["sampled"] is False
    assert (found["values"]["min"], found["values"]["max"]) == (0, HEIGHT + WIDTH - 2)
    assert found["values"]["mean"] == pytest.approx(RAMP.mean())
    assert found["values"]["percentiles"]["50"] == pytest.approx(np.percentile(RAMP, 50), abs=1)
    sampled = json.loads(pictures.ask("/stats/a.h5/ramp").body)
    assert sampled["sampled"] is True
    holes = json.loads(pictures.ask("/stats/a.h5/holes?level=0").body)
    assert (holes["masked"], holes["nan"], holes["invalid"], holes["valid"]) == (0, 3000, 3000, 87_000)
    assert pictures.ask("/stats/a.h5/ramp?level=9").status == 404
    assert pictures.ask("/stats/a.h5/ramp?level=x").status == 400


def test_true_extremes_are_known_once_all_was_looked_at(pictures: Site) -> None:
    info = json.loads(pictures.ask("/tiles/a.h5/cube/info.json").body)
    assert len(info["levels"]) > 1
    pictures.ask("/ome/a.h5/ramp/1/c/0/0")
    found = json.loads(pictures.ask("/stats/a.h5/ramp?level=1").body)
    assert found["range"] == {"min": 0, "max": HEIGHT + WIDTH - 2, "valid": HEIGHT * WIDTH}


def test_values_as_float32_say_what_is_no_measurement_and_what_is_saturated(
    tmp_path: Path, start_site: StartSite
) -> None:
    values = np.add.outer(np.arange(300), np.arange(280)).astype("u2")
    values[5:9, 7] = 60000
    values[20, 30:40] = 65535
    with h5py.File(tmp_path / "d.h5", "w") as file:
        detector = file.create_group("detector")
        detector.attrs["NX_class"] = "NXdetector"
        detector["data"] = values
        detector["data"].attrs["_FillValue"] = np.uint16(65535)
        detector["saturation_value"] = 50000
        mask = np.zeros(values.shape, "u4")
        mask[100] = 1
        detector["pixel_mask"] = mask
    site = start_site(tmp_path)
    found = np.load(io.BytesIO(site.ask("/tiles/d.h5/detector/data/0/0/0.npy?dtype=f4&tile=512").body))
    want = values.astype("f4")
    want[values == 60000] = np.inf
    want[values == 65535] = want[100] = np.nan
    assert found.dtype == "f4"
    np.testing.assert_array_equal(found, want)
    plain = np.load(io.BytesIO(site.ask("/tiles/d.h5/detector/data/0/0/0.npy?tile=512").body))
    np.testing.assert_array_equal(plain, values)
    assert site.ask("/tiles/d.h5/detector/data/0/0/0.npy?dtype=f8").status == 400


def test_info_has_rulers_for_axes_with_coordinates(tmp_path: Path, start_site: StartSite) -> None:
    with h5py.File(tmp_path / "r.h5", "w") as file:
        scan = file.create_group("scan")
        scan.attrs.update({"NX_class": "NXdata", "signal": "data", "axes": ["energy", "y", "x"]})
        scan["data"] = np.zeros((4, 30, 50), "f4")
        scan["energy"] = [1.0, 2.0, 4.0, np.nan]
        scan["y"] = 10 - 0.5 * np.arange(30)
        scan["y"].attrs["units"] = "mm"
        file["plain"] = np.zeros((30, 50), "f4")
    site = start_site(tmp_path)
    axes = json.loads(site.ask("/tiles/r.h5/scan/data/info.json").body)["axes"]
    energy, y, x = axes["rulers"]
    assert energy == {"unit": "", "values": [1.0, 2.0, 4.0, None]}
    assert (y["unit"], y["start"], y["step"]) == ("mm", pytest.approx(10), pytest.approx(-0.5))
    assert x is None
    assert json.loads(site.ask("/tiles/r.h5/plain/info.json").body)["axes"]["rulers"] == [None, None]
