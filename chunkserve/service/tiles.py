"""Planes of datasets as tiles: which axes are drawn, where the others are cut, and what the pixels are."""

from dataclasses import dataclass

import numpy as np

from chunkserve.errors import BadRequest, NotFound, Unsupported
from chunkserve.grid import Box, Shape
from chunkserve.pyramid.partial import Method, begin, finish, halve
from chunkserve.service.builder import Building
from chunkserve.service.nodes import Node
from chunkserve.service.pyramid import Pyramid
from chunkserve.service.pyramids import Pyramids, Wish


@dataclass(frozen=True)
class Pixels:
    """A part of a plane.

    Attributes:
        values: Shape (height, width).
        valid: Which of them are, ``None`` if all.
        exact: They are those of the level, not of a sample.
        saturated: Which of them are above what the detector can count, ``None`` if none is, or nobody knows.
    """

    values: np.ndarray
    valid: np.ndarray | None
    exact: bool
    saturated: np.ndarray | None = None


@dataclass(frozen=True)
class Plane:
    """A plane of a dataset in all its levels.

    Attributes:
        pyramid: It halves the axes that are drawn, and no others: the same index cuts the same plane of every level.
        rows: The axis drawn downwards.
        columns: The axis drawn to the right.
        index: Where the other axes are cut, in their order.
    """

    pyramid: Pyramid
    rows: int
    columns: int
    index: Shape

    @property
    def key(self) -> str:
        """Tells planes apart."""
        return f"{self.pyramid.tag}/{self.rows},{self.columns}/{self.index}"

    def extent(self, level: int) -> Shape:
        """Height and width of a level.

        Raises:
            NotFound: There is no such level.
        """
        if not 0 <= level <= self.pyramid.plan.count:
            raise NotFound(f"level {level}")
        shape = self.pyramid.plan.extent(level)
        return shape[self.rows], shape[self.columns]

    def box(self, part: Box) -> Box:
        """A part of the plane as a box of the array."""
        start, stop = [0] * len(self.pyramid.plan.shape), [0] * len(self.pyramid.plan.shape)
        others = iter(self.index)
        for axis in range(len(start)):
            if axis not in (self.rows, self.columns):
                start[axis] = next(others)
                stop[axis] = start[axis] + 1
        start[self.rows], start[self.columns] = part.start
        stop[self.rows], stop[self.columns] = part.stop
        return Box(tuple(start), tuple(stop))

    def turned(self, values: np.ndarray, part: Box) -> np.ndarray:
        """Values of :meth:`box` as rows and columns."""
        flat = values.transpose(
            *(a for a in range(values.ndim) if a not in (self.rows, self.columns)), self.rows, self.columns
        )
        return flat.reshape(part.shape)


class Tiles:
    """Planes and their pixels."""

    def __init__(self, pyramids: Pyramids) -> None:
        """Take pixels from ``pyramids``."""
        self.pyramids = pyramids

    def plane(self, node: Node, axes: str, index: str, method: str) -> Plane:
        """The plane that a request names.

        Args:
            node: The dataset.
            axes: The axes drawn, rows first: numbers or names, with a comma between; empty for the last two.
            index: Where the others are cut: numbers with commas between; zero where nothing is said.
            method: How levels are made; empty for the default.

        Raises:
            BadRequest: There is no such plane.
        """
        shape = getattr(node.object, "shape", None) or ()
        rank = len(shape)
        if rank < 2:
            raise Unsupported(f"{node.path} is no image: it has {rank} dimensions")
        rows, columns = self._drawn(node, axes, rank)
        pyramid = self.pyramids.find(node, Wish(f"{min(rows, columns)},{max(rows, columns)}", method))
        return Plane(pyramid, rows, columns, _index(index, pyramid.plan.shape, (rows, columns)))

    def _drawn(self, node: Node, axes: str, rank: int) -> tuple[int, int]:
        if not axes:
            return rank - 2, rank - 1
        words = axes.split(",")
        names = {name: i for i, name in enumerate(self.pyramids.names(node))}
        found = [int(w) if w.isdigit() else names.get(w, rank) for w in words]
        if len(found) != 2 or found[0] == found[1] or not all(0 <= a < rank for a in found):
            raise BadRequest(f"axes={axes} must be two of {', '.join([*map(str, range(rank)), *names])}, rows first")
        return found[0], found[1]

    def pixels(self, plane: Plane, level: int, part: Box, halvings: int = 0) -> Pixels:
        """A part of a level of a plane; from a sample, if the level takes too long. It is then on its way.

        Args:
            plane: The plane.
            level: One that it has.
            part: Rows and columns of it, beginning at multiples of ``2**halvings``.
            halvings: How often to halve the pixels; for levels coarser than the coarsest.

        Raises:
            ChunkserveError: The source cannot be read.
        """
        box = plane.box(part)
        pyramid = plane.pyramid
        try:
            values, exact = self.pyramids.region(pyramid, level, box), True
            valid = pyramid.validity.valid(values, box) if level == 0 else pyramid.validity.marked(values)
            saturated = pyramid.validity.saturated(values, box) if level == 0 else None
        except Building:
            values, valid = self.pyramids.preview(pyramid, level, box)
            exact, saturated = False, None
        turned, bright = (None if flags is None else plane.turned(flags, part) for flags in (valid, saturated))
        return _halved(Pixels(plane.turned(values, part), turned, exact, bright), pyramid.method, halvings)


def _halved(pixels: Pixels, method: Method, times: int) -> Pixels:
    """Coarser pixels, made as the levels are."""
    if not times:
        return pixels
    partial = begin(pixels.values, pixels.valid, method, (True, True))
    for _ in range(times):
        partial = halve(partial)
    valid = None if partial.counts is None else partial.counts > 0
    return Pixels(finish(partial, pixels.values.dtype, 0), valid, pixels.exact)


def _index(text: str, shape: Shape, drawn: tuple[int, int]) -> Shape:
    others = [axis for axis in range(len(shape)) if axis not in drawn]
    words = [word for word in text.split(",") if word] if text else []
    if len(words) > len(others) or not all(word.isdigit() for word in words):
        raise BadRequest(f"index={text} must be up to {len(others)} numbers, with commas between")
    found = [int(word) for word in words] + [0] * (len(others) - len(words))
    for axis, at in zip(others, found, strict=True):
        if at >= shape[axis]:
            raise BadRequest(f"index={text}: {at} is beyond axis {axis}, which has {shape[axis]} elements")
    return tuple(found)
