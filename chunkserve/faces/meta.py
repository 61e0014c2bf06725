"""Metadata: ``/meta/{file}/{path}?depth=``, everything HDF5 says of an object and of what is below it."""

import functools
import re

from chunkserve.errors import BadRequest
from chunkserve.faces.paths import parameters_of, parse_path
from chunkserve.faces.respond import Reply, Request, Responder, prefers_json
from chunkserve.service.blob import blob_of
from chunkserve.service.store import Answer, Store

PARAMETERS = frozenset({"depth", "format", "v"})

MSGPACK = "application/msgpack"

EVERYTHING = 10**6
"""``depth=all``."""

_DEPTH = re.compile(r"[0-9]{1,6}\Z")


class MetaFace:
    """Headers, attributes and links."""

    def __init__(self, store: Store, respond: Responder) -> None:
        """Serve the objects of ``store``."""
        self.store = store
        self.respond = respond
        self._parse = functools.lru_cache(4096)(parse_path)

    def __call__(self, request: Request, *, wait: bool) -> Reply:
        """Answer a request."""
        path = self._parse(request.path)
        parameters = parameters_of(request.query, path.parameters, PARAMETERS)
        depth = parameters.get("depth", "1")
        if depth != "all" and not _DEPTH.match(depth):
            raise BadRequest(f"depth={depth} is neither a number nor 'all'")
        as_json = prefers_json(request, parameters.get("format", ""))
        deep = EVERYTHING if depth == "all" else int(depth)
        made = self.store.described(path.parts, deep, as_json=as_json, wait=wait)
        pinned = parameters.get("v", "")
        if pinned:
            self.store.check_pin(made.files[0], pinned, wait=wait)
        media = "" if as_json else MSGPACK
        answer = Answer(blob_of(made.data), made.etag, made.version, json=as_json, media=media)
        reply = self.respond.answer(request, answer, wait=wait, pinned=bool(pinned))
        if "format" not in parameters:
            reply.head.append((b"vary", b"Accept"))
        return reply
