"""The comparison notices what it is for: what is turned, moved, of another level or of another brightness."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.browser.drawn import assert_shows, grey, image_values, level_of, view, volume_values

SIZE = (400, 600)
PLANES = {"image": grey(image_values(), 0, 1), "volume": grey(volume_values()[48], 0, 4000)}
MIDDLES = {"image": (560.0, 400.0), "volume": (60.0, 120.0)}


def png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def near(name: str, centre: tuple[float, float] | None = None) -> np.ndarray:
    return view(PLANES[name], centre or MIDDLES[name], (8, 8), SIZE)


@pytest.mark.parametrize("name", PLANES)
def test_a_faithful_picture_passes(name: str, tmp_path: Path) -> None:
    assert_shows(png(near(name)), near(name), tmp_path / "same")


@pytest.mark.parametrize("name", PLANES)
@pytest.mark.parametrize(
    "mistake",
    [
        lambda shown: shown[::-1],
        lambda shown: shown[:, ::-1],
        lambda shown: shown[::-1, ::-1],
        lambda shown: np.roll(shown, 2, 0),
        lambda shown: np.roll(shown, -2, 1),
        lambda shown: np.roll(shown, (4, 4), (0, 1)),
        lambda shown: (shown * 0.97).astype("u1"),
        lambda shown: np.where(np.arange(600) < 590, shown, 0).astype("u1"),
    ],
    ids=["upside down", "mirrored", "turned", "down", "left", "half a voxel", "darker", "cut"],
)
def test_a_picture_that_is_off_fails(name: str, mistake: Callable[[np.ndarray], np.ndarray], tmp_path: Path) -> None:
    want = near(name)
    with pytest.raises(AssertionError, match="is not what the data are"):
        assert_shows(png(mistake(want)), want, tmp_path / "off")


@pytest.mark.parametrize("level", [1, 2, 3])
@pytest.mark.parametrize("other", [0, 1, 2, 3])
def test_another_level_fails(level: int, other: int, tmp_path: Path) -> None:
    def shown(at: int) -> np.ndarray:
        step = 2**at
        return view(grey(level_of(image_values(), at), 0, 1), (560 / step, 400 / step), (at / 4, at / 4), SIZE)

    def far(at: int) -> bytes:
        step = 2**at
        plane = grey(level_of(image_values(), at), 0, 1)
        return png(view(plane, (560 / step, 400 / step), (step / 2**level,) * 2, SIZE))

    want = np.asarray(Image.open(io.BytesIO(far(level))))
    if level == other:
        assert_shows(far(other), want, tmp_path / "far")
    else:
        with pytest.raises(AssertionError, match="is not what the data are"):
            assert_shows(far(other), want, tmp_path / "far")
