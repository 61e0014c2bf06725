"""Figures of the index, for ``/metrics``."""

from collections.abc import Iterator

from chunkserve.search.finder import Finder
from chunkserve.search.schema import STATES
from chunkserve.service.metrics import Sample, gauge


def samples(finder: Finder) -> Iterator[Sample]:
    """All figures. The index is one for all workers, so none is added up."""
    found = finder.figures()
    for state in STATES:
        yield gauge("chunkserve_search_files", "files in the search index", found[state], "max", state=state)
    yield gauge("chunkserve_search_entries", "things to be found", found["entries"], "max")
    yield gauge("chunkserve_search_bytes", "size of the search index", found["bytes"], "max")
    text = "when all folders were last looked at, in seconds since 1970"
    yield gauge("chunkserve_search_updated_timestamp_seconds", text, found["updated"], "max")
