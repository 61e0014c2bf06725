"""What a run depended on: the machine, and versions of what was measured."""

import datetime as dt
import importlib.metadata
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

from benchmarks.common.load import WRK
from benchmarks.common.nginx import PROGRAM as NGINX

PACKAGES = ("chunkserve", "h5netcdf", "h5py", "kerchunk", "numpy", "uvicorn", "uvloop", "xarray", "zarr")


def machine(cores: int) -> dict[str, Any]:
    """The machine and the versions, for JSON."""
    programs = {"nginx": (NGINX, "-v"), "wrk": (WRK, "-v")}
    return {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "cores": cores,
        "processor": _processor(),
        "memory_bytes": _memory(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := _package(name))},
        "programs": {name: _program(path, flag) for name, (path, flag) in programs.items() if path},
    }


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
