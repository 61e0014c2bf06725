"""The HDF5 filters by number (https://github.com/HDFGroup/hdf5_plugins/blob/master/docs/RegisteredFilterPlugins.md)."""

from chunkserve.model import Filter

DEFLATE, SHUFFLE, FLETCHER32, SZIP, NBIT, SCALEOFFSET = 1, 2, 3, 4, 5, 6
LZO, BZIP2 = 305, 307
LZF, BLOSC, LZ4, BITSHUFFLE, ZSTD, BLOSC2 = 32000, 32001, 32004, 32008, 32015, 32026

NAMES = {
    DEFLATE: "gzip",
    SHUFFLE: "shuffle",
    FLETCHER32: "fletcher32",
    SZIP: "szip",
    NBIT: "nbit",
    SCALEOFFSET: "scaleoffset",
    LZO: "lzo",
    BZIP2: "bzip2",
    LZF: "lzf",
    BLOSC: "blosc",
    32002: "mafisc",
    LZ4: "lz4",
    BITSHUFFLE: "bitshuffle",
    32013: "zfp",
    32014: "fpzip",
    ZSTD: "zstd",
    32017: "sz",
    32018: "fcidecomp",
    32019: "jpeg",
    32020: "vbz",
    32022: "bitgroom",
    32023: "granular bitround",
    32024: "sz3",
    BLOSC2: "blosc2",
    32028: "sperr",
    32029: "htj2k",
}

LIBHDF5 = frozenset({SZIP, NBIT, SCALEOFFSET, LZF, 32013, 32017, 32018, 32024, 32028})
"""Filters that only a reader process decodes: built into libhdf5 and h5py, or brought by hdf5plugin."""

BITSHUFFLE_CODEC = {0: "", 2: "lz4", 3: "zstd"}
"""Bitshuffle's fifth client value: what follows the bit transposition."""


def filter_name(stage: Filter) -> str:
    """A filter's name for people."""
    if stage.id == BITSHUFFLE and len(stage.values) > 4:
        return "-".join(["bitshuffle", BITSHUFFLE_CODEC.get(stage.values[4], "?")]).rstrip("-")
    return NAMES.get(stage.id) or (stage.name.split(";")[0] if stage.name else f"filter {stage.id}")


def describe(pipeline: tuple[Filter, ...]) -> str:
    """A pipeline for people, for example ``shuffle+gzip``."""
    return "+".join(filter_name(stage) for stage in pipeline)


def active(pipeline: tuple[Filter, ...], mask: int) -> tuple[Filter, ...]:
    """The stages that were applied to a chunk with this filter mask."""
    if not mask:
        return pipeline
    return tuple(stage for i, stage in enumerate(pipeline) if not mask >> i & 1)
