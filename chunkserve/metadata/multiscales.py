"""Multiscale images as attributes of groups describe them: OME-Zarr that was put into HDF5, in versions 0.1 to 0.5.

``multiscales``, or ``ome`` since 0.5 (https://ngff.openmicroscopy.org/), as JSON text or a list of such texts.
"""

import json
import re
from typing import Any, get_args

from chunkserve.metadata.axes import LEAST, MOST, Axis, AxisType, axis_unit
from chunkserve.metadata.dimensions import find
from chunkserve.metadata.names import node_name
from chunkserve.metadata.ome import Place
from chunkserve.metadata.ownlevels import MOST_LEVELS, Claim, Path
from chunkserve.metadata.values import attribute_json
from chunkserve.model import Attribute

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
_LETTERS: dict[str, AxisType] = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}


def multiscale_of(attributes: tuple[Attribute, ...]) -> dict[str, Any] | None:
    """The first multiscale image that a group's attributes describe, as JSON text or a list of such texts."""
    ome = _parsed(attributes, b"ome")
    found = ome.get("multiscales") if isinstance(ome, dict) else _parsed(attributes, b"multiscales")
    first = found[0] if isinstance(found, list) and found else found
    return first if isinstance(first, dict) else None


def _parsed(attributes: tuple[Attribute, ...], name: bytes) -> Any:
    attribute = find(attributes, name)
    if attribute is None:
        return None
    try:
        value = attribute_json(attribute)
        return [json.loads(str(item)) for item in value] if isinstance(value, list) else json.loads(str(value))
    except (ValueError, RecursionError):
        return None


def multiscale_paths(group: Path, multiscale: dict[str, Any]) -> tuple[Path, ...]:
    """Paths of a multiscale's levels.

    Raises:
        ValueError: Not every one is told.
    """
    found = []
    for dataset in _dicts(multiscale.get("datasets"))[:MOST_LEVELS]:
        names = [node_name(part.encode("utf-8", "replace")) for part in str(dataset.get("path", "")).split("/")]
        if None in names:
            raise ValueError("a level has no path")
        found.append((*group, *(name for name in names if name is not None)))
    return tuple(found)


def multiscale_claim(group: Path, multiscale: dict[str, Any]) -> Claim:
    """The levels of a group with ``multiscales``, in all versions from 0.1 to 0.5.

    Raises:
        ValueError: They cannot be described in 0.4 and 0.5.
    """
    paths = multiscale_paths(group, multiscale)
    axes = _axes(multiscale.get("axes", list(_LETTERS)))
    name = str(multiscale.get("name") or (group[-1] if group else "/"))
    steps = [dataset.get("coordinateTransformations") for dataset in _dicts(multiscale["datasets"])]
    if not any(steps):
        return Claim(name, paths, axes)
    outer = _transformations(multiscale.get("coordinateTransformations") or [], len(axes))
    places = []
    for step in steps:
        inner = _transformations(step, len(axes))
        scale = tuple(a * b for a, b in zip(inner.scale, outer.scale, strict=True))
        moved = zip(inner.translation, outer.scale, outer.translation, strict=True)
        places.append(Place(scale, tuple(a * b + c for a, b, c in moved)))
    return Claim(name, paths, axes, tuple(places))


def _axes(told: Any) -> tuple[Axis, ...]:
    """Axes as objects (since 0.4) or names (0.3).

    Raises:
        ValueError: 0.4 and 0.5 do not have such axes.
    """
    if not isinstance(told, list) or not LEAST <= len(told) <= MOST:
        raise ValueError("axes are not told")
    axes = []
    for one in told:
        axis = one if isinstance(one, dict) else {"name": one, "type": _LETTERS.get(str(one))}
        name, kind = str(axis.get("name")), next((k for k in get_args(AxisType) if k == axis.get("type")), None)
        if not _NAME.match(name):
            raise ValueError(f"{name!r} is no name of an axis")
        axes.append(Axis(name, kind, axis_unit(str(axis.get("unit", "")), kind)))
    kinds = [axis.type for axis in axes]
    before = len(kinds) - kinds.count("space")
    ordered = "space" not in kinds[:before] and "time" not in kinds[1:before]
    if not ordered or not 2 <= kinds.count("space") <= 3 or before - kinds.count("time") > 1:
        raise ValueError(f"axes are of the types {kinds}")
    if len({axis.name for axis in axes}) < len(axes):
        raise ValueError("two axes have one name")
    return tuple(axes)


def _transformations(told: Any, rank: int) -> Place:
    """A scale and then a translation, each at most once."""
    scale, translation = (1.0,) * rank, (0.0,) * rank
    kinds = [step.get("type") for step in _dicts(told)]
    if kinds not in ([], ["identity"], ["scale"], ["translation"], ["scale", "translation"]):
        raise ValueError(f"coordinate transformations are {kinds}")
    for step in _dicts(told):
        if step["type"] == "scale":
            scale = _numbers(step.get("scale"), rank)
        elif step["type"] == "translation":
            translation = _numbers(step.get("translation"), rank)
    return Place(scale, translation)


def _numbers(told: Any, rank: int) -> tuple[float, ...]:
    if not isinstance(told, list) or len(told) != rank or not all(isinstance(n, int | float) for n in told):
        raise ValueError("a coordinate transformation does not fit the axes")
    try:
        return tuple(map(float, told))
    except OverflowError as error:
        raise ValueError("a coordinate transformation is beyond all bounds") from error


def _dicts(told: Any) -> list[dict[str, Any]]:
    if not isinstance(told, list) or not all(isinstance(one, dict) for one in told):
        raise ValueError("multiscales are not as OME-Zarr has them")
    return told
