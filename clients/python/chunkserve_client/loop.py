"""One event loop in a thread of its own, which all synchronous calls share; a forked process gets a new one."""

import asyncio
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


class _Loop:
    """A running loop, and threads that decode."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self.decoders = ThreadPoolExecutor(self.cores, thread_name_prefix="chunkserve-decode")
        self.thread = threading.Thread(target=self.loop.run_forever, name="chunkserve-client", daemon=True)
        self.thread.start()


_lock = threading.Lock()
_current: _Loop | None = None
generation = 0
"""Raised by every fork: what belongs to an older one must not be used."""


def _forget() -> None:
    global _current, _lock, generation  # noqa: PLW0603 - a fork has no threads, so nothing of these is alive
    _current, _lock = None, threading.Lock()
    generation += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def current() -> _Loop:
    """The loop of this process."""
    global _current  # noqa: PLW0603 - one per process is the point
    if _current is None:
        with _lock:
            if _current is None:
                _current = _Loop()
    return _current


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in the loop and wait for it, from any thread but the loop's own."""
    here = current()
    if threading.current_thread() is here.thread:
        work.close()
        raise RuntimeError("called from the client's own event loop; await the a... methods there")
    future = asyncio.run_coroutine_threadsafe(work, here.loop)
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


async def away(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in the loop, awaited from any other one."""
    here = current()
    if asyncio.get_running_loop() is here.loop:
        return await work
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, here.loop))
