"""The Zarr face: ``/zarr/{file}/{path}/...`` in format 3 and ``/zarr2/...`` in format 2."""

from chunkserve.errors import ChunkserveError, NotFound
from chunkserve.faces.listing import listing_page
from chunkserve.faces.paths import UrlPath, parse_path
from chunkserve.faces.respond import Reply, Request, Responder
from chunkserve.metadata.keys import Format, parse_key, split_chunk
from chunkserve.service.store import ForeignChunk, Store
from chunkserve.sources.localfile import WouldBlock


class ZarrFace:
    """Keys and listings of one format."""

    def __init__(self, store: Store, respond: Responder, zarr_format: Format) -> None:
        """Serve keys of ``store``."""
        self.store = store
        self.respond = respond
        self.format: Format = zarr_format

    def __call__(self, request: Request, *, wait: bool) -> Reply:
        """Answer a request."""
        found = split_chunk(request.path, self.format)
        if found is not None:
            try:
                path = parse_path(found[0])
            except NotFound as error:
                raise ForeignChunk(error.path) from None
            pinned = path.parameters.get("v", "")
            answer = self.store.chunk(
                self.format, path.parts, found[1], wait=wait, pinned=pinned, known=request.known()
            )
            return self.respond.answer(request, answer, wait=wait, pinned=bool(pinned))
        path = parse_path(request.path)
        if path.folder or not path.parts:
            return self._listing(request, path, wait=wait)
        return self._key(request, path, wait=wait)

    def _key(self, request: Request, path: UrlPath, *, wait: bool) -> Reply:
        """A document, or a scalar's chunk; a group named without its slash is sent to its listing."""
        pinned = path.parameters.get("v", "")
        try:
            answer = self.store.key(self.format, path.parts, wait=wait, pinned=pinned, known=request.known())
        except ForeignChunk:
            raise
        except NotFound:
            if parse_key(path.parts, self.format) is not None or not self._has_listing(path, wait=wait):
                raise
            return self.respond.redirect(request, b"./" + request.path.rsplit(b"/", 1)[-1] + b"/")
        return self.respond.answer(request, answer, wait=wait, pinned=bool(pinned))

    def _has_listing(self, path: UrlPath, *, wait: bool) -> bool:
        if not wait:
            raise WouldBlock
        try:
            self.store.listing(path.parts)
        except ChunkserveError:
            return False
        return True

    def _listing(self, request: Request, path: UrlPath, *, wait: bool) -> Reply:
        """Members as HTML, which fsspec's clients and people read."""
        if not wait:
            raise WouldBlock
        page = listing_page(path.parts, self.store.listing(path.parts))
        return self.respond.text(request, page, "text/html; charset=utf-8")
