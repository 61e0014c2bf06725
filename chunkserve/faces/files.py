"""The file face: ``/files/{file}``, the untouched bytes, with ranges, so that downloads resume."""

import functools
from urllib.parse import quote

from chunkserve.errors import ChunkserveError
from chunkserve.faces.paths import parse_path
from chunkserve.faces.respond import Headers, Receive, Responder, Scope, Send, header, matches
from chunkserve.service.store import Store


class FileFace:
    """Whole files."""

    def __init__(self, store: Store, responder: Responder) -> None:
        """Serve the files of ``store``."""
        self.store = store
        self.respond = responder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        del receive
        try:
            path = parse_path(scope["raw_path"])
            answer = await self.respond.run(functools.partial(self.store.file, path.parts))
            quoted = f'"{answer.etag}"'.encode()
            name = quote(path.parts[-1])
            head: Headers = [
                (b"content-type", b"application/x-hdf5"),
                (b"content-disposition", f"attachment; filename*=UTF-8''{name}".encode()),
                (b"cache-control", self.respond.policy.cache_control),
                (b"x-chunkserve-version", answer.version.encode()),
                (b"etag", quoted),
                *self.respond.cross_origin(scope),
            ]
            if matches(header(scope, b"if-none-match"), quoted):
                await self.respond.empty(send, 304, head)
                return
            await self.respond.body(scope, send, head, answer.blob, quoted)
        except ChunkserveError as error:
            await self.respond.error(scope, send, error)
