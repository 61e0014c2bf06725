"""The worker's side of the reader processes: start, reuse, supervise and end them. Does not import h5py."""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from chunkserve import wire
from chunkserve.errors import Busy
from chunkserve.hdf5.channel import receive, send

T = TypeVar("T")

START_TIMEOUT = 30.0
"""Seconds the zygote may take to import libhdf5 on a slow disk."""


class Readable(Protocol):
    """An open HDF5 file: a descriptor, a key that changes with the content, and whether a SWMR writer has it open."""

    @property
    def fd(self) -> int:
        """The descriptor."""

    @property
    def key(self) -> object:
        """What changes with the content."""

    @property
    def swmr(self) -> bool:
        """Whether to open it as a reader of a single writer."""


class ReaderDied(Exception):
    """The process reading a file crashed, stalled or was killed.

    Attributes:
        reason: For people.
        killed: Something else ended it, as far as one can tell.
    """

    def __init__(self, reason: str, *, killed: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.killed = reason, killed


class ReaderRefused(Exception):
    """The reader answered that it cannot do the task; ``kind`` as in :class:`chunkserve.wire.Failure`."""

    def __init__(self, failure: wire.Failure) -> None:
        super().__init__(failure.message)
        self.kind, self.message = failure.kind, failure.message


@dataclass(eq=False)
class _Reader:
    pid: int
    pidfd: int
    channel: socket.socket
    key: object
    idle_since: float = field(default_factory=time.monotonic)

    def end(self) -> None:
        self.channel.close()
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        os.close(self.pidfd)


class Readers:
    """At most ``limit`` reader processes, one file each; idle ones are kept for the next task on their file.

    Thread-safe. A call blocks its thread, never longer than its deadline plus the time to be let in.
    """

    def __init__(self, *, limit: int, memory: int, deadline: float, environment: dict[str, str]) -> None:
        """Prepare; nothing is started before the first call.

        Args:
            limit: Readers at once.
            memory: Bytes of address space each may allocate.
            deadline: Seconds a task may take.
            environment: For the processes; must be free of ``HDF5_*``.
        """
        self.deadline = deadline
        self._owner = os.getpid()
        self.deaths = 0
        self._memory = memory
        self._environment = environment
        self._slots = threading.BoundedSemaphore(limit)
        self._limit = limit
        self._lock = threading.Lock()
        self._idle: OrderedDict[int, _Reader] = OrderedDict()  # by pid, oldest first
        self._busy = 0
        self._zygote: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._ended: OrderedDict[int, int] = OrderedDict()

    def call(self, file: Readable, task: wire.Task, kind: type[T]) -> T:
        """Run one task in a process that has ``file`` open, and decode its answer as ``kind``.

        Args:
            file: The open file.
            task: What to do.
            kind: The type of the answer; ``bytes`` for one that is not a message.

        Raises:
            ReaderDied: The process crashed or did not answer in time.
            ReaderRefused: It could not do the task.
            Busy: No reader became free within the deadline.
        """
        if not self._slots.acquire(timeout=self.deadline):
            raise Busy("all reader processes are busy")
        try:
            reader = self._take(file)
            try:
                reply = self._ask(reader, task)
            except BaseException:
                reader.end()
                with self._lock:
                    self._busy -= 1
                raise
            self._give_back(reader)
        finally:
            self._slots.release()
        if reply.failure is not None:
            raise ReaderRefused(reply.failure)
        return wire.decode(reply.payload, kind) if kind is not bytes else reply.payload  # type: ignore[return-value]

    def ping(self) -> None:
        """Start the zygote if need be, and wait until it runs.

        Raises:
            Busy: It cannot be started.
        """
        try:
            with self._lock:
                self._started()
        except OSError as error:
            raise Busy(f"reader processes cannot be started: {error}") from error

    def close(self) -> None:
        """End all processes. In a forked child, which has none of its own, do nothing."""
        if os.getpid() != self._owner:
            return
        with self._lock:
            while self._idle:
                self._idle.popitem()[1].end()
            self._stop_zygote()

    def _ask(self, reader: _Reader, task: wire.Task) -> wire.Reply:
        try:
            send(reader.channel, wire.encode(task))
            message = receive(reader.channel)
            if message is not None:
                return wire.decode(bytes(message[0]), wire.Reply)
        except TimeoutError:
            self.deaths += 1
            raise ReaderDied(f"no answer within {self.deadline:g} s") from None
        except (OSError, ValueError):
            pass  # a broken pipe or nonsense on it: it is dying or mad
        self.deaths += 1
        status = self._status(reader.pid)
        killed = status is None or (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL)
        raise ReaderDied(_epitaph(status), killed=killed)

    def _take(self, file: Readable) -> _Reader:
        with self._lock:
            for pid in reversed(self._idle):
                if self._idle[pid].key == file.key:
                    self._busy += 1
                    return self._idle.pop(pid)
            while self._idle and len(self._idle) + self._busy >= self._limit:
                self._idle.popitem(last=False)[1].end()
            reader = self._fork(file)
            self._busy += 1
            return reader

    def _give_back(self, reader: _Reader) -> None:
        reader.idle_since = time.monotonic()
        with self._lock:
            self._busy -= 1
            self._idle[reader.pid] = reader

    def _fork(self, file: Readable) -> _Reader:
        request = bytes([1 if file.swmr else 0]) + self._memory.to_bytes(8, "little")
        for attempt in (1, 2):
            control = self._started()
            ours, theirs = socket.socketpair()
            try:
                send(control, request, [theirs.fileno(), file.fd])
                pid = self._until_started(control)
                ours.settimeout(self.deadline)
                return _Reader(pid, os.pidfd_open(pid), ours, file.key)
            except (OSError, ConnectionError):
                ours.close()
                self._stop_zygote()
                if attempt == 2:
                    raise
            finally:
                theirs.close()
        raise AssertionError("unreachable")

    def _started(self) -> socket.socket:
        """The control channel of a living zygote."""
        if self._control is None or self._zygote is None or self._zygote.poll() is not None:
            self._stop_zygote()
            ours, theirs = socket.socketpair()
            ours.settimeout(START_TIMEOUT)
            with theirs:
                self._zygote = subprocess.Popen(
                    [sys.executable, "-P", "-m", "chunkserve.hdf5.zygote", str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                )
            self._control = ours
        return self._control

    def _stop_zygote(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._zygote is not None:
            self._zygote.kill()
            self._zygote.wait()
            self._zygote = None

    def _until_started(self, control: socket.socket) -> int:
        while True:
            message = receive(control)
            if message is None:
                raise ConnectionError("the zygote is gone")
            words = bytes(message[0]).split()
            if words[0] == b"started":
                return int(words[1])
            self._note_end(int(words[1]), int(words[2]))

    def _note_end(self, pid: int, status: int) -> None:
        self._ended[pid] = status
        while len(self._ended) > 64:
            self._ended.popitem(last=False)

    def _status(self, pid: int) -> int | None:
        """The wait status of a reader that ended, ``None`` if nobody knows."""
        deadline = time.monotonic() + 1.0
        with self._lock:
            while pid not in self._ended and self._control is not None:
                waiting = select.poll()
                waiting.register(self._control, select.POLLIN)
                if not waiting.poll(max(0.0, deadline - time.monotonic()) * 1000):
                    break
                message = receive(self._control)
                if message is None:
                    break
                words = bytes(message[0]).split()
                self._note_end(int(words[1]), int(words[2]))
            return self._ended.get(pid)


def _epitaph(status: int | None) -> str:
    """What ended a reader, in words."""
    if status is None:
        return "the reader process vanished"
    if os.WIFSIGNALED(status):
        return f"the reader process was ended by {signal.Signals(os.WTERMSIG(status)).name}"
    return f"the reader process exited with status {os.WEXITSTATUS(status)}"
