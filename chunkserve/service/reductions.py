"""Reductions of slices: read and reduced part by part, merged in order, so that the answer is always the same."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chunkserve.errors import BadRequest, TooLarge, Unsupported
from chunkserve.grid import Shape, chunk_box, covering, row_chunk, whole
from chunkserve.model import Dataset
from chunkserve.pyramid.reduction import Partial, Reduction, Task, reduce_block
from chunkserve.selection import Part, split
from chunkserve.service.picked import TOUCHED_BYTES, pick, touched_bytes
from chunkserve.service.pyramids import Pyramids, Wish
from chunkserve.service.slices import Subject
from chunkserve.service.source import LevelSource, Source
from chunkserve.service.validity import Validity, validity_of

WIDE = 8
"""Bytes of an element while it is reduced."""

PIECE_BYTES = 8 * 2**20
"""Bytes that are reduced at a time, in wide elements."""

MOST_RESULTS = 2**24
"""Elements of a result."""

KINDS = {"histogram": "biuf", "min": "biuf", "max": "biuf"}
"""Kinds of dtypes that an operation takes, where it does not take all numbers."""

EXTREMES = frozenset({"min", "max", "count"})
"""What the blocks of a pyramid know of their source."""


@dataclass(frozen=True)
class Asked:
    """A reduction as it is asked for; see :class:`chunkserve.pyramid.reduction.Task`.

    Attributes:
        operations: Which.
        sel: Of what, as it stands in the URL.
        axes: Of the source, along which; ``None`` for all. Negative ones count from the end.
        bins, range: Of the histogram; without a range it goes from the least element to the greatest.
        valid: Whether elements that are no measurement are left out.
    """

    operations: tuple[str, ...]
    sel: str = ""
    axes: tuple[int, ...] | None = None
    bins: int = 256
    range: tuple[float, float] | None = None
    valid: bool = False


@dataclass(frozen=True)
class Reduced:
    """The answer to a reduction.

    Attributes:
        shape: Of a result.
        axes: Axes of the source that it has.
        elements: How many were looked at.
        source: ``levels`` if kept blocks of a pyramid knew, else ``elements``.
        results: By operation: an array; of a histogram, counts and edges.
    """

    shape: Shape
    axes: tuple[int, ...]
    elements: int
    source: str
    results: dict[str, Any]


class Work:
    """A reduction, as jobs for several threads."""

    def __init__(self, subject: Subject, asked: Asked, validity: Validity | None, most: int) -> None:
        """Plan a reduction.

        Args:
            subject: Of what.
            asked: What is asked for.
            validity: What is left out, if anything is.
            most: Bytes of chunks that may be decoded (setting ``max_reduce_bytes``).

        Raises:
            BadRequest: It cannot be had of these elements.
            TooLarge: More would have to be decoded than may be.
        """
        if subject.null:
            raise BadRequest("the dataset has a null dataspace: there is nothing to reduce")
        self.subject, self.asked, self.validity = subject, asked, validity
        self.source = source = subject.source
        self.selected = subject.select(asked.sel)
        self.selection = self.selected.selection
        dtype = number_dtype(source, asked)
        axes = _reduced(asked.axes, len(source.shape)) | self.selection.dropped
        shape = tuple(map(len, self.selection.indices))
        edges = asked.range if asked.range is not None or self.selection.size else (0, 1)  # as numpy, of nothing
        self.task = Task(asked.operations, dtype, shape, tuple(sorted(axes)), asked.bins, edges)
        self.parts = split(self.selection, source.unit, (WIDE, source.weights[1]), (PIECE_BYTES, TOUCHED_BYTES))
        self._check(most)

    def _check(self, most: int) -> None:
        task = self.task
        size = int(np.prod(task.result, dtype=object))
        if size > MOST_RESULTS:
            advice = "reduce along more axes, or in parts with sel="
            raise TooLarge("a result", size * WIDE, MOST_RESULTS * WIDE, advice=advice)
        if task.wants("histogram") and self.axes:
            raise BadRequest("op=histogram is of all elements; leave out axis=, and pick with sel=")
        if task.wants("min", "max") and not self.selection.size and size:
            raise BadRequest("op=min and op=max are of one element at least; the selection is empty")
        nbytes = touched_bytes(self.source, self.selection.indices)
        if nbytes > most:
            advice = "ask for a level, or for parts with sel="
            raise TooLarge("what has to be decoded", nbytes, most, "max_reduce_bytes", advice)

    @property
    def shape(self) -> Shape:
        """The shape of a result."""
        return tuple(self.task.shape[axis] for axis in self.axes)

    @property
    def axes(self) -> tuple[int, ...]:
        """Axes of the source that a result has."""
        return tuple(axis for axis in range(len(self.task.shape)) if axis not in self.task.axes)

    def jobs(self, finish: Callable[[Reduced], bytes]) -> Iterator[Callable[[], bytes]]:
        """What is to be done, in order, several at a time; the last to be merged gives what ``finish`` makes."""
        if self.task.wants("histogram") and self.task.range is None:
            return self._with_range(finish)
        return self._jobs(lambda: self.task, finish)

    def _with_range(self, finish: Callable[[Reduced], bytes]) -> Iterator[Callable[[], bytes]]:
        """First the extremes, then all else."""
        known: Future[Task] = Future()

        def found(extremes: Reduced) -> bytes:
            known.set_result(replace(self.task, range=_finite_range(extremes.results)))
            return b""

        def guarded(job: Callable[[], bytes]) -> Callable[[], bytes]:
            def run() -> bytes:
                try:
                    return job()
                except BaseException as error:
                    if not known.done():
                        known.set_exception(error)
                    raise

            return run

        first = replace(self.task, operations=("min", "max"))
        yield from map(guarded, self._jobs(lambda: first, found))
        # those that wait here are begun after those they wait for
        yield from self._jobs(known.result, finish)

    def _jobs(self, task: Callable[[], Task], finish: Callable[[Reduced], bytes]) -> Iterator[Callable[[], bytes]]:
        merging = _Merging(len(self.parts))

        def done(reduction: Reduction) -> bytes:
            return finish(Reduced(self.shape, self.axes, self.selection.size, "elements", reduction.results()))

        if not len(self.parts):
            yield lambda: done(Reduction(task()))
            return

        def job(nth: int, part: Part) -> Callable[[], bytes]:
            def run() -> bytes:
                reduction = merging.put(nth, task(), list(self._reduce(task(), part)))
                return b"" if reduction is None else done(reduction)

            return run

        yield from (job(nth, part) for nth, part in enumerate(self.parts))

    def _reduce(self, task: Task, part: Part) -> Iterator[tuple[Partial, Shape]]:
        """What is known of a part, piece by piece, and where the pieces begin in the selection."""
        values = pick(self.source, part.indices).astype(task.dtype, copy=False)
        valid = self._valid(values, part)
        for position in covering(whole(values.shape), chunk := row_chunk(values.shape, WIDE, PIECE_BYTES)):
            box = chunk_box(position, chunk).clip(whole(values.shape))
            assert box is not None
            at = tuple(a + b for a, b in zip(part.at, box.start, strict=True))
            where = box.slices()
            yield reduce_block(task, values[where], None if valid is None else valid[where]), at

    def _valid(self, values: np.ndarray, part: Part) -> np.ndarray | None:
        if self.validity is None:
            return None
        if isinstance(self.source, LevelSource):
            return self.validity.marked(values)
        return self.validity.picked(values, part.indices)


class _Merging:
    """Partials of parts, merged in their order in whatever order they come."""

    def __init__(self, count: int) -> None:
        self._left = count
        self._next = 0
        self._waiting: dict[int, list[tuple[Partial, Shape]]] = {}
        self._lock = threading.Lock()
        self._reduction: Reduction | None = None

    def put(self, nth: int, task: Task, partials: list[tuple[Partial, Shape]]) -> Reduction | None:
        """Add a part; everything merged, if it was the last one missing."""
        with self._lock:
            if self._reduction is None:
                self._reduction = Reduction(task)
            self._waiting[nth] = partials
            while self._next in self._waiting:
                for partial, at in self._waiting.pop(self._next):
                    self._reduction.merge(partial, at)
                self._next += 1
            return self._reduction if self._next == self._left else None


def number_dtype(source: Source, asked: Asked) -> np.dtype[Any]:
    """The dtype of a source's elements, in native byte order.

    Raises:
        BadRequest: They are no numbers, or not such as an operation takes.
    """
    dtype = source.dtype
    if source.dims or dtype.kind not in "biufc":
        raise BadRequest("only numbers can be reduced; of a compound, name a field= that is one")
    for name in asked.operations:
        if dtype.kind not in KINDS.get(name, "biufc"):
            raise BadRequest(f"op={name} is not for complex numbers")
    if asked.valid and dtype.kind == "c":
        raise BadRequest("valid=1 is not for complex numbers")
    return dtype.newbyteorder("=")


def _reduced(axes: tuple[int, ...] | None, rank: int) -> frozenset[int]:
    if axes is None:
        return frozenset(range(rank))
    for axis in axes:
        if not -rank <= axis < rank:
            raise BadRequest(f"axis={axis}: the dataset has {rank} axes")
    found = [axis % rank for axis in axes]
    if len(set(found)) < len(found):
        raise BadRequest("axis= names an axis twice")
    return frozenset(found)


def _finite_range(extremes: dict[str, Any]) -> tuple[Any, Any]:
    low, high = (np.asarray(extremes[name], _countable(extremes[name].dtype))[()] for name in ("min", "max"))
    if not np.isfinite([low, high]).all():
        raise BadRequest("op=histogram: there are NaN or infinite elements; give range=a,b, or valid=1 without NaN")
    return low, high


def _countable(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype in which numpy counts elements: booleans as small integers."""
    return np.dtype(np.uint8) if dtype.kind == "b" else dtype


def left_out(pyramids: Pyramids, subject: Subject, asked: Asked) -> Validity | None:
    """What is no measurement among the elements of a subject, if that is not to count.

    Raises:
        BadRequest: They are no numbers, or not such as an operation takes.
    """
    dtype = number_dtype(subject.source, asked)
    if not asked.valid:
        return None
    if isinstance(subject.source, LevelSource):
        return subject.source.pyramid.validity
    return validity_of(subject.node, pyramids.context.nodes, dtype, pyramids.settings.sentinel)


def known_extremes(pyramids: Pyramids, work: Work) -> Reduced | None:
    """The extremes of a whole dataset, if the blocks of its pyramid that are kept have seen all of it."""
    asked, task, node = work.asked, work.task, work.subject.node
    if not EXTREMES.issuperset(asked.operations) or work.axes or isinstance(work.source, LevelSource):
        return None
    assert isinstance(node.object, Dataset)
    if work.selection.indices != tuple(map(range, work.source.shape)) or node.object.type.cls == "compound":
        return None
    try:
        pyramid = pyramids.find(node, Wish())
    except Unsupported:
        return None
    found = None if pyramid.live else pyramid.whole_span()
    if found is None or not found.valid or found.total != work.selection.size or pyramid.plan.shape != task.shape:
        return None
    if (not asked.valid and found.valid != found.total) or found.least != found.least:
        return None
    by_name = {
        "min": np.asarray(found.least, task.dtype),
        "max": np.asarray(found.greatest, task.dtype),
        "count": np.asarray(found.valid, np.int64),
    }
    results = {name: by_name[name] for name in asked.operations}
    return Reduced((), (), work.selection.size, "levels", results)
