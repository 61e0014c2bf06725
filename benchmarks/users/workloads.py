"""The workloads of ``python -m benchmarks run``, a table."""

from dataclasses import dataclass
from typing import Literal

from benchmarks.common.series import KIB, Series
from benchmarks.users.data import SIZES
from benchmarks.users.trace import (
    Person,
    analyst,
    first_sight,
    h5web,
    mixed,
    new_volume,
    scanner,
    time_series,
    viewer,
)

Way = Literal["limit", "closed", "open", "once"]
LOAD = 0.6
"""Operations that begin in an open loop, as a share of what the same server completed in a closed one."""


@dataclass(frozen=True)
class Workload:
    """One of them.

    Attributes:
        name: On the command line and in results.
        about: For readers.
        way: ``limit``: one series of chunks, by wrk; ``closed`` and ``open``: loops, caches warm; ``once``: every user
            does the same once, on a server that was just started with empty caches.
        person: Who does it; nobody for limits.
        stored: Bytes of a chunk, for limits.
        users: The only number of users it is for; 0 for all.
        cold: The file is not in the page cache, and the server's start counts.
        slow: Milliseconds that every read of the file takes.
    """

    name: str
    about: str
    way: Way
    person: Person | None = None
    stored: int = 0
    users: int = 0
    cold: bool = False
    slow: int = 0

    def concerns(self, series: Series) -> bool:
        """Whether it is about these chunks."""
        return self.way == "limit" and series.stored == self.stored


WORKLOADS = (
    *(
        Workload(f"chunks-{size // KIB}k", f"chunks of {size // KIB} KiB, one after the other", "limit", stored=size)
        for size in SIZES
    ),
    Workload("viewers", "pan, zoom, play through a tomography stack: tiles", "closed", viewer),
    Workload("viewers-open", "the same, beginning at random times", "open", viewer),
    Workload("zarr-scan", "workers of dask read every n-th chunk of a volume", "closed", scanner),
    Workload("zarr-series", "all times at a place: columns of chunks", "closed", time_series),
    Workload("analysts", "windows, strided overviews, courses in time, means over planes", "closed", analyst),
    Workload("h5web", "trees are walked, metadata of many groups, planes", "closed", h5web),
    Workload("mixed", "60 % viewers, 15 % H5Web, 10 % analysts, 10 % scans, 5 % series", "closed", mixed),
    Workload("mixed-open", "the same, beginning at random times", "open", mixed),
    Workload("herd", "everybody opens the same new file at once", "once", first_sight),
    Workload("new-volume", "everybody pans a volume that nobody has seen", "once", new_volume),
    Workload("cold-start", "from the start of the server, nothing in the page cache", "once", first_sight, 0, 1, True),
    Workload(
        "cold-storage", "every read of the file takes 10 ms", "once", first_sight, users=1, cold=True, slow=10
    ),
)  # fmt: skip
NAMES = tuple(w.name for w in WORKLOADS)


def closed_of(workload: Workload) -> Workload | None:
    """The closed loop that an open one takes its rate from."""
    name = workload.name.removesuffix("-open")
    return next(w for w in WORKLOADS if w.name == name) if workload.way == "open" else None
