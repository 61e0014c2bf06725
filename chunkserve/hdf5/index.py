"""Find where chunks are stored."""

from array import array

import numpy as np
from h5py import h5d, h5f

from chunkserve.chunkindex import pack
from chunkserve.hdf5.origins import Origins, origins_of
from chunkserve.hdf5.scan import open_object
from chunkserve.wire import Index, Located, Lookup


def open_dataset(file: h5f.FileID, path: tuple[bytes, ...]) -> h5d.DatasetID:
    """Open a dataset by hard links.

    Raises:
        TypeError: It is something else.
        Missing: It is not there.
    """
    found = open_object(file, path)
    if not isinstance(found, h5d.DatasetID):
        raise TypeError("not a dataset")
    return found


def chunk_table(file: h5f.FileID, task: Index) -> bytes:
    """The chunk index of a dataset (:mod:`chunkserve.chunkindex`), from one pass over its B-tree."""
    dataset = open_dataset(file, task.path)
    chunks = dataset.get_create_plist().get_chunk()
    grid = tuple(-(-n // c) for n, c in zip(dataset.shape, chunks, strict=True))
    origins, offsets, lengths, masks = array("Q"), array("Q"), array("Q"), array("I")

    def collect(info: h5d.StoreInfo) -> None:
        origins.extend(info.chunk_offset)
        offsets.append(info.byte_offset)
        lengths.append(info.size)
        masks.append(info.filter_mask)

    if all(grid):
        dataset.chunk_iter(collect)
    reported = np.array(origins, dtype=np.uint64).reshape(-1, len(chunks)) // np.array(chunks, dtype=np.uint64)
    where = origins_of(dataset).meant(reported)
    inside = (where < np.array(grid, dtype=np.uint64)).all(axis=1)  # chunks left over from a larger extent
    numbers = np.ravel_multi_index(tuple(where[inside].astype(np.int64).T), grid) if inside.any() else array("Q")
    columns = (np.array(column)[inside] for column in (offsets, lengths, masks))
    return pack(grid, numbers, *columns)


def locate(file: h5f.FileID, task: Lookup) -> Located:
    """The current extent of a dataset, and where chunks lie at this moment, for files that are being written."""
    dataset = open_dataset(file, task.path)
    dataset.refresh()
    shape = tuple(dataset.get_space().get_simple_extent_dims())
    mapping = origins_of(dataset)
    return Located(shape, tuple(_where(dataset, shape, mapping, origin) for origin in task.origins))


def _where(
    dataset: h5d.DatasetID, shape: tuple[int, ...], mapping: Origins, origin: tuple[int, ...]
) -> tuple[int, int, int] | None:
    if any(at >= n for at, n in zip(origin, shape, strict=True)):
        return None
    chunks = dataset.get_create_plist().get_chunk()
    place = mapping.reported(tuple(at // c for at, c in zip(origin, chunks, strict=True)))
    info = dataset.get_chunk_info_by_coord(tuple(at * c for at, c in zip(place, chunks, strict=True)))
    if info.byte_offset is None or not info.size:
        return None
    return info.byte_offset, info.size, info.filter_mask
