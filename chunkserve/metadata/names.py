"""HDF5 link names as Zarr node names, and back.

A link name is any bytes without ``/`` (that of a compound's field may have one). Most are node names as they stand.
Those that a URL, a client or the Zarr specification would take for something else are exposed under an alias: each
byte in question becomes ``~XX`` (two capital hexadecimal digits), and so does ``~`` itself, so that the mapping is one
to one.
"""

import re

from chunkserve.errors import NotFound

RESERVED = frozenset({".", "..", "zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata"})
"""Whole names that are documents or navigation. (Format 3 also reserves the prefix ``__``, for which readers have no
use so far; names with it stay, since variables are called by them.)"""

MAX_NAME = 1024
"""Bytes of an HDF5 name; with a longer one a key would not fit into a URL."""

_UNSAFE = frozenset(b"#?%\\~/") | frozenset(range(0x20)) | {0x7F}
_ESCAPE = re.compile(r"~([0-9A-F]{2})")

NOT_COORDINATE = b"_nc4_non_coord_"
"""netCDF-C puts this before a variable that has the name of a dimension without being its coordinate."""


def node_name(link: bytes) -> str | None:
    """The node name of a link, ``None`` if it is too long to be reached.

    A name that is not UTF-8 has its offending bytes escaped.
    """
    if not link or len(link) > MAX_NAME:
        return None
    text = link.decode("utf-8", "surrogateescape")
    whole = text in RESERVED or set(text) == {"."}
    return "".join(_spell(c, escape=whole and i == 0) for i, c in enumerate(text))


def _spell(character: str, *, escape: bool) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8
        return f"~{code - 0xDC00:02X}"
    return f"~{code:02X}" if escape or code in _UNSAFE else character


def link_name(node: str) -> bytes:
    """The link a node name stands for.

    Raises:
        NotFound: It is not how :func:`node_name` spells any link.
    """
    parts = _ESCAPE.split(node)
    link = b"".join(
        bytes([int(part, 16)]) if i % 2 else part.encode("utf-8", "surrogatepass") for i, part in enumerate(parts)
    )
    if node_name(link) != node:
        raise NotFound(node)
    return link
