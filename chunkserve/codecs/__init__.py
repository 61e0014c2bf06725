"""HDF5 filter pipelines and what Zarr readers make of them: pure functions from bytes to bytes.

``filters`` names them, ``rehead`` spells stored chunks as Blosc frames without recompression, ``decode`` undoes
pipelines with exact lengths, ``encode`` writes what had to be decoded, ``shard`` lays out Zarr shards.
"""
