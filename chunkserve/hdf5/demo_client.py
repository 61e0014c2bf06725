"""Make the demonstration data in a process of its own, and follow its progress. Does not import h5py."""

import subprocess
import sys
from collections.abc import Iterator

from chunkserve.errors import ChunkserveError

_SCRIPT = """
import sys
from chunkserve.hdf5.demo import make_demo
for name, steps in make_demo(sys.argv[1]):
    print(name, steps, flush=True)
"""


def demo_steps(folder: str) -> Iterator[tuple[str, int, int]]:
    """Make the files that are missing in ``folder``.

    Yields:
        (file, steps done in it, steps it has).

    Raises:
        ChunkserveError: They cannot be written.
    """
    with subprocess.Popen(
        [sys.executable, "-P", "-c", _SCRIPT, folder],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        done = total = 0
        for line in process.stdout:
            name, steps = line.split()
            done, total = (0, int(steps)) if int(steps) else (done + 1, total)
            yield name, done, total
        complaint = process.stderr.read()
    if process.returncode:
        raise ChunkserveError(f"cannot make sample data in {folder}: {complaint.strip().splitlines()[-1]}")
