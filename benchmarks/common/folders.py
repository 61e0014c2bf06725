"""Where things are kept."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "chunkserve-bench"
"""Data files, static copies and the peers' environments; may be deleted at any time."""

RESULTS = Path(__file__).resolve().parents[1] / "results"
"""Published results."""


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder for one run, removed afterwards."""
    path = Path(tempfile.mkdtemp(prefix="chunkserve-bench-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def results_folder(chosen: Path | None, *, quick: bool) -> Path | None:
    """Where to write results; ``None`` for nowhere."""
    folder = chosen or (None if quick else RESULTS)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    return folder
