"""The reference face: ``/refs/{file}.json``, kerchunk references to the chunks of a file."""

from chunkserve.errors import NotFound
from chunkserve.faces.paths import parse_path
from chunkserve.faces.respond import Reply, Request, Responder
from chunkserve.service.store import Store
from chunkserve.sources.localfile import WouldBlock

SUFFIX = ".json"


class ReferenceFace:
    """Kerchunk reference documents."""

    def __init__(self, store: Store, respond: Responder, public_url: str) -> None:
        """Refer to the faces below ``public_url``; empty: as the request's host names this server."""
        self.store = store
        self.respond = respond
        self.public_url = public_url.rstrip("/")

    def __call__(self, request: Request, *, wait: bool) -> Reply:
        """Answer a request."""
        if not wait:
            raise WouldBlock
        path = parse_path(request.path).parts
        if not path or not path[-1].endswith(SUFFIX):
            raise NotFound("references end in .json")
        host = request.headers.get(b"host", b"localhost").decode("latin-1")
        base = self.public_url or f"{request.scheme}://{host}"
        answer = self.store.references((*path[:-1], path[-1].removesuffix(SUFFIX)), base)
        return self.respond.answer(request, answer, wait=wait)
