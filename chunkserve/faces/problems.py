"""Errors as clients see them: a status, and what is said (RFC 9457)."""

import logging

from chunkserve import errors
from chunkserve.service.store import AbsentChunk, ForeignChunk

STATUS: dict[type[errors.ChunkserveError], int] = {
    errors.Unauthenticated: 401,
    ForeignChunk: 410,
    AbsentChunk: 404,
    errors.NotFound: 404,
    errors.Gone: 410,
    errors.BadRequest: 400,
    errors.TooLarge: 413,
    errors.Unsupported: 501,
    errors.Unreadable: 422,
    errors.Corrupt: 502,
    errors.MissingSource: 502,
    errors.TryAgain: 503,
}
"""Error to status. A chunk's 404 makes readers put the fill value, so only a chunk that is truly absent gets one."""

TITLES = {
    400: "Bad request",
    401: "Not authenticated",
    404: "Not found",
    405: "Method not allowed",
    410: "Gone",
    413: "Too large",
    416: "Range not satisfiable",
    422: "Unreadable file",
    500: "Internal error",
    501: "Not supported",
    502: "Damaged or missing data",
    503: "Try again",
}

log = logging.getLogger("chunkserve.http")


def problem(status: int, detail: str) -> dict[str, str | int]:
    """A problem document (RFC 9457)."""
    return {"type": "about:blank", "title": TITLES.get(status, "Error"), "status": status, "detail": detail}


def failure(request: str, error: Exception) -> tuple[int, str]:
    """The status of an error and what is said of it; what nobody outside can help is logged with the request."""
    status = status_of(error)
    if status in (500, 502):
        log.warning("%d %s: %s", status, request, error, exc_info=error if status == 500 else None)
    if status == 500:
        return status, "an unexpected error; the server's log has it"
    if isinstance(error, errors.NotFound):
        return status, "nothing is served under this name"  # the same whatever the reason
    return status, str(error)


def status_of(error: Exception) -> int:
    """The status of an error, by its nearest class in the table."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)
