"""One Zarr array over one dataset: its document, and its chunks by the cheapest honest way."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from chunkserve.cache.memory import MemoryCache
from chunkserve.codecs import encode, shard
from chunkserve.codecs.filters import BLOSC2
from chunkserve.codecs.frame import CannotReframe
from chunkserve.datatypes import numpy_dtype
from chunkserve.errors import Corrupt, MissingSource, NotFound, Unsupported
from chunkserve.grid import Box, Shape, chunk_box, covering, grid_shape, number, row_chunk, whole
from chunkserve.metadata.dimensions import HIDDEN, anonymous, dimension_names, find
from chunkserve.metadata.documents import ArrayView, enum_attribute
from chunkserve.metadata.keys import Format
from chunkserve.metadata.mappings import Axes
from chunkserve.metadata.present import Plan, Presentation, Thresholds, decoded, item_bytes, present
from chunkserve.metadata.served import Fields, LeftOut, Served, serve
from chunkserve.metadata.values import Json, attribute_json, encoded_fill_attribute, item_text
from chunkserve.model import Attribute, Dataset, Group
from chunkserve.service.blob import Blob, Piece, Stored, blob_of
from chunkserve.service.elements import Elements
from chunkserve.service.hdffile import HdfFile
from chunkserve.service.nodes import Node, Nodes
from chunkserve.service.passed import PassedChunks
from chunkserve.service.virtual import OtherFiles, elements_of
from chunkserve.sources.localfile import WouldBlock
from chunkserve.versions import combined, digest

PROBED_SOURCES = 8
"""Sources of a virtual dataset tried for one that shows how chunks lie."""


@dataclass(frozen=True)
class Context:
    """What all arrays share."""

    nodes: Nodes
    limits: Thresholds
    memory: MemoryCache[bytes]


class ZarrArray:
    """A dataset (or a field of a compound one) in one Zarr format. Valid as long as :meth:`is_current`."""

    def __init__(self, node: Node, zarr_format: Format, context: Context) -> None:
        """Decide the presentation.

        Raises:
            Unsupported: The dataset cannot be served; the message says why.
            MissingSource: A virtual dataset's extent depends on a file that is not there.
        """
        self.node = node
        self.format: Format = zarr_format
        self.context = context
        assert isinstance(node.object, Dataset)
        self.elements = elements_of(OtherFiles(context.nodes), node.file, node.number, node.object)
        self.dataset = self.elements.dataset
        self.served = _served(node)
        self.files: tuple[HdfFile, ...] = tuple(dict.fromkeys(node.files))
        self.dimensions, shape = self._dimensions()
        self.presentation = self._present(shape)
        self._passed: PassedChunks | None = None
        self._shards: MemoryCache[Blob] = MemoryCache(16 * 2**20)
        self.version = combined(file.version for file in self.files)
        self.tag = digest(self.version, node.path, zarr_format, self.presentation)

    def is_current(self) -> bool:
        """Whether nothing this array was built from has changed."""
        return all(file.is_current() for file in self.files)

    # ------------------------------------------------------------------ document

    def _dimensions(self) -> tuple[tuple[str, ...], Shape]:
        """Names of all axes, and the shape padded to the dimensions it lies on."""
        shape = self.elements.shape
        node = self.node
        extra = anonymous(self._extra_dims())
        if len(node.files) > 1 and node.chain and node.chain[-1][0] is not node.file:
            return (*anonymous(shape), *extra), shape + self._extra_dims()  # named without opening its neighbours
        scope = self.context.nodes.scope(node.chain)
        names = dimension_names(node.name.decode("utf-8", "backslashreplace"), self.dataset, scope)
        if len(set(names)) != len(names) and not all(scope.size(name) is not None for name in names):
            names = anonymous(shape)
        padded = tuple(
            max(n, size) if (size := scope.size(name)) is not None and limit is None else n
            for n, name, limit in zip(shape, names, self.dataset.maxshape or (0,) * len(shape), strict=False)
        )
        return (*names, *extra), (padded if len(padded) == len(shape) else shape) + self._extra_dims()

    def _extra_dims(self) -> Shape:
        """Dimensions of array types, around fields as well."""
        dims: list[int] = []
        t = self.dataset.type
        for name in self.node.field:
            while t.cls == "array":
                dims += t.dims
                t = t.inner
            t = next(m.type for m in t.members if m.name == name)
        return (*dims, *self.served.dims)

    @property
    def view(self) -> ArrayView:
        """What the array's document says."""
        attributes, mask = self._attributes()
        fill = self._fill()
        return ArrayView(
            self.served,
            self.presentation,
            attributes,
            self.dimensions,
            fill if mask is None or self.format == 3 else mask,
            masked=mask is not None,
        )

    def _attributes(self) -> tuple[dict[str, Json], np.ndarray | None]:
        """The attributes as JSON, and the dataset's ``_FillValue`` if it has a usable one."""
        if self.node.field:
            return enum_attribute(self.served), None
        attributes = attributes_json(self.dataset.attributes)
        mask = _fill_attribute(self.dataset, self.served)
        if find(self.dataset.attributes, b"_FillValue") is not None:
            attributes.pop("_FillValue", None)
        if mask is not None and self.format == 3:
            try:
                attributes["_FillValue"] = encoded_fill_attribute(mask)
            except ValueError:
                pass  # xarray would refuse the whole store
        return attributes | enum_attribute(self.served), mask

    def _fills(self) -> np.ndarray | None:
        """HDF5's fill value in the served dtype, with the extra dimensions; ``None`` for text, whose fill is empty."""
        if self.served.kind == "text":
            return None
        if self.elements.objects:  # a field beside one that numpy cannot hold
            return np.zeros(self._extra_dims(), self.served.dtype)
        value = self.elements.fill()
        for name in self.node.field:
            value = value[name]
        return np.asarray(value).astype(self.served.dtype)

    def _fill(self) -> np.ndarray | None:
        """HDF5's fill value as a scalar; of an array type, its first element."""
        fills = self._fills()
        return None if fills is None else np.ascontiguousarray(fills).reshape(-1)[0:1].reshape(())

    def _uniform_fill(self) -> bool:
        """Whether the fill of an array type is the same in all its elements."""
        fills = self._fills()
        return fills is None or fills.tobytes() == fills.reshape(-1)[:1].tobytes() * fills.size

    def implied_fill(self) -> bool:
        """Whether a reader that finds a chunk missing fills in what HDF5 would."""
        if self.served.kind == "text":
            return True
        if not self._uniform_fill():
            return False
        fill = self._fill()
        assert fill is not None
        if self.format == 3:
            return True
        view = self.view
        read = view.fill if view.masked else np.zeros((), self.served.dtype)
        return read is not None and read.tobytes() == fill.tobytes()

    # -------------------------------------------------------------- presentation

    def _present(self, shape: Shape) -> Presentation:
        limits = self.context.limits
        if isinstance(self.dataset.type, object) and self.dataset.layout == "virtual":
            return self._present_virtual(shape)
        served = self.served
        if self.node.field:
            served = replace(served, exact=False, why="field of a compound", dims=self._extra_dims())
        found = present(self.dataset, served, shape, self.format, limits)
        if found.plan is Plan.REFUSED:
            raise Unsupported(f"{self.node.path}: {found.why}")
        return found

    def _present_virtual(self, shape: Shape) -> Presentation:
        """With the chunks of the sources, if a source shows that they line up."""
        default = row_chunk(shape, item_bytes(self.served), self.context.limits.target_chunk)
        layout = self.elements.layout
        why = "no source is readable"
        for axes in layout.axes[:PROBED_SOURCES]:
            try:
                source = self.elements.sources.open(self.node.file, axes.file, axes.dataset)
            except NotFound:
                continue
            chunk = _chunk_from(axes, source, shape)
            if chunk is None or self.node.field:
                why = "chunks of the sources do not line up"
                break
            mine = replace(self.served, exact=True) if source.dataset.type == self.dataset.type else self.served
            limits = replace(self.context.limits, merge_below=0, shard_below=0)
            theirs = present(source.dataset, mine, source.shape + self.served.dims, self.format, limits)
            size = math.prod(chunk) * item_bytes(self.served)
            several = math.prod(grid_shape(shape, chunk)) > 1
            if several and size < self.context.limits.merge_below:
                return decoded(shape, _merged(shape, chunk, self.served, self.context.limits), self.served, "small chunks of the sources are merged")
            if source.dataset.type == self.dataset.type and theirs.plan in (Plan.STORED, Plan.REHEADED):
                return replace(theirs, shape=shape, chunk=chunk, plan=Plan.MAPPED)
            return decoded(shape, chunk, self.served, theirs.why or "sources are not passed on")
        return decoded(shape, default, self.served, why)

    # -------------------------------------------------------------------- chunks

    def etag(self, position: Shape) -> str:
        """The ETag of a chunk, from versions alone. Empty where only the content can tell (a growing file)."""
        if any(file.live for file in self.files) or self.presentation.plan is Plan.MAPPED:
            return ""
        return f"{self.tag}-{number(position, self.presentation.grid):x}"

    def chunk(self, position: Shape, *, wait: bool) -> Blob | None:
        """The body of a chunk; ``None`` if it is not stored and readers know what to put in its place.

        Args:
            position: In the presentation's grid.
            wait: Whether to wait for disks and decoders.

        Raises:
            WouldBlock: Not ``wait``, and something is not at hand.
            Corrupt, MissingSource, TryAgain, Unsupported: As it says.
        """
        return _PLANS[self.presentation.plan](self, position, wait)

    def passed(self) -> PassedChunks:
        """The dataset's own chunks."""
        if self._passed is None:
            encoding = self.presentation.encoding
            assert encoding != "text"
            self._passed = PassedChunks(self.elements, encoding)
        return self._passed

    def missing(self, *, wait: bool) -> Blob | None:
        """What stands for a chunk that is not stored."""
        if self.implied_fill():
            return None
        if not wait:
            raise WouldBlock
        return self._kept("fill", lambda: self._encode(self._filled(self.presentation.inner or self.presentation.chunk)))

    def computed(self, position: Shape, *, wait: bool) -> Blob:
        """A chunk that is decoded, put together, and encoded again."""
        return self._kept(position, lambda: self._encode(self.values(position)), wait=wait)

    def _kept(self, what: object, make: Callable[[], bytes], *, wait: bool = True) -> Blob:
        """Computed bytes, from memory, disk, or made now by one thread of one worker."""
        key = (self.tag, what)
        found = self.context.memory.get(key)
        if found is None:
            if not wait:
                raise WouldBlock
            found = self.node.file.tools.flight.run(key, lambda: self._make(key, make))
        return blob_of(found)

    def _make(self, key: tuple[str, object], make: Callable[[], bytes]) -> bytes:
        live = any(file.live for file in self.files)
        if live:
            return make()
        made = bytes(self.node.file.tools.disk.get_or_make("chunk", f"{key[0]}/{key[1]}", make))
        self.context.memory.put(key, made, len(made))
        return made

    def values(self, position: Shape) -> np.ndarray:
        """A chunk's elements in the served dtype, filled up to the whole chunk."""
        p = self.presentation
        rank = len(self.elements.shape)
        box = chunk_box(position, p.chunk)
        if not position:
            return self.region(box).reshape(p.chunk)
        out = self._filled(p.chunk)
        inner = Box(box.start[:rank], box.stop[:rank])
        inside = inner.clip(whole(self.elements.shape)) if rank else inner
        if inside is not None:
            part = self.region(inside)
            index = inside.slices(inner.start)
            trailing = tuple(slice(a, b) for a, b in zip(box.start[rank:], box.stop[rank:], strict=True))
            room = tuple(slice(0, n) for n in part[(..., *trailing)].shape[rank:]) if trailing else ()
            out[(*index, *room)] = part[(..., *trailing)] if trailing else part
        return out

    def region(self, box: Box) -> np.ndarray:
        """A box of the dataset in the served dtype: shape of the box, then the extra dimensions."""
        values = self.elements.read(box)
        if self.elements.objects:
            return _object_values(values, self.node, self.served, box.shape + self._extra_dims())
        for name in self.node.field:
            values = values[name]
        return values.astype(self.served.dtype, copy=False)

    def _filled(self, shape: Shape) -> np.ndarray:
        if self.served.kind == "text":
            out = np.empty(shape, dtype=object)
            out[...] = ""
            return out
        out = np.empty(shape, self.served.dtype)
        out[...] = self._fill() if self._uniform_fill() else self._fills()
        return out

    def _encode(self, values: np.ndarray) -> bytes:
        match self.presentation.encoding:
            case "raw":
                return values.tobytes()
            case "blosc":
                return encode.blosc_zstd(values)
            case "text":
                return encode.text(values.reshape(-1).tolist())


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


def _fill_attribute(dataset: Dataset, served: Served) -> np.ndarray | None:
    """The ``_FillValue`` attribute as a scalar of the served dtype, if it is one exactly."""
    attribute = find(dataset.attributes, b"_FillValue")
    if attribute is None or not isinstance(attribute.data, bytes) or served.kind in ("text", "struct"):
        return None
    dtype = numpy_dtype(attribute.type)
    if dtype.subdtype is not None or dtype.names is not None:
        return None
    values = np.frombuffer(attribute.data, dtype)
    if len(values) != 1 or (dtype.kind == "S") != (served.dtype.kind == "S"):
        return None
    try:
        value = values.astype(served.dtype)
    except (TypeError, ValueError):
        return None
    same = value == values if dtype.kind == "S" else (value == values) | (value != value) & (values != values)
    return value.reshape(()) if bool(np.all(same)) else None


def _object_values(values: np.ndarray, node: Node, served: Served, shape: Shape) -> np.ndarray:
    """Plain objects read by a reader process, as text or as the field's dtype."""
    assert isinstance(node.object, Dataset)
    t = node.object.type
    items: list[object] = list(values.reshape(-1))
    for name in node.field:
        while t.cls == "array":
            items = [inner for item in items for inner in _as_list(item)]
            t = t.inner
        nth = next(i for i, m in enumerate(t.members) if m.name == name)
        items = [_as_list(item)[nth] for item in items]
        t = t.members[nth].type
    for _ in served.dims if t.cls == "array" else ():
        items = [inner for item in items for inner in (_as_list(item) if isinstance(item, list) else [item])]
    while t.cls == "array":
        t = t.inner
    out = np.empty(len(items), dtype=served.dtype)
    for i, item in enumerate(items):
        try:
            out[i] = item_text(item, t) if served.kind == "text" else item
        except UnicodeDecodeError as error:
            raise Corrupt(f"{node.path}: text that is not UTF-8: {error}") from None
    return out.reshape(shape)


def _as_list(item: object) -> list[object]:
    if not isinstance(item, list):
        raise Corrupt("a reader answered in an unexpected form")
    return item


def _merged(shape: Shape, chunk: Shape, served: Served, limits: Thresholds) -> Shape:
    from chunkserve.grid import grow

    return grow(shape, chunk, item_bytes(served), limits.target_chunk)


def _chunk_from(axes: Axes, source: Elements, shape: Shape) -> Shape | None:
    """The chunk shape of a virtual dataset in which this mapping's source chunks are whole chunks; ``None`` if none."""
    chunks = source.dataset.chunks
    if not axes.dense or not chunks:
        return None
    chunk = tuple(1 if pair is None else chunks[pair] for pair in axes.pairs)
    for pair, step, indices in zip(axes.pairs, chunk, axes.target, strict=True):
        if indices[0] % step or (pair is not None and axes.source[pair][0] % step):
            return None
    paired = set(axes.pairs)
    if any(n != 1 for axis, n in enumerate(chunks) if axis not in paired):
        return None
    return chunk + shape[len(chunk) :]


# ------------------------------------------------------------------------- plans


def _passed_chunk(array: ZarrArray, position: Shape, wait: bool) -> Blob | None:
    if array.dataset.layout != "chunked":
        return array.computed(position, wait=wait)
    passed = array.passed()
    rank = len(array.elements.shape)
    where = position[:rank]
    if any(p >= n for p, n in zip(where, passed.grid, strict=True)):
        return array.missing(wait=wait)
    ref = passed.ref(where, wait=wait)
    if ref is None:
        return array.missing(wait=wait)
    if _sticks_out(array, where):
        return array.computed(position, wait=wait)
    try:
        return blob_of(*passed.pieces(where, ref, wait=wait))
    except CannotReframe:
        return array.computed(position, wait=wait)


def _sticks_out(array: ZarrArray, position: Shape) -> bool:
    """Whether a chunk holds elements beyond the dataset's extent that a padded array would show."""
    shape = array.elements.shape
    if array.presentation.shape[: len(shape)] == shape:
        return False
    stop = chunk_box(position, array.dataset.chunks).stop
    return any(b > n and n < m for b, n, m in zip(stop, shape, array.presentation.shape, strict=False))


def _range_chunk(array: ZarrArray, position: Shape, wait: bool) -> Blob | None:
    """A run of contiguous (or external) data; what lies beyond the array's edge is zero."""
    e = array.elements
    box = chunk_box(position, array.presentation.chunk)
    inside = box.clip(whole(array.presentation.shape)) if position else box
    if inside is None or (e.dataset.layout == "contiguous" and e.dataset.offset is None):
        return array.missing(wait=wait)
    if array.presentation.shape != e.shape + e.dims:
        return array.computed(position, wait=wait)
    itemsize = e.dtype.itemsize
    first = number(inside.start, array.presentation.shape) * itemsize if position else 0
    length = inside.size * itemsize
    padding = math.prod(array.presentation.chunk) * itemsize - length
    pieces: list[Piece] = []
    if e.dataset.layout == "contiguous":
        assert e.dataset.offset is not None
        pieces.append(Stored(e.file, e.dataset.offset + first, length))
    else:
        if not wait:
            raise WouldBlock
        at = 0
        for segment in e.sources.segments(e.file, e.dataset):
            low, high = max(first, at), min(first + length, at + segment.size)
            if low < high:
                pieces.append(Stored(segment.file, segment.offset + low - at, high - low))
            at += segment.size
        if at < first + length:
            raise MissingSource(f"{e.path}: external files are too short")
    return blob_of(*pieces, bytes(padding)) if padding else blob_of(*pieces)


def _block_chunk(array: ZarrArray, position: Shape, wait: bool) -> Blob | None:
    """One block of an n-dimensional Blosc2 chunk."""
    passed = array.passed()
    blocks = array.dataset.blocks
    per_chunk = grid_shape(array.dataset.chunks, blocks)
    outer = tuple(p // n for p, n in zip(position, per_chunk, strict=True))
    inner = tuple(p % n for p, n in zip(position, per_chunk, strict=True))
    ref = passed.ref(outer, wait=wait)
    if ref is None:
        return array.missing(wait=wait)
    try:
        return blob_of(*passed.block(outer, ref, number(inner, per_chunk), wait=wait))
    except CannotReframe:
        return array.computed(position, wait=wait)


def _shard_chunk(array: ZarrArray, position: Shape, wait: bool) -> Blob | None:
    """Many small chunks and an index of them, computed from the chunk index alone where possible."""
    if array.presentation.built or array.elements.file.live:
        return array._kept(position, lambda: _built_shard(array, position), wait=wait) if _any_stored(array, position, wait) else array.missing(wait=wait)
    nth = number(position, array.presentation.grid)
    known = array._shards.get(nth)
    if known is None:
        known = _computed_shard(array, position, wait)
        array._shards.put(nth, known, 200 * len(known.pieces) + 1000)
    return known if known.size > shard.index_size(array.presentation.inner_count) else array.missing(wait=wait)


def _inner_positions(array: ZarrArray, position: Shape) -> list[Shape | None]:
    """HDF5 chunk positions of a shard's inner chunks in C order, ``None`` for those beyond the grid."""
    inner = array.presentation.inner
    assert inner is not None
    rank = len(array.elements.shape)
    grid = grid_shape(array.elements.shape, array.dataset.chunks)
    found: list[Shape | None] = []
    for where in covering(chunk_box(position, array.presentation.chunk), inner):
        outer = where[:rank]
        found.append(outer if all(p < n for p, n in zip(outer, grid, strict=True)) else None)
    return found


def _any_stored(array: ZarrArray, position: Shape, wait: bool) -> bool:
    passed = array.passed()
    return any(p is not None and passed.ref(p, wait=wait) is not None for p in _inner_positions(array, position))


def _computed_shard(array: ZarrArray, position: Shape, wait: bool) -> Blob:
    passed = array.passed()
    pieces: list[Piece] = []
    lengths: list[int | None] = []
    for where in _inner_positions(array, position):
        ref = passed.ref(where, wait=wait) if where is not None else None
        if where is None or ref is None:
            lengths.append(None)
            continue
        length = passed.frame_length(ref)
        try:
            if length is None or _sticks_out(array, where):
                raise CannotReframe("length unknown")
            chunk = passed.lazy_pieces(where, ref, length)
        except CannotReframe:
            if not wait:
                raise WouldBlock from None
            chunk = (_inner_bytes(array, where),)
        pieces += chunk
        lengths.append(sum(len(piece) if isinstance(piece, bytes) else piece.length for piece in chunk))
    return _shard_blob(pieces, lengths)


def _built_shard(array: ZarrArray, position: Shape) -> bytes:
    passed = array.passed()
    pieces: list[Piece] = []
    lengths: list[int | None] = []
    for where in _inner_positions(array, position):
        if where is None or passed.ref(where, wait=True) is None:
            lengths.append(None)
            continue
        data = _inner_bytes(array, where)
        pieces.append(data)
        lengths.append(len(data))
    return bytes(_shard_blob(pieces, lengths).read())


def _inner_bytes(array: ZarrArray, where: Shape) -> bytes:
    """One inner chunk, re-headed or, if that cannot be, decoded and encoded."""
    passed = array.passed()
    ref = passed.ref(where, wait=True)
    try:
        if ref is None or _sticks_out(array, where):
            raise CannotReframe("no longer stored")
        return bytes(blob_of(*passed.pieces(where, ref, wait=True)).read())
    except CannotReframe:
        alone = replace(array.presentation, chunk=array.presentation.inner or (), inner=None)
        position = where + (0,) * (len(alone.chunk) - len(where))
        return array._encode(_values_of(array, alone, position))


def _values_of(array: ZarrArray, presentation: Presentation, position: Shape) -> np.ndarray:
    kept, array.presentation = array.presentation, presentation
    try:
        return array.values(position)
    finally:
        array.presentation = kept


def _shard_blob(pieces: list[Piece], lengths: list[int | None]) -> Blob:
    pieces = [*pieces, shard.pack_index(lengths)]
    starts, at = [], 0
    for piece in pieces:
        starts.append(at)
        at += len(piece) if isinstance(piece, bytes) else piece.length
    return Blob(tuple(pieces), at, starts)


def _mapped_chunk(array: ZarrArray, position: Shape, wait: bool) -> Blob | None:
    """The chunk of a virtual dataset's source that is this chunk."""
    if not wait:
        raise WouldBlock
    e = array.elements
    rank = len(e.shape)
    box = chunk_box(position[:rank], array.presentation.chunk[:rank])
    inside = box.clip(whole(e.shape))
    assert inside is not None
    covers = list(e.layout.touching(inside))
    if not covers:
        return array.missing(wait=wait)
    if len(covers) != 1 or not covers[0].dense or covers[0].bounds.clip(inside) != inside:
        return array.computed(position, wait=wait)
    axes = covers[0]
    try:
        source = e.sources.open(e.file, axes.file, axes.dataset)
    except NotFound as error:
        raise MissingSource(f"{e.path} draws from {axes.file}:{axes.dataset}, which cannot be read") from error
    where = _source_position(array, axes, inside, source)
    if where is None:
        return array.computed(position, wait=wait)
    encoding = array.presentation.encoding
    assert encoding != "text"
    passed = PassedChunks(source, encoding)
    ref = passed.ref(where, wait=True)
    if ref is None:
        return array.missing(wait=wait) if _same_fill(array, source) else array.computed(position, wait=wait)
    try:
        return blob_of(*passed.pieces(where, ref, wait=True))
    except CannotReframe:
        return array.computed(position, wait=wait)


def _source_position(array: ZarrArray, axes: Axes, inside: Box, source: Elements) -> Shape | None:
    """The source chunk that holds exactly the box, ``None`` if no single one does."""
    if source.dataset.type != array.dataset.type or _chunk_from(axes, source, array.presentation.chunk) != array.presentation.chunk:
        return None
    mine = present(source.dataset, array.served, source.shape + array.served.dims, array.format, replace(array.context.limits, merge_below=0, shard_below=0))
    if mine.encoding != array.presentation.encoding or mine.plan not in (Plan.STORED, Plan.REHEADED):
        return None
    position = [0] * len(source.shape)
    for axis, pair in enumerate(axes.pairs):
        if pair is not None:
            at = axes.source[pair][0] + inside.start[axis] - axes.target[axis][0]
            position[pair] = int(at) // source.dataset.chunks[pair]
    for axis in set(range(len(source.shape))) - {pair for pair in axes.pairs if pair is not None}:
        position[axis] = int(axes.source[axis][0])
    return tuple(position)


def _same_fill(array: ZarrArray, source: Elements) -> bool:
    return array.elements.fill().tobytes() == source.fill().tobytes()


_PLANS: dict[Plan, Callable[[ZarrArray, Shape, bool], Blob | None]] = {
    Plan.STORED: _passed_chunk,
    Plan.REHEADED: _passed_chunk,
    Plan.BLOCKS: _block_chunk,
    Plan.RANGES: _range_chunk,
    Plan.SHARDED: _shard_chunk,
    Plan.MAPPED: _mapped_chunk,
    Plan.DECODED: lambda array, position, wait: array.computed(position, wait=wait),
}

__all__ = ["BLOSC2", "Context", "Group", "ZarrArray", "attributes_json"]
