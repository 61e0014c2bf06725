"""Answers in steps: bytes that are made one after the other, in batches that are worth a thread."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from chunkserve.service.picked import TOUCHED_BYTES
from chunkserve.service.selected import PART_BYTES
from chunkserve.sources.localfile import WouldBlock

AT_ONCE = 256 * 2**10
"""Bytes of chunks that are decoded while other requests wait."""


class Make(Protocol):
    """Computes some bytes; raises ``WouldBlock`` if it may not ``wait`` and has to."""

    def __call__(self, *, wait: bool) -> bytes:
        """The bytes."""


@dataclass(frozen=True)
class Step:
    """Something to be computed for an answer, and how many bytes are decoded and sent for it."""

    make: Make
    touched: int = 0
    nbytes: int = 0


def said(data: bytes) -> Step:
    """Bytes that are known already."""
    return Step(functools.partial(_same, data), 0, len(data))


def _same(data: bytes, *, wait: bool) -> bytes:  # noqa: ARG001
    return data


def batches(steps: Iterator[Step]) -> Iterator[list[Step]]:
    """Steps in groups that are worth a thread; what is said first comes with the first elements."""
    batch: list[Step] = []
    touched = nbytes = 0
    for step in steps:
        if touched and (touched + step.touched > TOUCHED_BYTES or nbytes + step.nbytes > PART_BYTES):
            yield batch
            batch, touched, nbytes = [], 0, 0
        batch.append(step)
        touched += step.touched
        nbytes += step.nbytes
    yield batch


def run(batch: list[Step], *, wait: bool = True) -> bytes:
    """The bytes of a batch.

    Raises:
        WouldBlock: Not ``wait``, and it takes its time.
    """
    if not wait and sum(step.touched for step in batch) > AT_ONCE:
        raise WouldBlock
    return b"".join([step.make(wait=wait) for step in batch])
