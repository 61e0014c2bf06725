"""chunkmirage over one dataset, halved along all axes: chunkmirage_downsample_app.py FILE PORT DATASET.

It makes no levels of a dataset that has none; its ``downsample`` op makes one when chunks of it are asked for. Its
cache of decoded chunks has the default size.
"""

import sys

import h5py
import hdf5plugin  # noqa: F401 - registers its filters
import uvicorn
from chunkmirage.cache import LRUCache
from chunkmirage.pipeline import PipelineSpec
from chunkmirage.server import DatasetRegistry, create_app


def registry(path: str, name: str) -> DatasetRegistry:
    """One dataset, in the chunks of the file."""
    found = DatasetRegistry(LRUCache())
    with h5py.File(path) as file:
        dataset = file[name]
        halved = {"op": "downsample", "factor": [2] * dataset.ndim}
        spec = PipelineSpec(source=f"{path}::/{name}", ops=[halved], chunk_shape=list(dataset.chunks))
    found.add(name, spec)
    return found


if __name__ == "__main__":
    app = create_app(registry(sys.argv[1], sys.argv[3]))
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="warning", access_log=False)
