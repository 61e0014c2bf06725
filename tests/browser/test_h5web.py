"""H5Web, unmodified, over ``/h5grove``: the tree, the default plot of NeXus, a large image at a level, errors."""

import functools
import io
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlencode

import cmap
import h5py
import numpy as np
import pytest
from PIL import Image

from tests.browser.conftest import Visit
from tests.conftest import Server
from tests.faces.conftest import Site, write_strange
from tests.npm import npm_page

PAGE = Path(__file__).with_name("h5web")
LARGE = (9000, 8500)
"""More than a texture may have in the browser of the tests."""

OFF, STRAY = 0.02, 0.04
"""How far a colour may be off, and how many may be further: the grid is drawn over them."""


def picture(height: int, width: int) -> np.ndarray:
    """float32 from 0 to 1, smooth but for an L, and the same in no other orientation."""
    row, column = np.mgrid[:height, :width].astype("f4")
    values = 0.3 + 0.4 * row / height + 0.3 * (column / width) ** 2
    values[height // 10 : height // 2, width // 8 : width // 5] = 0
    values[2 * height // 5 : height // 2, width // 8 : width // 2] = 0
    values[0, 0] = 1
    return values


def write_files(folder: Path) -> None:
    with h5py.File(folder / "scan.nxs", "w") as file:
        file.attrs.update({"NX_class": "NXroot", "default": "entry"})
        entry = file.create_group("entry")
        entry.attrs.update({"NX_class": "NXentry", "default": "plot"})
        plot = entry.create_group("plot")
        plot.attrs.update({"NX_class": "NXdata", "signal": "counts", "axes": ["y", "x"]})
        plot.create_dataset("counts", data=picture(240, 320), chunks=(100, 100), compression="gzip", shuffle=True)
        plot["counts"].attrs.update({"long_name": "Counts", "_FillValue": np.array([np.nan], "f4")})
        plot["y"], plot["x"] = np.arange(240) * 0.5, np.arange(320) * 0.5
        plot["x"].attrs["units"] = "mm"
        for k in range(40):
            file.create_group(f"entry/detectors/d{k:02d}").attrs["NX_class"] = "NXdetector"
        file["entry/title"] = "a wörd"
    with h5py.File(folder / "large.h5", "w") as file:
        data = np.rint(picture(*LARGE) * 255).astype("u1")
        file.create_dataset("image", data=data, chunks=(1000, 1000), compression="gzip", compression_opts=1)
    write_strange(folder / "strange.h5")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("h5web")
    write_files(folder)
    server = Server((str(folder),), {"settle": 0, "workers": 1})
    yield Site(server.url, folder, server.process.pid)
    assert server.stop() == ""


@pytest.fixture(scope="module")
def page() -> Iterator[str]:
    """Where the app is served, which is not where the data are."""
    handler = functools.partial(_Quiet, directory=str(npm_page(PAGE)))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing."""


Open = Callable[..., None]


@pytest.fixture
def show(visit: Visit, site: Site, page: str) -> Open:
    """Open a file in the app."""

    def go(file: str, path: str = "/", **more: str) -> None:
        visit.page.set_viewport_size({"width": 1000, "height": 700})
        visit.page.goto(f"{page}?{urlencode({'url': f'{site.url}/h5grove', 'file': file, 'path': path, **more})}")

    return go


def steady(visit: Visit, name: Path) -> np.ndarray:
    """What the page shows when it has stopped to change, kept as a picture: uint8 (height, width, 3)."""
    visit.page.wait_for_selector("canvas")
    before = b""
    for _ in range(60):
        visit.page.wait_for_timeout(500)
        now = visit.page.screenshot()
        if now == before:
            break
        before = now
    name.with_suffix(".png").write_bytes(now)
    canvas = visit.page.locator("canvas").first.bounding_box()
    x, y, width, height = (round(canvas[k]) for k in ("x", "y", "width", "height"))
    return np.asarray(Image.open(io.BytesIO(now)).convert("RGB"))[y : y + height, x : x + width]


def shown_values(pixels: np.ndarray) -> np.ndarray:
    """Values from 0 to 1 that colours of viridis stand for, NaN for other colours; cut to what is drawn."""
    table = np.rint(np.asarray(cmap.Colormap("viridis").lut(1024))[:, :3] * 255)
    colours, inverse = np.unique(pixels.reshape(-1, 3), axis=0, return_inverse=True)
    distance = np.abs(colours[:, None].astype(int) - table[None].astype(int)).max(-1)
    value = np.where(distance.min(1) <= 3, distance.argmin(1) / 1023, np.nan)
    found = value[inverse].reshape(pixels.shape[:2])
    rows = np.flatnonzero((~np.isnan(found)).mean(1) > 0.2)
    columns = np.flatnonzero((~np.isnan(found)).mean(0) > 0.2)
    return found[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def assert_is_picture(pixels: np.ndarray, height: int, width: int) -> None:
    """What is drawn is :func:`picture`, whole, rows going up."""
    found = shown_values(pixels)
    want = picture(height, width)[::-1]
    rows = ((np.arange(found.shape[0]) + 0.5) * height / found.shape[0]).astype(int)
    columns = ((np.arange(found.shape[1]) + 0.5) * width / found.shape[1]).astype(int)
    off = np.abs(found - want[np.ix_(rows, columns)])
    assert np.mean(~(off <= OFF)) <= STRAY, f"{np.mean(~(off <= OFF)):.2%} differ"


def test_the_tree_of_a_nexus_file_and_its_default_plot(show: Open, visit: Visit, artefacts: Path) -> None:
    show("scan.nxs")
    pixels = steady(visit, artefacts / "h5web-default-plot")
    assert_is_picture(pixels, 240, 320)
    text = visit.page.inner_text("body")
    assert "NX" in text
    assert "Counts" in text
    assert "(mm)" in text
    visit.page.get_by_role("treeitem", name="entry").first.click()
    visit.page.get_by_role("treeitem", name="detectors").first.click()
    visit.page.get_by_role("treeitem", name="d39").first.wait_for()
    names = [text.split()[0] for text in visit.page.get_by_role("treeitem").all_inner_texts()]
    assert [name for name in names if name[0] == "d" and name[1:].isdigit()] == [f"d{k:02d}" for k in range(40)]
    assert {status for status, _ in visit.asked("/h5grove/")} == {200}
    visit.page.screenshot(path=artefacts / "h5web-tree.png")


def test_an_image_too_large_for_a_texture_is_seen_at_a_level(show: Open, visit: Visit, artefacts: Path) -> None:
    show("large.h5;level=3", "/image", wide="1")
    pixels = steady(visit, artefacts / "h5web-large-level3")
    assert_is_picture(pixels, *LARGE)
    (meta,) = {url for _, url in visit.asked("/h5grove/data")}
    assert "level%3D3" in meta
    assert {status for status, _ in visit.asked("/h5grove/")} == {200}


def test_text_is_shown(show: Open, visit: Visit) -> None:
    show("scan.nxs", "/entry/title")
    visit.page.get_by_text("a wörd").first.wait_for()


@pytest.mark.parametrize(
    ("file", "path", "said"),
    [
        ("gone.h5", "/", "File not found: 'gone.h5'"),
        ("scan.nxs", "/nope", "No entity found at /nope"),
        ("strange.h5", "/strange", "47111"),
    ],
    ids=["file", "path", "filter"],
)
def test_errors_are_shown_in_words(show: Open, visit: Visit, artefacts: Path, file: str, path: str, said: str) -> None:
    show(file, path)
    visit.page.get_by_text(said).first.wait_for()
    visit.page.screenshot(path=artefacts / f"h5web-error-{file.partition('.')[0]}-{path.strip('/') or 'root'}.png")
