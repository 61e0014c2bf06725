"""Chunks as HDF5 writes them (pipelines x dtypes x geometries x contents), and decoders that know nothing of us."""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import blosc2
import hdf5plugin
import numcodecs
import numpy as np
import pytest

from chunkserve.codecs.rehead import Pipeline

GZIP, ZSTD, LZ4 = {"compression": "gzip"}, dict(hdf5plugin.Zstd()), dict(hdf5plugin.LZ4())
SHUFFLE, FLETCHER32 = {"shuffle": True}, {"fletcher32": True}
BITSHUFFLE_LZ4 = dict(hdf5plugin.Bitshuffle(cname="lz4"))

PIPELINES: dict[str, dict[str, object]] = {
    "none": {},
    "fletcher32": FLETCHER32,
    "shuffle": SHUFFLE,
    "shuffle-fletcher32": SHUFFLE | FLETCHER32,
    "gzip": GZIP,
    "shuffle-gzip": SHUFFLE | GZIP,
    "shuffle-gzip-fletcher32": SHUFFLE | GZIP | FLETCHER32,
    "zstd": ZSTD,
    "shuffle-zstd": SHUFFLE | ZSTD,
    "lz4": LZ4,
    "lz4-many-blocks": dict(hdf5plugin.LZ4(nbytes=1000)),
    "shuffle-lz4": SHUFFLE | LZ4,
    "bitshuffle": dict(hdf5plugin.Bitshuffle(cname="none")),
    "bitshuffle-lz4": BITSHUFFLE_LZ4,
    "bitshuffle-lz4-64": dict(hdf5plugin.Bitshuffle(nelems=64, cname="lz4")),
    "bitshuffle-lz4-fletcher32": BITSHUFFLE_LZ4 | FLETCHER32,
    "bitshuffle-zstd": dict(hdf5plugin.Bitshuffle(cname="zstd")),
}
for _cname, _filter in itertools.product(("blosclz", "lz4", "lz4hc", "zlib", "zstd"), (0, 1, 2)):
    PIPELINES[f"blosc-{_cname}-{_filter}"] = dict(hdf5plugin.Blosc(cname=_cname, shuffle=_filter))
    PIPELINES[f"blosc2-{_cname}-{_filter}"] = dict(hdf5plugin.Blosc2(cname=_cname, filters=_filter))

RECORD = np.dtype([("a", "u1"), ("b", "<f4"), ("c", "<f8")])
DTYPES = [np.dtype(d) for d in ("u1", "<i2", "<f2", "<f4", "<f8", "<i8", ">u2", "<c16", "S12", RECORD, "?")]
SHAPES = ((3,), (17, 13), (4099,), (64, 64))
CONTENTS = ("smooth", "random", "zeros")


@dataclass(frozen=True)
class Chunk:
    """A chunk in a file, and the array it was made from."""

    array: np.ndarray
    stored: bytes
    mask: int
    pipeline: Pipeline

    @property
    def plain(self) -> bytes:
        return self.array.tobytes()

    def __str__(self) -> str:
        return f"{self.array.dtype} {self.array.shape}, {len(self.stored)} bytes"


MakeChunk = Callable[..., Chunk]


def content(kind: str, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    """An array whose bytes compress well, not at all, or to nothing."""
    count, itemsize = math.prod(shape), dtype.itemsize
    if kind == "random":
        data = np.random.default_rng(count * itemsize).integers(0, 256, (count, itemsize), dtype="u1")
    elif kind == "smooth":
        steps = np.arange(count) // 7
        data = np.stack([steps >> 8 * min(i, 7) & 0xFF for i in range(itemsize)], axis=1).astype("u1")
    else:
        data = np.zeros((count, itemsize), "u1")
    return np.frombuffer((data & 1 if dtype.kind == "b" else data).tobytes(), dtype).reshape(shape)


@pytest.fixture(params=list(PIPELINES))
def filters(request: pytest.FixtureRequest) -> dict[str, object]:
    """Each filter pipeline in turn."""
    return PIPELINES[request.param]


@pytest.fixture(params=DTYPES, ids=lambda d: "record" if d.names else d.str)
def dtype(request: pytest.FixtureRequest) -> np.dtype:
    """Each element type in turn."""
    return request.param


@pytest.fixture
def make_chunk(stored_chunk: Callable[..., tuple]) -> MakeChunk:
    """Write an array as one chunk."""

    def make(array: np.ndarray, **filters: object) -> Chunk:
        stored, mask, stages = stored_chunk(array, **filters)
        return Chunk(array, stored, mask, Pipeline(stages, array.nbytes, array.dtype.itemsize))

    return make


@pytest.fixture
def chunks(make_chunk: MakeChunk, filters: dict[str, object], dtype: np.dtype) -> Iterator[Chunk]:
    """Chunks of every geometry and content, for the pipeline and dtype in turn."""
    return (make_chunk(content(kind, dtype, shape), **filters) for shape in SHAPES for kind in CONTENTS)


@pytest.fixture
def smooth() -> Callable[..., np.ndarray]:
    """An array that compresses well, by dtype and shape."""
    return lambda dtype, *shape: content("smooth", np.dtype(dtype), shape)


@pytest.fixture
def noise() -> Callable[..., np.ndarray]:
    """An array that does not compress, by dtype and shape."""
    return lambda dtype, *shape: content("random", np.dtype(dtype), shape)


@pytest.fixture
def unblosc() -> Callable[[bytes], set[bytes]]:
    """What c-blosc 1 (numcodecs) and c-blosc 2 (blosc2) make of a sound frame: one value if they agree."""
    return lambda frame: {bytes(numcodecs.Blosc().decode(frame)), bytes(blosc2.decompress(frame))}


@pytest.fixture
def shuffled() -> Callable[[bytes, int], bytes]:
    """HDF5's byte shuffle, by definition."""
    return lambda data, size: np.frombuffer(data, "u1").reshape(-1, size).T.tobytes()
