"""Apps of other packages, resolution rings, search in a file, logging in, portals: what a session of work needs."""

import csv
import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import h5py
import numpy as np
import pytest

from chunkserve.identity.keys import KeyStore
from tests.browser.conftest import Visit
from tests.browser.look import BUILT, WHY_NOT, Canvas, axe, query, wait_for_query
from tests.browser.test_viewer import AXE
from tests.conftest import Server
from tests.faces.conftest import Site
from tests.npm import npm_package
from tests.test_apps import install_documented_app, write_stack

pytestmark = pytest.mark.skipif(not BUILT, reason=WHY_NOT)

CENTER, DISTANCE, PIXEL, WAVELENGTH = (260.0, 180.0), 0.12, (75e-6, 75e-6), 0.9763
SHAPE = (400, 500)


def frame() -> np.ndarray:
    """Two powder rings on a background, where Bragg's law has them."""
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]] + 0.5
    radius = np.hypot((columns - CENTER[0]) * PIXEL[0], (rows - CENTER[1]) * PIXEL[1])
    two_theta = np.arctan2(radius, DISTANCE)
    d = WAVELENGTH / (2 * np.sin(two_theta / 2))
    lines = sum(np.exp(-(((d - at) / (at / 90)) ** 2)) * 900 for at in (10.0, 6.0))
    return (40 + 150 * np.exp(-radius / 0.01) + lines).astype("u2")


def write_diffraction(path: Path) -> None:
    with h5py.File(path, "w") as file:
        entry = file.create_group("entry")
        entry.attrs.update({"NX_class": "NXentry", "default": "data"})
        instrument = entry.create_group("instrument")
        instrument.attrs["NX_class"] = "NXinstrument"
        detector = instrument.create_group("detector")
        detector.attrs["NX_class"] = "NXdetector"
        detector["description"] = "a flat one"
        detector["description"].attrs["vendor"] = "Lysozyme & Sons"
        for name, value, unit in (
            ("beam_center_x", CENTER[0], "pixel"), ("beam_center_y", CENTER[1], "pixel"),
            ("distance", DISTANCE * 1e3, "mm"), ("x_pixel_size", PIXEL[0] * 1e6, "um"), ("y_pixel_size", PIXEL[1], "m"),
        ):  # fmt: skip
            detector[name] = value
            detector[name].attrs["units"] = unit
        beam = instrument.create_group("beam")
        beam.attrs["NX_class"] = "NXbeam"
        beam["incident_wavelength"] = WAVELENGTH
        beam["incident_wavelength"].attrs["units"] = "angstrom"
        data = entry.create_group("data")
        data.attrs.update({"NX_class": "NXdata", "signal": "frames"})
        data.create_dataset("frames", data=np.stack([frame()] * 2), chunks=(1, 400, 500), compression="gzip")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server with an app of another package."""
    folder = tmp_path_factory.mktemp("session")
    target = install_documented_app(folder)
    (folder / "data").mkdir()
    write_stack(folder / "data" / "stack.h5")
    write_diffraction(folder / "data" / "diffraction.nxs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(target))
        server = Server((str(folder / "data"),), {"settle": 0, "workers": 1})
    yield Site(server.url, folder / "data", server.process.pid)
    assert server.stop() == ""


@pytest.fixture
def page(visit: Visit) -> Iterator[Any]:
    """A page on which nothing is forbidden by our own policy."""
    said: list[str] = []
    visit.page.on("console", lambda message: said.append(message.text) if "Content Security" in message.text else None)
    visit.page.set_viewport_size({"width": 1200, "height": 800})
    yield visit.page
    assert said == []


def no_complaints(page: Any) -> None:
    script = (npm_package("axe-core", AXE) / "axe-core" / "axe.min.js").read_text()
    assert axe(page, script) == []


# ------------------------------------------------------------------ apps


def test_the_app_of_another_package_opens_what_it_is_for(lab: Site, page: Any, artefacts: Path) -> None:
    page.goto(f"{lab.url}/view/stack.h5")
    tabs = page.get_by_role("tab")
    tabs.first.wait_for()
    assert tabs.all_inner_texts() == ["Brightest", "Image", "Line", "Table", "H5Web", "Details"]
    inside = page.frame_locator("iframe.app")
    inside.get_by_text(f"Frame 3: {9 * np.add.outer(np.arange(40), np.arange(50)).sum()}").wait_for()
    page.wait_for_timeout(300)
    assert inside.locator("img").evaluate("(image) => image.naturalWidth") == 50
    page.screenshot(path=artefacts / "app-of-another.png")
    page.get_by_role("tab", name="Image").click()
    Canvas(page).wait()
    assert query(page.url)["as"] == "image"


# ------------------------------------------------------------------ diffraction


def test_rings_are_where_braggs_law_has_them(lab: Site, page: Any, artefacts: Path) -> None:
    page.goto(f"{lab.url}/view/diffraction.nxs?as=image&index=1")
    canvas = Canvas(page)
    canvas.wait()
    assert page.locator("[data-testid=ring]").count() == 0
    page.get_by_role("button", name="Rings").click()
    page.wait_for_selector("[data-testid=ring]")
    wait_for_query(page, "q.rings === '1'")
    page.wait_for_timeout(500)
    page.screenshot(path=artefacts / "rings.png")
    scale = min(canvas.box()["height"] / SHAPE[0], canvas.box()["width"] / SHAPE[1])
    rings = page.locator("[data-testid=ring]")
    assert rings.count() >= 3
    for i in range(rings.count()):
        d = float(rings.nth(i).get_attribute("data-d"))
        radius = DISTANCE * math.tan(2 * math.asin(WAVELENGTH / (2 * d))) / PIXEL[0]
        ellipse = rings.nth(i).locator("ellipse")
        assert float(ellipse.get_attribute("rx")) == pytest.approx(radius * scale, rel=0.002)
        assert float(ellipse.get_attribute("ry")) == pytest.approx(radius * scale, rel=0.002)
    box, beam = canvas.box(), page.locator("[data-testid=beam]").bounding_box()
    x = box["x"] + box["width"] / 2 + (CENTER[0] - SHAPE[1] / 2) * scale
    y = box["y"] + box["height"] / 2 + (CENTER[1] - SHAPE[0] / 2) * scale
    assert beam["x"] + beam["width"] / 2 == pytest.approx(x, abs=1)
    assert beam["y"] + beam["height"] / 2 == pytest.approx(y, abs=1)
    row, column = 60, 400
    page.mouse.move(*canvas.point(frame(), row, column))
    page.wait_for_selector("[data-testid=resolution]")
    found = [float(text) for text in page.locator("[data-testid=resolution] b").all_inner_texts()]
    radius = math.hypot((column + 0.5 - CENTER[0]) * PIXEL[0], (row + 0.5 - CENTER[1]) * PIXEL[1])
    theta = math.atan2(radius, DISTANCE) / 2
    want = WAVELENGTH / (2 * math.sin(theta)), math.degrees(2 * theta), 4 * math.pi * math.sin(theta) / WAVELENGTH
    assert found == pytest.approx(want, rel=1e-3)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_timeout(300)
        page.screenshot(path=artefacts / f"rings-{scheme}.png")
        no_complaints(page)
    page.set_viewport_size({"width": 390, "height": 780})
    page.wait_for_timeout(800)
    page.screenshot(path=artefacts / "phone-rings.png")
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    page.set_viewport_size({"width": 1200, "height": 800})
    page.get_by_role("button", name="Rings").click()
    page.locator("[data-testid=ring]").first.wait_for(state="detached")


def test_there_is_no_switch_where_nothing_is_known(lab: Site, page: Any) -> None:
    page.goto(f"{lab.url}/view/stack.h5?as=image")
    Canvas(page).wait()
    assert page.get_by_role("button", name="Rings").count() == 0


# ------------------------------------------------------------------ search in a file


def test_a_file_is_searched_by_name_class_and_attribute(lab: Site, page: Any, artefacts: Path) -> None:
    page.goto(f"{lab.url}/view/diffraction.nxs?as=details")
    field = page.get_by_label("Search in the file")
    for typed, path in (("wavelen", "incident_wavelength"), ("nxdet", "detector"), ("lysoz", "description")):
        field.fill(typed)
        page.locator("[role=treeitem]", has_text=path).first.wait_for()
        page.wait_for_function("(n) => document.querySelectorAll('[role=treeitem]').length <= n", arg=8)
    assert "Lysozyme & Sons" in page.get_by_role("treeitem", name="description").inner_text()
    page.screenshot(path=artefacts / "search-in-file.png")
    no_complaints(page)
    page.get_by_role("treeitem", name="description").click()
    page.wait_for_selector("text=a flat one")
    field.fill("nothing of the kind")
    page.wait_for_selector("text=Nothing in this file.")


# ------------------------------------------------------------------ portals


def test_parameters_of_a_portal_go_with_every_request_of_h5web(lab: Site, visit: Visit, page: Any) -> None:
    page.goto(f"{lab.url}/view/diffraction.nxs/entry?as=h5web&sessionId=s%2F1&datafileId=42")
    page.wait_for_selector(".h5web canvas")
    page.wait_for_timeout(500)
    asked = [parse_qs(urlsplit(url).query) for status, url in visit.asked("/h5grove/") if status == 200]
    assert len(asked) > 2
    assert all(one["sessionId"] == ["s/1"] and one["datafileId"] == ["42"] for one in asked)
    page.get_by_role("tab", name="Details").click()
    page.get_by_role("link", name="data", exact=True).first.click()
    page.wait_for_function("() => location.pathname.endsWith('/entry/data')")
    assert (query(page.url)["sessionId"], query(page.url)["datafileId"]) == ("s/1", "42")
    assert {status for status, _ in visit.answers} <= {200, 304}


# ------------------------------------------------------------------ logging in

RULES = """
[access]
database = "{database}"
[[access.rule]]
path = "**"
groups = ["p42"]
"""


class Closed:
    """A server for a few, and a key."""

    def __init__(self, folder: Path) -> None:
        self.keys = KeyStore(str(folder / "access.sqlite"))
        self.text, _ = self.keys.create("anna", frozenset({"p42"}), seconds=3600)
        (folder / "data").mkdir()
        write_diffraction(folder / "data" / "diffraction.nxs")
        write_cube(folder / "data" / "xrf.h5")
        rules = folder / "rules.toml"
        rules.write_text(RULES.format(database=folder / "access.sqlite"))
        self.folder = folder / "data"
        self.server = Server((str(folder / "data"),), {"settle": 0, "workers": 1, "access": str(rules)})
        self.url = self.server.url


def write_cube(path: Path) -> None:
    line = np.exp(-(((np.arange(300) - 180) / 5) ** 2)) * 300
    cube = np.random.default_rng(3).poisson(4 + line * np.linspace(0, 1, 25)[:, None]).astype("u2")
    with h5py.File(path, "w") as file:
        data = file.create_group("map")
        data.attrs.update({"NX_class": "NXdata", "signal": "counts", "axes": ["y", "x", "energy"]})
        data["counts"] = np.stack([cube * (1 + row % 3) for row in range(18)])
        data["counts"].attrs["interpretation"] = "spectrum"
        data["energy"] = 0.5 + 0.02 * np.arange(300)
        data["y"], data["x"] = np.arange(18) * 2.0, np.arange(25) * 2.0
        data["energy"].attrs["units"], data["x"].attrs["units"], data["y"].attrs["units"] = "keV", "um", "um"


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Closed]:
    found = Closed(tmp_path_factory.mktemp("closed"))
    yield found
    complaints = found.server.stop()
    found.keys.close()
    assert found.text not in complaints


def log_in(page: Any, closed: Closed, path: str) -> None:
    page.goto(f"{closed.url}/{path}")
    page.get_by_role("button", name="Log in").first.click()
    page.get_by_label("API key or token").fill(closed.text)
    page.locator(".log-in button").click()
    page.get_by_role("button", name="anna · Log out").wait_for()


def test_who_logs_in_sees_and_saves_and_no_url_has_the_key(
    closed: Closed, visit: Visit, page: Any, artefacts: Path
) -> None:
    page.goto(f"{closed.url}/view/diffraction.nxs?as=image")
    page.wait_for_selector("text=Not found")
    page.get_by_role("button", name="Log in").click()
    page.wait_for_timeout(200)
    page.screenshot(path=artefacts / "log-in.png")
    no_complaints(page)
    page.get_by_label("API key or token").fill(closed.text)
    page.keyboard.press("Enter")
    Canvas(page).wait()
    page.screenshot(path=artefacts / "logged-in.png")
    page.get_by_role("button", name="Download").click()
    with page.expect_download() as told:
        page.get_by_role("link", name="dataset as npy").click()
    np.testing.assert_array_equal(np.load(told.value.path())[0], frame())
    with page.expect_download() as told:
        page.get_by_role("link", name="the file diffraction.nxs").click()
    assert Path(told.value.path()).read_bytes() == (closed.folder / "diffraction.nxs").read_bytes()
    assert closed.text not in page.url
    asked = [unquote(url) for _, url in visit.answers]
    assert not any(closed.text in url for url in asked)
    assert sum("signed=" in url for url in asked) <= 2
    page.get_by_role("button", name="Log out").click()
    page.wait_for_selector("text=Not found")


def test_h5web_saves_for_who_is_logged_in(closed: Closed, visit: Visit, page: Any, artefacts: Path) -> None:
    log_in(page, closed, "view/diffraction.nxs/entry/data/frames?as=h5web")
    page.wait_for_selector(".h5web canvas")
    page.get_by_role("button", name="More controls").click()
    page.get_by_role("button", name="Export").click()
    page.wait_for_timeout(300)
    page.screenshot(path=artefacts / "h5web-export.png")
    with page.expect_download() as told:
        page.get_by_text("NPY").first.click()
    np.testing.assert_array_equal(np.squeeze(np.load(told.value.path())), frame())
    assert not any(closed.text in unquote(url) for _, url in visit.answers)
    assert not any(status >= 400 for status, url in visit.answers if "signed=" in url)


def test_a_map_is_saved_with_all_its_axes(closed: Closed, page: Any, artefacts: Path) -> None:
    log_in(page, closed, "view/xrf.h5?band=170,191")
    page.wait_for_selector("[data-testid=map][data-state=there] canvas")
    page.wait_for_timeout(500)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_timeout(300)
        page.screenshot(path=artefacts / f"map-{scheme}.png")
    assert "(3.9 keV to 4.3 keV)" in page.inner_text("[data-testid=band]")
    with h5py.File(closed.folder / "xrf.h5") as file:
        want = file["map/counts"][:, :, 170:191].sum(axis=2, dtype="u8")
    saved = {}
    for form in ("h5", "csv", "tiff"):
        with page.expect_download() as told:
            page.get_by_role("button", name=form, exact=True).click()
        saved[form] = Path(told.value.path()).read_bytes()
        assert told.value.suggested_filename == f"xrf_map_counts_sum.{form}"
    with h5py.File(io.BytesIO(saved["h5"])) as file:
        np.testing.assert_array_equal(file["entry/data/sum"][...], want)
        assert file["entry/data/x"].attrs["units"] == "um"
        assert file["entry/data/sum"].attrs["energy_units"] == "keV"
        np.testing.assert_allclose(file["entry/data/sum"].attrs["energy_range"], [3.9, 4.3])
    rows = [[int(cell) for cell in row] for row in csv.reader(io.StringIO(saved["csv"].decode()))]
    np.testing.assert_array_equal(rows, want)
    page.set_viewport_size({"width": 390, "height": 780})
    page.wait_for_timeout(800)
    page.screenshot(path=artefacts / "phone-map.png")
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
