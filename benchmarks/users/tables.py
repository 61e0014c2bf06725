"""The tables of ``python -m benchmarks run``, and how it stands with what the project aims at."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.common import ours
from benchmarks.common.nginx import NAME as NGINX
from benchmarks.common.report import NOTHING, Table, number
from benchmarks.users.crowd import Summary
from benchmarks.users.workloads import WORKLOADS

Value = Callable[[Summary], float | None]
FACE = {w.name: w for w in WORKLOADS}
MAIN = (100, 10)
"""Users whose figures are told in tables, if they were measured."""


@dataclass(frozen=True)
class Target:
    """What the project aims at: a figure of one workload, at least (or at most) so much.

    Attributes:
        about: For readers.
        workload: Whose row.
        users: How many.
        least: The figure has to be at least this,
        most: or at most this.
        against: The server whose figure ours is divided by; none if it is ours alone.
        value: The figure.
    """

    about: str
    workload: str
    users: int
    value: Value
    least: float | None = None
    most: float | None = None
    against: str = ""

    def told(self, rows: dict[tuple[str, int, str], Summary]) -> dict[str, Any] | None:
        """How it stands; ``None`` if it was not measured."""
        mine = rows.get((self.workload, self.users, ours.NAME))
        theirs = rows.get((self.workload, self.users, self.against)) if self.against else None
        if mine is None or (self.against and theirs is None):
            return None
        own, other = self.value(mine), self.value(theirs) if theirs else 1.0
        if own is None or not other:
            return None
        found = own / other
        met = found >= self.least if self.least is not None else found <= (self.most or 0)
        bound = f"at least {self.least:g}" if self.least is not None else f"at most {self.most:g}"
        return {"about": self.about, "workload": self.workload, "users": self.users, "against": self.against,
                "target": bound, "measured": found, "met": bool(met)}  # fmt: skip


def _rate(row: Summary) -> float | None:
    return row["requests_per_s"]


def _cpu(row: Summary) -> float | None:
    return row["cpu_s_per_1000"]


def _operations(row: Summary) -> float | None:
    return row["operations"] / row["seconds"]


def _tail(row: Summary) -> float | None:
    return row["p99_ms"] / row["p50_ms"] if row.get("p50_ms") else None


SLOW = ("tiled", "h5grove", "hsds", "xpublish")
ZARR = ("chunks-32k", "chunks-256k", "chunks-1024k", "zarr-scan", "zarr-series")
TARGETS = (
    Target("chunks of 512 KiB and more", "chunks-1024k", 100, _rate, least=1.0, against=NGINX),
    Target("chunks of 64 to 512 KiB", "chunks-256k", 100, _rate, least=0.65, against=NGINX),
    Target("chunks of 32 KiB", "chunks-32k", 100, _rate, least=0.5, against=NGINX),
    *(Target("Zarr", name, 100, _rate, least=1.5, against="zarr-http-server") for name in ZARR),
    *(Target("Zarr", name, 100, _rate, least=20, against=peer) for name in ZARR for peer in SLOW),
    Target("warm tiles", "viewers", 1000, _rate, least=0.9, against=NGINX),
    Target("warm tiles: p99 over p50", "viewers", 1000, _tail, most=10),
    Target("H5Web", "h5web", 100, _operations, least=10, against="h5grove"),
    Target("fairness", "mixed", 100, lambda row: row["fairness"], least=0.5),
    Target("fairness", "viewers", 100, lambda row: row["fairness"], least=0.5),
)


def targets(rows: list[Summary]) -> list[dict[str, Any]]:
    """Each target that was measured."""
    found = {(r["name"], r["users"], r["server"]): r for r in rows}
    told = [t for target in TARGETS if (t := target.told(found)) is not None]
    one, all_ = (found.get(("new-volume", n, ours.NAME)) for n in (1, 100))
    if one and all_:
        ratio = all_["first_max_ms"] / one["first_max_ms"]
        told.append(
            {"about": "a new volume: time to the last user's first picture, over one user's", "workload": "new-volume",
             "users": 100, "against": "", "target": "at most 2", "measured": ratio, "met": ratio <= 2}
        )  # fmt: skip
    return told


def tables(rows: list[Summary]) -> list[Table]:
    """All tables."""
    made = [_targets(rows)] if targets(rows) else []
    loops = [r for r in rows if FACE[r["name"]].way != "once"]
    for users in sorted({r["users"] for r in loops}):
        these = [r for r in loops if r["users"] == users]
        made.append(_pivot(f"Requests per second, {users:,} users", these, _rate))
        made.append(_pivot(f"CPU milliseconds of the server per request, {users:,} users", these, _cpu))
    counts = {r["users"] for r in loops}
    users = next((n for n in MAIN if n in counts), max(counts, default=0))
    made += [_details(name, rows) for name in dict.fromkeys(r["name"] for r in loops)]
    made += [_once(name, rows) for name in dict.fromkeys(r["name"] for r in rows if FACE[r["name"]].way == "once")]
    own = [r for r in loops if r["users"] == users]
    made.append(_pivot(f"Failed requests, {users:,} users", own, lambda r: float(r["errors"])))
    made += _generator(rows)
    return made


def line(row: Summary) -> str:
    """A row in one line, for logs."""
    return (
        f"{row['name']:14} {row['users']:5,} {row['server']:17} {number(row['requests_per_s']):>8}/s  "
        f"p50 {_ms(row, 'p50_ms')} p99 {_ms(row, 'p99_ms')}  errors {row['errors']} unfinished {row['unfinished']}  "
        f"fairness {number(row['fairness'])}  cpu {number(row['cpu_s_per_1000'])} s/1000  "
        f"generator {number(row['generator_cpu'])}  others {number(row['other_cores'])}"
    )


def _ms(row: Summary, name: str) -> str:
    return f"{number(row.get(name))} ms"


def _targets(rows: list[Summary]) -> Table:
    table = Table("Targets", ["what", "workload", "users", "against", "target", "measured", "met"])
    for t in targets(rows):
        met = "yes" if t["met"] else "no"
        table.rows.append(
            [
                t["about"],
                t["workload"],
                f"{t['users']:,}",
                t["against"] or NOTHING,
                t["target"],
                number(t["measured"]),
                met,
            ]
        )
    return table


def _pivot(title: str, rows: list[Summary], value: Value) -> Table:
    servers = list(dict.fromkeys(r["server"] for r in rows))
    cells = {(r["name"], r["server"]): value(r) for r in rows}
    lines = [
        [name, *(number(cells.get((name, server))) for server in servers)]
        for name in dict.fromkeys(r["name"] for r in rows)
    ]
    return Table(title, ["workload", *servers], lines)


COLUMNS: dict[str, Value] = {
    "requests/s": _rate,
    "MB/s": lambda r: r["bytes_per_s"] / 1e6,
    "p50 ms": lambda r: r["p50_ms"],
    "p95 ms": lambda r: r["p95_ms"],
    "p99 ms": lambda r: r["p99_ms"],
    "p99.9 ms": lambda r: r["p999_ms"],
    "errors": lambda r: float(r["errors"]),
    "unfinished": lambda r: float(r["unfinished"]),
    "fairness": lambda r: r["fairness"],
    "CPU s/1000": lambda r: r["cpu_s_per_1000"],
    "peak MiB": lambda r: r["peak_rss_mib"],
    "generator": lambda r: r["generator_cpu"],
    "others": lambda r: r["other_cores"],
}


def _details(name: str, rows: list[Summary]) -> Table:
    table = Table(f"{name}: {FACE[name].about}", ["server", "users", *COLUMNS])
    for row in (r for r in rows if r["name"] == name):
        table.rows.append([row["server"], f"{row['users']:,}", *(number(value(row)) for value in COLUMNS.values())])
    return table


def _once(name: str, rows: list[Summary]) -> Table:
    these = [r for r in rows if r["name"] == name]
    kinds = list(dict.fromkeys(kind for r in these for kind in r["kinds"]))
    columns = [
        "server",
        "users",
        "start s",
        "first answer p50",
        "last",
        "all p50",
        "last",
        *kinds,
        "reads",
        "computed",
        "errors",
    ]
    table = Table(f"{name}: {FACE[name].about}", columns)
    for r in these:
        times = [number(r[f"{when}_{what}_ms"]) for when in ("first", "last") for what in ("p50", "max")]
        medians = [number(r["kinds"].get(kind, {}).get("p50_ms")) for kind in kinds]
        counts = [number(r.get(name)) for name in ("reads", "computations")]
        table.rows.append(
            [r["server"], f"{r['users']:,}", number(r["start_s"]), *times, *medians, *counts, str(r["errors"])]
        )
    return table


def _generator(rows: list[Summary]) -> list[Table]:
    """The generator beside wrk, on nginx."""
    table = Table(
        "The load generator beside wrk, on nginx", ["workload", "users", "wrk", "generator", "its cores", "nginx's"]
    )
    for r in rows:
        by = r.get("by_generator")
        if by:
            cells = (r["requests_per_s"], by["requests_per_s"], by["generator_cpu"], by["server_cores"])
            table.rows.append([r["name"], f"{r['users']:,}", *map(number, cells)])
    return [table] if table.rows else []
