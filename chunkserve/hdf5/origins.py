"""Which chunk libhdf5 means when it tells where one begins.

The index of a dataset with one unlimited axis is an extensible array (format 1.10 and later), whose elements count
that axis slowest. libhdf5 (2.0 and before) counts them off in the order of the axes when it iterates: addresses are
right and coordinates wrong, unless the unlimited axis is the first. ``H5Dget_chunk_info_by_coord`` iterates too;
reading does not. What is reported is mapped to what is meant, and back, by way of the element's number.
"""

import functools
import math
from dataclasses import dataclass

import h5py
import numpy as np
import numpy.typing as npt
from h5py import h5d, h5s

from chunkserve.hdf5.capi import EXTENSIBLE_ARRAY, chunk_index_type


@dataclass(frozen=True, slots=True)
class Origins:
    """Maps places in the chunk grid of a dataset between what libhdf5 reports and what it means.

    Attributes:
        limits: Chunks along every axis at the greatest extent.
        unlimited: The axis that an extensible array counts slowest; 0 where nothing is to be mapped.
    """

    limits: tuple[int, ...]
    unlimited: int

    def meant(self, reported: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
        """Places, shape (n, rank), of chunks that libhdf5 reports at others."""
        if not self.unlimited or not len(reported):
            return reported
        axis, limits = self.unlimited, self.limits
        numbers = np.zeros(len(reported), np.uint64)
        for at in range(axis, len(limits)):
            numbers = numbers * np.uint64(1 if at == axis else limits[at]) + reported[:, at]
        found = np.empty_like(reported)
        for at in [at for at in reversed(range(len(limits))) if at != axis]:
            numbers, found[:, at] = np.divmod(numbers, np.uint64(limits[at]))
        found[:, axis] = numbers
        return found

    def reported(self, meant: tuple[int, ...]) -> tuple[int, ...]:
        """The place at which libhdf5 reports a chunk."""
        axis, limits = self.unlimited, self.limits
        if not axis:
            return meant
        others = [at for at in range(len(limits)) if at != axis]
        number = meant[axis] * math.prod(limits[at] for at in others)
        number += int(np.ravel_multi_index([meant[at] for at in others], [limits[at] for at in others]))
        found = [0] * len(limits)
        for at in reversed(range(axis + 1, len(limits))):
            number, found[at] = divmod(number, limits[at])
        found[axis] = number
        return tuple(found)


def origins_of(dataset: h5d.DatasetID) -> Origins:
    """How libhdf5 reports the chunks of this dataset."""
    chunks = dataset.get_create_plist().get_chunk()
    greatest = dataset.get_space().get_simple_extent_dims(True)
    unlimited = [axis for axis, n in enumerate(greatest) if n == h5s.UNLIMITED]
    limits = tuple(-(-n // c) for n, c in zip(greatest, chunks, strict=True))
    swapped = len(unlimited) == 1 and unlimited[0] and chunk_index_type(dataset) == EXTENSIBLE_ARRAY
    return Origins(limits, unlimited[0] if swapped and _iterates_in_order_of_axes() else 0)


@functools.cache
def _iterates_in_order_of_axes() -> bool:
    """Try libhdf5 on 2 x 2 chunks, of which the second along the first axis alone is written."""
    with h5py.File.in_memory(libver="latest") as file:
        trial = file.create_dataset("trial", (2, 2), "u1", maxshape=(2, None), chunks=(1, 1))
        trial[1, 0] = 1
        reported: list[tuple[int, ...]] = []
        trial.id.chunk_iter(lambda info: reported.append(info.chunk_offset))
    return reported != [(1, 0)]
