"""Selections of a dataset's elements, as they stand in a URL: ``0:10,:,::4``. Integers in, integers out.

A selection gives for every axis the indices that are picked, in rising order: a ``range``, or a tuple where they were
listed. It is cut into *parts*, each picked from few stored chunks, so that it can be answered in bounded memory.
"""

import itertools
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from chunkserve.errors import BadRequest
from chunkserve.grid import Box, Shape

Indices = range | tuple[int, ...]
"""Which elements of an axis are picked, in rising order."""

Document = int | list[int] | list[list[int]]

MOST_WORDS = 32
"""Axes that HDF5 has at most."""

_NUMBER = re.compile(r"[+-]?[0-9]{1,18}\Z")
_WORDS = re.compile(r"(\[[^\[\]]*\]|[^,\[\]]*)(,|\Z)")


@dataclass(frozen=True)
class Selection:
    """What is picked of an array.

    Attributes:
        indices: Per axis of the array.
        dropped: Axes that were given by a single number, and that the answer does not have.
    """

    indices: tuple[Indices, ...]
    dropped: frozenset[int] = frozenset()

    @cached_property
    def shape(self) -> Shape:
        """The shape of the answer."""
        return tuple(len(self.indices[axis]) for axis in self.axes)

    @cached_property
    def axes(self) -> tuple[int, ...]:
        """Axes of the array that the answer has, in order."""
        return tuple(axis for axis in range(len(self.indices)) if axis not in self.dropped)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(map(len, self.indices))

    def document(self) -> list[object]:
        """Per axis of the array: a number, ``[start, stop, step]``, or ``[[...]]`` with the indices of a list."""
        return [_spell(picked, dropped=axis in self.dropped) for axis, picked in enumerate(self.indices)]


def _spell(picked: Indices, *, dropped: bool) -> Document:
    if dropped:
        return picked[0]
    return [picked.start, picked.stop, picked.step] if isinstance(picked, range) else [list(picked)]


@dataclass(frozen=True)
class Part:
    """A block of a selection.

    Attributes:
        at: Where it begins in the selection, per axis of the array.
        indices: What is picked for it, per axis of the array.
    """

    at: Shape
    indices: tuple[Indices, ...]

    @property
    def shape(self) -> Shape:
        """Elements along every axis of the array."""
        return tuple(map(len, self.indices))


# ------------------------------------------------------------------- in words


def parse(text: str, shape: Shape) -> Selection:
    """Read a selection of an array of ``shape``.

    Per axis, first axis first and separated by commas: a number (negative ones count from the end) drops the axis;
    ``start:stop:step`` is cut at the ends as Python does, with a step of 1 or more; ``[1,5,9]`` lists indices in rising
    order, for one axis at most. ``...`` stands for all axes not mentioned, as do missing words at the end.

    Raises:
        BadRequest: It cannot be read, or picks what is not there; the message says which word is to blame.
    """
    words = _expanded(_words(text), len(shape), text)
    found: list[Indices] = []
    dropped = set()
    for axis, (word, extent) in enumerate(zip(words, shape, strict=True)):
        if ":" in word:
            found.append(_slice(word, extent))
        elif word.startswith("["):
            found.append(_list(word, axis, extent))
        else:
            at = _index(word, axis, extent)
            found.append(range(at, at + 1))
            dropped.add(axis)
    if sum(isinstance(picked, tuple) for picked in found) > 1:
        raise BadRequest(f"sel={text}: only one axis may have a list; ask once for each combination")
    return Selection(tuple(found), frozenset(dropped))


def _words(text: str) -> list[str]:
    text = text.replace(" ", "")
    if not text:
        return []
    words: list[str] = []
    at = 0
    while True:
        match = _WORDS.match(text, at)
        if match is None or len(words) > MOST_WORDS:
            raise BadRequest(f"sel={text[:200]} is not a selection such as 0:10,:,[1,5,9],-1")
        words.append(match[1])
        at = match.end()
        if not match[2]:
            return words


def _expanded(words: list[str], rank: int, text: str) -> list[str]:
    """One word for every axis."""
    if words.count("...") > 1:
        raise BadRequest(f"sel={text}: only one '...' may be given")
    given = len(words) - words.count("...")
    if given > rank:
        raise BadRequest(f"sel={text} has {given} axes, the dataset has {rank}")
    at = words.index("...") if "..." in words else len(words)
    return [*words[:at], *[":"] * (rank - given), *words[at + 1 :]]


def _int(word: str, whole: str) -> int:
    if not _NUMBER.match(word):
        raise BadRequest(f"{whole!r} in a selection is neither a number, nor start:stop:step, nor a list [1,5,9]")
    return int(word)


def _index(word: str, axis: int, extent: int) -> int:
    at = _int(word, word)
    if not -extent <= at < extent:
        raise BadRequest(f"index {at} is beyond axis {axis}, which has {extent} elements")
    return at % extent


def _slice(word: str, extent: int) -> range:
    parts = word.split(":")
    if len(parts) > 3:
        raise BadRequest(f"{word!r} in a selection has more than start:stop:step")
    start, stop, step = (_int(part, word) if part else None for part in (*parts, "")[:3])
    if step is not None and step < 1:
        raise BadRequest(f"{word!r} in a selection: a step is 1 or more; turn the answer round instead")
    return range(*slice(start, stop, step).indices(extent))


def _list(word: str, axis: int, extent: int) -> tuple[int, ...]:
    inner = word[1:-1]
    found = tuple(_index(item, axis, extent) for item in inner.split(",")) if inner else ()
    if any(a >= b for a, b in itertools.pairwise(found)):
        raise BadRequest(f"{word[:200]}: indices in a list must rise; sort them, and put the answer in order")
    return found


# -------------------------------------------------------------------- in parts


def bounding(indices: tuple[Indices, ...]) -> Box:
    """The smallest box around all that is picked; nothing may be empty."""
    return Box(tuple(picked[0] for picked in indices), tuple(picked[-1] + 1 for picked in indices))


def touched(picked: Indices, chunk: int) -> int:
    """How many chunks along an axis hold something that is picked."""
    if not picked:
        return 0
    if isinstance(picked, range) and picked.step <= chunk:
        return picked[-1] // chunk - picked[0] // chunk + 1
    return len(picked) if isinstance(picked, range) else len({index // chunk for index in picked})


def split(selection: Selection, chunk: Shape, weights: tuple[int, int], limits: tuple[int, int]) -> "Parts":
    """Cut a selection along borders of chunks, trailing axes kept whole as long as possible.

    Args:
        selection: What is picked.
        chunk: The shape in which the array is stored.
        weights: Bytes of an element of the answer, and of one in the source.
        limits: Bytes of a part, and of all chunks it is picked from; one chunk there is always.
    """
    counts = [touched(picked, c) for picked, c in zip(selection.indices, chunk, strict=True)]
    each = [-(-len(picked) // max(1, t)) for picked, t in zip(selection.indices, counts, strict=True)]
    rooms = [
        limits[0] // max(1, math.prod(each) * weights[0]),
        limits[1] // max(1, math.prod(chunk) * weights[1]),
    ]
    room = max(1, min(rooms))
    taken = [1] * len(chunk)
    for axis in reversed(range(len(chunk))):
        taken[axis] = max(1, min(counts[axis], room))
        room //= taken[axis]
        if taken[axis] < counts[axis]:
            break
    cut = tuple(tuple(_cut(picked, c, n)) for picked, c, n in zip(selection.indices, chunk, taken, strict=True))
    return Parts(selection, cut)


def rows(selection: Selection, chunk: Shape, weight: int, limits: tuple[int, int]) -> "Parts":
    """Cut a selection into parts that, one after the other, have its elements in C order.

    Args:
        selection: What is picked.
        chunk: The shape in which the array is stored.
        weight: Bytes of an element.
        limits: Bytes of a part: usually, and at most where a part of whole chunks has more, so that none is read for
            two parts. A part may always be as large as a chunk, and has one element at least.
    """
    usual, most = limits[0], max(limits[1], math.prod(chunk) * weight)
    inner = selection.size * weight
    fits = inner <= usual
    cut: list[tuple[tuple[int, Indices], ...]] = []
    for picked, c in zip(selection.indices, chunk, strict=True):
        if fits:
            cut.append(((0, picked),) if picked else ())
            continue
        inner //= len(picked)
        slab = _thickness(picked, c) * inner
        if slab <= most:
            cut.append(tuple(_cut(picked, c, max(1, usual // slab))))
            fits = True
        else:
            several = most // inner if 2 * inner <= most else 1
            cut.append(tuple(_cut(picked, 1, several)))
            fits = several > 1
    return Parts(selection, tuple(cut))


def _thickness(picked: Indices, chunk: int) -> int:
    """How many picked indices a chunk holds at most."""
    return min(len(picked), -(-chunk // picked.step) if isinstance(picked, range) else chunk)


@dataclass(frozen=True)
class Parts:
    """A selection in parts.

    Attributes:
        selection: All of it.
        cuts: Per axis of the array, the runs of its picked indices: where each begins, and what is picked.
    """

    selection: Selection
    cuts: tuple[tuple[tuple[int, Indices], ...], ...]

    def __len__(self) -> int:
        return math.prod(map(len, self.cuts))

    def __iter__(self) -> Iterator[Part]:
        for runs in itertools.product(*self.cuts):
            yield Part(tuple(at for at, _ in runs), tuple(picked for _, picked in runs))


def _cut(picked: Indices, chunk: int, most: int) -> Iterator[tuple[int, Indices]]:
    """Picked indices in runs that touch at most so many chunks, with where they begin."""
    if isinstance(picked, range) and picked.step > chunk:
        yield from ((at, picked[at : at + most]) for at in range(0, len(picked), most))
        return
    at = 0
    while at < len(picked):
        border = (picked[at] // (chunk * most) + 1) * chunk * most
        stop = _first_from(picked, border)
        yield at, picked[at:stop]
        at = stop


def _first_from(picked: Indices, border: int) -> int:
    """How many of the picked indices are below a border."""
    if isinstance(picked, range):
        return min(len(picked), max(0, -(-(border - picked.start) // picked.step)))
    low, high = 0, len(picked)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if picked[middle] < border else (low, middle)
    return low


def runs(picked: Indices, chunk: int) -> list[tuple[int, Indices]]:
    """Picked indices in runs that leave out no chunk between them, with where each begins."""
    if isinstance(picked, range) and picked.step <= chunk:
        return [(0, picked)] if picked else []
    found, begin = [], 0
    for at in range(1, len(picked) + 1):
        if at == len(picked) or picked[at] // chunk > picked[at - 1] // chunk + 1:
            found.append((begin, picked[begin:at]))
            begin = at
    return found


def relative(picked: Indices, origin: int) -> slice | Sequence[int]:
    """Picked indices as a numpy index into an axis that begins at ``origin``."""
    if isinstance(picked, range):
        return slice(picked[0] - origin, picked[-1] + 1 - origin, picked.step)
    return [index - origin for index in picked]
