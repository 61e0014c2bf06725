"""Arrays as a NeXus file: one NXdata group that any NeXus program plots. Arrays in, bytes out."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chunkserve.errors import BadRequest

Value = str | float | int | tuple[float, ...]


@dataclass(frozen=True)
class Axis:
    """Along an axis: its name, and where its elements are.

    Attributes:
        name: Empty if nobody named it.
        values: Of shape (n,) or, for edges, (n + 1,); ``None`` if it has no coordinates.
        unit: Of these, empty if the file does not say.
    """

    name: str
    values: np.ndarray | None = None
    unit: str = ""


@dataclass(frozen=True)
class Plot:
    """Values and what is known of them.

    Attributes:
        name: Of the dataset.
        values: Numbers, records or text.
        axes: One for each dimension.
        unit: Of the values.
        attributes: More of the dataset: where it is from.
    """

    name: str
    values: np.ndarray
    axes: Sequence[Axis] = ()
    unit: str = ""
    attributes: Mapping[str, Value] = field(default_factory=dict)


def nexus_file(plot: Plot) -> bytes:
    """The file, with the values at ``/entry/data/{name}``.

    Raises:
        BadRequest: HDF5 has no form for values as Python objects other than text.
    """
    import h5py  # noqa: PLC0415 - workers do without libhdf5 until they write such a file

    text = h5py.string_dtype() if plot.values.dtype == object else None
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", track_order=True) as file:
        file.attrs.update({"NX_class": "NXroot", "default": "entry"})
        entry = file.create_group("entry", track_order=True)
        entry.attrs.update({"NX_class": "NXentry", "default": "data"})
        data = entry.create_group("data", track_order=True)
        data.attrs.update({"NX_class": "NXdata", "signal": plot.name})
        signal = data.create_dataset(plot.name, data=_storable(plot.values), dtype=text)
        signal.attrs.update(plot.attributes)
        if plot.unit:
            signal.attrs["units"] = plot.unit
        names = [_place(data, axis) for axis in plot.axes]
        if names:
            data.attrs["axes"] = names
    return buffer.getvalue()


def _place(data: Any, axis: Axis) -> str:
    """Write an axis; its name there, which is a dot if it has no coordinates."""
    name = axis.name.replace("/", "_")
    if axis.values is None:
        return "."
    while not name or name in data:
        name = f"{name}_" if name else "axis"
    data[name] = axis.values
    if axis.unit:
        data[name].attrs["units"] = axis.unit
    return name


def _storable(values: np.ndarray) -> np.ndarray:
    if values.dtype == object and not all(isinstance(item, str | bytes) for item in values.flat):
        raise BadRequest("format=h5 holds numbers, records and text; ask for json or msgpack")
    return values
