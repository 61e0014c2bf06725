"""What a run depended on: the machine, and versions of what was measured."""

import datetime as dt
import importlib.metadata
import platform
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from benchmarks.common.load import WRK
from benchmarks.common.nginx import PROGRAM as NGINX
from benchmarks.common.procfs import TICK

PACKAGES = ("chunkserve", "h5netcdf", "h5py", "kerchunk", "numpy", "uvicorn", "uvloop", "xarray", "zarr")


def machine(cores: int) -> dict[str, Any]:
    """The machine and the versions, for JSON."""
    programs = {"nginx": (NGINX, "-v"), "wrk": (WRK, "-v")}
    return {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "cores": cores,
        "processor": _processor(),
        "memory_bytes": _memory(),
        "commit": commit(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := _package(name))},
        "programs": {name: _program(path, flag) for name, (path, flag) in programs.items() if path},
    }


@dataclass(frozen=True)
class Ticks:
    """CPU time of the whole machine so far, seconds, and when that was."""

    busy: float
    at: float

    @classmethod
    def now(cls) -> Self:
        """At this moment; what a hypervisor gave to others counts as busy."""
        fields = [int(n) for n in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        return cls((sum(fields) - fields[3] - fields[4]) / TICK, time.perf_counter())

    def since(self, before: "Ticks") -> tuple[float, float]:
        """CPU seconds and seconds that passed."""
        return self.busy - before.busy, self.at - before.at


def commit() -> str:
    """The commit that is checked out, with a mark if files differ from it; nothing outside a repository."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"], capture_output=True, text=True, check=False,
        cwd=Path(__file__).parent, timeout=10,
    )  # fmt: skip
    return done.stdout.strip()


def sentence(found: dict[str, Any]) -> str:
    """The same for readers of a table."""
    versions = ", ".join(f"{k} {v}" for k, v in {**found["programs"], **found["packages"]}.items())
    return (
        f"{found['date']}, {found['cores']} cores ({found['processor']}), "
        f"{found['memory_bytes'] / 2**30:.0f} GiB, Linux {found['kernel']}, Python {found['python']}, {versions}."
    )


def _processor() -> str:
    text = Path("/proc/cpuinfo").read_text(errors="replace")
    named = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return named[1].strip() if named else platform.machine()


def _memory() -> int:
    return int(Path("/proc/meminfo").read_text().split()[1]) * 1024


def _package(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _program(path: str, flag: str) -> str:
    done = subprocess.run([path, flag], capture_output=True, text=True, check=False, timeout=10)
    found = re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)
    return found[0] if found else ""
