"""The log of who read what: JSON lines, appended by all workers to one file that is rotated by size."""

import contextlib
import fcntl
import json
import logging
import os
import threading
from datetime import UTC, datetime

from chunkserve.access.principal import Action, Principal
from chunkserve.errors import BadRequest
from chunkserve.faces.problems import status_of
from chunkserve.faces.respond import Reply, Request

MOST_WAITING = 10_000
"""Lines that wait to be written; more are written at once."""

log = logging.getLogger("chunkserve.access")


class Audit:
    """One worker's way to the file. Thread-safe."""

    def __init__(self, path: str, most: int, files: int) -> None:
        """Append to ``path``, rotated at ``most`` bytes; keep ``files`` old ones.

        Raises:
            BadRequest: It cannot be written.
        """
        self.path = path
        self._most = most
        self._files = files
        self._lock = threading.Lock()
        self._lines: list[str] = []
        try:
            self._append(b"")
        except OSError as error:
            raise BadRequest(f"audit log {path}: {error.strerror}") from None

    def record(self, request: Request, principal: Principal, action: Action, outcome: Reply | Exception) -> None:
        """Note what somebody asked for, and what they got."""
        if isinstance(outcome, Reply):
            status, size = outcome.status, None if outcome.stream is not None else outcome.stop - outcome.start
        else:
            status, size = status_of(outcome), 0
        query = request.query.decode("latin-1")
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"), "user": principal.user, "way": principal.way,
            "from": request.peer, "action": action, "method": request.method, "path": request.path.decode("latin-1"),
            "query": query, "status": status, "bytes": size,
        }  # fmt: skip
        with self._lock:
            self._lines.append(json.dumps(line))
            full = len(self._lines) >= MOST_WAITING
        if full:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        with self._lock:
            lines, self._lines = self._lines, []
        if not lines:
            return
        try:
            self._append("".join(f"{line}\n" for line in lines).encode())
        except OSError as error:
            log.error("audit log %s cannot be written, %d lines are lost: %s", self.path, len(lines), error)  # noqa: TRY400

    def _append(self, data: bytes) -> None:
        fd = os.open(f"{self.path}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)  # one worker at a time: no line is torn, nobody rotates twice
            self._rotate(len(data))
            with open(self.path, "ab", opener=_private) as file:
                file.write(data)
        finally:
            os.close(fd)

    def _rotate(self, coming: int) -> None:
        try:
            size = os.stat(self.path).st_size
        except FileNotFoundError:
            return
        if not size or size + coming <= self._most:
            return
        for number in range(self._files - 1, 0, -1):
            with contextlib.suppress(FileNotFoundError):
                os.replace(f"{self.path}.{number}", f"{self.path}.{number + 1}")
        os.replace(self.path, f"{self.path}.1")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
