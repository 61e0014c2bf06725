"""The viewer: what a browser fetches, and how long a person waits, until pages and a large picture stand.

A picture *stands* when all tiles in view are drawn in the level that fits the screen, exact or from a sample. Chromium
has no graphics card here: WebGL is computed by the processor, which takes its share of the time.
"""

import argparse
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import pyramid_data
from benchmarks.common import ours
from benchmarks.common.datafile import read_through, wait_until_settled
from benchmarks.common.errors import BenchmarkError, Wrong
from benchmarks.common.folders import results_folder, scratch
from benchmarks.common.report import Report, Table, finish, mebibytes, seconds
from chunkserve.progress import bars

HELP = "bytes and time until the viewer's pages and a large picture stand, in Chromium"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
WIDTH, HEIGHT = 1280, 800
COMPLETE = "[data-testid=canvas][data-complete=true]"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--rounds", type=int, default=3, help="of each figure the median is shown [%(default)s]")


@dataclass
class Load:
    """A page that was loaded: seconds until it stood, bytes of all answers, and of tiles alone."""

    seconds: float
    bytes: int
    tiles: int
    requests: int
    approximate: bool = False


@dataclass
class _Traffic:
    sizes: list[tuple[str, int]] = field(default_factory=list)
    approximate: bool = False

    def add(self, request: Any) -> None:
        sizes = request.sizes()
        self.sizes.append((request.url, sizes["responseBodySize"] + sizes["responseHeadersSize"]))
        reply = request.response()
        if reply is not None and "x-chunkserve-approximate" in reply.headers:
            self.approximate = True


def run(options: argparse.Namespace, console: Console) -> int:
    """Run it; the exit status."""
    rounds = 1 if options.quick else options.rounds
    report = Report("viewer", "The viewer", f"Window of {WIDTH} x {HEIGHT}, one worker; medians of {rounds} rounds.")
    with scratch() as folder, bars(console) as progress:
        file = options.cache / ("quick" if options.quick else "pyramid") / "pyramid.h5"
        pyramid_data.write(file, quick=options.quick, progress=progress)
        wait_until_settled(file)
        read_through(file)
        with _browser() as browser:
            found = [_round(options, browser, file, folder / str(n)) for n in range(rounds)]
    middle = {
        name: sorted((one[name] for one in found), key=lambda load: load.seconds)[rounds // 2] for name in found[0]
    }
    rows = [
        [name, seconds(load.seconds), mebibytes(load.bytes), mebibytes(load.tiles), str(load.requests),
         "from a sample" if load.approximate else ""]
        for name, load in middle.items()
    ]  # fmt: skip
    columns = ["what", "until it stands", "bytes", "of these tiles", "requests", ""]
    report.tables.append(Table("Pages and an image of 20,000 x 20,000 float32", columns, rows))
    report.facts = {name: load.__dict__ for name, load in middle.items()}
    finish(report, console, results_folder(options.results, quick=options.quick), options.cores)
    return 0


def _round(options: argparse.Namespace, browser: Any, file: Path, folder: Path) -> dict[str, Load]:
    folder.mkdir()
    port, process = ours.start(options.chunkserve, file.parent, folder)
    base = f"http://127.0.0.1:{port}"
    image = f"{base}/view/{file.name}/{pyramid_data.IMAGE}"
    try:
        process.wait_for_port(port)
        with _tab(browser) as (page, traffic):
            files = _load(page, traffic, base, ".entry")
        with _tab(browser) as (page, traffic):
            cold = _load(page, traffic, image, COMPLETE)
            _wait_until_exact(page, file)
        with _tab(browser) as (page, traffic):
            known = _load(page, traffic, image, COMPLETE)
            _check(page)
            again = _load(page, traffic, image, COMPLETE)
        return {
            "list of files, first visit": files,
            "image, no level made, first visit": cold,
            "image, levels made, first visit": known,
            "image, second visit": again,
        }
    finally:
        process.stop()


def _load(page: Any, traffic: _Traffic, url: str, stands: str) -> Load:
    page.goto("about:blank")
    traffic.sizes.clear()
    traffic.approximate = False
    start = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.wait_for_selector(stands, timeout=300_000)
    took = time.perf_counter() - start
    found = list(traffic.sizes)
    tiles = sum(size for name, size in found if ".npy" in name)
    return Load(took, sum(size for _, size in found), tiles, len(found), traffic.approximate)


def _wait_until_exact(page: Any, file: Path) -> None:
    """Until the server says of every level that it is exact."""
    url = f"/tiles/{file.name}/{pyramid_data.IMAGE}/info.json"
    for _ in range(3000):
        levels = page.evaluate("async (url) => (await (await fetch(url)).json()).levels", url)
        if all(level["exact"] for level in levels):
            return
        page.wait_for_timeout(200)
    raise Wrong("the levels were not made in ten minutes")


def _check(page: Any) -> None:
    """There is something to be seen, in many colours."""
    drawn = page.evaluate("() => Number(document.querySelector('[data-testid=canvas]').dataset.level)")
    if drawn < 0 or page.locator(".trouble").count():
        raise Wrong("the viewer says that something is wrong")


@contextmanager
def _browser() -> Iterator[Any]:
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415 - an extra
    except ImportError:
        raise BenchmarkError("playwright is not installed: pip install chunkserve[test]") from None
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        raise BenchmarkError(f"no browser: none of {', '.join(BROWSERS)}")
    sandbox = [] if os.getuid() else ["--no-sandbox"]
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=[*ARGUMENTS, *sandbox])
        yield browser
        browser.close()


@contextmanager
def _tab(browser: Any) -> Iterator[tuple[Any, _Traffic]]:
    """A page of somebody who was never here."""
    context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT})
    page, traffic = context.new_page(), _Traffic()
    page.on("requestfinished", traffic.add)
    yield page, traffic
    context.close()
