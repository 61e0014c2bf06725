"""Describe one object: a dataset's header or a group's links, without following anything out of the file."""

import struct
from collections.abc import Callable
from typing import Literal

import numpy as np
from h5py import h5, h5d, h5g, h5l, h5p, h5s, h5t

from chunkserve.codecs.blosc2chunk import block_shape
from chunkserve.codecs.filters import BLOSC2
from chunkserve.datatypes import DataType, has_objects, is_exact, numpy_dtype
from chunkserve.errors import Corrupt
from chunkserve.hdf5.attributes import read_attributes
from chunkserve.hdf5.capi import fill_bytes, has_plain_edges
from chunkserve.hdf5.faults import raise_storage_fault
from chunkserve.hdf5.origins import origins_of
from chunkserve.hdf5.types import describe_type
from chunkserve.model import Dataset, ExternalSegment, Fill, Filter, Group, Layout, Link, Mapping, Selection

MAX_MAPPINGS = 100_000
"""Mappings read of one virtual dataset."""

MAX_BOXES = 10_000
"""Boxes read of one irregular selection."""

BLOCK_PROBES = 4
"""Blosc2 chunks looked into for their block shape."""

UNLIMITED = 2**64 - 1  # H5S_UNLIMITED as h5py returns it

_LAYOUT: dict[int, Layout] = {h5d.CHUNKED: "chunked", h5d.CONTIGUOUS: "contiguous", h5d.COMPACT: "compact"}
_FILL_TIME: dict[int, Literal["alloc", "never", "ifset"]] = {
    h5d.FILL_TIME_ALLOC: "alloc",
    h5d.FILL_TIME_NEVER: "never",
    h5d.FILL_TIME_IFSET: "ifset",
}


def describe_dataset(dataset: h5d.DatasetID, max_attribute: int) -> Dataset:
    """Read a dataset's header.

    The extent of an unlimited virtual dataset is not asked for: libhdf5 would open the sources to find it.
    """
    tid = dataset.get_type()
    t = describe_type(tid)
    plist = dataset.get_create_plist()
    attributes, notes = read_attributes(dataset, max_attribute)
    layout = _layout(plist)
    mappings: tuple[Mapping, ...] = ()
    if layout == "virtual":
        mappings, more = _mappings(plist)
        notes += more
    shape, maxshape = _extent(dataset, plist, mappings)
    chunked = layout == "chunked"
    filters = _filters(plist) if chunked else ()
    return Dataset(
        attributes=attributes,
        type=t,
        shape=shape,
        maxshape=maxshape,
        layout=layout,
        chunks=tuple(plist.get_chunk()) if chunked else (),
        filters=filters,
        fill=_fill(plist, tid, t),
        offset=dataset.get_offset() if layout == "contiguous" and shape is not None else None,
        stored=dataset.get_storage_size() if layout in ("contiguous", "compact") else 0,
        blocks=_blocks(dataset) if any(stage.id == BLOSC2 for stage in filters) else (),
        plain_edges=chunked and has_plain_edges(plist),
        mappings=mappings,
        external=_external(plist) if layout == "external" else (),
        notes=notes,
    )


def _layout(plist: h5p.PropDCID) -> Layout:
    if plist.get_layout() == h5d.VIRTUAL:
        return "virtual"
    return "external" if plist.get_external_count() else _LAYOUT[plist.get_layout()]


def _extent(
    dataset: h5d.DatasetID, plist: h5p.PropDCID, mappings: tuple[Mapping, ...]
) -> tuple[tuple[int, ...] | None, tuple[int | None, ...]]:
    if any(None in m.target.count or None in m.target.block for m in mappings):
        stored = plist.get_virtual_vspace(0).get_simple_extent_dims()
        free = [any(None in pair for pair in zip(m.target.count, m.target.block, strict=True)) for m in mappings]
        axes = {
            axis
            for m, unlimited in zip(mappings, free, strict=True)
            if unlimited
            for axis in range(len(stored))
            if m.target.count[axis] is None or m.target.block[axis] is None
        }
        return tuple(stored), tuple(None if axis in axes else n for axis, n in enumerate(stored))
    space = dataset.get_space()
    if space.get_simple_extent_type() == h5s.NULL:
        return None, ()
    most = space.get_simple_extent_dims(maxdims=True)
    return tuple(space.get_simple_extent_dims()), tuple(None if n in (UNLIMITED, h5s.UNLIMITED) else n for n in most)


def _filters(plist: h5p.PropDCID) -> tuple[Filter, ...]:
    stages = (plist.get_filter(i) for i in range(plist.get_nfilters()))
    return tuple(
        Filter(number, flags, tuple(values), name.decode("utf-8", "replace")) for number, flags, values, name in stages
    )


def _fill(plist: h5p.PropDCID, tid: h5t.TypeID, t: DataType) -> Fill:
    time = _FILL_TIME.get(plist.get_fill_time(), "ifset")
    if plist.fill_value_defined() != h5d.FILL_VALUE_USER_DEFINED or has_objects(t) or t.cls == "array":
        return Fill(time=time)
    try:
        value = np.zeros((), dtype=numpy_dtype(t))
        plist.get_fill_value(value)
    except (TypeError, ValueError, RuntimeError, OSError):
        # numpy has no HDF5 type for it (a tagged datetime, say): take the value as it is stored
        raw = fill_bytes(plist, tid, t.size) if is_exact(t) else None
        return Fill(raw, user_defined=True, time=time)
    return Fill(value.tobytes(), user_defined=True, time=time)


def _external(plist: h5p.PropDCID) -> tuple[ExternalSegment, ...]:
    entries = (plist.get_external(i) for i in range(plist.get_external_count()))
    return tuple(ExternalSegment(name, offset, None if size >= UNLIMITED else size) for name, offset, size in entries)


def _blocks(dataset: h5d.DatasetID) -> tuple[int, ...]:
    """The block shape of the first stored chunk that tells it. A dataset's chunks share it, as a rule."""
    reported: list[tuple[int, ...]] = []

    def first(info: h5d.StoreInfo) -> int | None:
        reported.append(info.chunk_offset)
        return 1 if len(reported) == BLOCK_PROBES else None  # anything but None ends the iteration

    dataset.chunk_iter(first)
    chunks = np.array(dataset.get_create_plist().get_chunk(), np.uint64)
    places = np.array(reported, np.uint64).reshape(-1, len(chunks)) // chunks
    for origin in origins_of(dataset).meant(places) * chunks:
        try:
            shapes = block_shape(memoryview(dataset.read_direct_chunk(tuple(origin.tolist()))[1]))
        except (Corrupt, struct.error, RuntimeError, OSError) as error:
            raise_storage_fault(error)
            continue
        if shapes is not None:
            return shapes[1]
    return ()


def _mappings(plist: h5p.PropDCID) -> tuple[tuple[Mapping, ...], tuple[str, ...]]:
    total = plist.get_virtual_count()
    if total > MAX_MAPPINGS:
        raise ValueError(f"virtual dataset of {total} mappings, limit {MAX_MAPPINGS}")
    return tuple(_mapping(plist, i) for i in range(total)), ()


def _mapping(plist: h5p.PropDCID, i: int) -> Mapping:
    source = plist.get_virtual_srcspace(i)
    return Mapping(
        plist.get_virtual_filename(i),
        plist.get_virtual_dsetname(i),
        _selection(plist.get_virtual_vspace(i)),
        _selection(source),
        tuple(source.get_simple_extent_dims()),
    )


def _selection(space: h5s.SpaceID) -> Selection:
    kind = space.get_select_type()
    if kind == h5s.SEL_ALL:
        return Selection()
    if kind != h5s.SEL_HYPERSLABS:
        raise ValueError("point selections in virtual datasets are not supported")
    if space.is_regular_hyperslab():
        start, stride, count, block = space.get_regular_hyperslab()
        return Selection(tuple(start), tuple(stride), _limits(count), _limits(block))
    if space.get_select_hyper_nblocks() > MAX_BOXES:
        raise ValueError(f"irregular selection of more than {MAX_BOXES} boxes")
    boxes = (
        (tuple(int(a) for a in low), tuple(int(b) + 1 for b in high))
        for low, high in space.get_select_hyper_blocklist()
    )
    return Selection(boxes=tuple(sorted(boxes)))


def _limits(values: tuple[int, ...]) -> tuple[int | None, ...]:
    return tuple(None if value >= UNLIMITED else value for value in values)


def describe_group(group: h5g.GroupID, max_attribute: int) -> Group:
    """Read a group's attributes and links. No target is opened."""
    attributes, notes = read_attributes(group, max_attribute)
    links: list[Link] = []

    def collect(name: bytes, info: h5l.LinkInfo) -> None:
        links.append(_LINK.get(info.type, _other)(group, name, info))

    tracked = group.get_create_plist().get_link_creation_order() & h5p.CRT_ORDER_TRACKED
    group.links.iterate(collect, idx_type=h5.INDEX_CRT_ORDER if tracked else h5.INDEX_NAME, info=True)
    return Group(attributes, tuple(links), notes)


def _hard(_: h5g.GroupID, name: bytes, info: h5l.LinkInfo) -> Link:
    return Link(name, "hard", target=info.u)


def _soft(group: h5g.GroupID, name: bytes, _: h5l.LinkInfo) -> Link:
    return Link(name, "soft", path=group.links.get_val(name))


def _outside(group: h5g.GroupID, name: bytes, _: h5l.LinkInfo) -> Link:
    file, path = group.links.get_val(name)
    return Link(name, "external", path=path, file=file)


def _other(_: h5g.GroupID, name: bytes, __: h5l.LinkInfo) -> Link:
    return Link(name, "other")


_LINK: dict[int, Callable[[h5g.GroupID, bytes, h5l.LinkInfo], Link]] = {
    h5l.TYPE_HARD: _hard,
    h5l.TYPE_SOFT: _soft,
    h5l.TYPE_EXTERNAL: _outside,
}
