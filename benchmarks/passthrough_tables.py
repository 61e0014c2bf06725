"""The tables of the passthrough benchmark: a row per series, a column per server."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.common import ours
from benchmarks.common.nginx import NAME as NGINX
from benchmarks.common.report import NOTHING, Table, number
from benchmarks.common.rounds import Measured
from benchmarks.common.series import KIB

FIRST_PASS = "first pass"


@dataclass(frozen=True)
class Goal:
    """What the project aims at with one worker: at least ``factor`` times another server's rate on these series."""

    server: str
    factor: float
    least: int = 0
    most: int = 2**62
    gzip: bool = False

    def covers(self, m: Measured) -> bool:
        """Whether it is about this series."""
        s = m.series
        return self.least <= s.stored < self.most and not (self.gzip and s.kind != "gzip") and not s.sharded


GOALS = (
    Goal(NGINX, 0.9, least=512 * KIB),
    Goal(NGINX, 0.45, least=64 * KIB, most=512 * KIB),
    Goal(NGINX, 0.35, most=64 * KIB),
    Goal("zarr-http-server", 1.5),
    Goal("h5grove", 15, gzip=True),
    Goal("tiled", 50, gzip=True),
    Goal("xpublish", 50, gzip=True),
)


def tables(found: list[Measured]) -> list[Table]:
    """All tables."""
    made: list[Table] = []
    for workers in sorted({m.workers for m in found}):
        these = [m for m in found if m.workers == workers]
        own = {m.series.label: m for m in these if m.server == ours.NAME}
        suffix = f"{workers} worker{'s' if workers > 1 else ''}"

        def ratio(m: Measured, own: dict[str, Measured] = own) -> float | None:
            return own[m.series.label].over(m) if m.series.label in own and m.server != ours.NAME else None

        made += [
            _pivot(f"Requests per second, {suffix}", these, lambda m: m.rate),
            _pivot(f"MB per second received, {suffix}", these, lambda m: m.bandwidth and m.bandwidth / 1e6),
            _pivot(f"CPU milliseconds of the server per request, {suffix}", these, lambda m: m.cpu and m.cpu * 1e3),
        ]
        if len({m.server for m in these}) > 1:
            made.append(
                _pivot(f"chunkserve's requests per second as a multiple of the others', {suffix}", these, ratio)
            )
    goals = target_rows(found)
    if goals:
        rows = [[g["series"], g["server"], number(g["goal"]), number(g["ratio"]), g["met"]] for g in goals]
        made.append(Table("Goals, 1 worker", ["series", "against", "at least", "measured", "met"], rows))
    return made


def target_rows(found: list[Measured]) -> list[dict[str, Any]]:
    """Each goal, series by series."""
    single = [m for m in found if m.workers == 1]
    own = {m.series.label: m for m in single if m.server == ours.NAME}
    rows: list[dict[str, Any]] = []
    for goal in GOALS:
        for m in single:
            mine = own.get(m.series.label)
            ratio = mine.over(m) if mine is not None and m.server == goal.server and goal.covers(m) else None
            if ratio is not None:
                met = "yes" if ratio >= goal.factor else "no"
                rows.append(
                    {"series": m.series.label, "server": m.server, "goal": goal.factor, "ratio": ratio, "met": met}
                )
    return rows


def _pivot(title: str, found: list[Measured], value: Callable[[Measured], float | None]) -> Table:
    cells = {(m.series.label, m.server): value(m) for m in found}
    servers = [s for s in dict.fromkeys(m.server for m in found) if any(cells.get((m.series.label, s)) for m in found)]
    once = {m.server for m in found if m.once}
    names = [f"{s} ({FIRST_PASS})" if s in once else s for s in servers]
    rows = [
        [label, *(number(cells[label, s]) if (label, s) in cells else NOTHING for s in servers)]
        for label in dict.fromkeys(m.series.label for m in found)
    ]
    return Table(title, ["chunks", *names], rows)
