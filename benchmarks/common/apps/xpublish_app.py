"""xpublish over a file: xpublish_app.py FILE PORT WORKERS.

Dask chunks are those of the file; the cache of encoded chunks is the default one of 1 MB.
"""

import sys

import hdf5plugin  # noqa: F401 - registers its filters
import uvicorn
import xarray as xr
import xpublish
from xpublish_zarr import ZarrPlugin

dataset = xr.open_dataset(sys.argv[1], engine="h5netcdf", phony_dims="sort", chunks={})
for name, variable in dataset.variables.items():
    if not variable.encoding.get("chunksizes"):  # contiguous: a row each
        dataset[name] = dataset[name].chunk({variable.dims[0]: 1})
rest = xpublish.Rest({"bench": dataset})
if "zarr" not in rest.plugins:
    rest.register_plugin(ZarrPlugin())
app = rest.app

if __name__ == "__main__":
    uvicorn.run(
        "xpublish_app:app", host="127.0.0.1", port=int(sys.argv[2]), workers=int(sys.argv[3]), log_level="warning",
        access_log=False,
    )  # fmt: skip
