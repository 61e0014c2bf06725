"""zarr-http-server over a VirtualiZarr manifest of a file: zarr_http_server_app.py FILE PORT WORKERS.

VirtualiZarr has no codec for bitshuffle and gives up on the whole file: such datasets are left out.
"""

import sys

import h5py
import hdf5plugin  # noqa: F401 - registers its filters
import uvicorn
from obspec_utils.registry import ObjectStoreRegistry
from obstore.store import LocalStore
from virtualizarr.parsers import HDFParser
from zarr_http_server import store_app

BITSHUFFLE = 32008


def unreadable(path: str) -> list[str]:
    """Datasets in the root group that VirtualiZarr cannot describe, and groups."""
    with h5py.File(path) as file:
        groups = [name for name in file if isinstance(file[name], h5py.Group)]
        lists = {name: file[name].id.get_create_plist() for name in file if name not in groups}
        return groups + [
            name
            for name, plist in lists.items()
            if BITSHUFFLE in [plist.get_filter(i)[0] for i in range(plist.get_nfilters())]
        ]


registry = ObjectStoreRegistry({"file://": LocalStore()})
parser = HDFParser(drop_variables=unreadable(sys.argv[1]))
app = store_app(parser(url=f"file://{sys.argv[1]}", registry=registry))

if __name__ == "__main__":
    uvicorn.run(
        "zarr_http_server_app:app", host="127.0.0.1", port=int(sys.argv[2]), workers=int(sys.argv[3]),
        log_level="warning", access_log=False,
    )  # fmt: skip
