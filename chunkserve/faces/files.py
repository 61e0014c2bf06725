"""The file face: ``/files/{file}``, the untouched bytes, with ranges, so that downloads resume."""

from urllib.parse import quote

from chunkserve.faces.paths import parse_path
from chunkserve.faces.respond import Reply, Request, Responder
from chunkserve.service.store import Store
from chunkserve.sources.localfile import WouldBlock


class FileFace:
    """Whole files."""

    def __init__(self, store: Store, respond: Responder) -> None:
        """Serve the files of ``store``."""
        self.store = store
        self.respond = respond

    def __call__(self, request: Request, *, wait: bool) -> Reply:
        """Answer a request."""
        if not wait:
            raise WouldBlock
        path = parse_path(request.path)
        answer = self.store.file(path.parts)
        head = self.respond.policy.cross_origin(request)
        head += (
            (b"content-type", b"application/x-hdf5"),
            (b"content-disposition", f"attachment; filename*=UTF-8''{quote(path.parts[-1])}".encode()),
            (b"cache-control", self.respond.policy.cache_control),
            (b"x-chunkserve-version", answer.version.encode()),
        )
        return self.respond.body(request, head, answer.blob, answer.etag)
