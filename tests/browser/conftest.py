"""A real browser, a server over known pictures, pages that load viewers, and a place where screenshots are kept."""

import contextlib
import mimetypes
import os
import re
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.browser.drawn import image_values, volume_values
from tests.conftest import Server
from tests.faces.conftest import Site
from tests.npm import npm_package

ROOT = Path(__file__).parents[2]
CDN = "https://cdn.jsdelivr.net"
DOCUMENTED = "http://127.0.0.1:8000"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WEBGL = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
"""WebGL 2 without a graphics card."""

HEIGHT, WIDTH = 400, 600
"""Of the window."""

FRAME, LOW, HIGH = 50, 1500, 18000
"""The section and the contrast window in docs/viewers.md."""


@pytest.fixture(scope="session")
def artefacts() -> Path:
    """Where screenshots are kept."""
    folder = Path(os.environ.get("CHUNKSERVE_ARTEFACTS") or ROOT / ".artefacts") / "viewers"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


# ------------------------------------------------------------------ data


def write_pictures(folder: Path) -> None:
    """A volume with voxel sizes, an image, and a stack with that image in it, called as in docs/viewers.md."""
    with h5py.File(folder / "volume.h5", "w") as file:
        scan = file.create_group("entry/scan")
        scan.attrs.update({"NX_class": "NXdata", "signal": "data", "axes": ["z", "y", "x"]})
        values = volume_values()
        scan.create_dataset("data", data=values, chunks=(32, 48, 64), compression="gzip", shuffle=True)
        for name, n, start, step in zip("zyx", values.shape, (10.0, 0.0, -20.0), (2.0, 0.5, 0.5), strict=True):
            scan[name] = start + step * np.arange(n)
            scan[name].attrs["units"] = "um"
    with h5py.File(folder / "image.h5", "w") as file:
        file.create_dataset("image", data=image_values(), chunks=(200, 300), compression="gzip", shuffle=True)
    with h5py.File(folder / "tomography.nxs", "w") as file:
        frame = frame_values()
        stack = file.create_dataset(
            "entry/data/data", (FRAME + 10, *frame.shape), "u2", chunks=(1, 128, 256), compression="gzip", shuffle=True
        )
        for at in range(len(stack)):
            stack[at] = frame if at == FRAME else LOW + (HIGH - LOW) * at // len(stack)


def frame_values() -> np.ndarray:
    """The image as counts."""
    return np.rint(LOW + (HIGH - LOW) * image_values().astype("f8")).astype("u2")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server over known pictures."""
    folder = tmp_path_factory.mktemp("pictures")
    write_pictures(folder)
    server = Server((str(folder),), {"settle": 0, "workers": 1})
    yield Site(server.url, folder, server.process.pid)
    assert server.stop() == ""


# ------------------------------------------------------------------ browser


@dataclass
class Visit:
    """A page in the browser, and what happened on it."""

    page: Any
    answers: list[tuple[int, str]] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("response", lambda reply: self.answers.append((reply.status, reply.url)))
        self.page.on("requestfailed", self._failed)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _failed(self, request: Any) -> None:
        if request.failure != "net::ERR_ABORTED":  # by the viewer itself
            self.complaints.append(f"{request.url} {request.failure}")

    def asked(self, part: str) -> list[tuple[int, str]]:
        """Answers to URLs with this in it."""
        return [(status, url) for status, url in self.answers if part in url]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Chromium without a window. Ends with the module: while it runs, asyncio takes its thread for busy."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        path = next(filter(None, map(shutil.which, BROWSERS)), None)
        if path is None and not Path(driver.chromium.executable_path).exists():
            pytest.skip(f"no browser: none of {', '.join(BROWSERS)}, nor playwright's own")
        sandbox = [] if os.getuid() else ["--no-sandbox"]
        browser = driver.chromium.launch(executable_path=path, args=[*WEBGL, *sandbox])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Any) -> Iterator[Visit]:
    """An empty page, 600 by 400 pixels."""
    with contextlib.closing(chromium.new_context(viewport={"width": WIDTH, "height": HEIGHT})) as context:
        found = Visit(context.new_page())
        found.page.set_default_timeout(60_000)
        yield found
        assert found.complaints == []


# ------------------------------------------------------------------ pages


class Pages:
    """A web server for one page, and for the packages it loads: ``/npm/name@version/...``."""

    def __init__(self) -> None:
        self.html = ""
        self.packages: dict[str, Path] = {}
        pages = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                data, media = pages.answer(self.path)
                self.send_response(200 if data is not None else 404)
                self.send_header("Content-Type", media)
                self.end_headers()
                self.wfile.write(data or b"")

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, path: str) -> tuple[bytes | None, str]:
        """The bytes at a path, and their media type."""
        if path == "/":
            return self.html.encode(), "text/html"
        if path == "/favicon.ico":
            return b"", "image/x-icon"
        found = re.fullmatch(r"/npm/([^/@]+@[\d.]+)/([\w./-]+)", path)
        if found is None or found[1] not in self.packages or not (self.packages[found[1]] / found[2]).is_file():
            return None, "text/plain"
        media = mimetypes.guess_type(found[2])[0]
        return (self.packages[found[1]] / found[2]).read_bytes(), media or "application/octet-stream"

    def show(self, visit: Visit, html: str) -> None:
        """Open a page. Packages it takes from a CDN are taken from here, in the version it says."""
        for name, version in set(re.findall(rf"{CDN}/npm/([^/@]+)@([\d.]+)/", html)):
            self.packages[f"{name}@{version}"] = npm_package(name, version) / name
        self.html = html.replace(CDN, "")
        visit.page.goto(self.url)

    def close(self) -> None:
        """End it."""
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def pages() -> Iterator[Pages]:
    """A web server for pages."""
    with contextlib.closing(Pages()) as found:
        yield found


def snippet(site: Site, title: str, language: str) -> str:
    """The code under a heading of docs/viewers.md, reading from ``site``."""
    page = (ROOT / "docs" / "viewers.md").read_text()
    section = page.split(f"\n## {title}\n")[1].split("\n## ")[0]
    code = section.split(f"```{language}\n")[1].split("```")[0]
    assert DOCUMENTED in code
    return code.replace(DOCUMENTED, site.url)
