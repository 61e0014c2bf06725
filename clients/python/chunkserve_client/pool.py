"""Coroutines, so many at a time."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any


async def pooled(workers: int, jobs: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Await coroutines, so many at a time; the first error ends all."""
    source = iter(jobs)

    async def work() -> None:
        for job in source:
            await job

    tasks = [asyncio.ensure_future(work()) for _ in range(workers)]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
