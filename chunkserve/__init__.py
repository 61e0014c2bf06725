"""HDF5 where it lies, served as Zarr, tiles and slices at the speed of a static file."""

__version__ = "0.1.0"
