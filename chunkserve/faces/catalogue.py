"""What is served, as JSON: ``/api/files/{path}``."""

import json

from chunkserve.errors import NotFound
from chunkserve.faces.paths import parse_path
from chunkserve.faces.respond import Reply, Request, Responder
from chunkserve.service.blob import blob_of
from chunkserve.service.catalogue import describe
from chunkserve.service.store import Answer, Store
from chunkserve.sources.localfile import WouldBlock
from chunkserve.versions import digest


class CatalogueFace:
    """Folders and files."""

    def __init__(self, store: Store, respond: Responder) -> None:
        """Describe what ``store`` serves."""
        self.store = store
        self.respond = respond

    def __call__(self, request: Request, *, wait: bool) -> Reply:
        """Answer a request."""
        path = parse_path(request.path)
        if path.parts[:1] != ("files",):
            raise NotFound("/".join(path.parts))
        if not wait:
            raise WouldBlock
        data = json.dumps(describe(self.store, path.parts[1:])).encode()
        return self.respond.answer(request, Answer(blob_of(data), digest("files", data), json=True), wait=wait)
