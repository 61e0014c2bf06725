"""Search: ``/api/search?q=``, across all files."""

import json
import re

from chunkserve.errors import BadRequest, NotFound
from chunkserve.faces.paths import parameters_of, parse_path
from chunkserve.faces.respond import Reply, Request, Responder
from chunkserve.search.finder import KINDS, Finder
from chunkserve.service.store import Store
from chunkserve.sources.localfile import WouldBlock

PARAMETERS = frozenset({"below", "cursor", "kind", "limit", "q"})

LIMIT = 50
MOST = 500
"""Results in an answer, if nothing is said, and at most."""

_NUMBER = re.compile(r"[0-9]{1,6}\Z")


class SearchFace:
    """Answers from the index."""

    def __init__(self, store: Store, respond: Responder, finder: Finder) -> None:
        """Find what ``store`` serves."""
        self.store = store
        self.respond = respond
        self.finder = finder

    def __call__(self, request: Request, *, wait: bool) -> Reply:
        """Answer a request."""
        path = parse_path(request.path)
        if path.parts != ("search",):
            raise NotFound("/".join(path.parts))
        asked = parameters_of(request.query, path.parameters, PARAMETERS)
        limit, kind = asked.get("limit", str(LIMIT)), asked.get("kind", "")
        if not _NUMBER.match(limit) or not 1 <= int(limit) <= MOST:
            raise BadRequest(f"limit={limit} is not between 1 and {MOST}")
        if kind and kind not in KINDS:
            raise BadRequest(f"kind={kind} is none of {', '.join(KINDS)}")
        if not wait:
            raise WouldBlock
        cursor, below = asked.get("cursor", ""), asked.get("below", "")
        page = self.finder.page(self.store, asked.get("q", ""), int(limit), cursor, kind, below)
        data = json.dumps(page, ensure_ascii=False).encode("utf-8", "backslashreplace")
        return self.respond.fleeting(request, data, b"application/json")
