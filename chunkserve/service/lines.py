"""Lines through datasets, as few points as a plot can show: least and greatest element of every so many."""

import math
from dataclasses import dataclass

import numpy as np

from chunkserve.errors import BadRequest, NotFound, TooLarge, Unsupported
from chunkserve.grid import Box, Shape, covering
from chunkserve.service.nodes import Node
from chunkserve.service.pyramid import Pyramid
from chunkserve.service.pyramids import Pyramids, Wish

MOST_POINTS = 20_000
"""Points of one answer."""


@dataclass(frozen=True)
class LineWish:
    """Elements ``start`` to ``stop`` along ``axis`` in about so many points, the other axes cut at ``index``."""

    axis: int | None
    index: str
    start: int
    stop: int | None
    points: int


@dataclass(frozen=True)
class Line:
    """Points along a line, each of ``factor`` elements (the last may have fewer).

    Attributes:
        axis: The axis it runs along.
        index: Where the others are cut, in their order.
        start: The first element; a multiple of ``factor``.
        stop: The one behind the last.
        least: Least valid element of each point, float64; NaN where there is none.
        greatest: Greatest one; the same array if ``factor`` is 1.
        pyramid: What it is of.
    """

    axis: int
    index: Shape
    start: int
    stop: int
    factor: int
    least: np.ndarray
    greatest: np.ndarray
    pyramid: Pyramid


def line(pyramids: Pyramids, node: Node, wish: LineWish) -> Line:
    """A part of a line through a dataset.

    One-dimensional datasets have pyramids of extremes, so that it matters little how long they are. Lines through
    others are read as they are.

    Raises:
        NotFound: The node is no dataset.
        BadRequest: There is no such line.
        TooLarge: Too much of the source would have to be read.
        Building: Its levels are being made.
    """
    if node.is_group:
        raise NotFound(node.path)
    shape = getattr(node.object, "shape", None) or ()
    if not shape:
        raise Unsupported(f"{node.path} is a single value and has no line")
    axis = _axis(wish.axis, len(shape))
    least = pyramids.find(node, Wish(str(axis), "min"))
    shape = least.plan.shape
    index = _index(wish.index, shape, axis)
    length = shape[axis]
    start, stop = wish.start, length if wish.stop is None else min(wish.stop, length)
    if not 0 <= start < max(stop, 1) or not 1 <= wish.points <= MOST_POINTS:
        raise BadRequest(
            f"start={start}, stop={stop}, points={wish.points}: 0 to {length} elements, 1 to {MOST_POINTS} points"
        )
    level = max(0, math.ceil(math.log2(max(1, stop - start) / wish.points)))
    factor = 2**level
    start = start // factor * factor
    stop = min(-(-stop // factor) * factor, length)
    if not level or len(shape) > 1:
        found = _elements(pyramids, least, _box(shape, axis, index, start, stop))
        low, high = _halved(found, level, np.fmin), _halved(found, level, np.fmax)
    else:
        low = _level(pyramids, least, level, start, stop, np.fmin)
        high = _level(pyramids, pyramids.find(node, Wish(str(axis), "max")), level, start, stop, np.fmax)
    return Line(axis, index, start, stop, factor, low, high, least)


def _elements(pyramids: Pyramids, pyramid: Pyramid, box: Box) -> np.ndarray:
    """Elements of a box as a line, float64, NaN where they are no measurements."""
    chunk = pyramid.array.elements.dataset.chunks or (1,) * len(box.start)
    size = sum(1 for _ in covering(box, chunk)) * math.prod(chunk) * pyramid.source_dtype.itemsize
    limit = pyramids.settings.max_source_bytes
    if size > limit:
        raise TooLarge("the chunks that the line touches", size, limit, "max_source_bytes", "ask for a part of it")
    values = pyramid.source(box)
    valid = pyramid.validity.valid(values, box)
    return _marked(values, valid)


def _level(pyramids: Pyramids, pyramid: Pyramid, level: int, start: int, stop: int, join: np.ufunc) -> np.ndarray:
    """Voxels of a level of a one-dimensional pyramid; coarser ones than it has are joined from its coarsest."""
    there = min(level, pyramid.plan.count)
    factor = 2**there
    box = Box((start // factor,), (-(-stop // factor),))
    if there == 0:
        found = _elements(pyramids, pyramid, box)
    else:
        values = pyramids.region(pyramid, there, box)
        found = _marked(values, pyramid.validity.marked(values))
    return _halved(found, level - there, join)


def _marked(values: np.ndarray, valid: np.ndarray | None) -> np.ndarray:
    found = values.reshape(-1).astype(np.float64)
    if valid is not None:
        found[~valid.reshape(-1)] = np.nan
    return found


def _halved(values: np.ndarray, times: int, join: np.ufunc) -> np.ndarray:
    if not times or not len(values):
        return values
    return np.asarray(join.reduceat(values, np.arange(0, len(values), 2**times)))


def _axis(axis: int | None, rank: int) -> int:
    found = rank - 1 if axis is None else axis
    if not 0 <= found < rank:
        raise BadRequest(f"axis={axis} is none of 0 to {rank - 1}")
    return found


def _index(text: str, shape: Shape, axis: int) -> Shape:
    others = [n for i, n in enumerate(shape) if i != axis]
    words = text.split(",") if text else []
    if len(words) > len(others) or not all(word.isdigit() for word in words):
        raise BadRequest(f"index={text} must be up to {len(others)} numbers, with commas between")
    found = [int(word) for word in words] + [0] * (len(others) - len(words))
    if any(at >= n for at, n in zip(found, others, strict=True)):
        raise BadRequest(f"index={text} is beyond the extents {others}")
    return tuple(found)


def _box(shape: Shape, axis: int, index: Shape, start: int, stop: int) -> Box:
    others = iter(index)
    first = tuple(start if i == axis else next(others) for i in range(len(shape)))
    return Box(first, tuple(stop if i == axis else at + 1 for i, at in enumerate(first)))
