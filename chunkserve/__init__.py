"""HDF5 where it lies, served as Zarr, tiles and slices at the speed of a static file."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chunkserve.library import HdfStore, open_store

__version__ = "0.1.0"
__all__ = ["HdfStore", "__version__", "open_store"]


def __getattr__(name: str) -> Any:
    if name in ("HdfStore", "open_store"):
        from chunkserve import library  # noqa: PLC0415 - not before it is asked for

        return getattr(library, name)
    raise AttributeError(f"module 'chunkserve' has no attribute {name!r}")
