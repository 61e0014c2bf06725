"""HDF5 types and values from messages: numpy dtypes marked as h5py marks them, without h5py.

Metadata of dtypes are h5py's (``vlen``, ``enum``, ``h5py_encoding``), so that ``h5py.check_string_dtype`` and its
siblings understand them where h5py is installed. References are text, the path they lead to.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chunkserve_client.errors import Damaged

Message = Mapping[str, Any]

ENCODED = ("utf-8", "surrogateescape")


@dataclass(frozen=True)
class StringInfo:
    """What ``h5py.check_string_dtype`` says: the encoding, and the length in bytes, ``None`` if it varies."""

    encoding: str
    length: int | None


@dataclass(frozen=True)
class Empty:
    """The value of a null dataspace, which has a type but no elements (``h5py.Empty``)."""

    dtype: np.dtype[Any]

    shape = None
    size = None


class HdfType:
    """An HDF5 datatype.

    Attributes:
        message: As the server describes it.
        dtype: As h5py would have it; references are text.
        wire: Of elements that are sent as bytes; ``None`` if they are sent as items.
        dims: Axes of an array type, which follow those of the dataset.
    """

    def __init__(self, message: Message) -> None:
        """Read a message."""
        self.message = message
        self.kind: str = message["class"]
        element = message
        dims: tuple[int, ...] = ()
        while element["class"] == "array":
            dims += tuple(element["shape"])
            element = element["base"]
        self.dims = dims
        self._element = element
        found = element["dtype"]
        self.wire = None if found == "|O" else _dtype(found)
        self.dtype = self._marked()

    @property
    def element(self) -> np.dtype[Any]:
        """The dtype of arrays read: that of the base, if it is an array type."""
        return self.dtype.base

    @property
    def string(self) -> StringInfo | None:
        """If it is text: how it is encoded."""
        if self._element["class"] != "string":
            return None
        return StringInfo(self._element.get("encoding", "utf-8"), self._element.get("length"))

    @property
    def enum(self) -> dict[str, int] | None:
        """If it is an enumeration: its names and numbers."""
        return dict(self._element["members"]) if self._element["class"] == "enum" else None

    def array(self, message: Message, shape: Sequence[int]) -> np.ndarray:
        """Elements from a message's ``data`` or ``items``.

        Args:
            message: With bytes or items of elements in C order.
            shape: Of the dataspace; axes of an array type are added.

        Raises:
            Damaged: There are more or fewer than the shape says.
        """
        whole = (*shape, *self.dims)
        if self.wire is None:
            return self._from_items(message["items"], tuple(shape), whole)
        data = message["data"]
        count = int(np.prod(whole, dtype=np.int64))
        if len(data) != count * self.wire.itemsize:
            raise Damaged(f"{len(data)} bytes for {count} elements of {self.wire.itemsize}")
        return np.frombuffer(bytearray(data), self.wire).reshape(whole).view(self.element)

    def _from_items(self, items: Sequence[Any], shape: tuple[int, ...], whole: tuple[int, ...]) -> np.ndarray:
        count = int(np.prod(shape, dtype=np.int64))
        if len(items) != count:
            raise Damaged(f"{len(items)} items for {count} elements")
        out = np.empty(whole if self.dims else (count,), self.element)
        if self.dims:
            flat = out.reshape(count, *self.dims) if count else out
            for i, item in enumerate(items):
                _fill(flat[i], item, self._element)
            return out
        for i, item in enumerate(items):
            out[i] = _item(item, self._element)
        return out.reshape(shape)

    def _marked(self) -> np.dtype[Any]:
        base = _marked(self._element)
        return np.dtype((base, self.dims)) if self.dims else base


def _dtype(descr: Any) -> np.dtype[Any]:
    return np.lib.format.descr_to_dtype(_descr(descr))


def _descr(found: Any) -> Any:
    """A descr with tuples where numpy wants them."""
    if isinstance(found, str):
        return found
    return [tuple(_descr(part) if i == 1 else _name(part) for i, part in enumerate(field)) for field in found]


def _name(part: Any) -> Any:
    return tuple(_name(p) for p in part) if isinstance(part, list) else part


def _marked(t: Message) -> np.dtype[Any]:
    """A dtype with h5py's marks."""
    kind = t["class"]
    match kind:
        case "string":
            return _string_dtype(t)
        case "enum":
            return np.dtype(_dtype(t["dtype"]), metadata={"enum": dict(t["members"])})
        case "vlen":
            return np.dtype("O", metadata={"vlen": _marked(t["base"])})
        case "reference":
            return np.dtype("O", metadata={"ref": t.get("kind", "object")})
        case "array":
            return np.dtype((_marked(t["base"]), tuple(t["shape"])))
        case "compound":
            return _record(t)
        case _:
            return _dtype(t["dtype"])


def _string_dtype(t: Message) -> np.dtype[Any]:
    encoding = t.get("encoding", "utf-8")
    if t.get("length") is None:
        return np.dtype("O", metadata={"vlen": str if encoding == "utf-8" else bytes})
    return np.dtype(_dtype(t["dtype"]), metadata={"h5py_encoding": encoding})


def _record(t: Message) -> np.dtype[Any]:
    fields = t["fields"]
    formats = [_marked(field["type"]) for field in fields]
    names = [field["name"] for field in fields]
    if t["dtype"] == "|O":  # pointers are as wide as numpy makes them
        return np.dtype({"names": names, "formats": formats})
    offsets = [field["offset"] for field in fields]
    size = max([_dtype(t["dtype"]).itemsize, *(o + f.itemsize for o, f in zip(offsets, formats, strict=True))])
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": size})


def _item(item: Any, t: Message) -> Any:
    """One element that was sent as an item, as h5py would give it."""
    match t["class"]:
        case "string" if t.get("length") is None:
            return item.encode(*ENCODED) if isinstance(item, str) else item or b""
        case "vlen":
            return _sequence(item, t["base"])
        case "compound":
            values = [item[field["name"]] for field in t["fields"]] if isinstance(item, Mapping) else item
            return tuple(_item(value, field["type"]) for value, field in zip(values, t["fields"], strict=True))
        case "array":
            out = np.empty(tuple(t["shape"]), _marked(t["base"]))
            _fill(out, item, t["base"])
            return out
        case "complex":
            return complex(*item) if isinstance(item, list | tuple) else item
        case "string":
            return item.encode(*ENCODED) if isinstance(item, str) else item
        case _:
            if isinstance(item, bytes) and t["dtype"] != "|O":
                return np.frombuffer(item, _dtype(t["dtype"]))[0]
            return item


def _sequence(item: Any, base: Message) -> np.ndarray:
    dtype = _marked(base)
    if isinstance(item, bytes) and base["dtype"] != "|O" and dtype.itemsize:
        return np.frombuffer(bytearray(item), dtype)
    out = np.empty(len(item or ()), dtype)
    for i, value in enumerate(item or ()):
        out[i] = _item(value, base)
    return out


def _fill(out: np.ndarray, items: Any, base: Message) -> None:
    """Write nested or flat items into an array."""
    flat = out.reshape(-1)
    values = list(_flat(items, out.ndim)) if items and isinstance(items[0], list) and out.ndim > 1 else items
    for i, value in enumerate(values):
        flat[i] = _item(value, base)


def _flat(items: Any, depth: int) -> Any:
    if depth == 1:
        yield from items
        return
    for item in items:
        yield from _flat(item, depth - 1)


def attribute(message: Message) -> Any:
    """The value of an attribute as h5py gives it: text as ``str``, scalars as numpy scalars, arrays as arrays.

    Raises:
        Damaged: The server says that it could not be read, or left it out.
    """
    if "omitted" in message:
        raise Damaged(f"the attribute is left out: {message['omitted']}")
    t = HdfType(message["type"])
    shape = message["shape"]
    if shape is None:
        return Empty(t.dtype)
    values = t.array(message, shape)
    if t.string is not None and t.string.length is None:
        values = text(values)
    return values[()] if values.ndim == 0 else values


def text(values: np.ndarray, encoding: str = "utf-8", errors: str = "surrogateescape") -> np.ndarray:
    """Bytes objects as ``str``."""
    out = np.empty(values.shape, object)
    flat, source = out.reshape(-1), values.reshape(-1)
    for i in range(flat.size):
        item = source[i]
        flat[i] = item.decode(encoding, errors) if isinstance(item, bytes) else item
    return out
