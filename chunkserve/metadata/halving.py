"""Which axes a pyramid halves if nobody says so: those of the image that a person would look at."""

from chunkserve.grid import Shape

TIME_NAMES = frozenset({"t", "time", "times", "timestamp", "timestamps"})
"""Dimensions that are time, whatever else is known of them. Lower case."""

CHANNEL_NAMES = frozenset({"c", "ch", "channel", "channels", "rgb", "rgba", "color", "colour", "band", "bands"})
"""Dimensions along which values are of different kinds. Lower case."""

_CUBIC = 4
"""Longest over shortest side of a chunk that serves all three directions alike."""

_ISOTROPIC = 8
"""The same of a contiguous volume."""

_COMPONENTS, _PICTURE = 4, 16
"""A last axis this short behind two at least this long holds colours or components."""

_COLOURS = frozenset({"rgb-image", "rgba-image", "hsl-image", "hsla-image", "cmyk-image"})


def halved_axes(
    shape: Shape, chunks: Shape, interpretation: str | None, group_class: str | None, names: tuple[str, ...]
) -> tuple[bool, ...]:
    """Whether each axis is halved from level to level. The dtype has no say: unsigned integers may be anything.

    What NeXus says in ``interpretation`` comes first
    (https://manual.nexusformat.org/classes/base_classes/NXdata.html): of an image the last two, of a colour image the
    two before the last, of a spectrum up to three before the last. Else: both of two axes; the last two of a stack of
    frames; three of a volume. Axes of extent 1 or 0 are not halved, nor is the only axis of a vector.

    Args:
        shape: Extents.
        chunks: Chunk shape, empty if the data is not chunked.
        interpretation: The dataset's or its group's attribute.
        group_class: ``NX_class`` of the group the dataset is in; what is in an ``NXdetector`` is frames.
        names: Names of the dimensions; time and channels are not halved where there are axes enough.
    """
    if len(shape) < 2:
        return (False,) * len(shape)
    told = _told(len(shape), (interpretation or "").strip().lower().replace("_", "-"))
    axes = told if told is not None else _guessed(shape, chunks, group_class, names)
    return tuple(i in axes and n > 1 for i, n in enumerate(shape))


def _told(rank: int, interpretation: str) -> range | None:
    if interpretation == "image":
        return range(rank - 2, rank)
    if interpretation in _COLOURS and rank > 2:
        return range(rank - 3, rank - 1)
    if interpretation == "spectrum":
        return range(max(0, rank - 4), rank - 1)
    return range(0) if interpretation == "vertex" else None


def _guessed(shape: Shape, chunks: Shape, group_class: str | None, names: tuple[str, ...]) -> list[int]:
    rank = len(shape)
    if rank == 2:
        return [0, 1]
    free = [i for i in range(rank) if names[i].lower() not in TIME_NAMES | CHANNEL_NAMES]
    if shape[-1] <= _COMPONENTS and min(shape[-3:-1]) >= _PICTURE:
        free = [i for i in free if i != rank - 1]
    if len(free) < 2:
        free = [rank - 2, rank - 1]
    volume = len(free) > 2 and group_class != "NXdetector" and _is_volume(shape, chunks, free[-3:])
    return free[-3:] if volume else free[-2:]


def _is_volume(shape: Shape, chunks: Shape, axes: list[int]) -> bool:
    """Whether three axes are alike, as far as the layout tells."""
    if not chunks:
        return len(shape) == 3 and _ratio([shape[i] for i in axes]) <= _ISOTROPIC
    sides = [min(chunks[i], shape[i]) for i in axes]
    if len(shape) > 3:
        return min(sides) > 1
    return min(sides) > 1 and _ratio(sides) <= _CUBIC


def _ratio(sides: list[int]) -> float:
    return max(sides) / max(1, min(sides))
