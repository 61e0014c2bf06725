"""Colormaps have the colours of their definitions, by the names people know."""

from pathlib import Path

import numpy as np
import pytest

from chunkserve.errors import BadRequest
from chunkserve.render.palette import palette

MATPLOTLIB = (Path(__file__).parent / "matplotlib.txt").read_text().split()
COLORCET = [
    "bmy",
    "kbc",
    "CET_L1",
    "cet_fire",
    "cet_CET_L1",
    "colorcet:fire",
    "CET_C2",
    "colorcet:rainbow",
    "cet_coolwarm",
]


@pytest.mark.parametrize("name", MATPLOTLIB + COLORCET)
def test_names_of_matplotlib_and_colorcet_are_known(name: str) -> None:
    table = palette(name)
    assert (table.shape, table.dtype) == ((256, 3), np.uint8)
    assert len(np.unique(table, axis=0)) > 1
    with pytest.raises(ValueError, match="read-only"):
        table[0] = 0


def test_grey_is_the_identity() -> None:
    assert (palette("gray") == np.arange(256)[:, None]).all()


@pytest.mark.parametrize(
    ("name", "first", "last"),  # as published with the colormaps
    [
        ("viridis", (68, 1, 84), (253, 231, 37)),
        ("magma", (0, 0, 4), (252, 253, 191)),
        ("jet", (0, 0, 128), (128, 0, 0)),
        ("cet_fire", (0, 0, 0), (255, 255, 255)),
        ("cet_coolwarm", (33, 81, 219), (192, 2, 6)),
    ],
)
def test_colours_are_those_that_were_published(name: str, first: tuple[int, ...], last: tuple[int, ...]) -> None:
    ends = palette(name)[[0, -1]].astype(int)
    assert np.abs(ends - [first, last]).max() <= 1


def test_qualitative_colours_have_equal_shares() -> None:
    colours, counts = np.unique(palette("tab10"), axis=0, return_counts=True)
    assert len(colours) == 10
    assert set(counts) == {25, 26}
    assert tuple(palette("tab10")[0]) == (31, 119, 180)


def test_inverting_reverses_and_twice_is_not_at_all() -> None:
    plain = palette("viridis")
    for name, invert in (("viridis", True), ("viridis_r", False)):
        assert (palette(name, invert) == plain[::-1]).all()
    assert (palette("viridis_r", True) == plain).all()


def test_a_plain_name_is_matplotlibs_where_both_have_it() -> None:
    assert not (palette("rainbow") == palette("colorcet:rainbow")).all()
    assert (palette("rainbow") == palette("gnuplot:rainbow")).all()


def test_no_name_logs_or_warns(caplog: pytest.LogCaptureFixture) -> None:
    palette.cache_clear()
    for name in ("fire", "gray", "rainbow", "heat"):
        palette(name)
    assert not caplog.records


@pytest.mark.parametrize("name", ["nope", "redd", "#ff0000", "viridis_r_r", "colorcet:", "os:system", "a" * 5000])
def test_what_is_no_colormap_is_refused(name: str) -> None:
    with pytest.raises(BadRequest, match="no colormap is called"):
        palette(name)
