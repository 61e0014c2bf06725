"""Figures of one worker, as samples that any monitoring system understands."""

import os
from collections.abc import Iterator
from typing import Literal, NamedTuple

from chunkserve.cache.disk import DiskCache
from chunkserve.cache.levels import LevelCache
from chunkserve.cache.memory import MemoryCache
from chunkserve.service.store import Store


class Sample(NamedTuple):
    """One figure.

    Attributes:
        name: After the conventions of Prometheus (https://prometheus.io/docs/practices/naming/).
        kind: Counters only grow.
        text: What it is.
        tier: The cache it is of, if it is of one.
        value: Now.
    """

    name: str
    kind: Literal["counter", "gauge"]
    text: str
    tier: str
    value: float


def samples(store: Store) -> Iterator[Sample]:
    """All figures of a store, those of one name together."""
    levels = store.pyramids.levels
    tiers: dict[str, MemoryCache[bytes] | DiskCache | LevelCache] = {
        "memory": store.memory, "disk": store.tools.disk, "levels": levels,
    }  # fmt: skip
    for what, text in (("hits", "answers found"), ("misses", "answers not found"), ("evictions", "entries removed")):
        for tier, cache in tiers.items():
            yield Sample(f"chunkserve_cache_{what}_total", "counter", text, tier, getattr(cache, what))
    for tier, cache in (("disk", store.tools.disk), ("levels", levels)):
        yield Sample("chunkserve_cache_damaged_total", "counter", "damaged entries removed", tier, cache.damaged)
    yield Sample("chunkserve_cache_bytes", "gauge", "bytes held", "memory", store.memory.used)
    for tier, cache in tiers.items():
        yield Sample("chunkserve_cache_limit_bytes", "gauge", "bytes that may be held", tier, cache.limit)
    flight = store.tools.flight
    yield Sample("chunkserve_computations_total", "counter", "things computed", "", flight.made)
    yield Sample("chunkserve_waits_total", "counter", "times a computation under way was waited for", "", flight.joined)
    builder = store.pyramids.builder
    yield Sample("chunkserve_background_blocks_total", "counter", "blocks made in the background", "", builder.blocks)
    yield Sample("chunkserve_background_jobs", "gauge", "levels being made in the background", "", builder.jobs)
    yield Sample("chunkserve_reader_deaths_total", "counter", "reader processes that died", "", store.readers.deaths)


def exposition(store: Store) -> str:
    """The text format of Prometheus (https://prometheus.io/docs/instrumenting/exposition_formats/), with our pid."""
    lines: list[str] = []
    last = ""
    for sample in samples(store):
        if sample.name != last:
            lines += [f"# HELP {sample.name} {sample.text}", f"# TYPE {sample.name} {sample.kind}"]
            last = sample.name
        labels = f'worker="{os.getpid()}"' + (f',tier="{sample.tier}"' if sample.tier else "")
        lines.append(f"{sample.name}{{{labels}}} {sample.value}")
    return "\n".join(lines) + "\n"
