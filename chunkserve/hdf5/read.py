"""Read values through libhdf5, for types and filters that only it understands.

libhdf5 up to 2.1 does not check how many bytes a filter produced: a truncated chunk yields whatever lay in fresh
memory. ``Read.twice`` therefore decodes under two different fillings of fresh memory (glibc's M_PERTURB) and of the
free memory beside it, and refuses the result if they differ, which shows the bytes that no filter wrote.
"""

import ctypes
import math

import numpy as np
from h5py import h5d, h5f, h5p, h5s

from chunkserve.hdf5.index import open_dataset
from chunkserve.hdf5.types import describe_type
from chunkserve.hdf5.values import element_data, memory_layout
from chunkserve.wire import Read, Values

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_PERTURB = -1, -3, -6
_PAINT = 2**20
"""Bytes of free memory painted beside what a read needs."""

_libc = ctypes.CDLL(None)
_libc.malloc.restype = ctypes.c_void_p
_libc.malloc.argtypes = [ctypes.c_size_t]
_libc.free.argtypes = [ctypes.c_void_p]


class Unwritten(ValueError):
    """A filter produced fewer bytes than the chunk holds."""


def read_box(file: h5f.FileID, task: Read) -> Values:
    """Read a box of a dataset.

    Raises:
        Unwritten: With ``twice``: a chunk in the box is truncated.
        ValueError: The dataset draws its values from other files, which is not libhdf5's business here.
    """
    if not task.twice:
        return _read(open_dataset(file, task.path), task)
    _libc.mallopt(_M_TRIM_THRESHOLD, 2**30)  # pages that go and come back would be zeros both times
    _libc.mallopt(_M_MMAP_THRESHOLD, 2**25)
    results = []
    for filling in (0x35, 0xCA):
        _libc.mallopt(_M_PERTURB, filling)
        _paint(filling)
        try:
            results.append(_read(open_dataset(file, task.path), task))
        finally:
            _libc.mallopt(_M_PERTURB, 0)
    if results[0] != results[1]:
        raise Unwritten("a filter produced fewer bytes than the chunk holds")
    return results[0]


def _paint(filling: int) -> None:
    """Fill free memory of all small sizes, and a stretch of what has not been used yet."""
    sizes = [size for size in (*range(16, 4096, 16), _PAINT) for _ in range(8)]
    blocks = [_libc.malloc(size) for size in sizes]
    for block, size in zip(blocks, sizes, strict=True):
        if block:
            ctypes.memset(block, filling, size)
    for block in blocks:
        _libc.free(block)


def _read(dataset: h5d.DatasetID, task: Read) -> Values:
    plist = dataset.get_create_plist()
    if plist.get_layout() == h5d.VIRTUAL or plist.get_external_count():
        raise ValueError("values lie in other files")
    tid = dataset.get_type()
    t = describe_type(tid)
    dtype, memory = memory_layout(tid, t)
    base, dims = dtype.subdtype or (dtype, ())
    values = np.zeros(task.count + dims, dtype=base)
    if math.prod(task.count):
        space = dataset.get_space()
        if task.count:
            space.select_hyperslab(task.start, task.count)
            dataset.read(h5s.create_simple(task.count), space, values, memory, dxpl=h5p.create(h5p.DATASET_XFER))
        else:
            dataset.read(h5s.create(h5s.SCALAR), space, values, memory)
    data = element_data(values, t, dataset, task.count)
    return Values(data) if isinstance(data, bytes) else Values(items=data)
