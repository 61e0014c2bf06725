"""What a client would like: JSON or MessagePack, compressed or not (RFC 9110, 12.5)."""

import re
from collections.abc import Callable
from typing import NamedTuple

import deflate
import numcodecs.zstd

from chunkserve.errors import BadRequest

CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "zstd": lambda data: bytes(numcodecs.zstd.compress(data, 3)),
    "gzip": lambda data: bytes(deflate.gzip_compress(data, 6)),
}
"""Content codings by name, the one that is preferred first."""

MSGPACK = "application/msgpack"

_PACKED = (b"application/msgpack", b"application/x-msgpack", b"application/vnd.msgpack")
_QUALITY = re.compile(rb"(?:\A|;)q=([01](?:\.[0-9]{0,3})?)\Z")
_REFUSED = re.compile(rb"q=0(?:\.0*)?\Z")


def preferred_coding(accept: bytes) -> str:
    """The content coding to use for a document: ``zstd``, ``gzip`` or none."""
    offered = offered_codings(accept)
    return next((name for name in CODINGS if name in offered), "")


def offered_codings(accept: bytes) -> frozenset[str]:
    """The content codings that an Accept-Encoding header names and does not refuse."""
    items = (item.partition(b";") for item in accept.lower().split(b","))
    return frozenset(
        name.strip().decode("latin-1") for name, _, q in items if _REFUSED.match(q.replace(b" ", b"")) is None
    )


class Form(NamedTuple):
    """How messages are written.

    Attributes:
        json: As JSON, rather than MessagePack.
        agreed: The client's ``Accept`` decided.
    """

    json: bool
    agreed: bool

    @property
    def media(self) -> str:
        """The media type."""
        return "application/json" if self.json else MSGPACK

    @property
    def head(self) -> list[tuple[bytes, bytes]]:
        """What caches are to be told."""
        return [(b"vary", b"Accept")] if self.agreed else []


def preferred_form(accept: bytes, wish: str) -> Form:
    """The form of an answer that there is as MessagePack and as JSON.

    Args:
        accept: The header ``Accept``. It decides where nothing is wished.
        wish: The parameter ``format``, empty for none.

    Raises:
        BadRequest: The wish is neither.
    """
    if wish not in ("", "json", "msgpack"):
        raise BadRequest(f"format={wish} is neither msgpack nor json")
    if wish:
        return Form(wish == "json", agreed=False)
    offered = {}
    for item in accept.lower().split(b","):
        name, _, parameters = item.partition(b";")
        quality = _QUALITY.search(parameters.replace(b" ", b""))
        offered[name.strip()] = float(quality[1]) if quality else 1.0
    is_json = offered.get(b"application/json", 0.0) > max(offered.get(name, 0.0) for name in _PACKED)
    return Form(is_json, agreed=True)
