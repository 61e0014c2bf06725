"""People find their way: files, trees, keys, views, downloads, embedding, errors; on phones, with screen readers."""

import contextlib
import http.client
import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import h5py
import numpy as np
import pytest
from PIL import Image

from tests.browser.conftest import Pages, Visit
from tests.browser.look import BUILT, WHY_NOT, Canvas, axe, query
from tests.conftest import Serve, Server
from tests.faces.conftest import Site, ask
from tests.npm import npm_package

pytestmark = pytest.mark.skipif(not BUILT, reason=WHY_NOT)

AXE = "4.14.1"
LONG = np.sin(np.arange(1_200_000) / 5e4) + np.random.default_rng(2).normal(0, 0.02, 1_200_000)
LONG[777_777] = 9
TABLE = np.array([(i, i / 3, f"row {i}".encode()) for i in range(500)], [("n", "i4"), ("x", "f8"), ("name", "S8")])


def image() -> np.ndarray:
    return np.add.outer(np.arange(60.0), np.arange(80.0) * 2)


def cube() -> np.ndarray:
    """Spectra of counts with a line at channel 120, stronger to the right."""
    line = np.exp(-(((np.arange(200) - 120) / 4) ** 2)) * 100
    return (5 + line * np.add.outer(np.arange(20), np.arange(30) * 2.0)[..., None] / 70).astype("u4")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server over folders with a NeXus file, a long line and a table; and what is no HDF5."""
    folder = tmp_path_factory.mktemp("lab")
    (folder / "runs" / "empty").mkdir(parents=True)
    (folder / "notes.txt").write_text("hello")
    (folder / "broken.h5").write_bytes(b"no HDF5 at all" * 100)
    for n in range(30):
        with h5py.File(folder / "runs" / f"run_{n:03}.nxs", "w") as file:
            file.attrs["default"] = "entry"
            entry = file.create_group("entry")
            entry.attrs.update({"NX_class": "NXentry", "default": "plot"})
            plot = entry.create_group("plot")
            plot.attrs.update({"NX_class": "NXdata", "signal": "counts", "axes": ["y", "x"]})
            plot["counts"] = image() + n
            plot["y"], plot["x"] = np.arange(60) * 0.5, np.arange(80) * 0.5
            plot["x"].attrs["units"] = plot["y"].attrs["units"] = "mm"
            entry["title"] = f"Run {n}"
    with h5py.File(folder / "other.h5", "w") as file:
        file.create_dataset("voltage", data=LONG, chunks=(65536,), compression="gzip", compression_opts=1)
        file.create_dataset("records", data=TABLE)
        file.create_dataset("big", (9000, 300), "f4", chunks=(500, 300), fillvalue=2)
        file["link"] = h5py.SoftLink("/nowhere")
        fluorescence = file.create_group("fluorescence")
        fluorescence.attrs.update({"NX_class": "NXdata", "signal": "data", "axes": ["y", "x", "energy"]})
        fluorescence["data"] = cube()
        fluorescence["data"].attrs["interpretation"] = "spectrum"
        fluorescence["energy"] = 1 + 0.01 * np.arange(200)
        fluorescence["energy"].attrs["units"] = "keV"
    server = Server((str(folder),), {"settle": 0, "workers": 1})
    yield Site(server.url, folder, server.process.pid)
    assert server.stop() == ""


@pytest.fixture
def page(visit: Visit) -> Iterator[Any]:
    """A page on which nothing is forbidden by our own policy."""
    said: list[str] = []
    visit.page.on("console", lambda message: said.append(message.text) if "Content Security" in message.text else None)
    visit.page.set_viewport_size({"width": 1200, "height": 800})
    yield visit.page
    assert said == []


# ------------------------------------------------------------------ finding


def test_folders_files_and_trees_lead_to_the_default_plot(lab: Site, visit: Visit, page: Any, artefacts: Path) -> None:
    page.goto(lab.url)
    page.get_by_role("link", name="runs").click()
    page.wait_for_selector("text=run_000.nxs")
    assert page.locator(".entry").count() >= 20
    page.screenshot(path=artefacts / "browse-folder.png")
    page.get_by_label("Filter names").fill("nxs 017")
    page.wait_for_function("() => document.querySelectorAll('.entry').length === 1")
    assert page.locator(".entry").all_inner_texts()[0].startswith("run_017.nxs")
    assert page.locator(".entry").count() == 1
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    Canvas(page).wait()
    assert page.url.endswith("/view/runs/run_017.nxs")
    assert "default plot: /entry/plot/counts" in page.inner_text("body")
    page.screenshot(path=artefacts / "browse-file.png")
    page.get_by_role("treeitem", name="title").click()
    page.wait_for_selector("text=Run 17")
    page.go_back()
    page.go_back()
    page.wait_for_selector(".entry")
    assert all(url.startswith(lab.url) for _, url in visit.answers)


def test_all_files_are_searched_as_one_types(tmp_path: Path, serve: Serve, page: Any, artefacts: Path) -> None:
    for n in range(3):
        (tmp_path / f"visit{n}").mkdir()
        with h5py.File(tmp_path / f"visit{n}" / f"scan_{n:03}.nxs", "w") as file:
            entry = file.create_group("entry")
            entry.attrs["NX_class"] = "NXentry"
            sample = entry.create_group("sample")
            sample.attrs["NX_class"] = "NXsample"
            sample["name"] = "lysozyme" if n == 1 else "insulin"
            entry["counts"] = image() + n
            entry["counts"].attrs["long_name"] = "photons per pixel"
    url = serve(tmp_path, search="yes", search_interval=1)
    page.goto(url)
    for _ in range(100):
        if b'"complete": true' in ask(f"{url}/api/search?q=scan").body:
            break
        page.wait_for_timeout(200)
    field = page.get_by_label("search all files")
    field.press_sequentially("photons")
    page.wait_for_selector(".result")
    assert page.locator(".result").count() == 3
    assert page.locator(".entry").count() == 0, "no folder is called so"
    assert "long_name: photons per pixel" in page.locator(".result").first.inner_text()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.screenshot(path=artefacts / f"search-{scheme}.png")
        script = (npm_package("axe-core", AXE) / "axe-core" / "axe.min.js").read_text()
        assert axe(page, script) == []
    field.fill("lys")
    page.get_by_text("/entry/sample/name").wait_for()
    assert page.locator(".result").count() == 1
    field.fill("visit1")
    page.wait_for_selector(".entry")
    page.wait_for_selector(".result >> text=scan_001.nxs")
    page.screenshot(path=artefacts / "search-both.png")
    page.set_viewport_size({"width": 390, "height": 780})
    page.screenshot(path=artefacts / "phone-search.png")
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    page.set_viewport_size({"width": 1200, "height": 800})
    field.fill("scan 1 counts")
    page.wait_for_selector(".result >> text=counts")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    Canvas(page).wait()
    assert page.url.endswith("/view/visit1/scan_001.nxs/entry/counts")


def test_the_tree_is_walked_by_keys(lab: Site, page: Any) -> None:
    page.goto(f"{lab.url}/view/runs/run_000.nxs/entry?as=details")
    page.get_by_role("treeitem", name="entry").focus()
    page.wait_for_selector("[role=treeitem] >> text=plot")
    for key in ("ArrowDown", "ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
        page.wait_for_timeout(250)
    page.keyboard.press("Enter")
    page.wait_for_timeout(500)
    assert urlsplit(page.url).path.startswith("/view/runs/run_000.nxs/entry/plot/")
    page.keyboard.press("ArrowLeft")
    page.wait_for_timeout(200)
    page.keyboard.press("ArrowLeft")
    page.wait_for_timeout(200)
    assert page.get_by_role("treeitem", name="plot").get_attribute("aria-expanded") == "false"


def test_details_show_attributes_and_types(lab: Site, page: Any, artefacts: Path) -> None:
    page.goto(f"{lab.url}/view/runs/run_003.nxs/entry/plot?as=details")
    page.wait_for_selector("text=Group, NXdata")
    row = page.locator(".attributes tr", has_text="axes").first
    assert "[y, x]" in row.inner_text()
    page.screenshot(path=artefacts / "details.png")


def test_it_works_below_any_path(lab: Site, page: Any) -> None:
    with contextlib.closing(Proxy(lab.url, "/beamline/42")) as proxy:
        page.goto(f"{proxy.url}/beamline/42/view/runs/run_001.nxs")
        Canvas(page).wait()
        page.get_by_role("link", name="runs").click()
        page.wait_for_selector("text=run_002.nxs")
        assert page.url.startswith(f"{proxy.url}/beamline/42/view/runs")


class Proxy:
    """A proxy that serves a server below a path, and knows nothing else."""

    def __init__(self, target: str, prefix: str) -> None:
        host = urlsplit(target).netloc

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if not self.path.startswith(prefix):
                    self.send_error(404)
                    return
                with contextlib.closing(http.client.HTTPConnection(host, timeout=60)) as connection:
                    connection.request("GET", self.path.removeprefix(prefix) or "/", headers=dict(self.headers))
                    reply = connection.getresponse()
                    body = reply.read()
                self.send_response(reply.status)
                for name, value in reply.getheaders():
                    if name.lower() not in ("content-length", "date", "connection"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


# ------------------------------------------------------------------ other views


def test_a_long_line_has_its_peak_and_every_element_when_near(lab: Site, page: Any, artefacts: Path) -> None:
    page.goto(f"{lab.url}/view/other.h5/voltage")
    page.wait_for_selector("[data-testid=line] canvas")
    line = page.locator("[data-testid=line]")
    assert int(line.get_attribute("data-factor")) == 1024
    assert float(line.get_attribute("data-range").split(",")[1]) >= 9
    page.wait_for_timeout(800)
    page.screenshot(path=artefacts / "line.png")
    box = page.locator("[data-testid=line] canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] * (777_777 + 0.5) / len(LONG), box["y"] + 200)
    for _ in range(190):
        page.mouse.wheel(0, -300)
        page.wait_for_timeout(8)
    page.wait_for_selector("[data-testid=line][data-factor='1']")
    page.wait_for_timeout(300)
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 220)
    page.wait_for_timeout(300)
    element = int(page.locator("[data-testid=readout] b").first.inner_text())
    assert float(page.inner_text("[data-testid=value]")) == pytest.approx(LONG[element], rel=1e-8)


def test_records_are_a_table(lab: Site, page: Any, artefacts: Path) -> None:
    page.goto(f"{lab.url}/view/other.h5/records")
    page.wait_for_selector(".values td")
    assert page.locator(".values thead th").all_inner_texts() == ["#", "n", "x", "name"]
    page.get_by_role("button", name="Next").click()
    page.wait_for_selector(".values >> text=row 200")
    page.screenshot(path=artefacts / "table.png")
    cells = page.locator(".values tbody tr").first.locator("td").all_inner_texts()
    assert (int(cells[0]), float(cells[1]), cells[2]) == (200, 200 / 3, "row 200")


def test_h5web_shows_the_default_plot_of_nexus(lab: Site, visit: Visit, page: Any, artefacts: Path) -> None:
    page.goto(f"{lab.url}/view/runs/run_005.nxs?as=h5web")
    page.wait_for_selector(".h5web canvas")
    page.wait_for_selector("text=NX Heatmap")
    page.wait_for_timeout(1000)
    page.screenshot(path=artefacts / "h5web.png")
    data = [url for status, url in visit.asked("/h5grove/data") if status == 200]
    assert any("counts" in url for url in data)


def test_h5web_is_given_a_level_of_what_no_texture_holds(lab: Site, visit: Visit, page: Any) -> None:
    page.goto(f"{lab.url}/view/other.h5/big?as=h5web")
    page.wait_for_selector(".notice")
    page.wait_for_selector(".h5web canvas")
    assert "2 times smaller" in page.inner_text(".notice")
    assert visit.asked("file=other.h5%3Blevel%3D1")
    page.get_by_role("button", name="Deep view, every pixel").click()
    assert Canvas(page).wait() >= 0


def test_a_band_drawn_on_the_summed_spectrum_becomes_a_map(lab: Site, page: Any, artefacts: Path) -> None:
    page.goto(f"{lab.url}/view/other.h5/fluorescence")
    page.wait_for_selector("[data-testid=map][data-state=there] canvas")
    page.wait_for_timeout(500)
    page.screenshot(path=artefacts / "map.png")
    box = page.locator("[data-testid=spectrum] canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.55, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.65, box["y"] + 40, steps=6)
    page.mouse.up()
    page.wait_for_timeout(500)
    page.wait_for_selector("[data-testid=map][data-state=there]")
    first, stop = (int(n) for n in query(page.url)["band"].split(","))
    assert abs(first - 110) <= 2
    assert abs(stop - 131) <= 2
    want = cube()[:, :, first:stop].sum(axis=2)
    with page.expect_download() as told:
        page.get_by_role("button", name="csv").click()
    np.testing.assert_array_equal(np.loadtxt(told.value.path(), delimiter=","), want)
    with page.expect_download() as told:
        page.get_by_role("button", name="tiff").click()
    np.testing.assert_array_equal(np.asarray(Image.open(told.value.path())), want.astype("f4"))


# ------------------------------------------------------------------ ways on


def test_what_is_seen_can_be_downloaded(lab: Site, page: Any) -> None:
    page.goto(f"{lab.url}/view/runs/run_002.nxs/entry/plot/counts?region=10,20,30,50")
    Canvas(page).wait()
    page.get_by_role("button", name="Download").click()
    link = page.get_by_role("link", name="this selection as npy").get_attribute("href")
    np.testing.assert_array_equal(np.load(io.BytesIO(ask(link).body)), (image() + 2)[10:20, 30:50])
    whole = page.get_by_role("link", name="the file run_002.nxs").get_attribute("href")
    assert ask(whole).body == (lab.folder / "runs" / "run_002.nxs").read_bytes()
    for form in ("csv", "tiff", "json"):
        link = page.get_by_role("link", name=f"dataset as {form}").get_attribute("href")
        assert ask(link).status == 200


def test_snippets_open_what_is_seen(lab: Site, page: Any, artefacts: Path) -> None:
    page.goto(f"{lab.url}/view/runs/run_004.nxs/entry/plot/counts?vmin=1&vmax=50")
    Canvas(page).wait()
    page.get_by_role("button", name="Open in").click()
    page.screenshot(path=artefacts / "open-in.png")
    codes = dict(
        zip(page.locator(".snippet b").all_inner_texts(), page.locator(".snippet pre").all_inner_texts(), strict=True)
    )
    for name in ("zarr", "xarray"):
        found: dict[str, Any] = {}
        exec(codes[name], found)  # what people will do
        np.testing.assert_array_equal(np.asarray(found["data"]), image() + 4)
    assert '"range":[1,50]' in codes["Neuroglancer"]


# ------------------------------------------------------------------ embedding


HOST = """<!doctype html><title>host</title><script>
window.told = []; addEventListener("message", (event) => told.push(event.data));
</script><iframe src="URL" width="590" height="390" style="border:0"></iframe>"""


def test_a_page_elsewhere_embeds_a_view_and_is_told_what_is_chosen(
    lab: Site, visit: Visit, page: Any, pages: Pages, artefacts: Path
) -> None:
    pages.show(visit, HOST.replace("URL", f"{lab.url}/embed/runs/run_006.nxs/entry/plot/counts"))
    frame = page.frame_locator("iframe")
    frame.locator("[data-testid=canvas][data-complete=true]").wait_for()
    page.wait_for_function("() => told.length > 0")
    assert page.evaluate("() => told[0].type") == "chunkserve"
    frame.get_by_role("button", name="Region").click()
    box = frame.locator("[data-testid=canvas] canvas").bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 200, box["y"] + 120, steps=5)
    page.mouse.up()
    page.wait_for_function("() => told.at(-1).region")
    page.screenshot(path=artefacts / "embed.png")
    told = page.evaluate("() => told.at(-1)")
    assert told["path"] == "runs/run_006.nxs/entry/plot/counts"
    assert told["region"]["rows"][0] < told["region"]["rows"][1] <= 60
    assert told["url"].startswith(f"{lab.url}/view/runs/run_006.nxs")
    assert query(told["url"])["region"] == told["query"]["region"]


def test_who_may_not_embed_does_not(tmp_path: Path, visit: Visit, pages: Pages) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = image()
    server = Server((str(tmp_path),), {"settle": 0, "workers": 1, "frame_ancestors": "https://lab.example"})
    pages.show(visit, HOST.replace("URL", f"{server.url}/embed/a.h5/x"))
    visit.page.wait_for_timeout(1500)
    assert visit.page.evaluate("() => told.length") == 0
    assert visit.page.frame_locator("iframe").locator("canvas").count() == 0
    server.stop()
    assert "ERR_BLOCKED_BY_RESPONSE" in visit.complaints.pop()


# ------------------------------------------------------------------ errors, everyone


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("nothing.h5", "Not found"),
        ("runs/run_000.nxs/entry/none", "Not found"),
        ("broken.h5", "Unreadable file"),
        ("runs/empty", "This folder is empty"),
    ],
)
def test_what_is_wrong_is_said(lab: Site, page: Any, path: str, words: str, artefacts: Path) -> None:
    page.goto(f"{lab.url}/view/{path}")
    page.wait_for_selector(f"text={words}")
    page.screenshot(path=artefacts / f"error-{path.replace('/', '-')}.png")


def test_a_broken_link_does_not_hide_the_rest(lab: Site, page: Any) -> None:
    page.goto(f"{lab.url}/view/other.h5")
    page.wait_for_selector("[role=treeitem] >> text=records")
    assert "broken link" in page.get_by_role("treeitem", name="link").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("folder", "view/runs"),
        ("image", "view/runs/run_001.nxs?line=5,5,40,60&region=10,20,30,50"),
        ("line", "view/other.h5/voltage"),
        ("table", "view/other.h5/records"),
        ("details", "view/runs/run_001.nxs/entry?as=details"),
        ("error", "view/nothing.h5"),
        ("embed", "embed/runs/run_001.nxs"),
    ],
)
def test_axe_finds_nothing_wrong(lab: Site, page: Any, scheme: str, name: str, path: str, artefacts: Path) -> None:
    script = (npm_package("axe-core", AXE) / "axe-core" / "axe.min.js").read_text()
    page.emulate_media(color_scheme=scheme)
    page.goto(f"{lab.url}/{path}")
    page.wait_for_selector("h1, canvas, .values td")
    page.wait_for_timeout(1200)
    page.screenshot(path=artefacts / f"{name}-{scheme}.png")
    assert axe(page, script) == []


@pytest.mark.parametrize("path", ["view/runs", "view/runs/run_001.nxs", "view/other.h5/voltage"])
def test_pages_fit_a_phone(lab: Site, page: Any, path: str, artefacts: Path) -> None:
    page.set_viewport_size({"width": 390, "height": 780})
    page.goto(f"{lab.url}/{path}")
    page.wait_for_selector("h1, canvas")
    page.wait_for_timeout(1000)
    page.screenshot(path=artefacts / f"phone-{path.replace('/', '-')}.png")
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390


def test_the_first_page_is_small(lab: Site, page: Any) -> None:
    sizes: list[int] = []
    page.on("requestfinished", lambda request: sizes.append(request.sizes()["responseBodySize"]))
    page.goto(lab.url)
    page.wait_for_selector(".entry")
    page.wait_for_timeout(300)
    assert 10_000 < sum(sizes) < 120_000, json.dumps(sizes)
