"""The calls of libhdf5 that h5py does not wrap."""

import ctypes

from h5py import h5d, h5p, h5t

EXTENSIBLE_ARRAY = 4  # H5D_CHUNK_IDX_EARRAY
_PLAIN_EDGES = 0x0002  # H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS

_loaded: list[ctypes.CDLL] = []


def fill_bytes(plist: h5p.PropDCID, tid: h5t.TypeID, size: int) -> bytes | None:
    """The fill value as it is stored, for types that numpy has not."""
    buffer = ctypes.create_string_buffer(size)
    return buffer.raw if _library().H5Pget_fill_value(_hid(plist), _hid(tid), buffer) >= 0 else None


def has_plain_edges(plist: h5p.PropDCID) -> bool:
    """Whether chunks that reach over the edge are stored unfiltered."""
    options = ctypes.c_uint(0)
    return _library().H5Pget_chunk_opts(_hid(plist), ctypes.byref(options)) >= 0 and bool(options.value & _PLAIN_EDGES)


def chunk_index_type(dataset: h5d.DatasetID) -> int:
    """Which structure finds the chunks of a dataset (``H5D_chunk_index_t``).

    Raises:
        OSError: libhdf5 does not tell.
    """
    kind = ctypes.c_int(-1)
    if _library().H5Dget_chunk_index_type(_hid(dataset), ctypes.byref(kind)) < 0:
        raise OSError("libhdf5 does not tell the type of a chunk index")
    return kind.value


def _hid(identifier: object) -> ctypes.c_int64:
    return ctypes.c_int64(identifier.id)  # type: ignore[attr-defined]  # every h5py identifier has one


def _library() -> ctypes.CDLL:
    """The libhdf5 that h5py itself loaded."""
    if not _loaded:
        _loaded.append(ctypes.CDLL(h5p.__file__))  # symbols are found in what it depends on
    return _loaded[0]
