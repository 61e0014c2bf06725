"""A block as bytes: a partial, and what is known of the source under it."""

from dataclasses import dataclass
from typing import Any

import msgpack
import numcodecs.blosc
import numpy as np

from chunkserve.errors import Corrupt
from chunkserve.pyramid.partial import Partial
from chunkserve.pyramid.span import Span


@dataclass(frozen=True)
class Block:
    """A partial with the span of its source."""

    partial: Partial
    span: Span


def dump(block: Block) -> bytes:
    """The block as bytes: a msgpack map, arrays as Blosc frames."""
    p, s = block.partial, block.span
    return bytes(
        msgpack.packb(
            {
                "method": p.method,
                "level": p.level,
                "halved": p.halved,
                "extent": p.extent,
                "values": [_pack(a) for a in p.values],
                "counts": None if p.counts is None else _pack(p.counts),
                "span": (s.total, s.valid, s.least, s.greatest),
            }
        )
    )


def load(data: bytes) -> Block:
    """The block of some bytes.

    Raises:
        Corrupt: They are none.
    """
    try:
        found = msgpack.unpackb(data, use_list=False)
        partial = Partial(
            found["method"],
            found["level"],
            found["halved"],
            found["extent"],
            tuple(_unpack(a) for a in found["values"]),
            None if found["counts"] is None else _unpack(found["counts"]),
        )
        return Block(partial, Span(*found["span"]))
    except (ValueError, KeyError, TypeError, RuntimeError) as error:
        raise Corrupt(f"block: {error}") from error


def _pack(array: np.ndarray) -> tuple[str, tuple[int, ...], bytes]:
    data = np.ascontiguousarray(array)
    frame = numcodecs.blosc.compress(data.reshape(-1), b"lz4", 1, numcodecs.blosc.SHUFFLE) if data.size else b""
    return data.dtype.str, data.shape, bytes(frame)


def _unpack(packed: Any) -> np.ndarray:
    dtype, shape, frame = packed
    if not frame:
        return np.zeros(shape, dtype)
    return np.frombuffer(numcodecs.blosc.decompress(frame), dtype).reshape(shape)
