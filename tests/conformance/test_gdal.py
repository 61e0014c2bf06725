"""GDAL reads arrays of both formats through /vsicurl/."""

import json
import urllib.request

import numpy as np
import pytest

from chunkserve.metadata.keys import Format
from tests.conformance.conftest import FILTERS, Zoo, assert_same

rasterio = pytest.importorskip("rasterio", reason="rasterio, which carries GDAL, is not installed")

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

GDAL = tuple(int(part) for part in rasterio.__gdal_version__.split(".")[:2])
BYTES, SHARDS = (3, 12), (3, 13)
"""The first GDAL whose Zarr 3 driver knows the codec ``bytes``, and the first that may read shards."""


@pytest.fixture(autouse=True)
def _knows_the_format(zarr_format: Format) -> None:
    if zarr_format == 3 and GDAL < BYTES:
        pytest.skip(f"GDAL {rasterio.__gdal_version__} does not know the codec 'bytes' of Zarr 3")


def read(zoo: Zoo, zarr_format: Format, name: str) -> np.ndarray:
    url = f'ZARR:"/vsicurl/{zoo.url(zarr_format, name)}"'
    with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"), rasterio.open(url) as opened:
        return opened.read()


def sharded(zoo: Zoo, name: str) -> bool:
    """Whether format 3 presents a dataset as shards."""
    with urllib.request.urlopen(f"{zoo.url(3, name)}/zarr.json") as reply:
        return json.load(reply)["codecs"][0]["name"] == "sharding_indexed"


@pytest.mark.parametrize("size", ["tiny", "middle", "big"])
@pytest.mark.parametrize("name", FILTERS)
def test_images_equal_h5py(zoo: Zoo, zarr_format: Format, size: str, name: str) -> None:
    if zarr_format == 3 and GDAL < SHARDS and sharded(zoo, f"{size}/{name}"):
        with pytest.raises(rasterio.errors.RasterioIOError):
            read(zoo, zarr_format, f"{size}/{name}")
        return
    assert_same(read(zoo, zarr_format, f"{size}/{name}")[0], zoo.values(f"{size}/{name}"))


@pytest.mark.parametrize("name", ["layouts/sparse", "layouts/virtual_aligned", "layouts/virtual_composed"])
def test_stacks_are_bands(zoo: Zoo, zarr_format: Format, name: str) -> None:
    assert_same(read(zoo, zarr_format, name), zoo.values(name))


def test_contiguous_images_equal_h5py(zoo: Zoo, zarr_format: Format) -> None:
    assert_same(read(zoo, zarr_format, "layouts/contiguous")[0], zoo.values("layouts/contiguous"))
