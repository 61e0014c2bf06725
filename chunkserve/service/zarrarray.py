"""One Zarr array over one dataset: how it is presented, and what its document says."""

from dataclasses import dataclass, replace

import numpy as np

from chunkserve.cache.memory import MemoryCache
from chunkserve.cache.recent import Recent
from chunkserve.datatypes import numpy_dtype
from chunkserve.errors import NotFound, Unsupported
from chunkserve.grid import Shape
from chunkserve.metadata.dimensions import HIDDEN, anonymous, dimension_names, find
from chunkserve.metadata.documents import ArrayView, enum_attribute
from chunkserve.metadata.keys import Format
from chunkserve.metadata.present import Plan, Presentation, Thresholds, present
from chunkserve.metadata.served import Fields, LeftOut, Served, serve
from chunkserve.metadata.values import Json, attribute_json, encoded_fill_attribute
from chunkserve.model import Attribute, Dataset
from chunkserve.service.hdffile import HdfFile, Tools
from chunkserve.service.mapped import present_virtual
from chunkserve.service.nodes import Node, Nodes
from chunkserve.service.passed import PassedChunks
from chunkserve.service.served_values import ServedValues
from chunkserve.service.virtual import OtherFiles, elements_of
from chunkserve.versions import combined, digest


@dataclass(frozen=True)
class Context:
    """What all arrays share: the way to other files, thresholds, caches, and the tools of files."""

    nodes: Nodes
    limits: Thresholds
    memory: MemoryCache[bytes]
    tools: Tools
    sources: Recent[PassedChunks]


class ZarrArray:
    """A dataset, or a field of a compound one, in one Zarr format. Holds as long as :meth:`is_current`.

    Attributes:
        node: The dataset.
        format: Zarr format.
        served: Its type.
        presentation: Its grid, its codec, and where chunks come from.
        dimensions: Names of its axes.
        values: Its decoded elements.
        files: Every file its header depends on.
        live: One of them is being written.
        version: Covers them.
        tag: Distinguishes this array's chunks from all others, for caches and ETags.
    """

    def __init__(self, node: Node, zarr_format: Format, context: Context, extent: Shape | None = None) -> None:
        """Decide how to present a dataset.

        Args:
            node: The dataset.
            zarr_format: Zarr format.
            context: What it shares with other arrays.
            extent: Of the part that is shown, from the origin, if it is not all; the chunks are the same.

        Raises:
            Unsupported: It cannot be served; the message says why.
            MissingSource: Its extent depends on a file that is not there.
        """
        assert isinstance(node.object, Dataset)
        self.node = node
        self.format: Format = zarr_format
        self.context = context
        self.served = _served(node)
        elements = elements_of(OtherFiles(context.nodes), node.file, node.number, node.object)
        self.values = ServedValues(elements, self.served, node.field)
        self.elements = elements
        self.files: tuple[HdfFile, ...] = tuple(dict.fromkeys(node.files))
        self.live = any(file.live for file in self.files)
        follows_sources = elements.dataset.layout == "virtual" and None in elements.dataset.maxshape
        self._fleeting = self.live or follows_sources
        self.dimensions, shape = self._dimensions()
        found = self._present(shape)
        self.presentation = found if extent is None else replace(found, shape=extent)
        self.version = combined(file.version for file in self.files)
        self.tag = digest(self.version, node.path, zarr_format, self.presentation)

    def is_current(self) -> bool:
        """Whether nothing this was decided from has changed. A growing file's extent may have: never, then."""
        if self._fleeting:
            return False
        for file in self.files:  # noqa: SIM110 - a generator costs as much as the check
            if not file.is_current():
                return False
        return True

    # ------------------------------------------------------------ presentation

    def _dimensions(self) -> tuple[tuple[str, ...], Shape]:
        """Names of all axes, and the extent, padded to that of unlimited dimensions that other variables lengthened."""
        shape, dims = self.elements.shape, self.values.dims
        chain = self.node.chain
        if chain and chain[-1][0] is not self.node.file:
            # reached by an external link: named without opening its neighbours
            return anonymous(shape + dims), shape + dims
        scope = self.context.nodes.scope(chain)
        name = self.node.name.decode("utf-8", "backslashreplace")
        names = dimension_names(name, self.elements.dataset, scope)
        padded = tuple(
            max(n, scope.size(dim) or 0) if limit is None else n
            for n, dim, limit in zip(shape, names, self.elements.dataset.maxshape or (0,) * len(shape), strict=True)
        )
        return (*names, *anonymous(dims)), padded + dims

    def _present(self, shape: Shape) -> Presentation:
        served = replace(self.served, dims=self.values.dims)
        if self.node.field:
            served = replace(served, exact=False, why="field of a compound")
        if self.elements.dataset.layout == "virtual":
            found = present_virtual(self.elements, served, shape, self.format, self.context.limits)
        else:
            found = present(self.elements.dataset, served, shape, self.format, self.context.limits)
        if found.plan is Plan.REFUSED:
            raise Unsupported(f"{self.node.path}: {found.why}")
        return found

    # ---------------------------------------------------------------- document

    @property
    def view(self) -> ArrayView:
        """What the array's document says."""
        mask = self._mask()
        masked = mask is not None and self.format == 2
        fill = mask if masked else self.values.scalar_fill
        return ArrayView(self.served, self.presentation, self._attributes(mask), self.dimensions, fill, masked)

    def _mask(self) -> np.ndarray | None:
        """The dataset's ``_FillValue`` attribute, if it is a value of the served dtype."""
        return None if self.node.field else _fill_attribute(self.elements.dataset.attributes, self.served)

    def _attributes(self, mask: np.ndarray | None) -> dict[str, Json]:
        if self.node.field:
            return enum_attribute(self.served)
        attributes = attributes_json(self.elements.dataset.attributes)
        attributes.pop("_FillValue", None)  # xarray trips over one it does not expect
        if mask is not None and self.format == 3:
            encoded = encoded_fill_attribute(mask)
            if encoded is not None:
                attributes["_FillValue"] = encoded
        return attributes | enum_attribute(self.served)

    @property
    def implied_fill(self) -> bool:
        """Whether a reader that finds a chunk missing puts what HDF5 would have put."""
        fill = self.values.scalar_fill
        if fill is None:
            return True
        if not self.values.uniform:
            return False
        if self.format == 3:
            return True
        mask = self._mask()
        read = np.zeros((), self.served.dtype) if mask is None else mask
        return read.tobytes() == fill.tobytes()


def _served(node: Node) -> Served:
    match serve(node.type):
        case Served() as served:
            return served
        case LeftOut(why):
            raise Unsupported(f"{node.path}: {why}")
        case Fields():
            raise NotFound(node.path)


def attributes_json(attributes: tuple[Attribute, ...]) -> dict[str, Json]:
    """Attributes as JSON, without the bookkeeping of dimension scales and those that were not read."""
    found: dict[str, Json] = {}
    for attribute in attributes:
        if attribute.name in HIDDEN:
            continue
        try:
            found[attribute.name.decode("utf-8", "backslashreplace")] = attribute_json(attribute)
        except ValueError:
            continue
    return found


def _fill_attribute(attributes: tuple[Attribute, ...], served: Served) -> np.ndarray | None:
    """``_FillValue`` as a scalar of the served dtype, if it is exactly one."""
    attribute = find(attributes, b"_FillValue")
    if attribute is None or not isinstance(attribute.data, bytes) or served.kind in ("text", "struct"):
        return None
    dtype = numpy_dtype(attribute.type)
    if dtype.subdtype is not None or dtype.names is not None or (dtype.kind == "S") != (served.dtype.kind == "S"):
        return None
    values = np.frombuffer(attribute.data, dtype)
    if len(values) != 1:
        return None
    try:
        value = values.astype(served.dtype)
    except (TypeError, ValueError):
        return None
    both_nan = dtype.kind in "fc" and bool(np.isnan(values[0])) and bool(np.isnan(value[0]))
    return value.reshape(()) if both_nan or value[0] == values[0] else None
