"""How a dataset is presented to Zarr readers: its grid, its codec, and where the bytes of a chunk come from.

A pure decision from the dataset's header, so that metadata cost no look at the data.
"""

import itertools
import math
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property
from typing import Literal

from chunkserve.codecs import rehead, shard
from chunkserve.codecs.blosc2chunk import in_c_order
from chunkserve.codecs.decode import decodes
from chunkserve.codecs.filters import (
    BITSHUFFLE,
    BLOSC,
    BLOSC2,
    DEFLATE,
    FLETCHER32,
    LIBHDF5,
    LZ4,
    SHUFFLE,
    ZSTD,
    describe,
)
from chunkserve.codecs.rehead import Pipeline
from chunkserve.grid import UNBOUNDED, Shape, grid_shape, grow, row_chunk
from chunkserve.metadata.keys import Format
from chunkserve.metadata.served import Served
from chunkserve.model import Dataset

TEXT_BYTES = 64
"""What one element of a text array is taken to weigh when choosing chunks."""


class Plan(Enum):
    """Where a chunk's bytes come from; the value is the verdict people read."""

    STORED = "as stored"
    REHEADED = "re-headed"
    BLOCKS = "re-headed, inner blocks as chunks"
    RANGES = "byte ranges"
    SHARDED = "sharded"
    MAPPED = "virtual, chunks of the sources"
    DECODED = "decoded"
    REFUSED = "not served"


Encoding = Literal["raw", "blosc", "text"]


@dataclass(frozen=True)
class Thresholds:
    """Sizes that decide presentations, in bytes (see the settings of the same names)."""

    merge_below: int = 16 * 1024
    shard_below: int = 128 * 1024
    target_chunk: int = 1024 * 1024
    max_chunk: int = 512 * 1024 * 1024


@dataclass(frozen=True)
class Blosc:
    """The configuration written for Blosc frames; decoders follow each frame's own header."""

    cname: str = "zstd"
    shuffle: str = "shuffle"
    clevel: int = 5
    typesize: int = 1


@dataclass(frozen=True)
class Presentation:
    """A dataset as one Zarr array.

    Attributes:
        shape: Of the Zarr array: the dataset's, padded to its dimensions, with the axes of an array type appended.
        chunk: What one key holds; a shard where ``inner`` is set.
        encoding: How the bytes of a chunk (or inner chunk) are to be read.
        plan: Where they come from.
        why: The reason, for people; empty where it is the plan.
        inner: Chunk shape within a shard.
        blosc: Configuration, where the encoding is ``blosc``.
        built: Shards are made whole and kept, since their layout depends on their content.
    """

    shape: Shape
    chunk: Shape
    encoding: Encoding
    plan: Plan
    why: str = ""
    inner: Shape | None = None
    blosc: Blosc = Blosc()
    built: bool = False

    @cached_property
    def grid(self) -> Shape:
        """Keys along each axis."""
        return grid_shape(self.shape, self.chunk)

    @property
    def inner_count(self) -> int:
        """Chunks in one shard."""
        return math.prod(grid_shape(self.chunk, self.inner or self.chunk))

    @property
    def verdict(self) -> str:
        """The plan and its reason."""
        return f"{self.plan.value} ({self.why})" if self.why else self.plan.value


def pipeline_of(dataset: Dataset) -> Pipeline:
    """A chunked dataset's filters with the size of its chunks."""
    return Pipeline(dataset.filters, math.prod(dataset.chunks) * dataset.type.size, dataset.type.size)


def present(dataset: Dataset, served: Served, shape: Shape, zarr_format: Format, limits: Thresholds) -> Presentation:
    """Decide how a dataset that is not virtual is presented.

    Args:
        dataset: Its header.
        served: Its type (or its field's).
        shape: Of the Zarr array.
        zarr_format: Shards exist only in format 3.
        limits: Thresholds from the settings.
    """
    if dataset.layout == "chunked":
        return _chunked(dataset, served, shape, zarr_format, limits)
    chunk = row_chunk(shape, item_bytes(served), limits.target_chunk)
    if dataset.layout == "compact" and served.exact:
        return Presentation(shape, chunk, "raw", Plan.STORED, "in the object header")
    if served.exact:
        return Presentation(shape, chunk, "raw", Plan.RANGES)
    return decoded(shape, chunk, served, served.why)


def item_bytes(served: Served) -> int:
    """Bytes of one element, for choosing chunks."""
    return TEXT_BYTES if served.kind == "text" else served.dtype.itemsize


def decoded(shape: Shape, chunk: Shape, served: Served, why: str) -> Presentation:
    """A presentation whose chunks are decoded and encoded again."""
    if served.kind == "text":
        return Presentation(shape, chunk, "text", Plan.DECODED, why)
    size = served.dtype.itemsize
    blosc = Blosc(shuffle="shuffle" if 1 < size <= 255 else "noshuffle", typesize=_typesize(size))
    return Presentation(shape, chunk, "blosc", Plan.DECODED, why, blosc=blosc)


def greatest(dataset: Dataset, shape: Shape) -> Shape:
    """The extent that a Zarr array of a dataset can grow to.

    How chunks are joined and cut follows from it, not from the extent of the day: who opened an array while it was
    being written goes on reading with the chunk shape of then.
    """
    limits = (UNBOUNDED if n is None else n for n in dataset.maxshape)
    return tuple(max(pair) for pair in itertools.zip_longest(shape, limits, fillvalue=0))


def _typesize(itemsize: int) -> int:
    return itemsize if 1 <= itemsize <= 255 else 1


def _chunked(dataset: Dataset, served: Served, shape: Shape, zarr_format: Format, limits: Thresholds) -> Presentation:
    chunk = dataset.chunks + served.dims
    nbytes = math.prod(chunk) * item_bytes(served)
    room = greatest(dataset, shape)
    several = math.prod(grid_shape(room, chunk)) > 1
    plain = _passed(dataset, served, shape, chunk)
    if plain.plan is Plan.BLOCKS:
        return _blocks(dataset, served, plain, limits)
    if plain.plan is Plan.REFUSED:
        return plain
    if several and nbytes < limits.merge_below:
        joined = grow(room, chunk, item_bytes(served), limits.target_chunk)
        why = f"chunks of {nbytes} bytes are merged"
        return decoded(shape, joined, served, why if plain.plan is not Plan.DECODED else f"{plain.why}; {why}")
    if not several or nbytes > limits.shard_below or plain.plan is Plan.DECODED:
        return _within(plain, nbytes, limits)
    joined = grow(room, chunk, item_bytes(served), limits.target_chunk)
    if zarr_format == 2 or served.kind == "struct":  # zarr-python 3.1 cannot hash a structured fill value in a shard
        why = "format 2 has no shards" if zarr_format == 2 else "records are not sharded"
        return decoded(shape, joined, served, f"chunks of {nbytes} bytes are merged, {why}")
    built = plain.encoding == "blosc" and rehead.growth(pipeline_of(dataset), 0) is None
    why = f"{plain.plan.value} chunks of {nbytes} bytes"
    return replace(plain, chunk=joined, inner=chunk, plan=Plan.SHARDED, why=why, built=built)


def _passed(dataset: Dataset, served: Served, shape: Shape, chunk: Shape) -> Presentation:
    """The presentation chunk by chunk, sizes aside."""
    filters = dataset.filters
    missing = missing_filter(dataset)
    if missing:
        return Presentation(shape, chunk, "raw", Plan.REFUSED, missing)
    if not served.exact:
        return decoded(shape, chunk, served, served.why)
    if all(stage.id == FLETCHER32 for stage in filters):
        return Presentation(shape, chunk, "raw", Plan.STORED, "checksum verified" if filters else "")
    pipeline = pipeline_of(dataset)
    if dataset.blocks and not in_c_order(dataset.chunks, dataset.blocks):
        return replace(decoded(shape, chunk, served, "Blosc2 blocks"), plan=Plan.BLOCKS)
    reason = rehead.supports(pipeline)
    if reason:
        return decoded(shape, chunk, served, reason)
    whole = all(stage.id in (BLOSC, FLETCHER32) for stage in filters)
    plan, why = (Plan.STORED if whole else Plan.REHEADED), describe(filters)
    return Presentation(shape, chunk, "blosc", plan, why, blosc=_blosc(dataset, served))


def missing_filter(dataset: Dataset) -> str:
    """The filter of a dataset that nobody here has; empty if all are there."""
    for stage in dataset.filters:
        if not decodes((stage,)) and stage.id not in LIBHDF5:
            name = f" ({stage.name})" if stage.name else ""
            return f"filter {stage.id}{name} is not available"
    return ""


def _blosc(dataset: Dataset, served: Served) -> Blosc:
    """The configuration that describes most of a pipeline's frames truthfully."""
    ids = [stage.id for stage in dataset.filters]
    cname = {DEFLATE: "zlib", ZSTD: "zstd", LZ4: "lz4", SHUFFLE: "lz4"}
    shuffle = "shuffle" if SHUFFLE in ids else "noshuffle"
    name = next((cname[i] for i in reversed(ids) if i in cname), "lz4")
    codec = next((stage for stage in dataset.filters if stage.id in (BITSHUFFLE, BLOSC, BLOSC2)), None)
    if codec is not None and codec.id == BITSHUFFLE:
        shuffle, name = "bitshuffle", "zstd" if codec.values[4:5] == (3,) else "lz4"
    elif codec is not None:
        shuffle = ("noshuffle", "shuffle", "bitshuffle")[
            codec.values[5] if codec.values[5:6] and codec.values[5] < 3 else 0
        ]
        name = dict(enumerate(("blosclz", "lz4", "lz4hc", "snappy", "zlib", "zstd"))).get(
            (*codec.values, *[0] * 7)[6], "lz4"
        )
    return Blosc(name, shuffle, typesize=_typesize(served.dtype.itemsize))


def _blocks(dataset: Dataset, served: Served, plain: Presentation, limits: Thresholds) -> Presentation:
    """Blocks of n-dimensional Blosc2 chunks as chunks, where they divide the chunk and are not tiny."""
    block = dataset.blocks
    size = math.prod(block) * served.dtype.itemsize
    even = len(block) == len(dataset.chunks) and all(c % b == 0 for c, b in zip(dataset.chunks, block, strict=True))
    if even and size >= limits.merge_below and not served.dims:
        return replace(plain, chunk=block, blosc=_blosc(dataset, served), why=f"blosc2, chunks of {dataset.chunks}")
    why = "Blosc2 blocks do not divide the chunk" if not even else f"Blosc2 blocks of {size} bytes"
    return _within(
        replace(plain, plan=Plan.DECODED, why=why), math.prod(dataset.chunks) * served.dtype.itemsize, limits
    )


def _within(plain: Presentation, nbytes: int, limits: Thresholds) -> Presentation:
    if plain.encoding != "raw" and nbytes > limits.max_chunk:
        why = f"chunks of {nbytes} bytes exceed the limit of {limits.max_chunk} (setting max_chunk)"
        return replace(plain, plan=Plan.REFUSED, why=why)
    return plain


def shard_index_bytes(presentation: Presentation) -> int:
    """Bytes of the index at the end of every shard."""
    return shard.index_size(presentation.inner_count)
