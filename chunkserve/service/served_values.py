"""A dataset's elements in the dtype it is served in: fields picked out, objects made text, fill values filled in."""

from collections.abc import Callable
from functools import cached_property

import numpy as np

from chunkserve.datatypes import DataType, is_complex
from chunkserve.errors import Corrupt
from chunkserve.grid import Box, Shape, chunk_box, whole
from chunkserve.metadata.served import Served
from chunkserve.metadata.values import item_text
from chunkserve.service.elements import Elements


class ServedValues:
    """The elements of a dataset, or of one field of it, as its Zarr array holds them."""

    def __init__(self, elements: Elements, served: Served, field: tuple[str, ...]) -> None:
        """Convert what ``elements`` reads.

        Args:
            elements: Read access to the dataset.
            served: The dtype of the whole element, or of the field.
            field: Names that lead to the field; empty for the whole element.
        """
        self.elements = elements
        self.served = served
        self.field = field
        self.dims = _field_dims(elements.dataset.type, field) + served.dims

    def region(self, box: Box) -> np.ndarray:
        """A box of the dataset: shape of the box, then the dimensions of array types."""
        values = self.elements.read(box)
        if self.elements.objects:
            return self._from_objects(values, box.shape + self.dims)
        for name in self.field:
            values = values[name]
        return values.astype(self.served.dtype, copy=False)

    def chunk(self, position: Shape, chunk: Shape) -> np.ndarray:
        """The whole chunk at a grid position, filled up where the dataset ends."""
        box = chunk_box(position, chunk)
        if not position:
            return self.region(box).reshape(chunk)
        rank = len(self.elements.shape)
        outer = Box(box.start[:rank], box.stop[:rank])
        inside = outer.clip(whole(self.elements.shape))
        out = self.filled(chunk)
        if inside is not None:
            trailing = Box(box.start[rank:], box.stop[rank:]).slices()
            part = self.region(inside)[(*whole(inside.shape).slices(), *trailing)]
            out[(*inside.slices(outer.start), *(slice(0, n) for n in part.shape[rank:]))] = part
        return out

    # ------------------------------------------------------------------- fill

    @cached_property
    def fill(self) -> np.ndarray | None:
        """The fill value with the dimensions of array types; ``None`` for text, whose fill is empty."""
        if self.served.kind == "text":
            return None
        if self.elements.objects:  # a field beside one that numpy cannot hold
            return np.zeros(self.dims, self.served.dtype)
        value = self.elements.fill()
        for name in self.field:
            value = value[name]
        return np.asarray(value).astype(self.served.dtype)

    @cached_property
    def scalar_fill(self) -> np.ndarray | None:
        """The fill value as a scalar; of an array type, its first element."""
        if self.fill is None:
            return None
        return np.ascontiguousarray(self.fill).reshape(-1)[:1].reshape(())

    @cached_property
    def uniform(self) -> bool:
        """Whether one scalar says all about the fill."""
        fill = self.fill
        return fill is None or fill.tobytes() == fill.reshape(-1)[:1].tobytes() * fill.size

    def filled(self, shape: Shape) -> np.ndarray:
        """An array of fill values."""
        out = np.empty(shape, self.served.dtype)
        if self.fill is None:
            out[...] = ""
        else:
            out[...] = self.scalar_fill if self.uniform else self.fill
        return out

    # ---------------------------------------------------------------- objects

    def _from_objects(self, values: np.ndarray, shape: Shape) -> np.ndarray:
        """What a reader process gave as plain objects, as text or in the field's dtype."""
        items, t = _pick(list(values.reshape(-1)), self.elements.dataset.type, self.field)
        while t.cls == "array":
            items = [inner for item in items for inner in _flat(item)]
            t = t.inner
        out = np.empty(len(items), dtype=self.served.dtype)
        for i, item in enumerate(items):
            try:
                out[i] = _FORM.get(self.served.kind, _as_is)(item, t)
            except UnicodeDecodeError as error:
                raise Corrupt(f"{self.elements.path}: text that is not UTF-8: {error}") from None
        return out.reshape(shape)


def _as_is(item: object, _: DataType) -> object:
    return item


def _complex(item: object, _: DataType) -> complex:
    real, imaginary = (part for part in _list(item) if isinstance(part, float))
    return complex(real, imaginary)


def _record(item: object, t: DataType) -> tuple[object, ...]:
    parts = zip(_list(item), t.members, strict=True)
    return tuple(_complex(part, m.type) if is_complex(m.type) else part for part, m in parts)


_FORM: dict[str, Callable[[object, DataType], object]] = {"text": item_text, "complex": _complex, "struct": _record}
"""From plain objects to what numpy takes for a kind of dtype."""


def _field_dims(t: DataType, field: tuple[str, ...]) -> Shape:
    """Dimensions of the array types on the way to a field."""
    dims: Shape = ()
    for name in field:
        while t.cls == "array":
            dims, t = dims + t.dims, t.inner
        t = next(m.type for m in t.members if m.name == name)
    return dims


def _pick(items: list[object], t: DataType, field: tuple[str, ...]) -> tuple[list[object], DataType]:
    """The field's items, out of the records'."""
    for name in field:
        while t.cls == "array":
            items = [inner for item in items for inner in _flat(item)]
            t = t.inner
        nth = next(i for i, m in enumerate(t.members) if m.name == name)
        items = [_list(item)[nth] for item in items]
        t = t.members[nth].type
    return items, t


def _flat(item: object) -> list[object]:
    """Elements of an array-typed value: nested lists from within records, flat ones from the top."""
    return [inner for part in _list(item) for inner in (_flat(part) if isinstance(part, list) else [part])]


def _list(item: object) -> list[object]:
    if not isinstance(item, list):
        raise Corrupt("a reader process answered in an unexpected form")
    return item
