"""Levels that are too much for one request, made in the background as long as somebody asks for them."""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field

from chunkserve.errors import TryAgain
from chunkserve.grid import Shape
from chunkserve.service.pyramid import Pyramid

PATIENCE = 60.0
"""Seconds after which a job that nobody has asked for again is dropped. What it has made stays."""

NICENESS = 10
"""Priority of the threads, below those that answer requests."""

log = logging.getLogger("chunkserve.builder")


class Building(TryAgain):
    """A level is being made; ``done`` is resolved when it is."""

    retry_after = 5

    def __init__(self, what: str, done: "Future[None]") -> None:
        super().__init__(f"{what} is being computed")
        self.done = done


@dataclass(eq=False)
class _Job:
    pyramid: Pyramid
    level: int
    position: Shape
    asked: float
    rest: Iterator[Shape]
    done: "Future[None]" = field(default_factory=Future)


class Builder:
    """Jobs, each a block with all it needs; a few threads take turns at the one asked for last."""

    def __init__(self, threads: int) -> None:
        """Start no thread before there is something to do."""
        self._limit = threads
        self._jobs: dict[tuple[str, int, Shape], _Job] = {}
        self._threads: list[threading.Thread] = []
        self._change = threading.Condition()
        self._closed = False
        self.blocks = 0

    @property
    def jobs(self) -> int:
        """Levels being made."""
        return len(self._jobs)

    def want(self, pyramid: Pyramid, level: int, position: Shape) -> "Future[None]":
        """Have a block of a level made; resolved when it is there, failed if it cannot be."""
        key = (pyramid.tag, level, position)
        with self._change:
            job = self._jobs.get(key)
            if job is None:
                rest = pyramid.missing_blocks(level, position)
                job = self._jobs[key] = _Job(pyramid, level, position, time.monotonic(), rest)
                if len(self._threads) < self._limit and not self._closed:
                    thread = threading.Thread(target=self._work, name="builder", daemon=True)
                    self._threads.append(thread)
                    thread.start()
            job.asked = time.monotonic()
            self._change.notify()
            return job.done

    def close(self) -> None:
        """Finish the block at hand and end."""
        with self._change:
            self._closed = True
            self._change.notify_all()
        for thread in self._threads:
            thread.join(timeout=10)

    def _work(self) -> None:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        while True:
            job = self._next()
            if job is None:
                return
            try:
                finished = self._step(job)
            except Exception as error:  # noqa: BLE001 - whoever waits is told
                log.warning("level %d of %s: %s", job.level, job.pyramid.array.node.path, error)
                self._end(job, error)
            else:
                if finished:
                    self._end(job, None)

    def _next(self) -> _Job | None:
        with self._change:
            while True:
                if self._closed:
                    return None
                now = time.monotonic()
                for job in [job for job in self._jobs.values() if now - job.asked > PATIENCE]:
                    self._forget(job, Building("a level", job.done))
                if self._jobs:
                    return max(self._jobs.values(), key=lambda job: job.asked)
                self._change.wait(timeout=PATIENCE)

    def _step(self, job: _Job) -> bool:
        """Make one more block; whether that was all."""
        with self._change:
            position = next(job.rest, None)
        if position is None:
            job.pyramid.block(job.level, job.position)
            return True
        job.pyramid.block(job.pyramid.plan.first, position)
        self.blocks += 1
        return False

    def _end(self, job: _Job, error: Exception | None) -> None:
        with self._change:
            self._forget(job, error)

    def _forget(self, job: _Job, error: Exception | None) -> None:
        if self._jobs.pop((job.pyramid.tag, job.level, job.position), None) is None or job.done.done():
            return
        if error is None:
            job.done.set_result(None)
        else:
            job.done.set_exception(error)
