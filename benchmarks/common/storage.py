"""Storage that fails or is slow: a shim in front of the C library's reads (needs gcc)."""

import shutil
import subprocess
from pathlib import Path

from benchmarks.common.errors import Missing

SOURCE = Path(__file__).with_name("storage.c")


def build(folder: Path) -> Path:
    """Compile the shim into a folder.

    Raises:
        Missing: There is no compiler, or it fails.
    """
    compiler = shutil.which("gcc")
    if compiler is None:
        raise Missing("gcc is not installed")
    library = folder / "storage.so"
    command = [compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(SOURCE), "-ldl"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        raise Missing(f"gcc: {done.stderr.strip().splitlines()[-1]}")
    return library


def variables(shim: Path, root: Path, switch: Path, log: Path) -> dict[str, str]:
    """The environment of a process whose reads below ``root`` are concerned as long as ``switch`` exists."""
    return {
        "LD_PRELOAD": str(shim), "FAULTS_ROOT": str(root.resolve()), "FAULTS_SWITCH": str(switch),
        "FAULTS_LOG": str(log),
    }  # fmt: skip
