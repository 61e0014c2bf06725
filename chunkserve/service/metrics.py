"""Figures of a worker, and those of all workers as text that any monitoring system understands."""

from collections.abc import Callable, Iterable, Iterator
from typing import Literal, NamedTuple

from prometheus_client import Metric, generate_latest

from chunkserve.board import Across, Row
from chunkserve.cache.disk import DiskCache
from chunkserve.cache.levels import LevelCache
from chunkserve.cache.memory import MemoryCache
from chunkserve.service.store import Store


class Sample(NamedTuple):
    """One figure.

    Attributes:
        family: After the conventions of Prometheus (https://prometheus.io/docs/practices/naming/), without suffix.
        kind: Of all samples of the family.
        text: What they are.
        value: Now.
        labels: Tell the samples of a family apart.
        suffix: ``_total`` of counters, ``_bucket``, ``_sum`` and ``_count`` of histograms.
        across: How those of several workers are one.
    """

    family: str
    kind: Literal["counter", "gauge", "histogram"]
    text: str
    value: float
    labels: dict[str, str]
    suffix: str
    across: Across


def counter(family: str, text: str, value: float, **labels: str) -> Sample:
    """What only grows."""
    return Sample(family, "counter", text, value, labels, "_total", "grow")


def gauge(family: str, text: str, value: float, across: Across = "sum", **labels: str) -> Sample:
    """What is now."""
    return Sample(family, "gauge", text, value, labels, "", across)


class Metrics:
    """What a worker tells the others, and all of them the world."""

    def __init__(self, row: Row, gather: Callable[[], Iterable[Sample]]) -> None:
        """Write to ``row`` what ``gather`` finds: always the same samples, in the same order."""
        self.row = row
        self.gather = gather

    def publish(self) -> list[Sample]:
        """Tell the other workers."""
        found = list(self.gather())
        self.row.write([sample.value for sample in found], [sample.across for sample in found])
        return found

    def exposition(self) -> bytes:
        """All workers together (https://prometheus.io/docs/instrumenting/exposition_formats/)."""
        found = self.publish()
        totals = self.row.board.totals([sample.across for sample in found])
        return generate_latest(_Families(found, totals))


class _Families:
    """What prometheus_client asks for: samples by family."""

    def __init__(self, found: list[Sample], totals: list[float]) -> None:
        self._families: dict[str, Metric] = {}
        for sample, total in zip(found, totals, strict=True):
            family = self._families.setdefault(sample.family, Metric(sample.family, sample.text, sample.kind))
            family.add_sample(sample.family + sample.suffix, sample.labels, total)

    def collect(self) -> Iterator[Metric]:
        """All families."""
        return iter(self._families.values())


def samples(store: Store) -> Iterator[Sample]:
    """All figures of a store."""
    levels = store.pyramids.levels
    tiers: dict[str, MemoryCache[bytes] | DiskCache | LevelCache] = {
        "memory": store.memory, "decoded": store.tools.decoded, "disk": store.tools.disk, "levels": levels,
    }  # fmt: skip
    yield gauge("chunkserve_workers", "workers that live", 1)
    for what, text in (("hits", "answers found"), ("misses", "answers not found"), ("evictions", "entries removed")):
        for tier, cache in tiers.items():
            yield counter(f"chunkserve_cache_{what}", text, getattr(cache, what), tier=tier)
    for tier, cache in (("disk", store.tools.disk), ("levels", levels)):
        yield counter("chunkserve_cache_damaged", "damaged entries removed", cache.damaged, tier=tier)
    for tier, held in (("memory", store.memory), ("decoded", store.tools.decoded)):
        yield gauge("chunkserve_cache_bytes", "bytes held", held.used, tier=tier)
    for tier, cache in tiers.items():
        across: Across = "sum" if isinstance(cache, MemoryCache) else "max"  # the others are one for all workers
        yield gauge("chunkserve_cache_limit_bytes", "bytes that may be held", cache.limit, across, tier=tier)
    flight = store.tools.flight
    yield counter("chunkserve_computations", "things computed", flight.made)
    yield counter("chunkserve_waits", "times a computation under way was waited for", flight.joined)
    builder = store.pyramids.builder
    yield counter("chunkserve_background_blocks", "blocks made in the background", builder.blocks)
    yield gauge("chunkserve_background_jobs", "levels being made in the background", builder.jobs)
    yield counter("chunkserve_reader_deaths", "reader processes that died", store.readers.deaths)
