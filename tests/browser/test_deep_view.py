"""The deep view draws what the file holds, pixel by pixel, and says it in numbers."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from tests.browser.conftest import Visit
from tests.browser.drawn import assert_shows, image_values
from tests.browser.look import BUILT, WHY_NOT, Canvas, coloured, query, wait_for_query
from tests.conftest import Server
from tests.faces.conftest import Site

pytestmark = pytest.mark.skipif(not BUILT, reason=WHY_NOT)

LOW, HIGH = 0.0, 1.0
WINDOW = f"vmin={LOW}&vmax={HIGH}&cmap=Greys"
EDGES = 0.01
"""Share of pixels on the borders of an image, which are mixed with what is around it."""

SATURATION, DEAD = 900, 2**16 - 1


def stack_values() -> np.ndarray:
    """Frames that differ, float64, finer than float32 can tell."""
    return np.add.outer(np.arange(12.0), np.add.outer(np.arange(90) / 7, np.arange(120) / 3)) + 1e-9


def detector_values() -> np.ndarray:
    """Counts with saturated and dead pixels."""
    values = np.add.outer(np.arange(64), np.arange(80)).astype("u2")
    values[10:20, 10:30] = SATURATION + 50
    values[30:40, 10:30] = DEAD
    return values


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server over an image, a stack with coordinates and detector counts."""
    folder = tmp_path_factory.mktemp("deep")
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("image", data=image_values(), chunks=(200, 300), compression="gzip")
        scan = file.create_group("scan")
        scan.attrs.update({"NX_class": "NXdata", "signal": "data", "axes": ["angle", "y", "x"]})
        scan.create_dataset("data", data=stack_values(), chunks=(1, 90, 120))
        scan["data"].attrs["units"] = "V"
        for name, values, unit in (
            ("angle", np.arange(12) * 1.5, "deg"),
            ("y", 5 + 0.25 * np.arange(90), "mm"),
            ("x", -10 + 0.25 * np.arange(120), "mm"),
        ):
            scan[name] = values
            scan[name].attrs["units"] = unit
        detector = file.create_group("detector")
        detector.attrs["NX_class"] = "NXdetector"
        counts = detector.create_dataset("data", data=detector_values())
        counts.attrs["_FillValue"] = np.uint16(DEAD)
        detector["saturation_value"] = SATURATION
    server = Server((str(folder),), {"settle": 0, "workers": 1})
    yield Site(server.url, folder, server.process.pid)
    assert server.stop() == ""


@pytest.fixture
def page(visit: Visit) -> Any:
    """A page as large as a small screen."""
    visit.page.set_viewport_size({"width": 1200, "height": 800})
    return visit.page


def test_it_draws_the_whole_image_in_the_level_that_fits(deep: Site, page: Any, artefacts: Path) -> None:
    page.goto(f"{deep.url}/view/a.h5/image?{WINDOW}")
    canvas = Canvas(page)
    level = canvas.wait()
    assert level == 1
    page.screenshot(path=artefacts / "deep-view.png")
    want = canvas.expected(image_values(), level, lambda values: coloured(values, LOW, HIGH))
    assert_shows(canvas.picture(), want, artefacts / "deep-whole", slack=1, stray=EDGES)


def test_zooming_in_shows_every_element_and_moving_the_others(deep: Site, page: Any, artefacts: Path) -> None:
    page.goto(f"{deep.url}/view/a.h5/image?{WINDOW}")
    canvas = Canvas(page)
    canvas.wait()
    page.mouse.move(*canvas.point(image_values(), 560, 420))
    for _ in range(14):
        page.mouse.wheel(0, -300)
        page.wait_for_timeout(30)
    assert canvas.wait() == 0
    near = page.url
    want = canvas.expected(image_values(), 0, lambda values: coloured(values, LOW, HIGH))
    assert_shows(canvas.picture(), want, artefacts / "deep-near", slack=1)
    box = canvas.box()
    page.mouse.move(box["x"] + 300, box["y"] + 300)
    page.mouse.down()
    page.mouse.move(box["x"] + 180, box["y"] + 250, steps=6)
    page.mouse.up()
    page.wait_for_function("(near) => location.href !== near", arg=near)
    canvas.wait()
    want = canvas.expected(image_values(), 0, lambda values: coloured(values, LOW, HIGH))
    assert_shows(canvas.picture(), want, artefacts / "deep-moved", slack=1)


def test_a_link_leads_to_the_very_same_view(deep: Site, page: Any, artefacts: Path) -> None:
    page.goto(f"{deep.url}/view/a.h5/image?{WINDOW}&x=300&y=500&w=150&scale=sqrt")
    canvas = Canvas(page)
    assert canvas.wait() == 0
    want = canvas.expected(image_values(), 0, lambda values: coloured(values, LOW, HIGH, np.sqrt))
    assert_shows(canvas.picture(), want, artefacts / "deep-link", slack=1)


def test_dragging_the_histogram_changes_the_contrast_without_a_request(
    deep: Site, visit: Visit, page: Any, artefacts: Path
) -> None:
    page.goto(f"{deep.url}/view/a.h5/image?{WINDOW}")
    canvas = Canvas(page)
    level = canvas.wait()
    before = len(visit.asked("/tiles/"))
    box = page.locator(".histogram svg").bounding_box()
    page.mouse.move(box["x"] + box["width"] - 20, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 40, steps=10)
    page.mouse.up()
    wait_for_query(page, "q.vmax < 0.9")
    canvas.wait()
    found = query(page.url)
    low, high = float(found["vmin"]), float(found["vmax"])
    assert low == LOW
    assert 0.3 < high < 0.9
    assert len(visit.asked("/tiles/")) == before
    want = canvas.expected(image_values(), level, lambda values: coloured(values, low, high))
    assert_shows(canvas.picture(), want, artefacts / "deep-contrast", slack=1, stray=EDGES)
    handle = page.get_by_role("slider", name="Highest value shown")
    handle.press("ArrowRight")
    wait_for_query(page, "q.vmax > known", high)


def test_the_slider_shows_the_plane_and_its_coordinate(deep: Site, page: Any, artefacts: Path) -> None:
    page.goto(f"{deep.url}/view/a.h5/scan?vmin=0&vmax=60&cmap=Greys")
    canvas = Canvas(page)
    canvas.wait()
    page.get_by_role("slider", name="angle").fill("7")
    wait_for_query(page, "q.index === '7'")
    canvas.wait()
    assert page.locator(".coordinate").inner_text() == "10.5 deg"
    want = canvas.expected(stack_values()[7], 0, lambda values: coloured(values.astype("f4"), 0, 60))
    assert_shows(canvas.picture(), want, artefacts / "deep-slider", slack=1)
    assert page.locator("text=x (mm)").count() == 1


def test_playing_goes_through_the_planes(deep: Site, page: Any) -> None:
    page.goto(f"{deep.url}/view/a.h5/scan")
    Canvas(page).wait()
    page.get_by_role("button", name="Play angle").click()
    page.wait_for_function("() => Number(new URLSearchParams(location.search).get('index')) >= 3")
    page.get_by_role("button", name="Stop angle").click()


def test_the_value_under_the_pointer_has_every_digit(deep: Site, page: Any) -> None:
    values = stack_values()
    page.goto(f"{deep.url}/view/a.h5/scan?index=4")
    canvas = Canvas(page)
    canvas.wait()
    page.mouse.move(*canvas.point(values[4], 31, 77))
    page.wait_for_function("() => document.querySelector('[data-testid=value]')?.textContent !== '…'")
    assert float(page.inner_text("[data-testid=value]")) == values[4, 31, 77]
    readout = page.inner_text("[data-testid=readout]")
    assert "y 31 (12.75 mm)" in readout
    assert "x 77 (9.25 mm)" in readout


def test_what_is_no_measurement_and_what_is_saturated_have_colours_of_their_own(deep: Site, page: Any) -> None:
    values = detector_values()
    page.goto(f"{deep.url}/view/a.h5/detector/data?vmin=0&vmax=200&cmap=Greys")
    canvas = Canvas(page)
    canvas.wait()
    picture = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))

    def colour(row: int, column: int) -> tuple[int, ...]:
        x, y = canvas.point(values, row, column)
        return tuple(int(c) for c in picture[int(y), int(x)])

    assert colour(15, 20) == (0xFF, 0x2F, 0xB3)
    assert colour(35, 20) == (0x8F, 0x96, 0x9E)
    grey = int(coloured(values, 0, 200)[50, 60])
    assert np.abs(np.array(colour(50, 60)) - grey).max() <= 2


def test_a_profile_has_the_values_along_its_line(deep: Site, page: Any, artefacts: Path) -> None:
    values = stack_values()
    page.goto(f"{deep.url}/view/a.h5/scan?index=2")
    canvas = Canvas(page)
    canvas.wait()
    page.get_by_role("button", name="Profile").click()
    page.mouse.move(*canvas.point(values[2], 10, 10))
    page.mouse.down()
    page.mouse.move(*canvas.point(values[2], 10, 70), steps=5)
    page.mouse.up()
    page.wait_for_selector(".profile-plot canvas")
    line = wait_for_query(page, "q.line")["line"]
    page.wait_for_timeout(500)
    page.screenshot(path=artefacts / "profile.png")
    row, first, _, last = (float(n) for n in line.split(","))
    assert abs(row - 10.5) < 1
    points = int(page.get_attribute(".profile-plot", "data-points"))
    assert abs(points - (last - first + 1)) <= 1


def test_a_region_has_the_statistics_of_all_its_elements(deep: Site, page: Any, artefacts: Path) -> None:
    values = detector_values()
    page.goto(f"{deep.url}/view/a.h5/detector/data?region=5,45,0,40")
    page.wait_for_selector("[data-testid=region]")
    page.screenshot(path=artefacts / "region.png")
    part = values[5:45, 0:40]
    part = part[(part != DEAD) & (part <= SATURATION)].astype("f8")
    shown = dict(
        zip(page.locator(".numbers dt").all_inner_texts(), page.locator(".numbers dd").all_inner_texts(), strict=True)
    )
    numbers = {name: float(text.replace("\u202f", "")) for name, text in shown.items()}
    assert numbers["measured"] == part.size
    assert numbers["sum"] == part.sum()
    assert numbers["mean"] == pytest.approx(part.mean(), rel=1e-8)
    assert numbers["std"] == pytest.approx(part.std(), rel=1e-8)
    assert (numbers["min"], numbers["max"]) == (part.min(), part.max())


def test_levels_can_keep_the_peaks(deep: Site, page: Any) -> None:
    page.goto(f"{deep.url}/view/a.h5/image?{WINDOW}&method=max")
    canvas = Canvas(page)
    level = canvas.wait()
    f = 2**level
    page.mouse.move(*canvas.point(image_values(), 500, 400))
    page.wait_for_function("() => document.querySelector('[data-testid=readout]')?.textContent.includes('max of')")
    told = float(page.inner_text("[data-testid=readout]").split(":")[-1])
    block = image_values()[500 // f * f :, 400 // f * f :][:f, :f]
    assert told == pytest.approx(block.max(), rel=1e-5)


def test_a_file_that_is_replaced_is_shown_anew(tmp_path: Path, visit: Visit, page: Any) -> None:
    path = tmp_path / "live.h5"

    def write(value: float) -> None:
        with h5py.File(path.with_suffix(".part"), "w") as file:
            file["image"] = np.full((300, 400), value)
        path.with_suffix(".part").rename(path)

    write(1.5)
    server = Server((str(tmp_path),), {"settle": 0, "workers": 1})
    page.goto(f"{server.url}/view/live.h5/image?vmin=0&vmax=10")
    canvas = Canvas(page)
    canvas.wait()
    write(7.25)
    page.mouse.move(*canvas.point(np.zeros((300, 400)), 100, 100))
    page.mouse.wheel(0, -2000)
    page.wait_for_timeout(500)
    page.reload()
    canvas.wait()
    page.mouse.move(*canvas.point(np.zeros((300, 400)), 110, 100))
    page.wait_for_function("() => document.querySelector('[data-testid=value]')?.textContent === '7.25'")
    server.stop()
