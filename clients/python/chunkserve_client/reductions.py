"""Reductions that run next to the data: ``d.sum(axis=0)``, ``np.mean(d)``, histograms."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgpack
import numpy as np

from chunkserve_client import loop
from chunkserve_client.errors import Damaged, NotFound, NotSupported
from chunkserve_client.place import Place
from chunkserve_client.selection import Selection
from chunkserve_client.slices import MSGPACK
from chunkserve_client.types import HdfType

Axis = int | Sequence[int] | None

REDUCE_SECONDS = 600.0
"""Without a byte: the answer comes when all is computed."""


class Reductions:
    """The methods. ``region`` is a selection as in brackets; ``axis`` counts the axes of what it selects.

    ``valid`` leaves out what is no measurement, as pyramids do (docs/pyramids.md). All else is as numpy has it: sums of
    integers are exact in 64 bits, means and deviations are in ``float64``, NaN propagates.
    """

    place: Place
    shape: Any

    def _select(self, key: Any) -> Selection:
        raise NotImplementedError

    def sum(self, axis: Axis = None, *, region: Any = ..., valid: bool = False) -> Any:
        """Sum of elements."""
        return self.reduce(["sum"], axis, region=region, valid=valid)["sum"]

    def mean(self, axis: Axis = None, *, region: Any = ..., valid: bool = False) -> Any:
        """Arithmetic mean."""
        return self.reduce(["mean"], axis, region=region, valid=valid)["mean"]

    def min(self, axis: Axis = None, *, region: Any = ..., valid: bool = False) -> Any:
        """Least element."""
        return self.reduce(["min"], axis, region=region, valid=valid)["min"]

    def max(self, axis: Axis = None, *, region: Any = ..., valid: bool = False) -> Any:
        """Greatest element."""
        return self.reduce(["max"], axis, region=region, valid=valid)["max"]

    def std(self, axis: Axis = None, *, region: Any = ..., valid: bool = False) -> Any:
        """Standard deviation of the population (``ddof=0``)."""
        return self.reduce(["std"], axis, region=region, valid=valid)["std"]

    def histogram(
        self, bins: int = 10, range: tuple[float, float] | None = None, *, region: Any = ..., valid: bool = False,  # noqa: A002 - numpy's name
    ) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
        """Counts, ``(bins,)``, and edges, ``(bins + 1,)``, as ``np.histogram`` gives them."""
        limits = "" if range is None else f"{range[0]!r},{range[1]!r}"
        counts, edges = self.reduce(["histogram"], region=region, valid=valid, bins=str(bins), range=limits)[
            "histogram"
        ]
        return counts, edges

    def reduce(
        self, operations: Sequence[str], axis: Axis = None, *, region: Any = ..., valid: bool = False, **more: str
    ) -> dict[str, Any]:
        """Several reductions in one pass over the data.

        Args:
            operations: Of ``sum mean min max std count histogram``.
            axis: To reduce; all if ``None``.
            region: What to reduce, as in brackets.
            valid: Leave out what is no measurement.
            more: Further parameters of ``/reduce``.

        Raises:
            NotSupported: The server cannot reduce, or ``region`` has a mask or names of fields.
            TooMuch: It would read more than the server allows; use a level.
        """
        return loop.run(self._reduce(operations, axis, region, valid, more))

    async def areduce(
        self, operations: Sequence[str], axis: Axis = None, *, region: Any = ..., valid: bool = False, **more: str
    ) -> dict[str, Any]:
        """The same, to be awaited in any event loop."""
        return await loop.away(self._reduce(operations, axis, region, valid, more))

    async def _reduce(
        self, operations: Sequence[str], axis: Axis, region: Any, valid: bool, more: Mapping[str, str]
    ) -> dict[str, Any]:  # fmt: skip
        selection = self._select(region)
        if selection.mask is not None or selection.fields:
            raise NotSupported("the region of a reduction is made of numbers, slices and one list; read it instead")
        query = {
            "op": ",".join(operations),
            "axis": _axes(axis, selection),
            "sel": "" if region is Ellipsis else selection.words(),
            "valid": "1" if valid else "",
            "level": str(self.place.level) if self.place.level else "",
            **self.place.view,
            **more,
        }
        url = self.place.url("reduce", **query)
        try:
            body = (await self.place.transport.get(url, MSGPACK, silence=REDUCE_SECONDS)).body
        except NotFound as error:
            raise NotSupported("this server has no /reduce, or the dataset is gone", error.url) from None
        found = msgpack.unpackb(body, unicode_errors="surrogateescape", strict_map_key=False)
        shape = tuple(n for axis, n in enumerate(selection.full) if axis not in selection.dropped)
        return {name: _result(name, value, shape, axis) for name, value in found["results"].items()}

    def __array_function__(
        self, function: Callable[..., Any], types: Sequence[type], arguments: Sequence[Any], named: Mapping[str, Any]
    ) -> Any:
        """Numpy's functions: reductions run on the server, all others on everything that is read.

        https://numpy.org/neps/nep-0018-array-function-protocol.html
        """
        del types
        name = _NUMPY.get(function)
        if name is not None and len(arguments) == 1 and arguments[0] is self and named.keys() <= {"axis", "keepdims"}:
            axis = named.get("axis")
            found = getattr(self, name)(axis)
            return _kept(found, len(self.shape), axis) if named.get("keepdims") else found
        if function is np.histogram and arguments[0] is self and _plain_histogram(arguments, named):
            return self.histogram(*arguments[1:], **named)
        local = [np.asarray(a) if isinstance(a, Reductions) else a for a in arguments]
        return function(*local, **{k: np.asarray(v) if isinstance(v, Reductions) else v for k, v in named.items()})


_NUMPY: dict[Callable[..., Any], str] = {
    np.sum: "sum", np.mean: "mean", np.min: "min", np.max: "max", np.amin: "min", np.amax: "max", np.std: "std",
}  # fmt: skip


def _plain_histogram(arguments: Sequence[Any], named: Mapping[str, Any]) -> bool:
    bins = arguments[1] if len(arguments) > 1 else named.get("bins", 10)
    return isinstance(bins, int) and len(arguments) <= 3 and named.keys() <= {"bins", "range"}


def _axes(axis: Axis, selection: Selection) -> str:
    """The axes of the dataset to reduce: those asked for, and those that were indexed by a number."""
    if axis is None:
        return ""
    kept = [a for a in range(len(selection.picked)) if a not in selection.dropped]
    wanted = _normal(axis, len(kept))
    return ",".join(map(str, sorted({kept[a] for a in wanted} | selection.dropped)))


def _normal(axis: Axis, rank: int) -> list[int]:
    given = [axis] if isinstance(axis, int | np.integer) else list(axis or ())
    for a in given:
        if not -rank <= a < rank:
            raise np.exceptions.AxisError(int(a), rank)
    return [int(a) % rank for a in given]


def _kept(found: Any, rank: int, axis: Axis) -> np.ndarray:
    axes = tuple(range(rank)) if axis is None else tuple(_normal(axis, rank))
    return np.expand_dims(np.asarray(found), axes)


def _result(name: str, value: Mapping[str, Any], shape: tuple[int, ...], axis: Axis) -> Any:
    if name == "histogram":
        return _value(value["counts"]), _value(value["edges"])
    found = _value(value)
    gone = set(range(len(shape))) if axis is None else set(_normal(axis, len(shape)))
    want = tuple(n for a, n in enumerate(shape) if a not in gone)
    if found.shape != want:
        raise Damaged(f"the server reduces to the shape {found.shape}, expected {want}")
    return found[()] if not found.ndim else found


def _value(message: Mapping[str, Any]) -> np.ndarray:
    return HdfType(message["type"]).array(message, message["shape"])
