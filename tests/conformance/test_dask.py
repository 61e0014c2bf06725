"""dask reads blocks of many chunks at once, from threads and from processes."""

import dask
import dask.array as da
import numpy as np
import pytest

from chunkserve.metadata.keys import Format
from tests.conformance.conftest import Zoo, assert_same

NAMES = ["big/gzip_shuffle_fletcher", "big/bitshuffle_lz4", "middle/lzf", "layouts/contiguous", "layouts/sparse"]


@pytest.mark.parametrize("name", NAMES)
def test_arrays_compute_to_what_h5py_reads(zoo: Zoo, zarr_format: Format, name: str) -> None:
    array = da.from_zarr(zoo.url(zarr_format, name), zarr_format=zarr_format)
    want = zoo.values(name)
    assert array.shape == want.shape
    with dask.config.set(scheduler="threads", num_workers=4):
        assert_same(array.compute(), want, name)
        assert array.max().compute() == want.max()


def test_blocks_that_cut_through_chunks_agree(zoo: Zoo, zarr_format: Format) -> None:
    array = da.from_zarr(zoo.url(zarr_format, "big/gzip"), zarr_format=zarr_format, chunks=(77, 111))
    want = zoo.values("big/gzip")
    assert_same(array[10:290:3, 5:].compute(scheduler="threads"), want[10:290:3, 5:])
    np.testing.assert_array_equal(array.sum(axis=0).compute(scheduler="threads"), want.sum(axis=0))
