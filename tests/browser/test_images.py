"""Viewers of images draw what the file holds, on the pages of docs/viewers.md: near, far, and in the last corner."""

from pathlib import Path

import numpy as np
import pytest

from tests.browser.conftest import FRAME, HEIGHT, HIGH, LOW, WIDTH, Pages, Visit, frame_values, snippet
from tests.browser.drawn import assert_shows, grey, level_of, view
from tests.faces.conftest import Site

TOP = 2
"""The coarsest level of the image."""

NEAR = (0, 8.0, (560, 400))
VIEWS = pytest.mark.parametrize(
    ("level", "pixels", "middle"),
    [
        NEAR,
        (1, 1.0, (560, 400)),
        (TOP, 1.0, (560, 400)),
        (0, 1.0, (1037, 813)),
        (1, 1.0, (1038, 814)),
        (TOP, 1.0, (1040, 816)),
    ],
    ids=["near", "middle", "far", "corner", "corner-middle", "corner-far"],
)
"""Level, pixels of the window per pixel of the level, and what is in the middle of the window: row and column."""

PLACE = {
    "OpenSeadragon": """({ row, column, scale }) => {
        viewer.clearControls();
        viewer.viewport.minZoomLevel = 0.01;
        viewer.viewport.maxZoomPixelRatio = 100;
        viewer.viewport.visibilityRatio = 0;
        const image = viewer.world.getItemAt(0);
        image.minPixelRatio = 1; // else it takes the next finer level, and leaves out every other pixel
        viewer.viewport.zoomTo(image.imageToViewportZoom(scale), null, true);
        viewer.viewport.panTo(image.imageToViewportCoordinates(column, row), true);
    }""",
    "OpenLayers": """({ row, column, scale }) => {
        map.getControls().clear();
        const projection = map.getView().getProjection();
        map.setView(new ol.View({ projection, center: [column, -row], resolution: 1 / scale, minResolution: 0.01 }));
    }""",
    "Leaflet": """({ row, column, scale }) => {
        map.zoomControl.remove();
        map.attributionControl.remove();
        map.getContainer().style.background = "white";
        let layer;
        map.eachLayer((each) => { layer = each; });
        const finest = layer.options.maxNativeZoom;
        map.setView(map.unproject([column, row], finest), finest + Math.log2(scale), { animate: false });
    }""",
}
"""Show what is there: ``scale`` pixels of the window per pixel of the finest level."""

READY = {
    "OpenSeadragon": "() => viewer.world.getItemCount() && viewer.world.getItemAt(0).getFullyLoaded()",
    "OpenLayers": "() => map.getLayers().getLength() && map.getView().getCenter() && map.isRendered()"
    " && !map.getLoadingOrNotReady()",
    "Leaflet": "() => { let ready = false; map.eachLayer((each) => { ready = !each.isLoading(); }); return ready; }",
}
"""Everything has arrived."""

FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def place(visit: Visit, viewer: str, row: float, column: float, scale: float) -> bytes:
    """What a viewer draws there."""
    page = visit.page
    page.wait_for_function(READY[viewer])
    page.evaluate(PLACE[viewer], {"row": row, "column": column, "scale": scale})
    for _ in range(2):
        page.evaluate(FRAMES)
        page.wait_for_function(READY[viewer])
    page.wait_for_timeout(300)
    return bytes(page.screenshot())


def expected(level: int, pixels: float, middle: tuple[int, int]) -> np.ndarray:
    plane = grey(level_of(frame_values(), level), LOW, HIGH)
    return view(plane, (middle[0] / 2**level, middle[1] / 2**level), (pixels, pixels), (HEIGHT, WIDTH))


def check(visit: Visit, viewer: str, where: tuple[int, float, tuple[int, int]], name: Path, slack: int = 0) -> None:
    level, pixels, middle = where
    picture = place(visit, viewer, *middle, pixels / 2**level)
    assert_shows(picture, expected(level, pixels, middle), name, slack)
    assert [answer for answer in visit.answers if answer[0] != 200] == []


@VIEWS
@pytest.mark.parametrize("drawer", ["webgl", "canvas"])
def test_openseadragon(
    visit: Visit, pages: Pages, pictures: Site, artefacts: Path, drawer: str, level: int, pixels: float, middle: tuple
) -> None:
    html = snippet(pictures, "OpenSeadragon", "html")
    pages.show(visit, html.replace('id: "view",', f'id: "view", drawer: "{drawer}",'))
    name = artefacts / f"openseadragon-{drawer}-level{level}-{middle[0]}"
    slack = 0 if drawer == "webgl" else 1  # the other draws each tile at whole pixels
    check(visit, "OpenSeadragon", (level, pixels, middle), name, slack)
    assert visit.page.evaluate("viewer.drawer.getType()") == drawer


def test_openseadragon_takes_parameters_from_a_query(
    visit: Visit, pages: Pages, pictures: Site, artefacts: Path
) -> None:
    words = f"index={FRAME};vmin={LOW};vmax={HIGH}"
    html = snippet(pictures, "OpenSeadragon", "html").replace(f"/dzi;{words}", "/dzi")
    pages.show(visit, html.replace('.dzi"', f'.dzi?{words.replace(";", "&")}"'))
    check(visit, "OpenSeadragon", NEAR, artefacts / "openseadragon-query")


@VIEWS
def test_openlayers(
    visit: Visit, pages: Pages, pictures: Site, artefacts: Path, level: int, pixels: float, middle: tuple
) -> None:
    pages.show(visit, snippet(pictures, "OpenLayers", "html"))
    check(visit, "OpenLayers", (level, pixels, middle), artefacts / f"openlayers-level{level}-{middle[0]}")


@VIEWS
def test_leaflet(
    visit: Visit, pages: Pages, pictures: Site, artefacts: Path, level: int, pixels: float, middle: tuple
) -> None:
    pages.show(visit, snippet(pictures, "Leaflet", "html"))
    check(visit, "Leaflet", (level, pixels, middle), artefacts / f"leaflet-level{level}-{middle[0]}")
