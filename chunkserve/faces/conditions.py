"""Conditions and ranges of requests (RFC 9110, 13 and 14)."""

import re

_RANGE = re.compile(rb"bytes=(?:([0-9]{1,99})-([0-9]{0,99})|-([0-9]{1,99}))\Z")


def matches(condition: bytes, quoted: bytes) -> bool:
    """Whether an If-None-Match condition names a tag (weak comparison, RFC 9110, 13.1.2)."""
    return any(tag.strip().removeprefix(b"W/") in (quoted, b"*") for tag in condition.split(b","))


def parse_range(value: bytes, size: int) -> tuple[int, int] | None:
    """The (start, stop) of a single byte range; empty if it cannot be satisfied; ``None`` if it is to be ignored.

    RFC 9110, 14.1.2: what cannot be understood, several ranges included, is ignored.
    """
    match = _RANGE.match(value)
    if match is None:
        return None
    first, last, suffix = match.groups()
    if suffix is not None:
        return size - min(int(suffix), size), size
    start = int(first)
    if last and int(last) < start:
        return None
    return (start, min(int(last) + 1, size) if last else size) if start < size else (size, size)
