"""Neuroglancer draws what the file holds: planes of a volume, images, near and far, in both Zarr formats."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import FRAME, HEIGHT, WIDTH, Visit, frame_values, snippet
from tests.browser.drawn import assert_shows, grey, image_values, level_of, view, volume_values
from tests.faces.conftest import Site

neuroglancer = pytest.importorskip("neuroglancer", reason="neuroglancer is not installed")

SIZE = (HEIGHT, WIDTH)
SHADER = "#uicontrol invlerp normalized\nvoid main() { emitGrayscale(normalized()); }"
SOURCES = {3: "zarr3://{}/ome/{}/", 2: "zarr2://{}/ome2/{}/"}
BARE = {
    "showAxisLines": False, "showScaleBar": False, "showDefaultAnnotations": False,
    "crossSectionBackgroundColor": "#ffffff",
}  # fmt: skip
"""Of a viewer's state: nothing but the data."""

FIRST, STEP = {"x": -20.0, "y": 0.0, "z": 10.0}, {"x": 0.5, "y": 0.5, "z": 2.0}
"""Positions of voxels of the volume, in micrometres."""

SPACE = {axis: (step * 1e-6, "m") for axis, step in STEP.items()}
"""The same for Neuroglancer."""


PROBES = ("/.zattrs", "/.zarray", "/.zgroup", "/zarr.json")
"""Documents that Neuroglancer asks for to find out whether they are there."""


class Neuroglancer:
    """A viewer in the browser."""

    def __init__(self, visit: Visit, viewer: Any) -> None:
        self.visit = visit
        self.viewer = viewer
        with viewer.config_state.txn() as config:
            config.show_ui_controls = False
            config.show_panel_borders = False
        visit.page.goto(viewer.get_viewer_url())

    def picture(self) -> bytes:
        """What is drawn once everything has arrived."""
        done = threading.Event()
        found: list[bytes] = []

        def keep(reply: Any) -> None:
            found.append(reply.screenshot.image)
            done.set()

        self.viewer.async_screenshot(keep)
        for _ in range(600):
            if done.wait(0.05):
                return found[0]
            self.visit.page.wait_for_timeout(50)  # so that the browser's events are heard
        raise AssertionError(f"nothing was drawn; {self.visit.answers} {self.visit.complaints}")

    def shows(self, want: Any, name: Path) -> None:
        """It is what the data are, and all that was asked for was there."""
        assert_shows(self.picture(), want, name)
        self.visit.page.wait_for_timeout(50)
        failed = {(status, url) for status, url in self.visit.asked("/ome") if status not in (200, 206)}
        assert {url for status, url in failed if status != 404 or not url.endswith(PROBES)} == set()


@pytest.fixture(scope="module")
def loopback() -> Iterator[None]:
    neuroglancer.set_server_bind_address("127.0.0.1")
    yield
    neuroglancer.stop()


@pytest.fixture
def start(visit: Visit, loopback: None) -> Any:
    """Start a viewer on one layer in a window of grey levels."""

    def make(source: str, window: tuple[float, float], coarser: float = 1, **state: object) -> Neuroglancer:
        layer = {
            "type": "image", "name": "data", "source": source, "shader": SHADER,
            "shaderControls": {"normalized": {"range": list(window)}}, "crossSectionRenderScale": coarser,
        }  # fmt: skip
        viewer = neuroglancer.Viewer()
        viewer.set_state({**BARE, "layers": [layer], **state})
        return Neuroglancer(visit, viewer)

    return make


PLANES = {"xy": ("x", "y"), "xz": ("x", "z"), "yz": ("z", "y")}
"""Axes across and down."""


@pytest.mark.parametrize("zarr_format", [3, 2])
@pytest.mark.parametrize("layout", PLANES)
@pytest.mark.parametrize(("level", "scale", "coarser"), [(0, 0.125, 1), (2, 0.5, 32)], ids=["near", "far"])
def test_planes_of_a_volume(
    start: Any, pictures: Site, artefacts: Path, zarr_format: int, layout: str, level: int, scale: float, coarser: float
) -> None:
    """Voxels are where the NXdata axes put them, and as large. ``scale``: voxels along x per pixel."""
    middle = {"x": 80, "y": 60, "z": 48}  # voxels in front of the middle of the window
    across, down = PLANES[layout]
    through = ({"x", "y", "z"} - {across, down}).pop()
    # there begins a voxel; but the section goes through the middle of one
    position = [FIRST[axis] / STEP[axis] + middle[axis] - 0.5 * (axis != through) for axis in "xyz"]
    shown = start(
        SOURCES[zarr_format].format(pictures.url, "volume.h5/entry/scan/data"), (0, 4000), coarser,
        dimensions=SPACE, position=position, crossSectionScale=scale, layout=layout,
    )  # fmt: skip
    volume = grey(level_of(volume_values(), level), 0, 4000, 255)
    plane = volume.take(middle[through] >> level, "zyx".index(through))
    centre = {axis: middle[axis] / 2**level for axis in "xyz"}
    if layout == "yz":  # Neuroglancer lets z point to the left here
        plane = plane.T[:, ::-1]
        centre["z"] = plane.shape[1] - centre["z"]
    pixels = {axis: 2**level * STEP[axis] / STEP["x"] / scale for axis in "xyz"}
    want = view(plane, (centre[down], centre[across]), (pixels[down], pixels[across]), SIZE)
    shown.shows(want, artefacts / f"neuroglancer-volume-{layout}-level{level}-v{zarr_format}")


@pytest.mark.parametrize("zarr_format", [3, 2])
@pytest.mark.parametrize(("level", "scale"), [(0, 0.125), (1, 2.0), (2, 4.0)], ids=["near", "middle", "far"])
def test_an_image_of_floats(
    start: Any, pictures: Site, artefacts: Path, zarr_format: int, level: int, scale: float
) -> None:
    shown = start(
        SOURCES[zarr_format].format(pictures.url, "image.h5/image"), (0, 1),
        dimensions={"x": (1, ""), "y": (1, "")}, position=[399.5, 559.5], crossSectionScale=scale, layout="xy",
    )  # fmt: skip
    plane = grey(level_of(image_values(), level), 0, 1, 255)
    want = view(plane, (560 / 2**level, 400 / 2**level), (2**level / scale,) * 2, SIZE)
    shown.shows(want, artefacts / f"neuroglancer-image-level{level}-v{zarr_format}")
    top = SOURCES[zarr_format].format(pictures.url, "image.h5/image").split("://", 1)[1]
    assert shown.visit.asked(f"{top}{level}/")


def test_the_documented_snippet_draws_in_the_contrast_window_of_the_dataset(
    visit: Visit, loopback: None, pictures: Site, artefacts: Path
) -> None:
    names: dict[str, Any] = {}
    exec(snippet(pictures, "Neuroglancer", "python"), names)
    shown = Neuroglancer(visit, names["viewer"])
    for _ in range(200):
        state = names["viewer"].state.to_json()
        if "position" in state:
            break
        visit.page.wait_for_timeout(50)
    order = list(state["dimensions"])
    assert order[:2] == ["x", "y"]
    position = {"x": 399.5, "y": 559.5, order[2]: FRAME}
    state.pop("toolPalettes")  # they lie over the picture
    names["viewer"].set_state({**state, **BARE, "position": [position[a] for a in order], "crossSectionScale": 0.125})
    window = json.loads(pictures.ask("/tiles/tomography.nxs/entry/data/data/info.json").body)["window"]
    want = view(grey(frame_values(), window["start"], window["end"], 255), (560, 400), (8, 8), SIZE)
    shown.shows(want, artefacts / "neuroglancer-documented")
