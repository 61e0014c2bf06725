"""Selections that the server picks: ``/slice`` asked in parts, and its messages put together."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import msgpack
import numpy as np

from chunkserve_client.codecs import Body, unblosc
from chunkserve_client.errors import ClientError, Damaged, FileChanged, error_of
from chunkserve_client.place import Place
from chunkserve_client.plan import SLICE_PART
from chunkserve_client.pool import pooled
from chunkserve_client.selection import Selection
from chunkserve_client.types import HdfType

MSGPACK = {"Accept": "application/msgpack"}

LONGEST_URL = 4000
"""Characters of a selection beyond which it is posted."""

AT_ONCE = 4
"""Parts asked for at a time."""


@dataclass(frozen=True)
class Assembled:
    """An answer put together: elements, their type, and the version of the file they are of."""

    values: np.ndarray
    type: HdfType
    version: str


def parts(selection: Selection, itemsize: int) -> list[tuple[int, int, Selection]]:
    """A selection in parts of about ``SLICE_PART`` bytes along its longest axis: where each begins and ends in it."""
    count = -(-selection.size * itemsize // SLICE_PART)
    if count <= 1 or not selection.full:
        return [(0, 0, selection)]
    axis = cut_axis(selection)
    length = selection.full[axis]
    step = max(1, length // count)
    return [(at, min(at + step, length), selection.part(axis, at, at + step)) for at in range(0, length, step)]


def cut_axis(selection: Selection) -> int:
    """The first axis that is long enough to be cut."""
    lengths = selection.full
    return next((axis for axis, n in enumerate(lengths) if n > 1), 0)


async def read_slice(place: Place, selection: Selection, known: HdfType) -> np.ndarray:
    """Ask the server for a selection.

    Returns:
        The elements (of the field, if one is selected) in the selection's full shape, followed by the axes of an array
        type.

    Raises:
        FileChanged: An unpinned file became another one between two parts.
        ClientError: Another of its kinds.
    """
    pieces = parts(selection, max(1, known.element.itemsize))
    if len(pieces) == 1:
        return (await _part(place, selection)).values
    axis = cut_axis(selection)
    out: list[np.ndarray] = []
    versions = set()

    async def one(start: int, stop: int, piece: Selection) -> None:
        found = await _part(place, piece)
        versions.add(found.version)
        if not out:
            out.append(np.empty((*selection.full, *found.type.dims), found.type.element))
        out[0][(slice(None),) * axis + (slice(start, stop),)] = found.values

    await pooled(AT_ONCE, (one(*piece) for piece in pieces))
    if len(versions) > 1:
        raise FileChanged("the file changed while it was read; open it again to read what is there now", place.file)
    return out[0]


async def _part(place: Place, selection: Selection) -> Assembled:
    words = selection.words()
    more = place.view | ({"level": str(place.level)} if place.level else {})
    if len(words) <= LONGEST_URL:
        url = place.url("slice", sel=words, **more)
        url += "".join(f"{'&' if '?' in url else '?'}field={quote(name, safe='')}" for name in selection.fields)
        body = (await place.transport.get(url, MSGPACK)).body
    else:
        choice: dict[str, Any] = {"sel": words, **place.view}
        if place.level:
            choice["level"] = place.level
        if selection.fields:
            choice["field"] = list(selection.fields)
        question = msgpack.packb({"selections": [choice]})
        body = (await place.transport.post(place.url("slice"), MSGPACK, question)).body
    return assemble(body, selection.full)


def assemble(body: Body, shape: tuple[int, ...]) -> Assembled:
    """The elements of one slice from its messages.

    Raises:
        Damaged: They are not complete.
        ClientError: What the server says went wrong on the way.
    """
    messages = _messages(body)
    header = next(messages)
    if tuple(header["shape"] or ()) != shape and header["shape"] is not None:
        raise Damaged(f"the server answers with the shape {header['shape']}, expected {list(shape)}")
    t = HdfType(header["type"])
    out: np.ndarray | None = None
    done = False
    for message in messages:
        if message.get("end"):
            done = True
            break
        extent = tuple(message["shape"])
        values = t.array(_plain(message, extent, t), extent)
        if extent == shape:
            out = values
            continue
        if out is None:
            out = np.empty((*shape, *t.dims), t.element)
        out[tuple(slice(a, a + n) for a, n in zip(message["start"], extent, strict=True))] = values
    if not done:
        raise Damaged("the server's answer ended early")
    if out is None:
        out = np.empty((*shape, *t.dims), t.element)
    return Assembled(out, t, str(header["version"]))


def _plain(message: Mapping[str, Any], extent: tuple[int, ...], t: HdfType) -> Mapping[str, Any]:
    """A block with its bytes decoded."""
    if message.get("codec") != "blosc" or t.wire is None:
        return message
    count = int(np.prod((*extent, *t.dims), dtype=np.int64))
    data = bytearray(count * t.wire.itemsize)
    unblosc(message["data"], np.frombuffer(data, np.uint8))
    return {"data": data}


def _messages(body: Body) -> Iterator[Mapping[str, Any]]:
    unpacker = msgpack.Unpacker(max_buffer_size=0, unicode_errors="surrogateescape", strict_map_key=False)
    unpacker.feed(body)
    try:
        for message in unpacker:
            if "error" in message:
                found = message["error"]
                raise error_of(int(found.get("status", 500)), str(found.get("detail", "")), "")
            yield message
    except (msgpack.UnpackException, ValueError) as error:
        if isinstance(error, ClientError):
            raise
        raise Damaged(f"the server's answer is no MessagePack: {error}") from None
    raise Damaged("the server's answer ended early")
