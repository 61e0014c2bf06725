"""The life of one reader process: it has one file open and runs tasks on it until its channel closes."""

import ctypes
import resource
import signal
import socket

from h5py import h5f, h5p

from chunkserve import wire
from chunkserve.hdf5.channel import receive, send
from chunkserve.hdf5.faults import is_storage_fault
from chunkserve.hdf5.index import chunk_table, locate
from chunkserve.hdf5.landlock import forbid_opening_files
from chunkserve.hdf5.read import Unwritten, read_box
from chunkserve.hdf5.scan import Missing, scan

_PR_SET_PDEATHSIG = 1


def run(channel: socket.socket, file: int, *, swmr: bool, memory: int) -> None:
    """Serve tasks about the open file descriptor ``file`` until the worker closes the channel.

    Args:
        channel: Where tasks come from and replies go.
        file: Descriptor of the HDF5 file, opened by the worker.
        swmr: Open it as a reader of a single writer.
        memory: Bytes of address space the process may add to what it has.
    """
    _limit(memory)
    opened: list[h5f.FileID] = []
    while (message := receive(channel)) is not None:
        data, _ = message
        try:
            if not opened:
                opened.append(_open(file, swmr=swmr))
                forbid_opening_files()
            reply = wire.Reply(_perform(opened[0], wire.decode(bytes(data), wire.Task)))
        except Exception as error:  # noqa: BLE001 - whatever the file provokes becomes a reply
            reply = wire.Reply(failure=_failure(error))
        send(channel, wire.encode(reply))


def _limit(memory: int) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    with open("/proc/self/statm", encoding="ascii") as statm:
        used = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + memory, used + memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _open(file: int, *, swmr: bool) -> h5f.FileID:
    """Open through /proc, so that no path is resolved: what the worker checked is what is read.

    Locking is off: a reader's lock would stop the instrument from writing.
    """
    access = h5p.create(h5p.FILE_ACCESS)
    access.set_file_locking(False, True)
    flags = h5f.ACC_RDONLY | (h5f.ACC_SWMR_READ if swmr else 0)
    return h5f.open(b"/proc/self/fd/%d" % file, flags, fapl=access)


def _perform(file: h5f.FileID, task: wire.Task) -> bytes:
    if task.scan is not None:
        return wire.encode(scan(file, task.scan))
    if task.index is not None:
        return chunk_table(file, task.index)
    if task.lookup is not None:
        return wire.encode(locate(file, task.lookup))
    if task.read is not None:
        return wire.encode(read_box(file, task.read))
    raise ValueError("empty task")


def _failure(error: Exception) -> wire.Failure:
    message = f"{type(error).__name__}: {error}"
    if "already open for write" in message:
        return wire.Failure("writing", "the file is open for writing without SWMR")
    if is_storage_fault(message):
        return wire.Failure("storage", message)
    for kinds, name in _KINDS:
        if isinstance(error, kinds):
            return wire.Failure(name, message)
    return wire.Failure("unreadable", message)


_KINDS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
    (Missing, "missing"),
    (Unwritten, "corrupt"),
    (MemoryError, "memory"),
)
