"""Processes: sockets opened once, a worker forked for each, workers replaced when they die or on SIGHUP."""

import contextlib
import ctypes
import errno
import logging
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable
from types import FrameType

import uvicorn

from chunkserve.allocator import reuse_large_blocks
from chunkserve.app import build
from chunkserve.board import Board, Row
from chunkserve.express import ExpressProtocol
from chunkserve.search.indexer import keep_fresh
from chunkserve.settings import Settings

BACKLOG = 2048
GRACE = 10
"""Seconds that answers under way may take when a worker is told to stop."""

QUICK = 1.0
MOST_QUICK_DEATHS = 5
"""Workers that die within QUICK seconds of their start, in a row, before the server gives up (with status 1)."""

ASIDE_AGAIN = 60.0
"""Seconds until the process that runs beside the workers is started again, should it end."""

SPARE_ROWS = 16
"""Workers whose figures are told besides two per socket: those that still finish while they are replaced."""

_PR_SET_PDEATHSIG = 1

log = logging.getLogger("chunkserve.server")


def open_sockets(settings: Settings) -> list[socket.socket]:
    """One listening socket per worker on the same port: the kernel spreads connections over them (SO_REUSEPORT).

    Raises:
        OSError: The address is taken or not ours.
    """
    if settings.unix_socket:
        return [_open_unix(settings.unix_socket)] * settings.worker_count()
    found: list[socket.socket] = []
    port = settings.port
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    for _ in range(settings.worker_count()):
        sock = socket.socket(family, socket.SOCK_STREAM)
        found.append(sock)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if not found[1:]:
            _check_free(settings.host, port, family)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((settings.host, port))
        port = sock.getsockname()[1]
        sock.listen(BACKLOG)
        sock.set_inheritable(True)
    return found


def _open_unix(path: str) -> socket.socket:
    """A socket that only its owner may connect to, shared by all workers. What a dead server left there is removed."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
        except FileNotFoundError:
            pass
        else:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
    before = os.umask(0o177)
    try:
        sock.bind(path)
    finally:
        os.umask(before)
    sock.listen(BACKLOG)
    sock.set_inheritable(True)
    return sock


def _check_free(host: str, port: int, family: socket.AddressFamily) -> None:
    """SO_REUSEPORT would silently share a port with another server of ours: refuse that."""
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))


def work(settings: Settings, paths: tuple[str, ...], sock: socket.socket, row: Row | None) -> None:
    """Serve on one socket until told to stop; figures go to ``row``."""
    reuse_large_blocks()
    config = uvicorn.Config(
        build(settings, paths, row),
        http=ExpressProtocol,
        loop="uvloop",
        lifespan="on",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        log_config=None,
        log_level="warning" if settings.log_level == "info" else settings.log_level,
        backlog=BACKLOG,
        timeout_graceful_shutdown=GRACE,
    )
    uvicorn.Server(config).run(sockets=[sock])


TOLD = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
"""Signals by which a supervisor is told what to do."""


class Supervisor:
    """Keeps one worker process per socket alive."""

    def __init__(
        self,
        sockets: list[socket.socket],
        run: Callable[[socket.socket, Row | None], None],
        aside: Callable[[], None] | None = None,
    ) -> None:
        """Run ``run(socket, row)`` in a process for each socket, and ``aside()`` in one more."""
        self.sockets = sockets
        self.run = run
        self.stopping = False
        self.restart = False
        self._workers: dict[int, tuple[socket.socket, float]] = {}
        self._board = Board(2 * len(sockets) + SPARE_ROWS)
        self._rows: dict[int, int] = {}
        self._quick_deaths = 0
        self._aside = aside
        self._aside_pid = 0
        self._aside_due = 0.0

    def serve(self) -> int:
        """Supervise until SIGTERM or SIGINT; the exit status."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, self._hang_up)
        for sock in self.sockets:
            self._fork(sock)
        while self._workers:
            pid, status = self._wait()
            if self.restart:
                self.restart = False
                self._roll()
            if pid and pid == self._aside_pid:
                self._aside_pid, self._aside_due = 0, time.monotonic() + ASIDE_AGAIN
                log.log(logging.DEBUG if self.stopping else logging.WARNING, "indexer %d ended (%s)", pid, _how(status))
            elif pid:
                self._buried(pid, status)
            if self._aside is not None and not self._aside_pid and time.monotonic() >= self._aside_due:
                self._start_aside(self._aside)
            if self._quick_deaths >= MOST_QUICK_DEATHS:
                log.error("workers die at once; giving up")
                self._tell(signal.SIGTERM)
                self._end_aside()
                return 1
        self._end_aside()
        return 0

    def _wait(self) -> tuple[int, int]:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return 0, 0
        if not pid:
            time.sleep(0.1)  # a signal interrupts it
        return pid, status

    def _buried(self, pid: int, status: int) -> None:
        if pid in self._rows:
            self._board.give_back(self._rows.pop(pid))
        sock, born = self._workers.pop(pid, (None, 0.0))
        if sock is None or self.stopping:
            return
        log.warning("worker %d ended (%s), starting another", pid, _how(status))
        if time.monotonic() - born < QUICK:
            self._quick_deaths += 1
            time.sleep(0.1 * 2**self._quick_deaths)
        else:
            self._quick_deaths = 0
        self._fork(sock)

    def _fork(self, sock: socket.socket) -> None:
        """Start a worker, unless told to stop."""
        row = self._board.take()

        def run() -> None:
            self.run(sock, None if row is None else self._board.row(row))

        def note(pid: int) -> None:
            self._workers[pid] = sock, time.monotonic()
            if row is not None:
                self._rows[pid] = row

        self._start(run, note)

    def _start_aside(self, run: Callable[[], None]) -> None:
        def note(pid: int) -> None:
            self._aside_pid = pid

        self._start(run, note)

    def _end_aside(self) -> None:
        """End it at once: whatever it does, it does whole or not at all."""
        if self._aside_pid:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(self._aside_pid, signal.SIGKILL)
                os.waitpid(self._aside_pid, 0)

    def _start(self, run: Callable[[], None], note: Callable[[int], None]) -> None:
        """Run something in a process, unless told to stop. Signals wait: they find it in the books, or not at all."""
        supervisor = os.getpid()
        signal.pthread_sigmask(signal.SIG_BLOCK, TOLD)
        if self.stopping:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, TOLD)
            return
        pid = os.fork()
        if pid:
            note(pid)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, TOLD)
            return
        status = 1
        try:
            for number in TOLD:
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, TOLD)
            _end_with(supervisor)
            run()
            status = 0
        except KeyboardInterrupt:
            status = 0
        except BaseException:
            log.exception("process failed")
        finally:
            os._exit(status)

    def _roll(self) -> None:
        """Replace workers one by one; each successor takes over its predecessor's socket, and its queue."""
        for pid, (sock, _) in list(self._workers.items()):
            if self.stopping:
                return
            self._fork(sock)
            time.sleep(1.0)
            del self._workers[pid]
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._tell(signal.SIGKILL if self.stopping else signal.SIGTERM)
        self.stopping = True

    def _hang_up(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.restart = True

    def _tell(self, number: signal.Signals) -> None:
        self.stopping = True
        for pid in self._workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def _end_with(parent: int) -> None:
    """Have the kernel send SIGTERM when the parent is gone, however it went: nobody else would ever stop us."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        raise KeyboardInterrupt


def _how(status: int) -> str:
    if os.WIFSIGNALED(status):
        return signal.Signals(os.WTERMSIG(status)).name
    return f"status {os.WEXITSTATUS(status)}"


def _raise_file_limit() -> None:
    """Connections and open files are descriptors; the usual soft limit of 1024 is for programs with select()."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def serve(settings: Settings, paths: tuple[str, ...], sockets: list[socket.socket]) -> int:
    """Serve ``paths`` on ``sockets`` until told to stop; the exit status."""
    sys.stdout.flush()
    _raise_file_limit()
    indexing = (lambda: keep_fresh(settings, paths)) if settings.search else None
    try:
        return Supervisor(sockets, lambda sock, row: work(settings, paths, sock, row), indexing).serve()
    finally:
        if settings.unix_socket:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(settings.unix_socket)
