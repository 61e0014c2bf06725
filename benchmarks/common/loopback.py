"""What the loopback device carries: a file sent by ``sendfile`` and received into memory, by nothing else."""

import os
import socket
import threading
import time
from pathlib import Path

import numpy as np

PART = 2**20
"""Bytes asked of the kernel at once."""


def carried(file: Path, length: int) -> float:
    """Seconds in which the first ``length`` bytes of a file get from one thread to another over TCP."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        sender = threading.Thread(target=_send, args=(listening, file, length))
        sender.start()
        with socket.create_connection(listening.getsockname()) as receiving:
            start = time.perf_counter()
            room = memoryview(np.empty(length, np.uint8))
            at = 0
            while at < length:
                at += receiving.recv_into(room[at : at + PART])
            spent = time.perf_counter() - start
        sender.join()
    return spent


def _send(listening: socket.socket, file: Path, length: int) -> None:
    connection, _ = listening.accept()
    with connection, file.open("rb") as source:
        at = 0
        while at < length:
            at += os.sendfile(connection.fileno(), source.fileno(), at, min(PART, length - at))
