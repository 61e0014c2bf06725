"""Answers as files to be saved: forms, media types, names."""

import re
from collections.abc import Callable
from urllib.parse import quote

import numpy as np

from chunkserve.datatypes import DataType
from chunkserve.hdf5.export import Plot, nexus_file
from chunkserve.metadata.exports import MEDIA as PLAIN
from chunkserve.metadata.exports import WHOLE

MEDIA = {**PLAIN, "h5": "application/x-hdf5"}
"""Media type by form."""

MOST_BYTES = {"json": 16 * 2**20, "csv": 16 * 2**20, "tiff": 256 * 2**20, "h5": 256 * 2**20}
"""Bytes of elements in forms that are made at once, in memory."""


def whole(form: str, values: np.ndarray, t: DataType, plot: Callable[[], Plot]) -> bytes:
    """A file of a form that is made of all elements at once.

    Raises:
        BadRequest: There is no such file of these elements.
    """
    return nexus_file(plot()) if form == "h5" else WHOLE[form](values, t)


def disposition(parts: tuple[str, ...], form: str) -> bytes:
    """A header that names a file after the dataset (RFC 6266)."""
    name = "_".join((parts[0].rsplit(".", 1)[0], *parts[1:]))[-120:]
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name)
    return f"attachment; filename=\"{plain}.{form}\"; filename*=UTF-8''{quote(name)}.{form}".encode()
