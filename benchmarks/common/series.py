"""The series of the passthrough benchmark: datasets of equal chunks, and how their chunks are asked for.

Every dataset is ``(count, ...)`` in chunks of ``(1, ...)``, so chunk ``k`` is at position ``(k, 0, ...)``.
"""

import math
from dataclasses import dataclass
from typing import Literal

KIB = 1024
SIZES = tuple(32 * KIB << i for i in range(8))
"""Stored sizes of the compressed chunks, bytes: 32 KiB to 4 MiB."""

QUICK_SIZES = (32 * KIB, 1024 * KIB)
FRAME = (2167, 2070)
"""Pixels of a detector frame (Eiger 4M)."""

FRAMES = 32
FRAME_STORED = 1_600 * KIB
"""About what one frame takes, bytes."""

QUICK_FRAME = (514, 515)
QUICK_FRAME_STORED = 200 * KIB

RUN = 512 * KIB
"""Elements of what a virtual chunk of the contiguous dataset holds: 1 MiB of uint16."""

Kind = Literal["gzip", "bslz4", "contiguous"]


@dataclass(frozen=True)
class Series:
    """A dataset and a way to read it.

    Attributes:
        label: For tables.
        dataset: Name in the file.
        kind: How its values are made and stored.
        dtype: numpy name of its type.
        frame: Shape of a chunk without its leading 1.
        count: Chunks.
        stored: About the bytes that a chunk takes in the file.
        sharded: Chunks are read as byte ranges of the default virtual shards.
    """

    label: str
    dataset: str
    kind: Kind
    dtype: Literal["u2", "u4"]
    frame: tuple[int, ...]
    count: int
    stored: int
    sharded: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the dataset."""
        return (self.count, *self.frame)

    @property
    def chunk(self) -> tuple[int, ...]:
        """Shape of a chunk."""
        return (1, *self.frame)

    @property
    def decoded(self) -> int:
        """Bytes of a decoded chunk."""
        return math.prod(self.frame) * int(self.dtype[1:])

    def sample(self) -> list[int]:
        """A few chunks, for checks."""
        return sorted({0, self.count // 2, self.count - 1})


def plain_series(sizes: tuple[int, ...], volume: int) -> list[Series]:
    """One series of gzip+shuffle chunks per stored size; each dataset takes ``volume`` bytes."""
    return [
        Series(_label(size), f"gzip{size // KIB}k", "gzip", "u2", (size,), max(8, volume // size), size)
        for size in sizes
    ]


def other_series(volume: int, *, quick: bool = False) -> list[Series]:
    """Detector frames, and data without chunks."""
    count = volume // (2 * RUN)
    frames = (QUICK_FRAME, 4, QUICK_FRAME_STORED) if quick else (FRAME, FRAMES, FRAME_STORED)
    return [
        Series("bitshuffle-LZ4 frames", "frames", "bslz4", "u4", *frames),
        Series("contiguous", "contiguous", "contiguous", "u2", (RUN,), count, 2 * RUN),
    ]


def sharded(series: Series) -> Series:
    """The same dataset, read by ranges."""
    return Series(
        f"{series.label} in shards", series.dataset, series.kind, series.dtype, series.frame, series.count,
        series.stored, sharded=True,
    )  # fmt: skip


def _label(size: int) -> str:
    return f"{size // KIB} KiB" if size < KIB * KIB else f"{size // KIB // KIB} MiB"
