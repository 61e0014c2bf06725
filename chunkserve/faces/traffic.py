"""How many requests each face answered, with what, and how long they took. Counted on the event loop alone."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate

from chunkserve.service.metrics import Sample, counter

BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Of the histogram, in seconds."""

CODES = {2: "2xx", 3: "3xx", 4: "4xx", 5: "5xx"}


class Tally:
    """The requests of one face."""

    __slots__ = ("buckets", "codes", "seconds")

    def __init__(self) -> None:
        """Begin at nothing."""
        self.codes = [0] * (max(CODES) + 1)
        self.buckets = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0

    def count(self, status: int, seconds: float) -> None:
        """One more, with its status, and the time until the answer was there."""
        self.codes[status // 100] += 1
        self.buckets[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds


class Traffic:
    """The requests of all faces."""

    def __init__(self, faces: Iterable[bytes]) -> None:
        """A tally for each of ``faces``."""
        self.tallies: Mapping[bytes, Tally] = {face: Tally() for face in faces}

    def samples(self) -> Iterator[Sample]:
        """For ``/metrics``."""
        by_name = {face.decode("ascii"): tally for face, tally in self.tallies.items()}
        for face, tally in by_name.items():
            for digit, code in CODES.items():
                yield counter("chunkserve_http_requests", "requests answered", tally.codes[digit], face=face, code=code)
        for face, tally in by_name.items():
            below = list(accumulate(tally.buckets))
            for bound, count in zip((*map(str, BOUNDS), "+Inf"), below, strict=True):
                yield _duration("_bucket", count, face=face, le=bound)
            yield _duration("_sum", tally.seconds, face=face)
            yield _duration("_count", below[-1], face=face)


def _duration(suffix: str, value: float, **labels: str) -> Sample:
    text = "time until an answer was there, sending it not included"
    return Sample("chunkserve_http_request_duration_seconds", "histogram", text, value, labels, suffix, "grow")
