"""Slices as messages: a header, and blocks of elements (docs/slices.md)."""

import numpy as np

from chunkserve.codecs.encode import blosc_lz4
from chunkserve.metadata.messages import Message, type_message
from chunkserve.selection import Part
from chunkserve.service.selected import Selected
from chunkserve.service.slices import Subject
from chunkserve.service.source import is_objects

WORTH_CODING = 16 * 2**10
"""Smaller blocks are sent as they are."""

CODED = (1, 2, 4, 8, 16)
"""Sizes of elements that are worth compressing by bits."""


def header(subject: Subject, selected: Selected, version: str) -> Message:
    """The first message of a slice."""
    found: Message = {"version": version, "type": type_message(subject.source.type)}
    if subject.null:
        return found | {"shape": None, "axes": [], "dims": [], "selection": [], "blocks": 0}
    selection = selected.selection
    return found | {
        "shape": list(selection.shape),
        "axes": list(selection.axes),
        "dims": [subject.labels[axis] for axis in selection.axes],
        "selection": selection.document(),
        "blocks": len(selected.parts),
    }


def block(selected: Selected, part: Part, *, wait: bool = True) -> Message:
    """The message of a part; reads it.

    Raises:
        WouldBlock: Not ``wait``, and it is not at hand.
    """
    values = selected.values(part, wait=wait)
    found: Message = {"start": list(selected.kept(part.at)), "shape": list(selected.kept(part.shape))}
    if is_objects(selected.source):
        return found | {"items": values.reshape(-1).tolist()}
    return found | dict(zip(("codec", "data"), _coded(values), strict=True))


def _coded(values: np.ndarray) -> tuple[str, bytes]:
    """An array as bytes in C order, compressed where that is worth it."""
    if values.nbytes >= WORTH_CODING and values.dtype.itemsize in CODED:
        coded = blosc_lz4(values)
        if len(coded) < values.nbytes:
            return "blosc", coded
    return "raw", values.tobytes()
