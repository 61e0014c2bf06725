"""Apps of the viewer: pages for data of a kind, chosen by what a file says of them. Packages may bring more.

An entry point of the group ``chunkserve.apps`` names an :class:`App`; ours are declared the same way (docs/viewer.md).
"""

import functools
import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Literal, get_args

GROUP = "chunkserve.apps"

Kind = Literal["integer", "float", "complex", "bool", "enum", "string", "compound", "array", "vlen", "opaque"]
"""Classes of datatypes, as ``/meta`` has them."""

REAL: tuple[Kind, ...] = ("integer", "float", "bool", "enum")
"""Kinds of plain numbers."""

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}\Z")

log = logging.getLogger("chunkserve.apps")


@dataclass(frozen=True)
class Selector:
    """What an app is for: data of which all of this is true. What is left empty does not matter.

    Attributes:
        kinds: Of the elements.
        rank: Axes, at least and at most.
        sides: Least extents of the last axes.
        longest: Least extent of the longest axis.
        nx_class: NeXus classes, of which the group that is looked at is one, or the one that the dataset is in.
        attributes: Of the dataset, by name: a text, or empty for any value.
        score: Apps with higher ones come first, the highest opens. Ours: map 40, image 30, line 20, table 0.
    """

    kinds: tuple[Kind, ...] = ()
    rank: tuple[int, int] | None = None
    sides: tuple[int, ...] = ()
    longest: int = 0
    nx_class: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    score: int = 10

    def __post_init__(self) -> None:
        unknown = set(self.kinds) - set(get_args(Kind))
        if unknown:
            raise ValueError(f"no datatype is of kind {min(unknown)}; there are {', '.join(get_args(Kind))}")
        if self.rank is not None and not 0 <= self.rank[0] <= self.rank[1]:
            raise ValueError(f"rank {self.rank} does not go from a number up to another")


@dataclass(frozen=True)
class App:
    """A page for some data.

    Attributes:
        title: On its tab.
        selects: When it is offered: if one of these applies. The first that does gives the score.
        page: Folder with its ``index.html``; ``None`` for those that are part of the viewer.
    """

    title: str
    selects: tuple[Selector, ...]
    page: Path | None = None

    def __post_init__(self) -> None:
        if not self.title or not self.selects:
            raise ValueError("an app has a title and a selector")
        if self.page is not None and not (self.page / "index.html").is_file():
            raise ValueError(f"there is no index.html in {self.page}")


MAP = App("Map", (Selector(REAL, rank=(3, 3), attributes={"interpretation": "spectrum"}, score=40),))
IMAGE = App("Image", (Selector(REAL, rank=(2, 32), sides=(3, 3), score=30), Selector(REAL, rank=(2, 32))))
LINE = App("Line", (Selector(REAL, rank=(1, 32), longest=2, score=20),))
TABLE = App("Table", (Selector(rank=(1, 32), score=0),))


@functools.cache
def installed() -> dict[str, App]:
    """All apps by name, looked up once. One that cannot be used is left out, and the log says why."""
    return loaded(entry_points(group=GROUP))


def loaded(points: Iterable[EntryPoint]) -> dict[str, App]:
    """The apps that entry points name, by the names of these."""
    found: dict[str, App] = {}
    for point in points:
        try:
            app = point.load()
        except Exception:
            log.exception("the app %s is left out", point.name)
            continue
        if not isinstance(app, App):
            log.error("the app %s is left out: %s is no chunkserve.apps.App", point.name, point.value)
        elif point.name in found or not _NAME.match(point.name):
            log.error("the app %s is left out: the name is taken, or has more than a-z, 0-9, - and _", point.name)
        else:
            found[point.name] = app
    return found


def described(apps: Mapping[str, App]) -> list[dict[str, Any]]:
    """Apps as JSON has them."""
    return [
        {"name": name, "title": app.title, "page": app.page is not None, "selects": [asdict(s) for s in app.selects]}
        for name, app in apps.items()
    ]
