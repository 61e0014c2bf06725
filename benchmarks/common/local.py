"""Other ways to the data of a local file, each in a process of its own."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.common.errors import Missing

SCRIPT = Path(__file__).with_name("apps") / "local_reads.py"
VIRTUALIZARR = "zarr-http-server"
"""The peer whose environment has VirtualiZarr."""


@dataclass(frozen=True)
class Local:
    """A way.

    Attributes:
        label: For tables.
        way: For the script.
        virtual: It needs VirtualiZarr.
    """

    label: str
    way: str
    virtual: bool = False

    def run(self, file: Path, dataset: str, chunk: int, cache: Path, limit: float) -> dict[str, Any]:
        """Do it.

        Raises:
            Missing: It cannot be done here, or takes longer than ``limit`` seconds.
        """
        python = _virtualizarr(cache) if self.virtual else sys.executable
        command = [python, str(SCRIPT), self.way, str(file), dataset, str(chunk)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=limit)
        except subprocess.CalledProcessError as error:
            lines = error.stderr.strip().splitlines()
            raise Missing(lines[-1] if lines else f"status {error.returncode}") from None
        except subprocess.TimeoutExpired:
            raise Missing(f"not done after {limit:.0f} s") from None
        return dict(json.loads(done.stdout.splitlines()[-1]))


def _virtualizarr(cache: Path) -> str:
    """A Python that has VirtualiZarr: this one, or that of a peer's environment."""
    for python in (sys.executable, str(cache / "peers" / VIRTUALIZARR / "bin" / "python")):
        if Path(python).exists():
            try:
                subprocess.run([python, "-c", "import virtualizarr"], check=True, capture_output=True, timeout=60)
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
                continue
            return python
    raise Missing(f"VirtualiZarr is not installed (python -m benchmarks passthrough --peers {VIRTUALIZARR} does)")
