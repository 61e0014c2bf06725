"""The two ways to read, and which one is cheaper: stored chunks decoded here, or elements picked by the server.

Costs are counted in bytes: those that travel, a fixed number for every request, and a share of those that the server
has to decode for us, since its cores are everybody's.
"""

import math
from dataclasses import dataclass
from typing import Literal

from chunkserve_client.selection import Selection, Shape, touched

REQUEST = 64 << 10
"""What a request costs, in bytes that could have been sent in its time."""

SERVER_SHARE = 0.25
"""What a byte costs that the server decodes."""

SLICE_PART = 32 << 20
"""Decoded bytes asked for at once; longer slices are asked for in parts."""

WHOLE_SHARD = 0.5
"""Share of a shard's chunks from which on it is fetched whole."""

Way = Literal["nothing", "chunks", "slice"]


@dataclass(frozen=True)
class Layout:
    """An array as its chunks are sent.

    Attributes:
        chunk: Shape of what one request brings: a chunk, or an inner chunk of a shard.
        itemsize: Decoded bytes of an element.
        ratio: Decoded bytes per stored byte.
        key: Shape of what one key holds: that of a shard, if there are shards.
    """

    chunk: Shape
    itemsize: int
    ratio: float = 1.0
    key: Shape = ()


@dataclass(frozen=True)
class Plan:
    """How a selection is read.

    Attributes:
        way: ``chunks``, ``slice``, or ``nothing`` if nothing is selected.
        requests: To be sent.
        bytes: To be received, estimated from the dataset's mean compression.
        selected: Bytes of the answer.
        why: For people.
    """

    way: Way
    requests: int
    bytes: int
    selected: int
    why: str


def choose(selection: Selection, itemsize: int, layout: Layout | None, cached: int = 0) -> Plan:
    """Choose the way.

    Args:
        selection: What is read.
        itemsize: Bytes of an element of the answer.
        layout: ``None`` if chunks cannot be decoded here.
        cached: Chunks touched that are at hand already.
    """
    selected = selection.size * itemsize
    if not selection.size:
        return Plan("nothing", 0, 0, 0, "nothing is selected")
    parts = max(1, math.ceil(selected / SLICE_PART))
    if layout is None:
        return Plan("slice", parts, selected, selected, "the server converts elements of this type")
    chunks = math.prod(touched(p, c) for p, c in zip(selection.picked, layout.chunk, strict=True))
    decoded = chunks * math.prod(layout.chunk) * layout.itemsize
    fetched = max(0, chunks - cached)
    sent = int(decoded / layout.ratio * fetched / chunks)
    requests = _in_shards(selection, layout, fetched) if layout.key and fetched else fetched
    by_chunks = requests * REQUEST + sent
    by_slice = parts * REQUEST + selected + SERVER_SHARE * decoded
    share = f"{selection.size / (chunks * math.prod(layout.chunk)):.0%} of {chunks} chunks is selected"
    if by_chunks <= by_slice:
        return Plan("chunks", requests, sent, selected, f"{share}, {cached} at hand: chunks are decoded here")
    return Plan("slice", parts, selected, selected, f"{share}: the server picks")


def _in_shards(selection: Selection, layout: Layout, chunks: int) -> int:
    """Requests for chunks in shards: one for a shard much of which is wanted, else for its index and each chunk."""
    shards = math.prod(touched(p, c) for p, c in zip(selection.picked, layout.key, strict=True))
    each = math.prod(-(-k // c) for k, c in zip(layout.key, layout.chunk, strict=True))
    return shards if chunks > WHOLE_SHARD * shards * each else shards + chunks
