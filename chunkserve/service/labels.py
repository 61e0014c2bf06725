"""Along what a selection lies: names, coordinates and units of its axes, as the file has them."""

import numpy as np

from chunkserve.hdf5.export import Axis
from chunkserve.model import Dataset
from chunkserve.selection import Selection
from chunkserve.service.coordinates import axis_names, coordinates_of, texts
from chunkserve.service.nodes import Nodes
from chunkserve.service.slices import Subject
from chunkserve.service.source import DatasetSource


def axes_of(subject: Subject, nodes: Nodes, selection: Selection) -> list[Axis]:
    """What is known along each axis of the source, cut as the selection is. Of levels there are only names."""
    dataset = subject.node.object
    assert isinstance(dataset, Dataset)
    shape = subject.source.shape
    labels = tuple(label or "" for label in subject.labels)
    names = dict(reversed([(axis, name) for axis, name in axis_names(subject.node, len(shape), labels) if name]))
    if not isinstance(subject.source, DatasetSource):
        return [Axis(names.get(axis, "")) for axis in range(len(shape))]
    found = coordinates_of(subject.node, nodes, shape, labels)
    return [
        Axis(names.get(axis, ""), _cut(found.values.get(axis), picked, extent), found.units.get(axis, ""))
        for axis, (picked, extent) in enumerate(zip(selection.indices, shape, strict=True))
    ]


def unit_of(subject: Subject) -> str:
    """The unit of a dataset's elements."""
    assert isinstance(subject.node.object, Dataset)
    return next(iter(texts(subject.node.object.attributes, b"units")), "")


def _cut(values: np.ndarray | None, picked: object, extent: int) -> np.ndarray | None:
    """Coordinates of the elements that are picked; edges only of runs."""
    if values is None:
        return None
    if isinstance(picked, range) and picked.step == 1 and len(picked):
        return values[picked.start : picked.stop + len(values) - extent]
    return values[np.asarray(picked)] if len(values) == extent else None
