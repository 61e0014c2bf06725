"""For operators: ``/healthz`` (the process answers), ``/readyz`` (it can really read), ``/metrics``."""

import asyncio
import logging

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from chunkserve.errors import ChunkserveError
from chunkserve.faces.problems import TITLES
from chunkserve.faces.respond import STORE
from chunkserve.service.metrics import Metrics
from chunkserve.service.store import Store

log = logging.getLogger("chunkserve.http")


async def healthz(request: Request) -> Response:
    """The event loop runs."""
    del request
    return PlainTextResponse("ok\n")


async def readyz(request: Request) -> Response:
    """Every root can be listed and a reader process answers."""
    store: Store = request.app.state.store
    restricted = STORE in request.scope  # then names of roots are nobody's business
    try:
        checks = await asyncio.to_thread(store.check)
    except ChunkserveError as error:
        detail = "see the server's log" if restricted else str(error)
        log.warning("not ready: %s", error)
        return JSONResponse({"ready": False, "detail": detail}, 503, {"Retry-After": "5"})
    return JSONResponse({"ready": True} if restricted else {"ready": True, "checks": checks})


async def metrics(request: Request) -> Response:
    """Figures of all workers together, for Prometheus."""
    found: Metrics = request.app.state.metrics
    return Response(found.exposition(), media_type="text/plain; version=0.0.4")


async def not_found(request: Request, error: Exception) -> Response:
    """A problem document for paths that no route has."""
    del request
    status = error.status_code if isinstance(error, HTTPException) else 404
    document = {"type": "about:blank", "title": TITLES[status], "status": status, "detail": "no such page"}
    headers = {"Access-Control-Allow-Origin": "*"} | ({"Allow": "GET, HEAD"} if status == 405 else {})
    return JSONResponse(document, status, headers, "application/problem+json")
