"""The first bytes of an HDF5 file (HDF5 File Format Specification 3.0, II.A), read without libhdf5."""

from dataclasses import dataclass

SIGNATURE = b"\x89HDF\r\n\x1a\n"
PROBE = 8192
"""Bytes of a file that :func:`probe` wants; larger user blocks are found by libhdf5 only."""

_WRITING, _SWMR = 0x01, 0x04


@dataclass(frozen=True, slots=True)
class Superblock:
    """Whether the file is marked as open for writing, and whether by a single writer that allows readers."""

    writing: bool
    swmr: bool


def probe(head: bytes | bytearray) -> Superblock | None:
    """Find the superblock at offset 0, 512, 1024, ...; ``None`` if there is none in ``head``."""
    at = 0
    while at + 12 <= len(head):
        if head[at : at + 8] == SIGNATURE:
            flags = head[at + 11] if head[at + 8] >= 3 else 0  # consistency flags; unused before version 3
            return Superblock(bool(flags & _WRITING), bool(flags & _SWMR))
        at = 2 * at or 512
    return None
