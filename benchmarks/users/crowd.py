"""A crowd put on a server: generators started, the word given, what came of it read and summed up."""

import contextlib
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.errors import BenchmarkError
from benchmarks.common.machine import Ticks
from benchmarks.common.procfs import cpu_seconds, forget_peaks, members, peak_memory
from benchmarks.users.generator import BROKEN, GOOD, OTHER_LENGTH, UNFINISHED, Plan
from benchmarks.users.trace import KINDS

PERCENTILES = {"p50_ms": 50, "p95_ms": 95, "p99_ms": 99, "p999_ms": 99.9}
Summary = dict[str, Any]
"""What is told of a measurement, as in the JSON of results."""


@dataclass(frozen=True)
class Found:
    """What generators recorded, joined: columns of requests and operations, by name."""

    columns: dict[str, np.ndarray]
    users: int
    begin: float
    window: float
    cpu: float
    late: np.ndarray

    def column(self, name: str) -> np.ndarray:
        """One of them: ``requests_start`` and so on."""
        return self.columns[name]

    def summary(self) -> Summary:
        """Counts, percentiles of the time to an answer, and how evenly users were served."""
        status, end = self.column("requests_status"), self.column("requests_end")
        good = status == GOOD
        inside = good & (end <= self.begin + self.window)
        failed = ~good & (status != UNFINISHED)
        span = max(1e-9, min(self.window, float(end.max(initial=self.begin)) - self.begin))
        found: Summary = {
            "users": self.users, "seconds": span, "requests": int(good.sum()), "errors": int(failed.sum()),
            "failures": _failures(status[failed]), "unfinished": int((status == UNFINISHED).sum()),
            "requests_per_s": float(inside.sum()) / span,
            "bytes": int(self.column("requests_size")[good].sum()),
            "bytes_per_s": float(self.column("requests_size")[inside].sum()) / span,
        }  # fmt: skip
        found |= _times(self._took("requests"))
        found |= {f"operation_{name}": value for name, value in _times(self._took("operations")).items()}
        found["operations"] = int((self.column("operations_status") == GOOD).sum())
        found["kinds"] = self._kinds()
        found["fairness"] = self._fairness()
        found["generator_cpu"] = self.cpu / span
        found["late_p99_ms"] = float(np.percentile(self.late, 99)) * 1e3 if self.late.size else None
        return found

    def milestones(self) -> Summary:
        """For sessions that are gone through once: when users had their first answer, and their last."""
        user, end = self.column("operations_user"), self.column("operations_end") - self.begin
        order = np.lexsort((end, user))
        _, first, count = np.unique(user[order], return_index=True, return_counts=True)
        found: Summary = {}
        for name, times in (("first", end[order][first]), ("last", end[order][first + count - 1])):
            found[f"{name}_p50_ms"], found[f"{name}_max_ms"] = (float(np.percentile(times, p)) * 1e3 for p in (50, 100))
        return found

    def _took(self, what: str, kind: int | None = None) -> np.ndarray:
        """Milliseconds, of what failed as well: it took so long at least."""
        took = (self.column(f"{what}_end") - self.column(f"{what}_start")) * 1e3
        return took if kind is None else took[self.column(f"{what}_kind") == kind]

    def _kinds(self) -> dict[str, Summary]:
        """The same by kind of operation."""
        found = {}
        for n, kind in enumerate(KINDS):
            took = self._took("operations", n)
            if took.size:
                requests = int((self.column("requests_kind") == n).sum())
                found[kind.__name__.lower()] = {"operations": int(took.size), "requests": requests, **_times(took)}
        return found

    def _fairness(self) -> float | None:
        """Requests of the slowest user, as a share of the median user's."""
        good = self.column("requests_status") == GOOD
        inside = good & (self.column("requests_end") <= self.begin + self.window)
        counts = np.bincount(self.column("requests_user")[inside], minlength=self.users)
        middle = float(np.median(counts))
        return float(counts.min()) / middle if middle else None


def _failures(status: np.ndarray) -> dict[str, int]:
    names = {BROKEN: "connection", OTHER_LENGTH: "other length"}
    values, counts = np.unique(status, return_counts=True)
    return {names.get(int(v), str(v)): int(n) for v, n in zip(values, counts, strict=True)}


def _times(took: np.ndarray) -> dict[str, float | None]:
    return {name: float(np.percentile(took, p)) if took.size else None for name, p in PERCENTILES.items()}


def drive(plan: Plan, processes: int, folder: Path) -> Found:
    """Follow a plan with its users spread over processes.

    Raises:
        BenchmarkError: A generator failed.
    """
    shares = [plan.users[n::processes] for n in range(processes) if plan.users[n::processes]]
    children: list[subprocess.Popen[str]] = []
    with contextlib.ExitStack() as stack:
        for n, share in enumerate(shares):
            replace(plan, users=share).write(folder / f"plan-{n}.json")
            words = [sys.executable, "-m", "benchmarks.users.generator", f"{folder}/plan-{n}.json", f"{folder}/{n}.npz"]
            child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            stack.callback(_end, child)
            children.append(child)
        for child in children:
            assert child.stdout is not None
            if child.stdout.readline() != "ready\n":
                raise BenchmarkError("the load generator failed")
        for child in children:
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
        for child in children:
            if child.wait(plan.seconds + plan.grace + 60):
                raise BenchmarkError("the load generator failed")
    return _joined([np.load(folder / f"{n}.npz") for n in range(len(shares))], plan)


def _end(child: "subprocess.Popen[str]") -> None:
    if child.poll() is None:
        child.kill()
    child.wait()
    for stream in (child.stdin, child.stdout):
        if stream is not None:
            stream.close()


def _joined(found: Sequence[Any], plan: Plan) -> Found:
    names = [name for name in found[0].files if "_" in name]
    return Found(
        {name: np.concatenate([f[name] for f in found]) for name in names},
        len(plan.users),
        min(float(f["begin"]) for f in found),
        plan.seconds,
        sum(float(f["cpu"]) for f in found),
        np.concatenate([f["late"] for f in found]),
    )


class Watch:
    """What a server and the rest of the machine used while something was measured."""

    def __init__(self, group: int) -> None:
        """Watch a process group from now on."""
        self._group = group
        forget_peaks(group)
        self._cpu, self._ticks = cpu_seconds(group), Ticks.now()

    def told(self, summary: Summary) -> Summary:
        """The same summary, with figures of the server."""
        cpu = cpu_seconds(self._group) - self._cpu
        busy, passed = Ticks.now().since(self._ticks)
        peaks = [peak_memory(stat.pid) for stat in members(self._group)]
        per = 1000 / summary["requests"] if summary["requests"] else 0.0
        return summary | {
            "cpu_s": cpu, "cpu_s_per_1000": cpu * per if per else None, "server_cores": cpu / passed,
            "peak_rss_mib": sum(peaks) / 2**20, "processes": len(peaks),
            "other_cores": max(0.0, busy / passed - cpu / passed - summary["generator_cpu"]),
        }  # fmt: skip
