"""What the viewer asks first, ``/api/server``: which server it is, who asks, which apps there are."""

import json
from collections.abc import Mapping

from chunkserve import __version__
from chunkserve.apps import App, described
from chunkserve.errors import NotFound
from chunkserve.faces.paths import parse_path
from chunkserve.faces.respond import Reply, Request, Responder
from chunkserve.service.blob import blob_of
from chunkserve.service.store import Answer
from chunkserve.versions import digest

NOBODY = "anonymous"


class AboutFace:
    """The server, as JSON."""

    def __init__(self, respond: Responder, apps: Mapping[str, App]) -> None:
        """Tell of ``apps``."""
        self._respond = respond
        self._apps = described(apps)

    def __call__(self, request: Request, *, wait: bool) -> Reply:
        """Answer a request."""
        if parse_path(request.path).parts != ("server",):
            raise NotFound(request.path.decode("latin-1"))
        user = request.who if request.who != NOBODY else ""
        about = {"version": __version__, "access": bool(request.who), "user": user, "apps": self._apps}
        data = json.dumps(about).encode()
        return self._respond.answer(request, Answer(blob_of(data), digest("about", data), json=True), wait=wait)
