"""Statistics: ``/stats/{file}/{dataset}?level=``."""

import json

from chunkserve.faces.paths import level_of, parameters_of, parse_path
from chunkserve.faces.respond import Reply, Request, Responder
from chunkserve.service.blob import blob_of
from chunkserve.service.pyramids import Wish
from chunkserve.service.statistics import statistics
from chunkserve.service.store import Answer, Store
from chunkserve.sources.localfile import WouldBlock
from chunkserve.versions import digest

PARAMETERS = frozenset({"level", "axes", "method", "v"})


class StatsFace:
    """Statistics of levels, or of a sample where no level is named."""

    def __init__(self, store: Store, respond: Responder) -> None:
        """Serve statistics of the datasets of ``store``."""
        self.store = store
        self.respond = respond

    def __call__(self, request: Request, *, wait: bool) -> Reply:
        """Answer a request."""
        path = parse_path(request.path)
        parameters = parameters_of(request.query, path.parameters, PARAMETERS)
        if not wait:
            raise WouldBlock
        level = level_of(parameters)
        wish = Wish(parameters.get("axes", ""), parameters.get("method", ""))
        pyramid = self.store.pyramids.find(self.store.node(path.parts), wish)
        pinned = parameters.get("v", "")
        self.store.check_pin(pyramid.array.node.files[0], pinned, wait=wait)
        found = statistics(self.store.pyramids, pyramid, level)
        data = json.dumps(found, allow_nan=False).encode()
        answer = Answer(blob_of(data), digest("stats", data), self.store.pin(path.parts, wait=True), json=True)
        return self.respond.answer(request, answer, wait=True, pinned=bool(pinned))
