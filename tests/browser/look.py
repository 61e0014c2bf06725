"""What the deep view must show, from the array alone, and how tests take hold of it."""

import math
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np

from chunkserve.faces.viewer import BUILD
from tests.browser.drawn import BACKGROUND, level_of, view

BUILT = (BUILD / "index.html").is_file()
WHY_NOT = "the viewer is not built (npm ci && npm run build in clients/web)"

_GREYS = np.array([[int(c, 16)] * 3 for c in ("ff", "f0", "d9", "bd", "96", "73", "52", "25", "00")], "f8")
"""The nine colours of ColorBrewer's Greys."""


def greys() -> np.ndarray:
    """256 greys from black to white as the viewer's map ``Greys`` has them: a basis spline through nine colours."""
    points = _GREYS[::-1, 0]
    ends = np.concatenate([[2 * points[0] - points[1]], points, [2 * points[-1] - points[-2]]])
    at = np.linspace(0, 1, 256) * (len(points) - 1)
    first = np.minimum(at.astype(int), len(points) - 2)
    t = at - first
    a, b, c, d = (ends[first + i] for i in range(4))
    t2, t3 = t * t, t * t * t
    found = (1 - 3 * t + 3 * t2 - t3) * a + (4 - 6 * t2 + 3 * t3) * b + (1 + 3 * t + 3 * t2 - 3 * t3) * c + t3 * d
    return np.rint(found / 6).clip(0, 255).astype("u1")


def coloured(values: np.ndarray, low: float, high: float, scale: Callable[[Any], Any] = np.asarray) -> np.ndarray:
    """Values as greys of the map, in a window on a scale."""
    part = (scale(values.astype("f8")) - scale(low)) / (scale(high) - scale(low))
    return greys()[np.minimum(np.clip(part, 0, 1) * 256, 255).astype(int)]


class Canvas:
    """The canvas of the deep view on a page."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.element = page.locator("[data-testid=canvas] canvas")

    def wait(self) -> int:
        """Wait until all tiles in view are drawn; the level they are of."""
        self.page.wait_for_selector("[data-testid=canvas][data-complete=true]")
        self.page.wait_for_timeout(800)  # for the last frame, and the URL
        return int(self.page.get_attribute("[data-testid=canvas]", "data-level"))

    def picture(self) -> bytes:
        """A screenshot of it, without what lies over it."""
        self.page.evaluate(
            "() => document.querySelectorAll('[class*=floatingToolbar]').forEach((e) => { e.style.display = 'none'; })"
        )
        return self.page.screenshot(clip=self._clip())

    def _clip(self) -> dict[str, float]:
        """Its whole pixels: layouts put it between two."""
        box = self.box()
        x, y = math.ceil(box["x"]), math.ceil(box["y"])
        return {
            "x": x, "y": y, "width": math.floor(box["x"] + box["width"]) - x,
            "height": math.floor(box["y"] + box["height"]) - y,
        }  # fmt: skip

    def box(self) -> dict[str, float]:
        """Where it is."""
        found = self.element.bounding_box()
        assert found is not None
        return dict(found)

    def expected(self, values: np.ndarray, level: int, colours: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """The greys it must show of an array: all of it, or the part that the URL says."""
        box, clip = self.box(), self._clip()
        size = int(clip["height"]), int(clip["width"])
        height, width = values.shape
        place = query(self.page.url)
        if "w" in place:
            middle, scale = (float(place["y"]), float(place["x"])), box["width"] / float(place["w"])
        else:
            middle, scale = (height / 2, width / 2), min(box["height"] / height, box["width"] / width)
        off = [clip[a] + clip[n] / 2 - box[a] - box[n] / 2 for a, n in (("y", "height"), ("x", "width"))]
        centre = middle[0] + off[0] / scale, middle[1] + off[1] / scale
        plane = colours(level_of(values, level))
        f = 2**level
        rows = -(-height // f) * f, -(-width // f) * f
        want = view(plane, (centre[0] / f, centre[1] / f), (scale * f, scale * f), size)
        return _cut(want, centre, scale, (height, width), rows)

    def point(self, values: np.ndarray, row: float, column: float) -> tuple[float, float]:
        """Where a pixel of an array, all of which is seen, is on the page."""
        box = self.box()
        height, width = values.shape
        scale = min(box["height"] / height, box["width"] / width)
        x = box["x"] + box["width"] / 2 + (column + 0.5 - width / 2) * scale
        return x, box["y"] + box["height"] / 2 + (row + 0.5 - height / 2) * scale


def _cut(
    want: np.ndarray, centre: tuple[float, float], scale: float, extent: tuple[int, int], covered: tuple[int, int]
) -> np.ndarray:
    """The last pixels of a coarse level end where the array does."""
    for axis in (0, 1):
        if covered[axis] == extent[axis]:
            continue
        n = want.shape[axis]
        at = centre[axis] + (np.arange(n) + 0.5 - n / 2) / scale
        part = [slice(None), slice(None)]
        part[axis] = np.flatnonzero(at >= extent[axis])
        want = want.copy()
        want[tuple(part)] = BACKGROUND
    return want


def query(url: str) -> dict[str, str]:
    """The parameters of a URL."""
    return {name: values[-1] for name, values in parse_qs(urlsplit(url).query).items()}


def wait_for_query(page: Any, holds: str, known: object = None) -> dict[str, str]:
    """The parameters of a page's URL, as soon as something holds of them: JavaScript about ``q`` and ``known``."""
    script = f"(known) => {{ const q = Object.fromEntries(new URLSearchParams(location.search)); return {holds}; }}"
    page.wait_for_function(script, arg=known)
    return query(page.url)


def axe(page: Any, script: str) -> list[str]:
    """What axe finds wrong on a page, in words."""
    page.evaluate(script)
    found = page.evaluate("async () => (await axe.run(document, { resultTypes: ['violations'] })).violations")
    nodes = [(one, node) for one in found for node in one["nodes"]]
    return [f"{one['id']} ({one['impact']}): {' '.join(node['html'].split())[:160]}" for one, node in nodes]
