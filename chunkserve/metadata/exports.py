"""Slices as files for other programs. Arrays in, bytes out: the same bytes for the same input, always."""

import csv
import io
import json
from collections.abc import Callable

import numpy as np

from chunkserve.datatypes import DataType
from chunkserve.errors import BadRequest
from chunkserve.metadata.messages import OBJECT, descr
from chunkserve.metadata.values import Json, array_json, decode_text, item_json, item_text
from chunkserve.render.npy import npy_header
from chunkserve.render.tiff import tiff

MEDIA = {
    "npy": "application/octet-stream",
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "tiff": "image/tiff",
}
"""Media type by format."""

TIFF_KINDS = "biufc"


def npy_head(t: DataType, shape: tuple[int, ...]) -> bytes:
    """What stands before the elements, in C order, in a numpy file.

    Args:
        t: Their type.
        shape: The dimensions of an array type included.

    Raises:
        BadRequest: They are not of one size each.
    """
    found = descr(t)
    if found == OBJECT:
        raise BadRequest("format=npy has no form for text, references and sequences; ask for json or msgpack")
    return npy_header(found, shape)


def as_json(values: np.ndarray, t: DataType) -> bytes:
    """Nested lists; records as objects; what is not finite as ``"NaN"``, ``"Infinity"``, ``"-Infinity"``."""
    found = _objects(values, t) if values.dtype == object else array_json(values)
    return json.dumps(found, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()


def _objects(values: np.ndarray, t: DataType) -> Json:
    if values.ndim == 0:
        return item_json(values[()], t)
    return [_objects(row, t) if isinstance(row, np.ndarray) else item_json(row, t) for row in values]


def as_csv(values: np.ndarray, t: DataType) -> bytes:
    """One line for each row, of records one for each with their names at the top.

    Raises:
        BadRequest: There are more dimensions than lines and columns.
    """
    rows = io.StringIO()
    write = csv.writer(rows, lineterminator="\n").writerows
    if values.dtype.names is not None:
        write([values.dtype.names])
        columns = [_texts(np.atleast_1d(values)[name], t) for name in values.dtype.names]
        if any(column.ndim != 1 for column in columns):
            raise BadRequest("format=csv has one column for each field: name fields without dimensions of their own")
        write(zip(*columns, strict=True))
        return rows.getvalue().encode()
    if values.ndim > 2:
        raise BadRequest(f"format=csv has lines and columns, the slice has {values.ndim} dimensions; pick with sel=")
    found = _texts(np.atleast_1d(values), t)
    write(found if found.ndim == 2 else found[:, np.newaxis])
    return rows.getvalue().encode()


def _texts(values: np.ndarray, t: DataType) -> np.ndarray:
    """Elements as text, numbers with no more digits than tell them apart."""
    spell: Callable[[object], str] = str
    if values.dtype == object:
        spell = _item_speller(t)
    elif values.dtype.kind == "S":
        spell = _bytes_text
    elif values.dtype.kind == "V":
        raise BadRequest("format=csv has no form for opaque values; ask for msgpack")
    elif values.dtype.kind == "c":
        spell = _complex_text
    out = np.empty(values.shape, object)
    flat = out.reshape(-1)
    for i, value in enumerate(values.reshape(-1)):
        flat[i] = spell(value)
    return out


def _item_speller(t: DataType) -> Callable[[object], str]:
    def spell(item: object) -> str:
        return decode_text(item) if isinstance(item, bytes) else item_text(item, t)

    return spell


def _bytes_text(value: object) -> str:
    return decode_text(bytes(value))  # type: ignore[call-overload]  # numpy.bytes_


def _complex_text(value: object) -> str:
    return str(value).strip("()")


def as_tiff(values: np.ndarray, _: DataType) -> bytes:
    """One page, or one for each index of the first of three axes; uncompressed, little-endian.

    Raises:
        BadRequest: They are no pages of numbers.
    """
    if values.ndim not in (2, 3) or values.dtype.kind not in TIFF_KINDS or not values.size:
        raise BadRequest("format=tiff holds numbers in two or three dimensions; pick with sel=, or ask for npy")
    if values.dtype.kind == "b":
        values = values.view(np.uint8)
    return tiff(np.ascontiguousarray(values, values.dtype.newbyteorder("<")))


WHOLE: dict[str, Callable[[np.ndarray, DataType], bytes]] = {"json": as_json, "csv": as_csv, "tiff": as_tiff}
"""Formats that are made of all elements at once."""
