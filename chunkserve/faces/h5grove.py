"""The HTTP interface of h5grove 4, which H5Web speaks: ``/h5grove/meta``, ``attr``, ``data``, ``stats``, ``paths``.

What is asked stands in the query: ``file``, ``path``, and more by endpoint; what is not known is ignored. Where h5grove
fails without a word, the answer here is 422 with a message. Behind a file's name may stand at which level its datasets
are shown: ``file=run.h5;level=3``.
"""

import functools
import hashlib
import json

from chunkserve.cache.recent import Recent
from chunkserve.errors import BadRequest, NoPermission, NotFound, TryAgain
from chunkserve.faces.paths import parse_path
from chunkserve.faces.problems import failure
from chunkserve.faces.respond import Reply, Request, Responder
from chunkserve.metadata.h5grove_query import Query, parse_query
from chunkserve.service.blob import blob_of
from chunkserve.service.closure import Closure
from chunkserve.service.h5grove import JSON, Body, H5grove, Missing
from chunkserve.service.hdffile import HdfFile
from chunkserve.service.store import Answer, Store
from chunkserve.sources.localfile import WouldBlock
from chunkserve.versions import digest

FILES = 1024
"""Files remembered by name, per worker."""


class H5groveFace:
    """Everything below ``/h5grove``."""

    def __init__(self, store: Store, respond: Responder) -> None:
        """Serve the files of ``store``."""
        self.store = store
        self.respond = respond
        self.answers = H5grove(store.nodes, store.pyramids, store.settings.max_slice)
        self._query = functools.lru_cache(4096)(parse_query)
        self._files: Recent[Closure] = Recent(FILES)

    def __call__(self, request: Request, *, wait: bool) -> Reply:
        """Answer a request."""
        parts = parse_path(request.path).parts
        if not parts:
            return self.respond.text(request, b"ok", "text/plain")
        if len(parts) > 1 or parts[0] not in self.answers.endpoints:
            raise Missing(f"there is no /{'/'.join(parts)}, but /{', /'.join(self.answers.endpoints)}")
        query = self._query(parts[0], request.query)
        closure, file = self._file(query, wait=wait)
        self.store.check_pin(file, query.pin, wait=wait)
        if closure is None:
            return self._fleeting(request, self.answers.make(query, file, wait=wait))
        tag = digest("h5grove-1", closure.version, self.store.settings.sentinel, query)
        pinned = bool(query.pin)
        unchanged = self.respond.unchanged(request, tag, pinned=pinned)
        if unchanged is not None:
            return unchanged
        body = self._kept(query, tag, file, wait=wait)
        answer = Answer(blob_of(*body.pieces), tag, closure.version, json=_is_json(body), media=body.media)
        return _named(self.respond.answer(request, answer, wait=wait, pinned=pinned), body)

    def error(self, request: Request, error: Exception) -> Reply:
        """An error as h5grove's clients expect it."""
        status, message = failure(request.shown, error)
        if isinstance(error, Missing):
            message = error.message
        elif isinstance(error, NoPermission):
            status, message = 403, "Cannot read file: Permission denied!"
        elif isinstance(error, BadRequest):
            status = 422
        elif isinstance(error, TryAgain):
            message = f"{message} (try again in a moment)"
        return self.respond.complaint(request, error, status, json.dumps({"message": message}).encode())

    def _kept(self, query: Query, tag: str, file: HdfFile, *, wait: bool) -> Body:
        """A body, from memory or made now."""
        known = self.store.memory.get(tag)
        if known is not None:
            return Body((known,))
        body = self.answers.make(query, file, wait=wait)
        if _is_json(body):
            data = body.pieces[0]
            assert isinstance(data, bytes)
            self.store.memory.put(tag, data, len(data))
        return body

    def _fleeting(self, request: Request, body: Body) -> Reply:
        """A reply about a file that is being written, or that draws from very many."""
        if all(isinstance(piece, bytes) for piece in body.pieces):
            hashed = hashlib.blake2b(digest_size=10)
            for piece in body.pieces:
                assert isinstance(piece, bytes)
                hashed.update(piece)
            answer = Answer(blob_of(*body.pieces), hashed.hexdigest(), json=_is_json(body), media=body.media)
            return _named(self.respond.answer(request, answer, wait=True), body)
        return _named(self.respond.unkept(request, blob_of(*body.pieces), body.media.encode()), body)

    def _file(self, query: Query, *, wait: bool) -> tuple[Closure | None, HdfFile]:
        """The file, and all that it draws from (``None`` if that is being written)."""
        known = self._files.get(query.file)
        if known is not None and known.is_current(self.store.files):
            return known, known.files[0]
        if not wait:
            raise WouldBlock
        try:
            file, rest = self.store.files.find(query.place)
        except NoPermission:
            raise
        except NotFound:
            raise Missing("File not found!") from None
        if rest:
            raise Missing("File not found!")
        found = self.store.closure(file, wait=True)
        if found is not None:
            self._files.put(query.file, found)
        return found, file


def _is_json(body: Body) -> bool:
    return body.media == JSON


def _named(reply: Reply, body: Body) -> Reply:
    """Tell browsers a name to save the body under."""
    if body.name and reply.status in (200, 206):
        reply.head.append((b"content-disposition", f'attachment; filename="{body.name}"'.encode()))
    return reply
