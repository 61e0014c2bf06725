"""Opens a file as its neighbours on the same machine do: local_reads.py WAY FILE DATASET CHUNK. Prints JSON.

Runs by itself, so that peak memory and imports are those of one way. Imports are not part of the time.
"""

# ruff: noqa: PLC0415 - each way imports what it needs, before its clock starts

import json
import sys
import time
from collections.abc import Callable
from typing import Any

Found = tuple[float, dict[str, Any]]


def by_coord(path: str, dataset: str, chunk: int) -> Found:
    """h5py: open, locate one chunk, read it."""
    import h5py

    start = time.perf_counter()
    with h5py.File(path) as file:
        x = file[dataset]
        x.id.get_chunk_info_by_coord((chunk,) + (0,) * (x.ndim - 1))
        first = int(x[chunk].flat[0])
    return time.perf_counter() - start, {"first": first}


def by_iteration(path: str, dataset: str, chunk: int) -> Found:
    """h5py: open, locate every chunk."""
    import h5py

    start = time.perf_counter()
    with h5py.File(path) as file:
        found: list[tuple[int, int]] = []
        file[dataset].id.chunk_iter(lambda info: found.append((info.byte_offset, info.size)))
    return time.perf_counter() - start, {"chunks": len(found), "asked": chunk}


def by_kerchunk(path: str, dataset: str, chunk: int) -> Found:
    """kerchunk: references to every chunk of a file."""
    from kerchunk.hdf import SingleHdf5ToZarr

    start = time.perf_counter()
    references = SingleHdf5ToZarr(path, inline_threshold=0).translate()["refs"]
    return time.perf_counter() - start, {"chunks": sum(k.startswith(f"{dataset}/") for k in references), "asked": chunk}


def by_virtualizarr(path: str, dataset: str, chunk: int) -> Found:
    """VirtualiZarr: a manifest of a file."""
    import zarr
    from obspec_utils.registry import ObjectStoreRegistry
    from obstore.store import LocalStore
    from virtualizarr.parsers import HDFParser

    start = time.perf_counter()
    store = HDFParser()(url=f"file://{path}", registry=ObjectStoreRegistry({"file://": LocalStore()}))
    seconds = time.perf_counter() - start
    return seconds, {"arrays": len(list(zarr.open_group(store, mode="r").array_keys())), "asked": [dataset, chunk]}


def by_virtual_dataset(path: str, dataset: str, chunk: int) -> Found:
    """VirtualiZarr: a file as a virtual xarray dataset."""
    from obspec_utils.registry import ObjectStoreRegistry
    from obstore.store import LocalStore
    from virtualizarr import open_virtual_dataset
    from virtualizarr.parsers import HDFParser

    registry = ObjectStoreRegistry({"file://": LocalStore()})
    start = time.perf_counter()
    found = open_virtual_dataset(f"file://{path}", registry=registry, parser=HDFParser())
    return time.perf_counter() - start, {"arrays": len(found.variables), "asked": [dataset, chunk]}


def by_h5netcdf(path: str, dataset: str, chunk: int) -> Found:
    """xarray over h5netcdf."""
    import h5netcdf  # noqa: F401 - imported before the clock starts
    import xarray as xr

    start = time.perf_counter()
    with xr.open_dataset(path, engine="h5netcdf", phony_dims="sort") as found:
        return time.perf_counter() - start, {"arrays": len(found.variables), "asked": [dataset, chunk]}


def by_h5py(path: str, dataset: str, chunk: int) -> Found:
    """h5py: every dataset's shape, type and attributes."""
    import h5py

    start = time.perf_counter()
    with h5py.File(path) as file:
        found = [(x.shape, x.dtype, dict(x.attrs)) for x in file.values()]
    return time.perf_counter() - start, {"arrays": len(found), "asked": [dataset, chunk]}


def peak_memory() -> int:
    """The most bytes this process had in memory; ``getrusage`` would count what its parent had when it forked."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))


WAYS: dict[str, Callable[[str, str, int], Found]] = {
    "coord": by_coord,
    "iteration": by_iteration,
    "kerchunk": by_kerchunk,
    "virtualizarr": by_virtualizarr,
    "virtual-dataset": by_virtual_dataset,
    "h5netcdf": by_h5netcdf,
    "h5py": by_h5py,
}

if __name__ == "__main__":
    elapsed, facts = WAYS[sys.argv[1]](sys.argv[2], sys.argv[3], int(sys.argv[4]))
    print(json.dumps({"seconds": elapsed, "peak": peak_memory(), **facts}))
