"""URL paths: the first segment's matrix parameters, and the other segments decoded once, strictly."""

import functools
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote_to_bytes

from chunkserve.errors import BadRequest, NotFound

MAX_PATH = 16384
"""Bytes of a request path."""

PATHS = 16384
"""Paths remembered, per worker."""

CREDENTIALS = frozenset({"signed", "sessionId", "token"})
"""Parameters that show who asks. Where there are no access rules they say nothing."""

_LEVEL = re.compile(r"[0-9]{1,3}\Z")


@dataclass(frozen=True, slots=True)
class UrlPath:
    """A request path taken apart.

    Attributes:
        parts: The segments after the first, decoded.
        folder: The path ends in a slash.
        parameters: Matrix parameters of the first segment: ``/zarr;v=abc/...``.
    """

    parts: tuple[str, ...]
    folder: bool
    parameters: dict[str, str]


@functools.lru_cache(PATHS)
def parse_path(raw: bytes) -> UrlPath:
    """Take a raw path apart. What comes back is shared, and not to be changed.

    Raises:
        NotFound: A segment is empty, ``.``, ``..``, not UTF-8, or contains a slash or NUL once decoded.
    """
    if len(raw) > MAX_PATH:
        raise NotFound("path too long")
    first, *segments = raw[1:].split(b"/")
    folder = bool(segments) and segments[-1] == b""
    if folder:
        segments.pop()
    parts = tuple([_decode(segment) for segment in segments])
    _, *pairs = first.split(b";")
    parameters = dict(_decode(pair).partition("=")[::2] for pair in pairs) if pairs else {}
    return UrlPath(parts, folder, parameters)


def parameters_of(query: bytes, matrix: Mapping[str, str], known: Collection[str]) -> dict[str, str]:
    """Parameters of a request: those of the query, and matrix parameters of the path.

    Raises:
        BadRequest: One is not known.
    """
    found = {**matrix, **dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True))}
    unknown = found.keys() - set(known) - CREDENTIALS
    if unknown:
        raise BadRequest(f"unknown parameter {min(unknown)}; there are {', '.join(sorted(known))}")
    return found


def level_of(parameters: Mapping[str, str]) -> int | None:
    """The level that parameters name, ``None`` if they name none.

    Raises:
        BadRequest: It is no number.
    """
    level = parameters.get("level", "")
    if level and not _LEVEL.match(level):
        raise BadRequest(f"level={level} is not the number of a level")
    return int(level) if level else None


def _decode(segment: bytes) -> str:
    data = unquote_to_bytes(segment) if b"%" in segment else segment
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise NotFound("a segment is not UTF-8") from None
    if text in ("", ".", "..") or "/" in text or "\0" in text:
        raise NotFound(text)
    return text
