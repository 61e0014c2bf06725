"""What a pyramid halves, by what NeXus says, by the layout, by names."""

import pytest

from chunkserve.metadata.halving import halved_axes


def halved(shape, chunks=(), interpretation=None, group_class=None, names=None) -> str:
    """The axes that are halved, as ``.`` and ``h``."""
    names = names or tuple(f"phony_dim_{i}" for i in range(len(shape)))
    return "".join(".h"[h] for h in halved_axes(shape, chunks, interpretation, group_class, names))


@pytest.mark.parametrize(
    ("interpretation", "shape", "expected"),
    [
        ("image", (100, 100), "hh"),
        ("image", (100, 100, 100), ".hh"),  # not a volume, since it says image
        ("Image ", (9, 100, 100, 100), "..hh"),
        ("spectrum", (100, 4096), "h."),
        ("spectrum", (100, 100, 4096), "hh."),
        ("spectrum", (9, 100, 100, 100, 4096), ".hhh."),
        ("rgb-image", (100, 100, 3), "hh."),
        ("rgba-image", (9, 100, 100, 4), ".hh."),
        ("rgb_image", (9, 100, 100, 3), ".hh."),
        ("rgb-image", (100, 100), "hh"),  # has no place for colours
        ("vertex", (1000, 3), ".."),
        ("scalar", (100, 100), "hh"),
        ("nonsense", (100, 100), "hh"),
    ],
)
def test_nexus_says_what_is_an_image(interpretation: str, shape: tuple, expected: str) -> None:
    assert halved(shape, interpretation=interpretation) == expected


@pytest.mark.parametrize(
    ("shape", "chunks", "expected"),
    [
        ((100, 7), (), "hh"),
        ((100, 7), (1, 7), "hh"),
        ((1800, 2048, 2048), (1, 2048, 2048), ".hh"),
        ((64, 64, 64), (1, 2, 2), ".hh"),
        ((512, 512, 512), (64, 64, 64), "hhh"),
        ((512, 512, 512), (16, 64, 64), "hhh"),
        ((512, 512, 512), (8, 64, 64), ".hh"),
        ((20, 512, 512), (64, 64, 64), "hhh"),  # a chunk reaches no further than the data
        ((512, 512, 512), (), "hhh"),
        ((64, 512, 512), (), "hhh"),
        ((63, 512, 512), (), ".hh"),
        ((9, 64, 64, 64), (), "..hh"),
        ((9, 64, 64, 64), (1, 16, 16, 16), ".hhh"),
        ((9, 64, 64, 64), (1, 1, 64, 64), "..hh"),
        ((2, 9, 64, 64, 64), (1, 1, 8, 64, 64), "..hhh"),
        ((2, 2, 9, 64, 64, 64), (1, 1, 1, 8, 64, 64), "...hhh"),
    ],
)
def test_else_the_layout_does(shape: tuple, chunks: tuple, expected: str) -> None:
    assert halved(shape, chunks) == expected


def test_a_detector_holds_frames_whatever_their_chunks() -> None:
    assert halved((512, 512, 512), (64, 64, 64), group_class="NXdetector") == ".hh"
    assert halved((9, 64, 64, 64), (1, 16, 16, 16), group_class="NXdetector") == "..hh"
    assert halved((512, 512, 512), (64, 64, 64), group_class="NXdata") == "hhh"


def test_axes_of_one_element_are_not_halved() -> None:
    assert halved((1, 512), ()) == ".h"
    assert halved((1, 1, 1), ()) == "..."
    assert halved((0, 5, 5), ()) == ".hh"
    assert halved((1, 64, 64), (1, 64, 64), interpretation="image") == ".hh"


def test_time_and_channels_are_not_halved() -> None:
    assert halved((128, 128, 128), names=("time", "lat", "lon")) == ".hh"
    assert halved((128, 128, 128), names=("C", "y", "x")) == ".hh"
    assert halved((128, 128, 128), names=("z", "y", "x")) == "hhh"
    assert halved((128, 128, 9), names=("y", "x", "channel")) == "hh."
    assert halved((9, 64, 64, 64), (4, 16, 16, 16), names=("z", "y", "x", "t")) == "hhh."
    assert halved((64, 64, 64), names=("t", "c", "x")) == ".hh"  # there must be two


def test_a_short_last_axis_behind_a_picture_is_colours_or_components() -> None:
    assert halved((512, 768, 3)) == "hh."
    assert halved((9, 512, 768, 4)) == ".hh."
    assert halved((512, 8, 3)) == ".hh"


def test_a_vector_and_a_scalar_have_no_pyramid() -> None:
    assert halved((1000,)) == "."
    assert halved((1000,), interpretation="spectrum") == "."
    assert halved(()) == ""
