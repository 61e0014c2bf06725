"""What files claim of their levels: taken where it is whole and fits, refused with a reason where it is not."""

import json
import math
from typing import Any

import numpy as np
import pytest

from chunkserve.datatypes import DataType
from chunkserve.metadata.axes import Axis
from chunkserve.metadata.keys import level_key
from chunkserve.metadata.multiscales import multiscale_claim, multiscale_of
from chunkserve.metadata.ome import Place, StoredImage, Window, multiscales_v05
from chunkserve.metadata.ownlevels import (
    Claim,
    bdv_claim,
    bdv_setup,
    imaris_claim,
    imaris_extent,
    imaris_place,
    placed,
)
from chunkserve.model import Attribute
from tests.metadata.test_ome import check, steps

DATA = ("DataSet", "ResolutionLevel 0", "TimePoint 3", "Channel 1", "Data")
CELLS = ("t00012", "s03", "0", "cells")
U2 = np.dtype("u2")


def characters(name: str, text: str) -> Attribute:
    """A text as Imaris writes it."""
    return Attribute(name.encode(), DataType("string", 1), (len(text),), text.encode())


def text(name: str, value: str) -> Attribute:
    return Attribute(name.encode(), DataType("string", 0), (), [value])


def fitted(claim: Claim, *shapes: tuple[int, ...]) -> tuple[Place, ...]:
    return placed(claim, shapes, (U2,) * len(shapes))


# ---------------------------------------------------------------------- Imaris


def imaris(siblings: int = 2, **image: str) -> Claim:
    names = [f"ResolutionLevel {r}" for r in range(siblings)]
    return imaris_claim(DATA, [*names, "Thumbnail"], tuple(characters(*row) for row in image.items()), (10, 90, 60))


def test_imaris_levels_reach_from_edge_to_edge() -> None:
    extents = {"ExtMin0": "-3.0", "ExtMax0": "27", "ExtMin1": "0", "ExtMax1": "45", "ExtMin2": "1e1", "ExtMax2": "30"}
    claim = imaris(3, **extents, Unit="um")
    assert (claim.name, claim.paths[2][1]) == ("TimePoint 3 Channel 1", "ResolutionLevel 2")
    assert [axis.unit for axis in claim.axes] == ["micrometer"] * 3
    first, second, third = fitted(claim, (10, 90, 60), (10, 45, 30), (5, 22, 15))
    assert first == Place((2.0, 0.5, 0.5), (11.0, 0.25, -2.75))
    assert second == Place((2.0, 1.0, 1.0), (11.0, 0.5, -2.5))
    assert third.scale == pytest.approx((4, 45 / 22, 2))
    for place in (first, second, third):
        edges = [t - s / 2 for s, t in zip(place.scale, place.translation, strict=True)]
        assert edges == pytest.approx([10, 0, -3])


@pytest.mark.parametrize("extents", [{}, {"ExtMin0": "1", "ExtMax0": "1"}, {"ExtMin0": "nan", "ExtMax0": "x"}])
def test_without_extents_a_voxel_is_one(extents: dict[str, str]) -> None:
    assert imaris(**extents).axes[2] == Axis("x", "space")


def test_a_resolution_level_that_is_missing_is_missed() -> None:
    with pytest.raises(ValueError, match=r"\[0, 2\]"):
        imaris_claim(DATA, ["ResolutionLevel 0", "ResolutionLevel 2"], (), (1, 1, 1))


@pytest.mark.parametrize(
    ("sizes", "extent"),
    [
        ("5,6,7", (5, 6, 7)),
        ("8,8,8", (8, 8, 8)),
        ("9,8,8", None),
        ("0,8,8", None),
        ("x,8,8", None),
        ("8,4.5,8", None),
        ("8,8", None),
    ],
)
def test_what_is_shown_is_what_was_measured(sizes: str, extent: tuple[int, ...] | None) -> None:
    told = zip("ZYX", sizes.split(","), strict=False)
    assert imaris_extent(tuple(characters(f"ImageSize{axis}", size) for axis, size in told), (8, 8, 8)) == extent


def test_only_finest_datasets_stand_for_an_image() -> None:
    assert imaris_place(DATA) == 1
    assert imaris_place(("ResolutionLevel 0", "Data")) == 0
    assert imaris_place((*DATA[:-1], "Histogram")) is None
    assert imaris_place(("DataSet", "ResolutionLevel 1", *DATA[2:])) is None
    assert bdv_setup(("raw", *CELLS)) == ("raw", "s03")
    assert bdv_setup(("t00012", "s03", "1", "cells")) is None
    assert bdv_setup(("0", "cells")) is None


# --------------------------------------------------------------- BigDataViewer


def test_bdv_factors_are_turned_and_centred() -> None:
    claim = bdv_claim(CELLS, np.array([[1, 1, 1], [2, 3, 1]], ">i4"))
    assert claim.paths == (CELLS, ("t00012", "s03", "1", "cells"))
    assert fitted(claim, (7, 9, 8), (7, 3, 4))[1] == Place((1.0, 3.0, 2.0), (0.0, 1.0, 0.5))
    with pytest.raises(ValueError, match="is not one of"):
        fitted(claim, (7, 9, 8), (7, 4, 2))  # x and y confused


@pytest.mark.parametrize("factors", [[[1, 1]], [[1, 1, 1], [0, 2, 2]], [[1, 1, math.inf]], [[1, 1, 1]] * 33, [1, 2, 3]])
def test_what_is_no_factor_is_refused(factors: list) -> None:
    with pytest.raises(ValueError, match="no factors"):
        bdv_claim(CELLS, np.array(factors, "f8"))


# -------------------------------------------------------------------- OME-Zarr


def multiscale(**more: Any) -> dict[str, Any]:
    datasets = [
        {"path": f"s{i}", "coordinateTransformations": [{"type": "scale", "scale": [1, 2**i, 2**i]}]} for i in (0, 1)
    ]
    axes = [{"name": "c", "type": "channel"}, *({"name": n, "type": "space", "unit": "um"} for n in "yx")]
    return {"axes": axes, "datasets": datasets} | more


def claim_of(value: Any, name: str = "multiscales") -> Claim:
    found = multiscale_of((text(name, json.dumps(value)),))
    assert found is not None
    return multiscale_claim(("a", "b"), found)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("multiscales", [multiscale()]),
        ("multiscales", multiscale()),
        ("ome", {"version": "0.5", "multiscales": [multiscale()]}),
    ],
)
def test_multiscales_are_read_wherever_they_stand(name: str, value: Any) -> None:
    claim = claim_of(value, name)
    assert claim.paths == (("a", "b", "s0"), ("a", "b", "s1"))
    assert claim.axes == (
        Axis("c", "channel"),
        Axis("y", "space", "micrometer"),
        Axis("x", "space", "micrometer"),
    )
    assert fitted(claim, (3, 9, 9), (3, 5, 4))[1] == Place((1.0, 2.0, 2.0), (0.0, 0.0, 0.0))


def test_transformations_of_the_whole_come_after_those_of_a_level() -> None:
    told = multiscale(
        coordinateTransformations=[
            {"type": "scale", "scale": [1, 0.5, 0.25]},
            {"type": "translation", "translation": [0, 10, 20]},
        ]
    )
    told["datasets"][1]["coordinateTransformations"].append({"type": "translation", "translation": [0, 4, 8]})
    assert fitted(claim_of(told), (3, 8, 8), (3, 4, 4)) == (
        Place((1, 0.5, 0.25), (0, 10, 20)),
        Place((1, 1, 0.5), (0, 12, 22)),
    )


@pytest.mark.parametrize("axes", [{"axes": ["t", "c", "z", "y", "x"]}, {}])
def test_old_versions_are_placed_by_size(axes: dict) -> None:
    claim = claim_of([{**axes, "datasets": [{"path": "0"}, {"path": "1"}], "version": "0.1"}])
    assert [axis.type for axis in claim.axes] == ["time", "channel", "space", "space", "space"]
    assert fitted(claim, (1, 2, 3, 40, 50), (1, 2, 3, 20, 25))[1] == Place((1, 1, 1, 2, 2), (0, 0, 0, 0.5, 0.5))


def axes_of(*kinds: str) -> list[dict]:
    return [{"name": f"a{i}", "type": kind} for i, kind in enumerate(kinds)]


@pytest.mark.parametrize(
    "more",
    [
        {"axes": axes_of("space", "channel", "space")},
        {"axes": axes_of("channel", "channel", "space", "space")},
        {"axes": axes_of("channel", "time", "space", "space")},
        {"axes": axes_of("time", "channel", "space")},
        {"axes": axes_of("space")},
        {"axes": [{"name": "x", "type": "space"}] * 2},
        {"axes": [{"name": "0", "type": "space"}, {"name": "x", "type": "space"}]},
        {"axes": "zyx"},
        {"datasets": "s0"},
        {"datasets": [{"path": "s0", "coordinateTransformations": [{"type": "affine"}]}]},
        {"datasets": [{"path": "s0", "coordinateTransformations": [{"type": "scale", "scale": [1, 2]}]}]},
        {"datasets": [{"path": "s0", "coordinateTransformations": [{"type": "scale", "scale": [1, 1, 10**400]}]}]},
        {"datasets": [{"path": ""}]},
    ],
)
def test_what_ome_zarr_does_not_have_is_refused(more: dict) -> None:
    with pytest.raises(ValueError, match=r"."):
        claim_of([multiscale(**more)])


@pytest.mark.parametrize("value", ["", "[", "7", "[7]", "[" * 100_000, '"x"', "{}"])
def test_other_attributes_of_the_name_are_none(value: str) -> None:
    assert not multiscale_of((text("multiscales", value),))
    assert multiscale_of((text("ome", value),)) is None


# ---------------------------------------------------------------------- levels

PLANE = Claim("p", (("0",), ("1",)), (Axis("y", "space"), Axis("x", "space")))


@pytest.mark.parametrize(
    ("shapes", "reason"),
    [
        (((8, 8),), "1 levels"),
        (((8, 8), (4, 4, 4)), "2 axes"),
        (((8, 8), (0, 4)), "2 axes"),
        (((8, 8), (8, 8)), "not coarser"),
        (((8, 8), (4, 9)), "not coarser"),
    ],
)
def test_levels_that_do_not_fit_are_refused(shapes: tuple, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        fitted(PLANE, *shapes)


def test_levels_have_one_dtype_in_any_order_of_bytes() -> None:
    assert len(placed(PLANE, ((8, 8), (4, 4)), (U2, np.dtype(">u2")))) == 2
    with pytest.raises(ValueError, match="dtypes"):
        placed(PLANE, ((8, 8), (4, 4)), (U2, np.dtype("i2")))


@pytest.mark.parametrize("scale", [(0.0, 1.0), (-1.0, 1.0), (math.nan, 1.0), (1.0, math.inf)])
def test_scales_are_positive_and_finite(scale: tuple[float, float]) -> None:
    claim = Claim(PLANE.name, PLANE.paths, PLANE.axes, (Place((1.0, 1.0), (0.0, 0.0)), Place(scale, (0.0, 0.0))))
    with pytest.raises(ValueError, match="place nothing"):
        fitted(claim, (8, 8), (4, 4))


def test_documents_of_stored_levels_are_valid() -> None:
    claim = imaris(2)
    shapes = ((10, 90, 60), (3, 45, 30))
    image = StoredImage("p", claim.axes, shapes, fitted(claim, *shapes), Window(1.0, 2.0, 0.0, 3.0))
    shared = check(image)
    assert shared["type"] == "stored"
    assert steps(shared)[1][0] == pytest.approx([10 / 3, 2, 2])
    assert multiscales_v05(image)["omero"]["rdefs"]["defaultZ"] == 2


def test_levels_of_a_group_come_before_datasets_in_it() -> None:
    ranks = {("a",): 2, ("a", "0"): 2}.get
    assert level_key(("a", "0", "zarr.json"), 3, ranks) == (("a",), 0, "zarr.json", None)
    assert level_key(("a", "zarr.json"), 3, ranks) == (("a",), None, "zarr.json", None)
    assert level_key(("a", "0", "1", "2"), 2, ranks) == (("a",), 0, "", (1, 2))
