"""Chunk grid arithmetic: shapes, boxes and C-order numbers. Integers in, integers out."""

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

Shape = tuple[int, ...]

UNBOUNDED = 2**62
"""The extent of an axis that may grow without limit. Divides evenly by many."""


@dataclass(frozen=True, slots=True)
class Box:
    """A region of an array: ``start`` inclusive, ``stop`` exclusive, one entry per axis."""

    start: Shape
    stop: Shape

    @property
    def shape(self) -> Shape:
        """Extent along each axis."""
        return tuple(b - a for a, b in zip(self.start, self.stop, strict=True))

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    def slices(self, origin: Shape | None = None) -> tuple[slice, ...]:
        """The box as numpy slices, relative to ``origin`` (default: absolute)."""
        origin = origin or (0,) * len(self.start)
        return tuple(slice(a - o, b - o) for a, b, o in zip(self.start, self.stop, origin, strict=True))

    def clip(self, other: "Box") -> "Box | None":
        """The part inside ``other``, ``None`` if they do not overlap."""
        start = tuple(max(a, b) for a, b in zip(self.start, other.start, strict=True))
        stop = tuple(min(a, b) for a, b in zip(self.stop, other.stop, strict=True))
        if any(a >= b for a, b in zip(start, stop, strict=True)):
            return None
        return Box(start, stop)


def whole(shape: Shape) -> Box:
    """The box of an entire array."""
    return Box((0,) * len(shape), shape)


def grid_shape(shape: Shape, chunk: Shape) -> Shape:
    """Chunks along each axis, partial ones at the far edges included."""
    return tuple(-(-n // c) for n, c in zip(shape, chunk, strict=True))


def chunk_box(position: Shape, chunk: Shape) -> Box:
    """The box of the chunk at ``position``, not clipped to the array."""
    start = tuple(p * c for p, c in zip(position, chunk, strict=True))
    return Box(start, tuple(a + c for a, c in zip(start, chunk, strict=True)))


def number(position: Shape, grid: Shape) -> int:
    """The C-order number of a grid position."""
    value = 0
    for p, n in zip(position, grid, strict=True):
        value = value * n + p
    return value


def position_of(value: int, grid: Shape) -> Shape:
    """The grid position with a C-order number."""
    found = []
    for n in reversed(grid):
        value, p = divmod(value, n)
        found.append(p)
    return tuple(reversed(found))


def covering(box: Box, chunk: Shape) -> Iterator[Shape]:
    """Positions of all chunks that overlap a box, in C order."""
    ranges = (range(a // c, -(-b // c)) for a, b, c in zip(box.start, box.stop, chunk, strict=True))
    return itertools.product(*ranges)


def covered(box: Box, chunk: Shape) -> int:
    """How many chunks overlap a box."""
    return math.prod(-(-b // c) - a // c for a, b, c in zip(box.start, box.stop, chunk, strict=True))


def cross_section(rank: int, spans: Mapping[int, tuple[int, int]], index: Shape) -> Box:
    """The box that has some axes from start to stop, and is one element thick along the others.

    Args:
        rank: Of the array.
        spans: Start and stop by axis.
        index: Where the others are cut, in their order.
    """
    others = iter(index)
    start = tuple(spans[axis][0] if axis in spans else next(others) for axis in range(rank))
    return Box(start, tuple(spans[axis][1] if axis in spans else at + 1 for axis, at in enumerate(start)))


def row_chunk(shape: Shape, itemsize: int, target: int) -> Shape:
    """A chunk shape for C-contiguous data, such that a chunk is one run of about ``target`` bytes.

    Leading axes become 1, one axis is cut (evenly where a divisor is near), trailing axes stay whole.
    """
    chunk = [max(1, n) for n in shape]
    size = math.prod(chunk) * itemsize
    for axis, n in enumerate(shape):
        if size <= target:
            break
        row = size // chunk[axis]
        chunk[axis] = _even(max(1, n), max(1, target // row)) if row < target else 1
        size = row * chunk[axis]
    return tuple(chunk)


def _even(n: int, most: int) -> int:
    """The largest divisor of ``n`` in (most / 2, most], else ``most``."""
    if most >= n:
        return n
    return next((d for d in range(most, most // 2, -1) if n % d == 0), most)


MOST_JOINED = 8192
"""Chunks that :func:`grow` joins; with more, finding them would cost more than reading them."""


def grow(shape: Shape, chunk: Shape, itemsize: int, target: int) -> Shape:
    """A multiple of ``chunk`` of about ``target`` bytes, for reading many tiny chunks by one request.

    Axes are doubled in turn, last first, so that the result keeps the chunk's proportions; axes on which the chunk has
    length 1 (the frames of a stack) come after the others are used up. Never beyond the array's extent, rounded up.
    """
    limit = [max(1, -(-n // c)) for n, c in zip(shape, chunk, strict=True)]
    times = [1] * len(shape)
    thick = [axis for axis in reversed(range(len(shape))) if chunk[axis] > 1]
    thin = [axis for axis in reversed(range(len(shape))) if chunk[axis] == 1]
    size = math.prod(chunk) * itemsize
    for axes in (thick, thin):
        while 2 * size <= target and 2 * math.prod(times) <= MOST_JOINED:
            free = [axis for axis in axes if times[axis] < limit[axis]]
            if not free:
                break
            axis = min(free, key=times.__getitem__)
            more = min(2 * times[axis], limit[axis])
            size = size // times[axis] * more
            times[axis] = more
    return tuple(c * t for c, t in zip(chunk, times, strict=True))
