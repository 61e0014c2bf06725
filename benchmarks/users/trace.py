"""What people do, as operations that any server may be asked for: seeded, shared hot spots, no loop.

Popularity follows Zipf's law: the k-th most popular plane, place, group or window is asked for as often as 1/k.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from benchmarks.users.data import GROUPS_PATH, SERIES, STACK, Facts

Item = TypeVar("Item")
Words = tuple[tuple[int, int, int], ...]
"""A selection: start, stop, step for each axis."""

SESSIONS = 32
"""Different sessions of a workload; users go through them in orders of their own."""

VIEWPORT = (768, 1024)
"""Rows and columns of a viewer's window."""

TILE = 256
SPOTS = 40
"""Places, planes or windows that people look at."""


@dataclass(frozen=True)
class Open:
    """A Zarr reader opens an array."""

    dataset: str


@dataclass(frozen=True)
class Chunks:
    """Chunks of a dataset that a reader needs together."""

    dataset: str
    positions: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Picture:
    """What a viewer's window lacks: tiles (row, column) of a plane of the stack, at a level (0 is the finest)."""

    index: int
    level: int
    tiles: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Slice:
    """Numbers of a selection."""

    dataset: str
    words: Words


@dataclass(frozen=True)
class Reduction:
    """The mean of a selection over its first axis."""

    dataset: str
    words: Words


@dataclass(frozen=True)
class Entity:
    """H5Web asks for ``meta`` or ``attr`` of an object."""

    endpoint: str
    path: str


@dataclass(frozen=True)
class Image:
    """H5Web asks for a plane of a dataset."""

    dataset: str
    words: Words


Operation = Open | Chunks | Picture | Slice | Reduction | Entity | Image
KINDS: tuple[type, ...] = (Open, Chunks, Picture, Slice, Reduction, Entity, Image)
Session = list[Operation]


class Popular:
    """Draws from items by Zipf's law, in an order of popularity that all users share."""

    def __init__(self, items: Sequence[Item], seed: int) -> None:
        """Popularity is shuffled by ``seed``."""
        self._items = random.Random(seed).sample(list(items), len(items))
        self._weights = [1 / rank for rank in range(1, len(items) + 1)]

    def draw(self, dice: random.Random) -> Item:  # type: ignore[type-var]
        """One of them."""
        return dice.choices(self._items, self._weights)[0]  # type: ignore[return-value]


def viewer(facts: Facts, dice: random.Random) -> Session:
    """Overview, zoom to a place, pan, play through planes, zoom out; tiles a browser has are not asked for again."""
    planes = Popular(range(facts.planes), 1)
    places = Popular([divmod(k * 29 % 64, 8) for k in range(SPOTS)], 2)  # on a grid of 8 x 8
    found: Session = []
    seen: set[tuple[int, int, int, int]] = set()

    def look(index: int, level: int, y: float, x: float) -> None:
        """The window around a place, given as shares of the plane."""
        tiles = [t for t in _window(facts, level, y, x) if (index, level, *t) not in seen]
        seen.update((index, level, *t) for t in tiles)
        if tiles:
            found.append(Picture(index, level, tuple(tiles)))

    for _ in range(dice.randint(1, 3)):
        index: int = planes.draw(dice)
        row, column = places.draw(dice)
        y, x = (row + dice.random()) / 8, (column + dice.random()) / 8
        for level in range(facts.top, -1, -1):
            look(index, level, y, x)
        level = dice.choice([0, 0, 1])
        for _ in range(dice.randint(4, 12)):
            y, x = y + dice.gauss(0, 0.1), x + dice.gauss(0, 0.1)
            look(index, level, min(max(y, 0.0), 1.0), min(max(x, 0.0), 1.0))
        level = min(facts.top, dice.choice([1, 2]))
        for step in range(dice.randint(8, 20)):
            look((index + step) % facts.planes, level, y, x)
        look(index, facts.top, 0.5, 0.5)
    return found


def _window(facts: Facts, level: int, y: float, x: float) -> Iterator[tuple[int, int]]:
    """Tiles of a level under a window whose middle is at ``y``, ``x``."""
    edge = -(-facts.edge >> level)
    last = (edge - 1) // TILE
    spans = []
    for middle, size in zip((y * edge, x * edge), VIEWPORT, strict=True):
        first = min(max(0, int(middle - size / 2)), max(0, edge - size))
        spans.append(range(first // TILE, min(last, (first + size - 1) // TILE) + 1))
    return ((row, column) for row in spans[0] for column in spans[1])


def scanner(facts: Facts, dice: random.Random) -> Session:
    """A worker of dask: opens the array, then every n-th chunk of it."""
    grid = facts.grid(STACK)
    every = [(z, y, x) for z in range(grid[0]) for y in range(grid[1]) for x in range(grid[2])]
    first = dice.randrange(SESSIONS)
    share = every[first % len(every) :: min(SESSIONS, len(every))] + every[first % 7 :: 11]
    return [Open(STACK), *(Chunks(STACK, (position,)) for position in share)]


def time_series(facts: Facts, dice: random.Random) -> Session:
    """All times at a place, again and again: a column of chunks each."""
    grid = facts.grid(SERIES)
    places = Popular([(y, x) for y in range(grid[1]) for x in range(grid[2])], 3)
    columns = [places.draw(dice) for _ in range(24)]
    return [Open(SERIES), *(Chunks(SERIES, tuple((t, y, x) for t in range(grid[0]))) for y, x in columns)]


def analyst(facts: Facts, dice: random.Random) -> Session:
    """Windows of planes, overviews, courses in time, means over planes."""
    planes, windows = Popular(range(facts.planes), 1), Popular(range(SPOTS), 4)
    times, rows, columns = facts.shape(SERIES)
    found: Session = []
    for _ in range(30):
        index, spot = planes.draw(dice), windows.draw(dice)
        side = facts.edge // 4
        y, x = (spot * 37 % 13) * (facts.edge - side) // 13, (spot * 53 % 11) * (facts.edge - side) // 11
        window = ((y, y + side, 1), (x, x + side, 1))
        what = dice.random()
        if what < 0.45:
            found.append(Slice(STACK, ((index, index + 1, 1), *window)))
        elif what < 0.6:
            found.append(Slice(STACK, ((index, index + 1, 1), (0, facts.edge, 8), (0, facts.edge, 8))))
        elif what < 0.8:
            row, column = spot * 17 % rows, spot * 31 % columns
            found.append(Slice(SERIES, ((0, times, 1), (row, row + 1, 1), (column, column + 1, 1))))
        else:
            first = index // 16 * 16
            found.append(Reduction(STACK, ((first, min(first + 8, facts.planes), 1), *window)))
    return found


def h5web(facts: Facts, dice: random.Random) -> Session:
    """Opens a file, walks its tree, looks at planes; a group with all its members is a storm of metadata."""
    groups = Popular(range(facts.groups), 5)
    times, rows, columns = facts.shape(SERIES)
    found: Session = [
        Entity("meta", "/"),
        Entity("attr", "/"),
        Entity("meta", GROUPS_PATH),
        Entity("attr", GROUPS_PATH),
    ]
    for _ in range(3):
        first = groups.draw(dice)
        for k in range(first, min(first + 20, facts.groups)):  # those that scroll into sight
            found.append(Entity("attr", f"{GROUPS_PATH}/g{k:04d}"))
        for _ in range(5):
            name = f"{GROUPS_PATH}/g{groups.draw(dice):04d}"
            found += [Entity("meta", name), Entity("meta", f"{name}/value"), Entity("attr", f"{name}/value")]
        found += [Entity("meta", f"/{SERIES}"), Entity("attr", f"/{SERIES}")]
        at = dice.randrange(times)
        for t in range(at, min(at + 4, times)):
            found.append(Image(SERIES, ((t, t + 1, 1), (0, rows, 1), (0, columns, 1))))
    return found


def mixed(facts: Facts, dice: random.Random) -> Session:
    """A facility at noon: mostly viewers."""
    kinds = (viewer, h5web, analyst, scanner, time_series)
    return dice.choices(kinds, (60, 15, 10, 10, 5))[0](facts, dice)


def first_sight(facts: Facts, dice: random.Random) -> Session:
    """Opens the file: its tree, an array, a chunk, an overview, a plane."""
    del dice
    overview = tuple(_window(facts, facts.top, 0.5, 0.5))
    times, rows, columns = facts.shape(SERIES)
    return [
        Entity("meta", "/"), Open(STACK), Chunks(STACK, ((0, 0, 0),)), Picture(0, facts.top, overview),
        Image(SERIES, ((times // 2, times // 2 + 1, 1), (0, rows, 1), (0, columns, 1))),
    ]  # fmt: skip


def new_volume(facts: Facts, dice: random.Random) -> Session:
    """A viewer of a volume that nobody has seen: the overview of its middle, then to and fro."""
    middle = facts.planes // 2
    steps = [middle + dice.randint(-4, 4) for _ in range(4)]
    found: Session = [Picture(middle, facts.top, tuple(_window(facts, facts.top, 0.5, 0.5)))]
    for index in steps:
        y, x = dice.random(), dice.random()
        found += [
            Picture(index, level, tuple(_window(facts, level, y, x))) for level in range(min(1, facts.top), 0, -1)
        ]
    return found


Person = Callable[[Facts, random.Random], Session]


def sessions(person: Person, facts: Facts, seed: int) -> list[Session]:
    """Those of a workload."""
    return [person(facts, random.Random(f"{seed}/{person.__name__}/{k}")) for k in range(SESSIONS)]
