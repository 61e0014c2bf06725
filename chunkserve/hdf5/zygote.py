"""The process that imports libhdf5 once and forks a reader for every file: ``python -m chunkserve.hdf5.zygote FD``.

Forking after the import costs 2 ms where a fresh interpreter costs 300; a reader shares nothing with the reader of
another file, so a broken file can harm, or read, nobody's memory but its own.
"""

import contextlib
import gc
import os
import selectors
import signal
import socket
import sys

import h5py
import hdf5plugin  # noqa: F401 - registers its filters
import numpy as np

from chunkserve import wire
from chunkserve.hdf5.channel import receive, send
from chunkserve.hdf5.scan import scan
from chunkserve.hdf5.tasks import run


def main() -> None:
    """Fork readers for the worker at the other end of descriptor ``argv[1]`` until it goes away."""
    control = socket.socket(fileno=int(sys.argv[1]))
    _warm_up()
    woken, wake = os.pipe()
    for end in (woken, wake):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's ^C is the worker's to handle
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        selector.register(woken, selectors.EVENT_READ)
        while True:
            ready = {key.fileobj for key, _ in selector.select()}
            if woken in ready:
                os.read(woken, 4096)
                with contextlib.suppress(ConnectionError):  # control will say so, too
                    _reap(control)
            if control in ready and not _fork(control):
                return


def _warm_up() -> None:
    """Run a scan once, so that what Python imports on first use is there before files become unreachable."""
    with h5py.File.in_memory() as file:
        file.create_dataset("x", data=np.arange(4.0), chunks=(2,), compression="gzip").attrs["é"] = ["a", "b"]
        file.attrs["structured"] = np.zeros(1, dtype=[("a", "f4")])
        found = scan(file.id, wire.Scan((), 10, 10.0, 1000))
        wire.decode(wire.encode(found), type(found))
    gc.collect()
    gc.freeze()


def _fork(control: socket.socket) -> bool:
    """Fork one reader for the next request; false when the worker is gone."""
    try:
        message = receive(control)
    except ConnectionResetError:
        return False
    if message is None:
        return False
    data, (channel, file) = message
    swmr, memory = data[0] == 1, int.from_bytes(data[1:9], "little")
    pid = os.fork()
    if pid == 0:
        control.close()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        try:
            run(socket.socket(fileno=channel), file, swmr=swmr, memory=memory)
        finally:
            os._exit(0)
    os.close(channel)
    os.close(file)
    try:
        send(control, b"started %d" % pid)
    except ConnectionError:
        return False
    return True


def _reap(control: socket.socket) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        send(control, b"ended %d %d" % (pid, status))


if __name__ == "__main__":
    main()
