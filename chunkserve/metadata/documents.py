"""Zarr metadata documents: arrays and groups in formats 2 and 3, and their consolidated forms."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from chunkserve.metadata.present import Blosc, Presentation
from chunkserve.metadata.served import Served
from chunkserve.metadata.values import Json, fill_json

Document = dict[str, Json]

DIMENSIONS = "_ARRAY_DIMENSIONS"
"""Where xarray looks for dimension names in format 2."""

_SHUFFLE_V2 = {"noshuffle": 0, "shuffle": 1, "bitshuffle": 2}
_TEXT_LEVEL = 1
_CRC32C: Json = {"name": "crc32c"}


@dataclass(frozen=True)
class ArrayView:
    """All that an array's document says.

    Attributes:
        served: Its type.
        presentation: Its grid and codec.
        attributes: As JSON.
        dimensions: One name per axis.
        fill: A scalar of the served dtype; ``None`` for text, whose fill is empty.
        masked: Format 2: the fill is the dataset's ``_FillValue``, to be written so that xarray masks it.
    """

    served: Served
    presentation: Presentation
    attributes: Mapping[str, Json]
    dimensions: tuple[str, ...]
    fill: np.ndarray | None
    masked: bool = False


def array_v3(view: ArrayView, *, checked: bool = False) -> Document:
    """``zarr.json`` of an array (https://zarr-specs.readthedocs.io/en/latest/v3/core/index.html).

    Args:
        view: What to say.
        checked: A CRC-32C follows every chunk.
    """
    p = view.presentation
    codecs: list[Json] = [*_inner_codecs(view), *([_CRC32C] if checked else [])]
    if p.inner is not None:
        configuration: Document = {
            "chunk_shape": list(p.inner),
            "codecs": codecs,
            "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, _CRC32C],
            "index_location": "end",
        }
        codecs = [{"name": "sharding_indexed", "configuration": configuration}]
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(p.shape),
        "data_type": data_type(view.served),
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(p.chunk)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": "" if view.fill is None else fill_json(view.fill, 3),
        "codecs": codecs,
        "attributes": dict(view.attributes),
        "dimension_names": list(view.dimensions),
    }


def _inner_codecs(view: ArrayView) -> list[Json]:
    if view.presentation.encoding == "text":
        return [
            {"name": "vlen-utf8"},
            {"name": "zstd", "configuration": {"level": _TEXT_LEVEL, "checksum": False}},
        ]
    big = view.served.dtype.byteorder == ">"
    wide = view.served.dtype.itemsize > 1
    codecs: list[Json] = [
        {"name": "bytes", "configuration": {"endian": "big" if big else "little"}} if wide else {"name": "bytes"}
    ]
    if view.presentation.encoding == "blosc":
        b = view.presentation.blosc
        codecs.append(
            {
                "name": "blosc",
                "configuration": {
                    "typesize": b.typesize,
                    "cname": b.cname,
                    "clevel": b.clevel,
                    "shuffle": b.shuffle,
                    "blocksize": 0,
                },
            }
        )
    return codecs


def data_type(served: Served) -> Json:
    """A format 3 data type: core names, and zarr-python's for what the core lacks."""
    dtype = served.dtype
    match served.kind:
        case "text":
            return "string"
        case "bytes":
            return {"name": "null_terminated_bytes", "configuration": {"length_bytes": dtype.itemsize}}
        case "opaque":
            return {"name": "raw_bytes", "configuration": {"length_bytes": dtype.itemsize}}
        case "datetime":
            unit, step = np.datetime_data(dtype)
            name = "numpy.datetime64" if dtype.kind == "M" else "numpy.timedelta64"
            return {"name": name, "configuration": {"unit": unit, "scale_factor": step}}
        case "struct":
            fields: list[Json] = [[name, data_type(_field(dtype, name))] for name in dtype.names or ()]
            return {"name": "structured", "configuration": {"fields": fields}}
        case _:
            return dtype.newbyteorder("=").name


def _field(dtype: np.dtype[Any], name: str) -> Served:
    part = dtype[name]
    return Served("bytes" if part.kind == "S" else "opaque" if part.kind == "V" else "number", part)


def array_v2(view: ArrayView) -> Document:
    """``.zarray`` (https://zarr-specs.readthedocs.io/en/latest/v2/v2.0.html)."""
    p = view.presentation
    text = p.encoding == "text"
    compressor: Json = None
    if text:
        compressor = {"id": "zstd", "level": _TEXT_LEVEL}
    elif p.encoding == "blosc":
        compressor = _blosc_v2(p.blosc)
    return {
        "zarr_format": 2,
        "shape": list(p.shape),
        "chunks": list(p.chunk),
        "dtype": _dtype_v2(view.served.dtype),
        "compressor": compressor,
        "fill_value": fill_json(view.fill, 2) if view.masked and view.fill is not None else None,
        "order": "C",
        "filters": [{"id": "vlen-utf8"}] if text else None,
        "dimension_separator": ".",
    }


def _blosc_v2(blosc: Blosc) -> Json:
    return {
        "id": "blosc",
        "cname": blosc.cname,
        "clevel": blosc.clevel,
        "shuffle": _SHUFFLE_V2[blosc.shuffle],
        "blocksize": 0,
    }


def _dtype_v2(dtype: np.dtype[Any]) -> Json:
    if dtype.names is not None:
        return [[name, dtype[name].str] for name in dtype.names]
    return dtype.str


def attributes_v2(view: ArrayView) -> Document:
    """``.zattrs`` of an array."""
    return {DIMENSIONS: list(view.dimensions), **view.attributes}


def group_v3(attributes: Mapping[str, Json], consolidated: Mapping[str, Document] | None) -> Document:
    """``zarr.json`` of a group, with its members' documents by path if they are all there."""
    document: Document = {"zarr_format": 3, "node_type": "group", "attributes": dict(attributes)}
    if consolidated is not None:
        document["consolidated_metadata"] = _inline(dict(consolidated))
    return document


def _inline(members: dict[str, Json]) -> Json:
    return {"kind": "inline", "must_understand": False, "metadata": members}


def group_v2() -> Document:
    """``.zgroup``."""
    return {"zarr_format": 2}


def consolidated_v2(members: Mapping[str, Document]) -> Document:
    """``.zmetadata``: documents by key."""
    return {"zarr_consolidated_format": 1, "metadata": dict(members)}


def enum_attribute(served: Served) -> dict[str, Json]:
    """The names of an enum's numbers, under a name that xarray takes for bookkeeping in format 2."""
    return {"_nc_enum_members": dict(served.members)} if served.members else {}
