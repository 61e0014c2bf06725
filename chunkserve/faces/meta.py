"""Metadata: ``/meta/{file}/{path}?depth=``, everything HDF5 says of an object and of what is below it."""

import re

from chunkserve.errors import BadRequest
from chunkserve.faces.negotiation import preferred_form
from chunkserve.faces.paths import parameters_of, parse_path
from chunkserve.faces.respond import Reply, Request, Responder
from chunkserve.service.blob import blob_of
from chunkserve.service.store import Answer, Store

PARAMETERS = frozenset({"depth", "format", "v"})

EVERYTHING = 10**6
"""``depth=all``."""

_DEPTH = re.compile(r"[0-9]{1,6}\Z")


class MetaFace:
    """Headers, attributes and links."""

    def __init__(self, store: Store, respond: Responder) -> None:
        """Serve the objects of ``store``."""
        self.store = store
        self.respond = respond

    def __call__(self, request: Request, *, wait: bool) -> Reply:
        """Answer a request."""
        path = parse_path(request.path)
        parameters = parameters_of(request.query, path.parameters, PARAMETERS)
        depth = parameters.get("depth", "1")
        if depth != "all" and not _DEPTH.match(depth):
            raise BadRequest(f"depth={depth} is neither a number nor 'all'")
        form = preferred_form(request.headers.get(b"accept", b""), parameters.get("format", ""))
        deep = EVERYTHING if depth == "all" else int(depth)
        made = self.store.described(path.parts, deep, as_json=form.json, wait=wait)
        pinned = parameters.get("v", "")
        self.store.check_pin(made.files[0], pinned, wait=wait)
        media = "" if form.json else form.media
        answer = Answer(blob_of(made.data), made.etag, made.version, json=form.json, media=media)
        reply = self.respond.answer(request, answer, wait=wait, pinned=bool(pinned))
        reply.head += form.head
        return reply
