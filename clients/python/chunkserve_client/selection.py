"""What stands in brackets: h5py's indexing rules, as picked indices per axis.

Integers, slices with positive steps, ``...``, one list (or one-dimensional mask) of rising indices, a mask of the
whole shape, names of fields. See https://docs.h5py.org/en/stable/high/dataset.html#fancy-indexing
"""

import itertools
import math
import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

Shape = tuple[int, ...]
Picked = range | np.ndarray
"""Indices picked along an axis: regular, or a rising ``int64`` array."""


@dataclass(frozen=True)
class Selection:
    """Elements of an array.

    Attributes:
        picked: Per axis of the array, the indices.
        dropped: Axes that were indexed by a number, and are not in the answer.
        fields: Names of fields; a single one gives its values, several give records.
        mask: Of the whole shape, cut to what is picked: the answer is the one-dimensional list of marked elements.
        scalar: The answer is an element, not an array.
    """

    picked: tuple[Picked, ...]
    dropped: frozenset[int] = frozenset()
    fields: tuple[str, ...] = ()
    mask: np.ndarray | None = None
    scalar: bool = False

    @property
    def full(self) -> Shape:
        """Elements per axis of the array."""
        return tuple(map(len, self.picked))

    @property
    def shape(self) -> Shape:
        """Shape of the answer, before a mask is applied."""
        return tuple(len(picked) for axis, picked in enumerate(self.picked) if axis not in self.dropped)

    @property
    def size(self) -> int:
        """Elements picked."""
        return math.prod(self.full)

    def words(self) -> str:
        """For the ``sel`` parameter of the server, without dropped axes: every axis is a slice or a list."""
        return ",".join(map(_word, self.picked))

    def part(self, axis: int, start: int, stop: int) -> "Selection":
        """The picked indices from the ``start``-th to before the ``stop``-th along an axis, and all others."""
        picked = (*self.picked[:axis], self.picked[axis][start:stop], *self.picked[axis + 1 :])
        return replace(self, picked=picked)


def select(key: Any, shape: Shape, names: Sequence[str] | None = None) -> Selection:
    """Read what stands in brackets.

    Args:
        key: As given to ``__getitem__``.
        shape: Of the array.
        names: Fields of the array's records, ``None`` if it has none.

    Raises:
        IndexError, TypeError, ValueError: As h5py would.
    """
    given = key if isinstance(key, tuple) else (key,)
    fields = tuple(item for item in given if isinstance(item, str))
    items: list[Any] = [item for item in given if not isinstance(item, str)]
    for name in fields:
        if names is None:
            raise ValueError("field names are for compound types only")
        if name not in names:
            raise ValueError(f"there is no field {name!r}; there are {', '.join(names)}")
    if not shape:
        return _of_scalar(items, fields)
    if len(items) == 1 and _is_mask(items[0], shape):
        return _of_mask(np.asarray(items[0]), fields)
    return _of_axes(_expanded(items, len(shape)), shape, fields)


def everything(shape: Shape) -> Selection:
    """All of an array."""
    return Selection(tuple(map(range, shape)))


def _of_scalar(items: list[Any], fields: tuple[str, ...]) -> Selection:
    if items and not (len(items) == 1 and items[0] is Ellipsis):
        raise ValueError("a scalar dataset is read by [()] or [...]")
    return Selection((), fields=fields, scalar=not items)


def _is_mask(item: Any, shape: Shape) -> bool:
    """Whether it marks elements of an array of several axes. One of one axis is a list."""
    if not isinstance(item, np.ndarray) or item.dtype.kind != "b" or item.ndim < 2:
        return False
    if item.shape != shape:
        raise TypeError(f"a mask of shape {item.shape} does not fit a dataset of shape {shape}")
    return True


def _of_mask(mask: np.ndarray, fields: tuple[str, ...]) -> Selection:
    """The smallest box around what is marked."""
    picked: list[range] = []
    for axis in range(mask.ndim):
        marked = np.flatnonzero(mask.any(axis=tuple(other for other in range(mask.ndim) if other != axis)))
        picked.append(range(int(marked[0]), int(marked[-1]) + 1) if len(marked) else range(0))
    box = tuple(slice(p.start, p.stop) for p in picked)
    return Selection(tuple(picked), fields=fields, mask=mask[box])


def _expanded(items: list[Any], rank: int) -> list[Any]:
    """One item per axis."""
    dots = sum(item is Ellipsis for item in items)
    if dots > 1:
        raise ValueError("only one ellipsis may be used")
    if len(items) - dots > rank:
        raise ValueError(f"{len(items) - dots} indices for {rank} dimensions")
    at = next((i for i, item in enumerate(items) if item is Ellipsis), len(items))
    missing: list[Any] = [slice(None)] * (rank - len(items) + dots)
    return [*items[:at], *missing, *items[at + 1 :]]


def _of_axes(items: list[Any], shape: Shape, fields: tuple[str, ...]) -> Selection:
    picked: list[Picked] = []
    dropped: set[int] = set()
    lists = 0
    for axis, (item, extent) in enumerate(zip(items, shape, strict=True)):
        if isinstance(item, slice):
            picked.append(_slice(item, extent))
        elif item is None:
            raise TypeError("None (numpy.newaxis) is not supported as an index")
        elif _is_number(item):
            at = _index(item, extent)
            picked.append(range(at, at + 1))
            dropped.add(axis)
        else:
            lists += 1
            if lists > 1:
                raise TypeError("only one axis may have a list of indices")
            picked.append(_list(item, extent))
    return Selection(tuple(picked), frozenset(dropped), fields, scalar=len(dropped) == len(shape))


def _is_number(item: Any) -> bool:
    return (hasattr(item, "__index__") and not isinstance(item, np.ndarray)) or (
        isinstance(item, np.ndarray) and item.ndim == 0 and item.dtype.kind in "iu"
    )


def _slice(item: slice, extent: int) -> range:
    if item.step is not None and operator.index(item.step) < 1:
        raise ValueError(f"a step is 1 or more (got {item.step}); turn the answer round instead")
    start, stop, step = item.indices(extent)
    return range(start, max(start, stop), step)


def _index(item: Any, extent: int) -> int:
    at = operator.index(item)
    if not -extent <= at < extent:
        raise IndexError(f"index {at} is out of range for an axis of {extent}")
    return at % extent


def _list(item: Any, extent: int) -> Picked:
    try:
        found = np.asarray(list(item) if isinstance(item, range) else item)
    except (TypeError, ValueError):
        raise TypeError(f"{item!r} is no selection") from None
    if found.ndim != 1:
        raise TypeError(f"{item!r} is no selection" if found.ndim == 0 else "a list of indices has one dimension")
    if found.dtype.kind == "b":
        if len(found) != extent:
            raise TypeError(f"a mask of {len(found)} elements does not fit an axis of {extent}")
        return _regular(np.flatnonzero(found))
    if not len(found):
        return range(0)
    if found.dtype.kind not in "iu":
        raise TypeError(f"indices in a list are integers, not {found.dtype}")
    at = found.astype(np.int64)
    if (at < -extent).any() or (at >= extent).any():
        raise IndexError(f"an index in the list is out of range for an axis of {extent}")
    at = np.where(at < 0, at + extent, at)
    if (np.diff(at) <= 0).any():
        raise TypeError("indices in a list must rise; sort them, and put the answer in order")
    return _regular(at)


def _regular(at: np.ndarray) -> Picked:
    """A list as a range, if it is one."""
    if len(at) < 2:
        return range(int(at[0]), int(at[0]) + 1) if len(at) else range(0)
    step = int(at[1] - at[0])
    if (np.diff(at) == step).all():
        return range(int(at[0]), int(at[-1]) + 1, step)
    return at.astype(np.int64)


def _word(picked: Picked) -> str:
    if isinstance(picked, range):
        if not len(picked):
            return "0:0"
        return f"{picked[0]}:{picked[-1] + 1}" + (f":{picked.step}" if picked.step > 1 and len(picked) > 1 else "")
    return f"[{','.join(map(str, picked.tolist()))}]"


# ------------------------------------------------------------------------ by chunks


@dataclass(frozen=True)
class Run:
    """The picked indices that lie in one chunk along an axis.

    Attributes:
        chunk: The chunk's number.
        source: Where they are within the chunk.
        target: Where they are within what is picked.
    """

    chunk: int
    source: slice | np.ndarray
    target: slice


def runs(picked: Picked, chunk: int) -> list[Run]:
    """Picked indices along an axis by the chunk they are in, in order; a chunk has ``chunk`` elements along it."""
    if not len(picked):
        return []
    if isinstance(picked, range):
        return _range_runs(picked, chunk)
    numbers = picked // chunk
    edges = np.flatnonzero(np.diff(numbers)) + 1
    starts, stops = [0, *edges.tolist()], [*edges.tolist(), len(picked)]
    return [
        Run(int(numbers[a]), picked[a:b] - int(numbers[a]) * chunk, slice(a, b))
        for a, b in zip(starts, stops, strict=True)
    ]


def _range_runs(picked: range, chunk: int) -> list[Run]:
    found = []
    step, at = picked.step, 0
    while at < len(picked):
        first = picked[at]
        number = first // chunk
        stop = min(len(picked), at + -(-((number + 1) * chunk - first) // step))
        local = first - number * chunk
        found.append(Run(number, slice(local, local + (stop - at - 1) * step + 1, step), slice(at, stop)))
        at = stop
    return found


def touched(picked: Picked, chunk: int) -> int:
    """Chunks along an axis that hold something picked."""
    if not len(picked):
        return 0
    if isinstance(picked, range):
        return picked[-1] // chunk - picked[0] // chunk + 1 if picked.step <= chunk else len(picked)
    return int(np.count_nonzero(np.diff(picked // chunk))) + 1


def grid_runs(selection: Selection, chunk: Shape) -> Iterator[tuple[Run, ...]]:
    """Every chunk that holds something selected, in C order, as a run per axis."""
    return itertools.product(*(runs(p, c) for p, c in zip(selection.picked, chunk, strict=True)))
