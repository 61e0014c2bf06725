"""Approximate levels from a bounded number of source chunks: something to look at until the exact ones are there."""

import itertools
import math
from collections.abc import Callable

import numpy as np

from chunkserve.grid import Box, chunk_box, whole
from chunkserve.service.pyramid import Pyramid

MOST_BYTES = 48 * 2**20
"""Bytes of source that one sample reads, about."""


MOST_CHUNKS = 256
"""Chunks of source that one sample looks at: each may cost a call of a reader process."""


def sample(pyramid: Pyramid, level: int, box: Box, most: int = MOST_BYTES) -> tuple[np.ndarray, np.ndarray | None]:
    """Voxels of a box of a level, marked where there is none.

    Returns:
        Values as :func:`picked`; and which of them are valid, ``None`` if all are.
    """
    values, invalid = picked(pyramid, level, box, most, pyramid.validity.invalid)
    if invalid is None:
        return values, None
    values[invalid] = pyramid.validity.mark
    return values, ~invalid


def picked(
    pyramid: Pyramid, level: int, box: Box, most: int, judge: Callable[[np.ndarray, Box], np.ndarray | None]
) -> tuple[np.ndarray, np.ndarray | None]:
    """Of each voxel of a box of a level the source voxel nearest to its centre in the chunks that are looked at.

    Args:
        pyramid: Of the level.
        level: From 0.
        box: In voxels of the level.
        most: Bytes of source to read, about; at least one chunk is.
        judge: Says something of all voxels of a box of the source; ``None`` if that is 0 for all.

    Returns:
        Values, shape of the box, the pyramid's dtype; and what was said of them, ``None`` if that is 0 for all.
    """
    plan = pyramid.plan
    stored = pyramid.array.elements.dataset.chunks or pyramid.array.presentation.chunk[: len(plan.shape)]
    centres = [
        np.minimum(np.arange(a, b) * f + f // 2, n - 1)
        for a, b, f, n in zip(box.start, box.stop, plan.factors(level), plan.shape, strict=True)
    ]
    wanted = [np.unique(c // s) for c, s in zip(centres, stored, strict=True)]
    budget = max(1, min(MOST_CHUNKS, most // (math.prod(stored) * pyramid.source_dtype.itemsize)))
    chosen = [_spread(w, n) for w, n in zip(wanted, _shares([len(w) for w in wanted], budget), strict=True)]
    out = np.empty(box.shape, pyramid.dtype)
    said: np.ndarray | None = None
    near = [_nearest(c, s, pick, n) for c, s, pick, n in zip(centres, stored, chosen, plan.shape, strict=True)]
    for combination in itertools.product(*(range(len(pick)) for pick in chosen)):
        position = tuple(int(pick[i]) for pick, i in zip(chosen, combination, strict=True))
        here = chunk_box(position, stored).clip(whole(plan.shape))
        assert here is not None
        values = pyramid.source(here)
        targets = [np.flatnonzero(which == i) for (which, _), i in zip(near, combination, strict=True)]
        sources = [at[t] - a for (_, at), t, a in zip(near, targets, here.start, strict=True)]
        out[np.ix_(*targets)] = values[np.ix_(*sources)]
        judged = judge(values, here)
        if judged is not None:
            said = np.zeros(box.shape, judged.dtype) if said is None else said
            said[np.ix_(*targets)] = judged[np.ix_(*sources)]
    return out, said if said is not None and said.any() else None


def _shares(lengths: list[int], budget: int) -> list[int]:
    """How many chunks to look at along each axis: as evenly as the budget and the lengths allow."""
    shares = [1] * len(lengths)
    while True:
        free = [i for i, n in enumerate(lengths) if shares[i] < n]
        if not free:
            return shares
        axis = min(free, key=lambda i: shares[i] / lengths[i])
        if math.prod(shares) // shares[axis] * (shares[axis] + 1) > budget:
            return shares
        shares[axis] += 1


def _spread(chunks: np.ndarray, count: int) -> np.ndarray:
    """``count`` of them, evenly spaced."""
    return (
        chunks[np.linspace(0, len(chunks) - 1, count + 2)[1:-1].round().astype(int)] if count < len(chunks) else chunks
    )


def _nearest(centres: np.ndarray, size: int, chosen: np.ndarray, extent: int) -> tuple[np.ndarray, np.ndarray]:
    """For every voxel along an axis, which chosen chunk is nearest, and the source index in it."""
    middles = chosen * size + size / 2
    which = np.abs(centres[:, None] + 0.5 - middles[None, :]).argmin(axis=1)
    low = chosen[which] * size
    return which, np.clip(centres, low, np.minimum(low + size, extent) - 1)
