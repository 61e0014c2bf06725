"""OME-Zarr documents are valid by the published schemas and by the specification's words, and levels line up."""

import json
import re
from functools import cache
from importlib.metadata import distribution
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from chunkserve.metadata.axes import Axis, image_axes
from chunkserve.metadata.halving import halved_axes
from chunkserve.metadata.ome import Image, Window, multiscales_v04, multiscales_v05
from chunkserve.metadata.units import SPACE_UNITS, TIME_UNITS

METHODS = ("mean", "max", "min", "mode", "stride")
ORDER = {"time": 0, "channel": 1, "other": 1, "space": 2}
ALLOWED = {"time": TIME_UNITS, "space": SPACE_UNITS, "other": SPACE_UNITS | TIME_UNITS, "channel": frozenset()}


@cache
def validator(version: str) -> jsonschema.Draft202012Validator:
    """The strict schema of a version, as ngff-zarr ships it."""
    folder = Path(str(distribution("ngff-zarr").locate_file(f"ngff_zarr/spec/{version}/schemas")))
    schemas = [json.loads(path.read_text()) for path in sorted(folder.glob("*.schema"))]
    registry = Registry().with_resources((s["$id"], Resource(s, DRAFT202012)) for s in schemas)
    strict = next(s for s in schemas if s["$id"].endswith("/strict_image.schema"))
    return jsonschema.Draft202012Validator(strict, registry=registry)


def written(document: object) -> dict:
    """A document after it went over the wire."""
    return json.loads(json.dumps(document, allow_nan=False))


def check(pyramid: Image) -> dict:
    """Both versions of a valid document; what they share is returned."""
    new, old = written(multiscales_v05(pyramid)), written(multiscales_v04(pyramid))
    validator("0.5").validate(new)
    validator("0.4").validate(old)
    (shared,) = new["ome"]["multiscales"]
    assert old["multiscales"] == [{"version": "0.4", **shared}]
    assert new["ome"].get("omero") == new.get("omero") == old.get("omero")
    assert set(new) <= {"ome", "omero"}
    check_words(shared, len(pyramid.shape))
    return shared


def check_words(multiscale: dict, rank: int) -> None:
    """What the specification demands and its schemas cannot."""
    axes = multiscale["axes"]
    kinds = [axis["type"] for axis in axes]
    names = [axis["name"] for axis in axes]
    assert len(axes) == rank == len(set(names))
    assert all(re.fullmatch(r"[a-zA-Z][a-zA-Z_0-9]*", name) for name in names)
    assert kinds == sorted(kinds, key=ORDER.__getitem__)
    assert 2 <= kinds.count("space") <= 3
    assert kinds.count("time") <= 1
    assert kinds.count("channel") + kinds.count("other") <= 1
    assert all(axis["unit"] in ALLOWED[axis["type"]] for axis in axes if "unit" in axis)
    for level, dataset in enumerate(multiscale["datasets"]):
        assert dataset["path"] == str(level)
        scale, translation = dataset["coordinateTransformations"]
        assert (scale["type"], translation["type"]) == ("scale", "translation")
        assert len(scale["scale"]) == len(translation["translation"]) == rank
        assert all(s > 0 for s in scale["scale"])


def steps(multiscale: dict) -> list[tuple[list[float], list[float]]]:
    """Scale and translation of each level."""
    both = [dataset["coordinateTransformations"] for dataset in multiscale["datasets"]]
    return [(scale["scale"], translation["translation"]) for scale, translation in both]


PLANE = (Axis("y", "space", "micrometer", 2.0, 10.0), Axis("x", "space", "micrometer", 0.5, -1.0))
VOLUME = (Axis("z", "space"), Axis("y", "space"), Axis("x", "space"))
WINDOW = Window(200.0, 3000.0, 0.0, 65535.0)


def plane(method="mean", window=None) -> Image:
    return Image("p", PLANE, (100, 100), ((1, 1), (2, 2), (4, 4)), method, window)


def test_levels_have_their_voxel_centres_where_blocks_have_theirs() -> None:
    assert steps(check(plane())) == [
        ([2.0, 0.5], [10.0, -1.0]),
        ([4.0, 1.0], [11.0, -0.75]),
        ([8.0, 2.0], [13.0, -0.25]),
    ]


def test_picked_voxels_stay_where_they_are() -> None:
    assert [translation for _, translation in steps(check(plane("stride")))] == [[10.0, -1.0]] * 3


@pytest.mark.parametrize("method", METHODS)
def test_the_method_is_told(method: str) -> None:
    shared = check(plane(method))
    assert shared["type"] == method
    assert shared["metadata"]["kwargs"] == {"method": method, "factors": [[1, 1], [2, 2], [4, 4]]}
    assert shared["metadata"]["description"].startswith("A voxel is the ")


def test_contrast_is_told_where_each_viewer_looks() -> None:
    document = multiscales_v05(plane(window=WINDOW))
    check(plane(window=WINDOW))
    channel = {
        "active": True,
        "color": "FFFFFF",
        "label": "p",
        "window": {"start": 200.0, "end": 3000.0, "min": 0.0, "max": 65535.0},
    }
    rdefs = {"defaultT": 0, "defaultZ": 0, "model": "greyscale"}
    assert document["omero"] == {"name": "p", "channels": [channel], "rdefs": rdefs}


@pytest.mark.parametrize(
    "window",
    [None, Window(float("nan"), 1.0, 0.0, 1.0), Window(0.0, 1.0, 0.0, float("inf")), Window(5.0, 5.0, 5.0, 5.0)],
)
def test_without_a_usable_window_there_is_no_omero(window: Window | None) -> None:
    assert set(multiscales_v05(plane(window=window))) == {"ome"}
    assert set(multiscales_v04(plane(window=window))) == {"multiscales"}
    check(plane(window=window))


def test_the_window_is_inside_what_may_be_adjusted() -> None:
    omero = multiscales_v04(plane(window=Window(-5.0, 300.0, 0.0, 255.0)))["omero"]
    assert omero["channels"][0]["window"] == {"start": -5.0, "end": 300.0, "min": -5.0, "max": 300.0}


def test_every_channel_has_an_entry_and_the_first_is_shown() -> None:
    axes = (Axis("c", "channel"), *PLANE)
    pyramid = Image("p", axes, (3, 64, 64), ((1, 1, 1), (1, 2, 2)), "mean", WINDOW)
    check(pyramid)
    omero = multiscales_v05(pyramid)["omero"]
    assert [(c["label"], c["active"]) for c in omero["channels"]] == [("0", True), ("1", False), ("2", False)]
    assert omero["rdefs"]["model"] == "color"


@pytest.mark.parametrize(
    ("size", "factors", "section"),
    [(100, (1, 1, 1), 50), (100, (4, 4, 4), 24), (101, (2, 2, 2), 50), (1, (8, 8, 8), 0), (0, (1, 1, 1), 0)],
)
def test_the_first_section_shown_exists_at_all_levels(size: int, factors: tuple, section: int) -> None:
    pyramid = Image("p", VOLUME, (size, 64, 64), ((1, 1, 1), factors), "mean", WINDOW)
    check(pyramid)
    assert multiscales_v05(pyramid)["omero"]["rdefs"]["defaultZ"] == section
    assert section < max(1, -(-size // factors[0]))


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_the_schemas_refuse_what_is_wrong(version: str) -> None:
    """The validator does look: an axis without a type is one space axis too many, and so is a missing part."""
    axes = (Axis("scan", None), *VOLUME)
    pyramid = Image("p", axes, (9, 9, 9, 9), ((1,) * 4,), "mean")
    check(pyramid)
    document = written(multiscales_v05(pyramid) if version == "0.5" else multiscales_v04(pyramid))
    multiscale = document.get("ome", document)["multiscales"][0]
    for part in ("axes", "datasets", "metadata", "type", "name"):
        kept = multiscale.pop(part)
        assert not validator(version).is_valid(document)
        multiscale[part] = kept
    assert validator(version).is_valid(document)
    del multiscale["axes"][0]["type"]
    assert not validator(version).is_valid(document)


TEXTS = st.sampled_from(["um", "mm", "s", "deg", "keV", "pixel", "days since 1900-01-01", "furlong", ""]) | st.text(
    max_size=9
)
NAMES = st.sampled_from(["t", "time", "c", "channel", "z", "y", "x", "rgb", "energy", "phony_dim_0"]) | st.text(
    max_size=9
)


@st.composite
def coordinates(draw, size: int):
    step, first = draw(st.floats(-1e9, 1e9) | st.integers(-9, 9)), draw(st.integers(-9, 9) | st.floats())
    length = size + draw(st.integers(0, 1))
    with np.errstate(all="ignore"):
        values = first + step * np.arange(length)
    return values.astype(draw(st.sampled_from(["f8", "f8", "f8", ">f8"])))


@st.composite
def pyramids(draw) -> Image:
    """A pyramid over any dataset, its axes as they are made of what is in a file."""
    rank = draw(st.integers(2, 5))
    shape = tuple(draw(st.lists(st.integers(0, 40) | st.just(10**6), min_size=rank, max_size=rank)))
    names = tuple(draw(st.lists(NAMES, min_size=rank, max_size=rank)))
    known = [i for i in range(rank) if shape[i] <= 40 and draw(st.booleans())]
    units = {i: draw(TEXTS) for i in range(rank) if draw(st.booleans())}
    chunks = tuple(max(1, n // draw(st.integers(1, 40))) for n in shape) if draw(st.booleans()) else ()
    said = draw(st.sampled_from([None, "image", "spectrum", "rgb-image", "vertex", "scalar"]))
    halved = halved_axes(shape, chunks, said, draw(st.sampled_from([None, "NXdetector", "NXdata"])), names)
    if draw(st.booleans()):
        halved = tuple(draw(st.lists(st.booleans(), min_size=rank, max_size=rank)))
    axes = image_axes(shape, names, halved, {i: draw(coordinates(shape[i])) for i in known}, units)
    levels = draw(st.integers(1, 6))
    factors = tuple(tuple(2**level if h else 1 for h in halved) for level in range(levels))
    floats = st.floats(allow_nan=True, allow_infinity=True)
    window = draw(st.none() | st.builds(Window, floats, floats, floats, floats))
    return Image(draw(st.text(max_size=9)), axes, shape, factors, draw(st.sampled_from(METHODS)), window)


@settings(deadline=None)
@given(pyramids())
def test_every_document_is_valid_and_its_levels_line_up(pyramid: Image) -> None:
    levels = steps(check(pyramid))
    for (scale, translation), factors in zip(levels, pyramid.factors, strict=True):
        for axis, s, t, f in zip(pyramid.axes, scale, translation, factors, strict=True):
            assert s == pytest.approx(axis.scale * f)
            if pyramid.method == "stride":
                assert t == axis.translation
            else:  # the outer edge on the side of the origin stays
                assert t - s / 2 == pytest.approx(axis.translation - axis.scale / 2, abs=1e-9 * (s + abs(t)))
