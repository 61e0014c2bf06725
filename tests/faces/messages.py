"""What a client does with the messages of ``/meta``, ``/slice`` and ``/reduce``, written anew from docs/slices.md."""

from typing import Any

import msgpack
import numcodecs.blosc
import numpy as np


def unpacked(body: bytes) -> list[Any]:
    """The messages of a body, complete ones only."""
    unpacker = msgpack.Unpacker(raw=False, max_buffer_size=2**31 - 1)
    unpacker.feed(body)
    return list(unpacker)


def descr_dtype(descr: Any) -> np.dtype:
    def tuples(found: Any) -> Any:
        if isinstance(found, str):
            return found
        return [(name, tuples(inner), *(tuple(dims) for dims in more)) for name, inner, *more in found]

    return np.lib.format.descr_to_dtype(tuples(descr))


def type_dims(t: dict[str, Any]) -> tuple[int, ...]:
    return (*t["shape"], *type_dims(t["base"])) if t["class"] == "array" else ()


def value(found: dict[str, Any]) -> Any:
    """A VALUE as an array; ``None`` for a null dataspace."""
    if found["shape"] is None:
        return None
    if "items" in found:
        return objects(found["items"], found["shape"])
    return np.frombuffer(found["data"], descr_dtype(found["type"]["dtype"])).reshape(
        (*found["shape"], *type_dims(found["type"]))
    )


def objects(items: list[Any], shape: list[int]) -> np.ndarray:
    out = np.empty(len(items), object)
    out[:] = items
    return out.reshape(shape)


def assembled(messages: list[Any]) -> np.ndarray | None:
    """The array of one answer; every element of it must be given exactly once."""
    header, *blocks, end = messages
    assert end == {"end": True}, end
    assert len(blocks) == header["blocks"]
    if header["shape"] is None:
        return None
    t = header["type"]
    out = np.empty((*header["shape"], *type_dims(t)), descr_dtype(t["dtype"]))
    seen = np.zeros(header["shape"], int)
    for block in blocks:
        where = tuple(slice(a, a + n) for a, n in zip(block["start"], block["shape"], strict=True))
        seen[where] += 1
        if "items" in block:
            out[where] = objects(block["items"], block["shape"])
            continue
        data = block["data"] if block["codec"] == "raw" else numcodecs.blosc.decompress(block["data"])
        out[where] = np.frombuffer(data, out.dtype).reshape((*block["shape"], *type_dims(t)))
    assert (seen == 1).all()
    return out


def answers(messages: list[Any]) -> list[list[Any]]:
    """Messages of several selections, one list for each."""
    found: list[list[Any]] = [[]]
    for message in messages:
        found[-1].append(message)
        if message == {"end": True}:
            found.append([])
    assert found.pop() == []
    return found
