"""Statistics of datasets: of a level, or of a sample, with word of which."""

import json
from typing import Any

from chunkserve.errors import NotFound, TooLarge
from chunkserve.grid import Shape, chunk_box, covering, whole
from chunkserve.pyramid.statistics import Kind, Statistics, StatisticsDocument, merged
from chunkserve.service.pyramid import Pyramid
from chunkserve.service.pyramids import Pyramids
from chunkserve.service.sample import picked

SAMPLE_BYTES = 64 * 2**20
"""Bytes of source that statistics of a sample are taken from, about."""


def statistics(pyramids: Pyramids, pyramid: Pyramid, level: int | None) -> dict[str, Any]:
    """Statistics of a level, or of a sample of the source if none is named. Kept, like levels.

    The document has the keys of :class:`chunkserve.pyramid.statistics.StatisticsDocument`, and ``level``, ``method``,
    ``sampled``, and ``range``: the true extremes of the source, once all of it was looked at.

    Raises:
        NotFound: There is no such level.
        TooLarge: The level is too large to be looked at for one request.
        Building: The level is being made.
    """
    if level is not None and level > pyramid.plan.count:
        raise NotFound(f"level {level}")
    tools = pyramids.context.tools
    name = f"statistics-2/{pyramid.tag}/{level}"  # the number changes with the document

    def make() -> bytes:
        found = _of_sample(pyramid) if level is None else _of_level(pyramids, pyramid, level)
        return json.dumps(_document(pyramid, level, found), allow_nan=False).encode()

    if pyramid.live:
        data = make()
    else:
        data = tools.flight.run(name, lambda: bytes(tools.disk.get_or_make("stats", name, make)))
    known = pyramid.whole_span()
    return {
        **json.loads(data),
        "level": level if level is not None else pyramid.plan.count,
        "method": pyramid.method if level else "",
        "sampled": level is None,
        "range": None if known is None else {"min": known.least, "max": known.greatest, "valid": known.valid},
    }


def _of_level(pyramids: Pyramids, pyramid: Pyramid, level: int) -> Statistics:
    box = whole(pyramid.plan.extent(level))
    limit = pyramids.settings.max_source_bytes
    if box.size * pyramid.dtype.itemsize > limit:
        raise TooLarge(f"level {level}", box.size * pyramid.dtype.itemsize, limit, "max_source_bytes")

    def block(position: Shape) -> Statistics:
        part = chunk_box(position, pyramid.plan.chunk).clip(box)
        assert part is not None
        values = pyramids.region(pyramid, level, part)
        kinds = pyramid.validity.kinds(values, part) if level == 0 else pyramid.validity.marked_kinds(values)
        return Statistics.from_block(values, kinds)

    return merged(map(block, covering(box, pyramid.plan.chunk)))


def _of_sample(pyramid: Pyramid) -> Statistics:
    level = pyramid.plan.count
    values, kinds = picked(pyramid, level, whole(pyramid.plan.extent(level)), SAMPLE_BYTES, pyramid.validity.kinds)
    return Statistics.from_block(values, kinds)


def _document(pyramid: Pyramid, level: int | None, found: Statistics) -> StatisticsDocument:
    """Voxels of coarser levels have one mark for all reasons; those of the source say why they are none."""
    if level and pyramid.validity.has_rules:
        return found.to_json({Kind.EMPTY}, nan_known=False)
    return found.to_json(pyramid.validity.known_kinds | {Kind.EMPTY})
