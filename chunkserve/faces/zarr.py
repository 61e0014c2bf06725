"""The Zarr face: ``/zarr/{file}/{path}/...`` in format 3 and ``/zarr2/...`` in format 2."""

import functools

from chunkserve.errors import ChunkserveError, NotFound
from chunkserve.faces.listing import listing_page
from chunkserve.faces.paths import UrlPath, parse_path
from chunkserve.faces.respond import Receive, Responder, Scope, Send, header
from chunkserve.metadata.keys import Format, parse_key
from chunkserve.service.store import ForeignChunk, Store


class ZarrFace:
    """Plain ASGI, since this is where most requests go."""

    def __init__(self, store: Store, responder: Responder, zarr_format: Format) -> None:
        """Serve keys of one format."""
        self.store = store
        self.respond = responder
        self.format: Format = zarr_format

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        del receive  # bodies are not read
        try:
            path = parse_path(scope["raw_path"])
            if path.folder or not path.parts:
                await self._listing(scope, send, path)
            else:
                await self._key(scope, send, path)
        except ChunkserveError as error:
            await self.respond.error(scope, send, error)

    async def _key(self, scope: Scope, send: Send, path: UrlPath) -> None:
        pinned = path.parameters.get("v", "")
        known = header(scope, b"if-none-match").strip(b'W/"').decode("latin-1")
        question = functools.partial(self.store.key, self.format, path.parts, pinned=pinned, known=known)
        try:
            answer = await self.respond.ask(question)
        except ForeignChunk:
            raise
        except NotFound:
            if parse_key(path.parts, self.format) is None and await self._is_group(path.parts):
                await self._redirect(scope, send)
                return
            raise
        await self.respond.answer(scope, send, answer, pinned=bool(pinned))

    async def _is_group(self, parts: tuple[str, ...]) -> bool:
        try:
            await self.respond.run(lambda: self.store.listing(parts))
        except ChunkserveError:
            return False
        return True

    async def _redirect(self, scope: Scope, send: Send) -> None:
        """To the listing, whose relative links need the slash."""
        last = scope["raw_path"].rsplit(b"/", 1)[-1]
        await self.respond.empty(send, 308, [(b"location", b"./" + last + b"/"), *self.respond.cross_origin(scope)])

    async def _listing(self, scope: Scope, send: Send, path: UrlPath) -> None:
        """Members as HTML, which fsspec's clients and people read."""
        listing = await self.respond.run(lambda: self.store.listing(path.parts))
        page = listing_page(path.parts, listing)
        await self.respond.text(scope, send, page, "text/html; charset=utf-8")
