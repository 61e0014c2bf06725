"""Files that are written whole or not at all."""

import contextlib
import os
import time

UNFINISHED = ".tmp"
"""How names of files end that are being written."""


def write_whole(path: str, *parts: bytes | memoryview) -> None:
    """Write a file that nobody sees before it is complete; folders are made if need be.

    Raises:
        OSError: It cannot be written; nothing is left of it.
    """
    temporary = f"{path}.{os.getpid()}.{time.monotonic_ns()}{UNFINISHED}"
    try:
        try:
            file = open(temporary, "xb")  # noqa: SIM115 - closed below
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            file = open(temporary, "xb")  # noqa: SIM115
        with file:
            file.writelines(parts)
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
