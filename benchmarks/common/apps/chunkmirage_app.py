"""chunkmirage over every dataset of a file, without ops: chunkmirage_app.py FILE PORT WORKERS.

Each is a dataset of its own (``file.h5::/name``), encoded as its command line does by default (Blosc, zstd). Its cache
of decoded chunks is off: a benchmark that asks for the same chunks again would measure a dictionary.
"""

import sys

import h5py
import hdf5plugin  # noqa: F401 - registers its filters
import uvicorn
from chunkmirage.cache import LRUCache
from chunkmirage.pipeline import PipelineSpec
from chunkmirage.server import DatasetRegistry, create_app


def registry(path: str) -> DatasetRegistry:
    """All datasets of the root group, in the chunks of the file (a row each where there are none)."""
    found = DatasetRegistry(LRUCache(0))
    with h5py.File(path) as file:
        chunks = {
            name: file[name].chunks or (1, *file[name].shape[1:])
            for name in file
            if isinstance(file[name], h5py.Dataset)
        }
    for name, chunk in chunks.items():
        found.add(name, PipelineSpec(source=f"{path}::/{name}", ops=[], chunk_shape=list(chunk)))
    return found


app = create_app(registry(sys.argv[1]))

if __name__ == "__main__":
    uvicorn.run(
        "chunkmirage_app:app", host="127.0.0.1", port=int(sys.argv[2]), workers=int(sys.argv[3]), log_level="warning",
        access_log=False,
    )  # fmt: skip
