"""Framed messages over a Unix socket: u64 length, then that many bytes; file descriptors ride along with the length."""

import array
import socket
import struct

_LENGTH = struct.Struct("<Q")
MAX_MESSAGE = 2**31
"""Bytes; a reader that announces more is out of its mind."""


def send(channel: socket.socket, data: bytes, descriptors: list[int] | None = None) -> None:
    """Send one message, and file descriptors with it."""
    head = _LENGTH.pack(len(data))
    if descriptors:
        rights = array.array("i", descriptors)
        channel.sendmsg([head], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        channel.sendall(data)
    else:
        channel.sendall(head + data if len(data) < 65536 else head)
        if len(data) >= 65536:
            channel.sendall(data)


def receive(channel: socket.socket) -> tuple[bytearray, list[int]] | None:
    """Receive one message, or ``None`` when the other side is gone.

    Raises:
        TimeoutError: Nothing came within the socket's timeout.
        ValueError: The announced length is absurd.
    """
    head, ancillary, _, _ = channel.recvmsg(_LENGTH.size, socket.CMSG_SPACE(16))
    descriptors = [fd for level, kind, data in ancillary for fd in _rights(level, kind, data)]
    while 0 < len(head) < _LENGTH.size:
        more = channel.recv(_LENGTH.size - len(head))
        if not more:
            return None
        head += more
    if not head:
        return None
    (length,) = _LENGTH.unpack(head)
    if length > MAX_MESSAGE:
        raise ValueError(f"message of {length} bytes")
    data = bytearray(length)
    view = memoryview(data)
    while view:
        got = channel.recv_into(view)
        if not got:
            return None
        view = view[got:]
    return data, descriptors


def _rights(level: int, kind: int, data: bytes) -> "array.array[int]":
    fds = array.array("i")
    if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
        fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
    return fds
