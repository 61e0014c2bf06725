"""Bytes to be served: described first, read when they are sent, in the parts that are asked for."""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from chunkserve.codecs.frame import Frame
from chunkserve.service.hdffile import HdfFile

Verify = Callable[[bytearray], Frame]


@dataclass(eq=False, slots=True)
class Stored:
    """A run of bytes of an open file, edited by a frame as it is read.

    Attributes:
        file: Where it lies.
        offset: Byte offset of the part to be served.
        length: Bytes of that part.
        frame: How the stored chunk it belongs to is edited, if anything in it is.
        chunk: Offset and length of the whole stored chunk.
        verify: Checks the whole chunk, to be called before any of it is served for the first time.
    """

    file: HdfFile
    offset: int
    length: int
    frame: Frame | None = None
    chunk: tuple[int, int] = (0, 0)
    verify: Verify | None = None

    def read_into(self, view: memoryview, start: int, *, wait: bool) -> None:
        """Fill ``view`` with the served bytes from ``start`` on.

        Raises:
            WouldBlock, Corrupt, StorageFault: As :meth:`chunkserve.sources.localfile.LocalFile.read_into`.
        """
        local = self.file.local
        if self.verify is not None:
            whole = local.read(*self.chunk, wait=wait)
            self.verify(whole)
            self.verify = None
            at = self.offset - self.chunk[0] + start
            view[:] = memoryview(whole)[at : at + len(view)]
        elif self.frame is None:
            local.read_into(view, self.offset + start, wait=wait)
        else:
            # a word to be turned round may lie across the border: read a little more on both sides
            low, high = max(0, start - 3), min(self.length, start + len(view) + 3)
            part = local.read(self.offset + low, high - low, wait=wait)
            self.frame.edit(part, self.offset - self.chunk[0] + low)
            view[:] = memoryview(part)[start - low : start - low + len(view)]


class Computed(Protocol):
    """Bytes that are made when they are read."""

    @property
    def length(self) -> int:
        """How many there are."""

    def read_into(self, view: memoryview, start: int, *, wait: bool) -> None:
        """Fill ``view`` with the bytes from ``start`` on."""


Piece = bytes | Stored | Computed


@dataclass(eq=False, slots=True)
class Blob:
    """A body of known size.

    Attributes:
        pieces: What it consists of, in order.
        size: Bytes.
        starts: Where each piece starts, if there are many.
    """

    pieces: tuple[Piece, ...]
    size: int
    starts: list[int] = field(default_factory=list)

    def read(self, start: int = 0, stop: int | None = None, *, wait: bool = True) -> memoryview:
        """The bytes from ``start`` to ``stop``, of one version of every file involved.

        Raises:
            WouldBlock: Not ``wait``, and a part is not in memory.
            SourceChanged: A file changed meanwhile.
            Corrupt, StorageFault: As it says.
        """
        end = self.size if stop is None else stop
        if len(self.pieces) == 1 and isinstance(only := self.pieces[0], bytes):
            return memoryview(only)[start:end]
        out = uninitialised(end - start)
        touched: HdfFile | None = None
        first = max(0, bisect_right(self.starts, start) - 1) if self.starts else 0
        at = self.starts[first] if self.starts else 0
        for i in range(first, len(self.pieces)):
            piece: Piece = self.pieces[i]
            length = len(piece) if isinstance(piece, bytes) else piece.length
            low, high = max(start, at), min(end, at + length)
            if low >= high:
                pass
            elif isinstance(piece, bytes):
                out[low - start : high - start] = piece[low - at : high - at]
            else:
                piece.read_into(out[low - start : high - start], low - at, wait=wait)
            if low < high and isinstance(piece, Stored):
                if touched is not None and touched is not piece.file:
                    touched.local.check_unchanged()
                touched = piece.file
            at += length
            if at >= end:
                break
        if touched is not None:
            touched.local.check_unchanged()
        return out


def uninitialised(size: int) -> memoryview:
    """Memory to be written to. Unlike a bytearray's it is not zeroed, which for a large chunk shows."""
    return np.empty(size, np.uint8).data


def blob_of(*pieces: Piece) -> Blob:
    """A blob of a few pieces."""
    size = 0
    for piece in pieces:
        size += len(piece) if isinstance(piece, bytes) else piece.length
    return Blob(pieces, size)
