"""Axes of datasets of every rank, as OME-Zarr allows them."""

import numpy as np
import pytest

from chunkserve.errors import Unsupported
from chunkserve.metadata.axes import Axis, image_axes


def axes(shape, names=None, halved="", coordinates=None, units=None) -> tuple[Axis, ...]:
    names = names or tuple(f"phony_dim_{i}" for i in range(len(shape)))
    marks = tuple(mark == "h" for mark in halved or "." * (len(shape) - 2) + "hh")
    return image_axes(shape, names, marks, coordinates or {}, units or {})


def shown(found: tuple[Axis, ...]) -> str:
    return " ".join(f"{axis.name}:{axis.type or 'other'}" for axis in found)


@pytest.mark.parametrize(
    ("names", "halved", "expected"),
    [
        (("rows", "columns"), "hh", "y:space x:space"),
        (("time", "energy"), "h.", "y:space x:space"),  # two axes must be space
        (("angle", "row", "column"), ".hh", "angle:other y:space x:space"),
        (("time", "lat", "lon"), ".hh", "t:time y:space x:space"),
        (("channel", "lat", "lon"), ".hh", "c:channel y:space x:space"),
        (("a", "b", "c"), "hhh", "z:space y:space x:space"),
        (("depth", "b", "c"), ".hh", "depth:space y:space x:space"),
        (("z", "b", "c"), ".hh", "z:space y:space x:space"),
        (("a", "b", "energy"), "hh.", "y:space x:space energy:space"),
        (("y", "x", "rgb"), "hh.", "y:space x:space rgb:space"),
        (("x", "y", "x"), ".hh", "x_1:space y:space x:space"),
        (("time", "a", "b", "c"), ".hhh", "t:time z:space y:space x:space"),
        (("time", "a", "b", "c"), "..hh", "t:time a:other y:space x:space"),
        (("time", "channel", "b", "c"), "..hh", "t:time c:channel y:space x:space"),
        (("channel", "a", "b", "c"), ".hhh", "c:channel z:space y:space x:space"),
        (("a", "b", "c", "d"), "..hh", "a:other b:space y:space x:space"),
        (("channel", "time", "c", "d"), "..hh", "c:channel time:space y:space x:space"),
        (("a", "b", "c", "d"), ".hh.", "a:other y:space x:space d:space"),
        (("t", "c", "z", "y", "x"), "..hhh", "t:time c:channel z:space y:space x:space"),
        (("t", "a", "b", "c", "d"), "...hh", "t:time a:other b:space y:space x:space"),
        (("scan", "a", "b", "c", "d"), "...hh", "scan:time a:other b:space y:space x:space"),
        (("channel", "time", "b", "c", "d"), "..hhh", "channel:time time:other z:space y:space x:space"),
    ],
)
def test_types_and_names_are_what_the_format_allows(names: tuple, halved: str, expected: str) -> None:
    assert shown(axes((9,) * len(names), names, halved)) == expected


@pytest.mark.parametrize("rank", [0, 1, 6, 7])
def test_other_ranks_have_no_document(rank: int) -> None:
    with pytest.raises(Unsupported, match="2 to 5 axes"):
        image_axes((4,) * rank, ("a",) * rank, (False,) * rank, {}, {})


def test_single_rows_columns_and_sections_are_called_by_letter_too() -> None:
    assert shown(axes((1, 512), halved=".h")) == "y:space x:space"
    assert shown(axes((64, 1, 64), halved="h.h")) == "z:space y:space x:space"


def test_names_are_what_neuroglancer_takes() -> None:
    assert shown(axes((9, 9, 9, 9), ("2θ (deg)", "größe", "a", "b"))) == "deg_:other gr_e:space y:space x:space"
    assert shown(axes((9, 9, 9), ("--", "a", "b"))) == "dim_0:other y:space x:space"
    assert shown(axes((9, 9, 9), ("~", "a", "b"), "hh.")) == "y:space x:space b:space"


def test_a_channel_axis_of_many_elements_is_another_axis() -> None:
    assert shown(axes((4096, 9, 9), ("channel", "y", "x"))) == "channel:other y:space x:space"


def test_scale_translation_and_unit_come_from_regular_coordinates() -> None:
    coordinates = {0: np.arange(9) * 0.5, 1: 3 + np.arange(9.0), 2: np.arange(9.0) ** 2}
    found = axes((9, 9, 9), ("t", "r", "q"), ".hh", coordinates, {0: "s", 1: "um", 2: "mm"})
    assert found == (
        Axis("t", "time", "second", 0.5, 0.0),
        Axis("y", "space", "micrometer", 1.0, 3.0),
        Axis("x", "space"),  # irregular: an index has no unit
    )


def test_a_unit_that_is_not_of_the_axis_type_is_dropped_and_the_scale_kept() -> None:
    step = {0: np.arange(9) * 0.5, 1: np.arange(9) * 0.5}
    assert axes((9, 9), coordinates=step, units={0: "s", 1: "eV"}) == (
        Axis("y", "space", None, 0.5),
        Axis("x", "space", None, 0.5),
    )
    calendar = axes((9, 9, 9), ("a", "b", "c"), ".hh", {0: np.arange(9) * 6.0}, {0: "hours since 1970-01-01"})
    assert calendar[0] == Axis("t", "time", None, 6.0)


def test_a_length_makes_the_third_axis_space_and_a_duration_the_first_time() -> None:
    assert shown(axes((9, 9, 9), ("a", "b", "c"), units={0: "mm"})) == "a:space y:space x:space"
    assert shown(axes((9, 9, 9), ("a", "b", "c"), units={0: "ms"})) == "t:time y:space x:space"
    assert shown(axes((9, 9, 9), ("a", "b", "c"), units={0: "deg"})) == "a:other y:space x:space"
