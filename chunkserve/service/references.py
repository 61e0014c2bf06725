"""Kerchunk references (version 1): a whole file as one JSON document of byte ranges, which fsspec and xarray open.

https://fsspec.github.io/kerchunk/spec.html. Chunks that numcodecs can decode as they are stored are ranges of the
file; all others are URLs of the Zarr face, format 2.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import quote

import msgspec

from chunkserve.codecs.filters import BLOSC, DEFLATE, FLETCHER32, SHUFFLE, ZSTD
from chunkserve.errors import ChunkserveError, TooLarge
from chunkserve.grid import Shape, grid_shape, number
from chunkserve.metadata.documents import Document, array_v2, attributes_v2, group_v2
from chunkserve.metadata.keys import chunk_name
from chunkserve.metadata.present import Plan
from chunkserve.metadata.values import Json
from chunkserve.model import Filter
from chunkserve.service.blob import Stored
from chunkserve.service.chunks import Chunks
from chunkserve.service.nodes import Node, Nodes, is_hidden
from chunkserve.service.zarrarray import Context, ZarrArray, attributes_json

MAX_REFERENCES = 500_000
"""Chunks of a file that are listed; beyond, the Zarr face serves better."""

_NUMCODECS: dict[int, Callable[[Filter], Json]] = {
    DEFLATE: lambda stage: {"id": "zlib", "level": stage.values[0] if stage.values else 4},
    ZSTD: lambda stage: {"id": "zstd", "level": stage.values[0] if stage.values else 3},
    SHUFFLE: lambda stage: {"id": "shuffle", "elementsize": stage.values[0] if stage.values else 4},
    FLETCHER32: lambda _: {"id": "fletcher32"},
    BLOSC: lambda _: {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0},
}


@dataclass(frozen=True)
class _Urls:
    """Where the file and its Zarr keys are."""

    file: str
    zarr: str


def references(root: Node, name: tuple[str, ...], base: str, context: Context) -> bytes:
    """The document for a file.

    Args:
        root: Its root group.
        name: URL components of the file.
        base: URL that the faces are below, without a slash at the end.
        context: Shared parts.

    Raises:
        TooLarge: It has more chunks than are listed.
    """
    path = "/".join(quote(part) for part in name)
    urls = _Urls(f"{base}/files/{path}", f"{base}/zarr2/{path}")
    found: dict[str, Json] = {
        ".zgroup": _text(group_v2()),
        ".zattrs": _text(attributes_json(root.object.attributes)),
    }
    for prefix, node in _below(root, "", context.nodes):
        if node.is_group:
            found[f"{prefix}.zgroup"] = _text(group_v2())
            found[f"{prefix}.zattrs"] = _text(attributes_json(node.object.attributes))
        else:
            for key, value in _array(node, prefix, urls, context):
                found[key] = value
                if len(found) > MAX_REFERENCES:
                    raise TooLarge(
                        "the list of chunk references", len(found), MAX_REFERENCES, "none; use the Zarr face"
                    )
    return msgspec.json.encode({"version": 1, "refs": found})


def _text(document: Document) -> str:
    return msgspec.json.encode(document).decode()


def _below(node: Node, prefix: str, nodes: Nodes) -> Iterator[tuple[str, Node]]:
    for name, member in nodes.members(node, outside=False):
        if is_hidden(member):
            continue
        yield f"{prefix}{name}/", member
        if member.is_group:
            yield from _below(member, f"{prefix}{name}/", nodes)


def _array(node: Node, prefix: str, urls: _Urls, context: Context) -> Iterator[tuple[str, Json]]:
    try:
        array = ZarrArray(node, 2, context)
    except ChunkserveError:
        return
    document = array_v2(array.view)
    filters = _direct(array)
    if filters is not None:
        dataset = array.elements.dataset
        document |= {
            "filters": filters or None,
            "compressor": None,
            "chunks": [*dataset.chunks, *array.values.dims],
        }
    yield f"{prefix}.zarray", _text(document)
    yield f"{prefix}.zattrs", _text(attributes_v2(array.view))
    if filters is not None:
        yield from _stored(array, prefix, urls)
    else:
        yield from _served(Chunks(array), prefix, urls)


def _direct(array: ZarrArray) -> list[Json] | None:
    """The pipeline as numcodecs filters, if every chunk can be decoded with them as it is stored."""
    dataset = array.elements.dataset
    known = all(stage.id in _NUMCODECS and not _snappy(stage) for stage in dataset.filters)
    if dataset.layout != "chunked" or not known or not array.served.exact or dataset.plain_edges or array.node.field:
        return None
    if array.live or array.elements.file is not array.node.files[0] or not array.implied_fill:
        return None
    if array.elements.file.index(array.elements.number, dataset).any_mask():
        return None
    return [_NUMCODECS[stage.id](stage) for stage in dataset.filters]


def _snappy(stage: Filter) -> bool:
    return stage.id == BLOSC and stage.values[6:7] == (3,)


def _stored(array: ZarrArray, prefix: str, urls: _Urls) -> Iterator[tuple[str, Json]]:
    """Every stored chunk as a range of the file."""
    e = array.elements
    grid = grid_shape(e.shape, e.dataset.chunks)
    index = e.file.index(e.number, e.dataset)
    for position in itertools.product(*map(range, grid)):
        ref = index.get(number(position, grid))
        if ref is not None:
            name = chunk_name(position + (0,) * len(array.values.dims), 2)
            yield f"{prefix}{name}", [urls.file, ref.offset, ref.length]


def _served(chunks: Chunks, prefix: str, urls: _Urls) -> Iterator[tuple[str, Json]]:
    """Runs of contiguous data as ranges; everything else as URLs of the Zarr face."""
    p = chunks.presentation
    if math.prod(p.grid) > MAX_REFERENCES:
        raise TooLarge("the list of chunk references", math.prod(p.grid), MAX_REFERENCES, "none; use the Zarr face")
    for position in itertools.product(*map(range, p.grid)):
        reference = _reference(chunks, position, f"{urls.zarr}/{quote(prefix)}", urls.file)
        if reference is not None:
            yield f"{prefix}{chunk_name(position, 2)}", reference


def _reference(chunks: Chunks, position: Shape, array_url: str, file_url: str) -> Json:
    name = chunk_name(position, 2)
    if chunks.presentation.plan is not Plan.RANGES:
        return [f"{array_url}{name}"]
    blob = chunks.get(position, wait=True)
    if blob is None:
        return None
    only = blob.pieces[0]
    if len(blob.pieces) == 1 and isinstance(only, Stored) and only.file is chunks.array.node.files[0]:
        return [file_url, only.offset, only.length]
    return [f"{array_url}{name}"]
